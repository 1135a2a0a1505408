"""Files that ship beside the package say what the package does."""

from __future__ import annotations

import csv
import hashlib
import importlib.resources
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from embedded_scheduler.config import Settings
from embedded_scheduler.provision import TEMPLATE
from nodeconsole import __version__
from nodeconsole.demo.printed import RECORDS

ROOT = Path(__file__).parents[3]
LOCKS = ("run", "build", "dev", "dist")
_PIN = re.compile(r"^([a-z0-9.-]+)==(\S+) \\$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / "requirements" / f"{name}.lock").read_text()))


def test_the_default_configuration_is_what_init_writes() -> None:
    written = TEMPLATE.format(node_id="my-node", listen="0.0.0.0:9380", platform="127.0.0.1:9381")
    assert (ROOT / "packaging" / "node.toml").read_text() == written


def test_every_commented_setting_of_the_default_configuration_shows_its_default() -> None:
    text = (ROOT / "packaging" / "node.toml").read_text()
    shown = "\n".join(re.findall(r"^# ([a-z_.]+ = .*)$", text, re.MULTILINE))
    assert shown.count("\n") > 15
    given = tomllib.loads(shown)
    defaults = Settings(node_id="my-node").model_dump()
    for name, value in given.items():
        if isinstance(value, dict):
            for member, default in value.items():
                assert _plain(defaults[name][member]) == default, f"{name}.{member}"
        else:
            assert defaults[name] == value, name


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_index_of_one_machine_and_hash_everything(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert "file:/" not in text
    options = re.findall(r"^ *--?[a-z-]+", text, re.MULTILINE)
    assert {option.strip() for option in options} == {"--hash"}
    for block in re.split(r"\n(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_locks_agree_with_one_another() -> None:
    dev = pins("dev")
    assert len(dev) > 40
    for name in ("run", "build"):
        assert pins(name).items() <= dev.items(), name
    dist = pins("dist")
    assert pins("run").items() <= dist.items()
    assert pins("build").items() <= dist.items()


def test_the_run_lock_has_every_dependency_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=\[ ]", dependency)[0] for dependency in project["dependencies"]}
    assert wanted <= pins("run").keys()
    assert project["version"] == __version__


def test_every_make_target_says_what_it_is_for() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = {target for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for target in line.split()}
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert targets == explained


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_systemd_unit_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / "nodeconsole.service"
    # The executable and the user of the unit exist on the target machine, not here.
    text = (ROOT / "packaging" / "nodeconsole.service").read_text()
    unit.write_text(text.replace("/usr/local/bin/nodeconsole", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_demo_data_is_split_as_its_description_says() -> None:
    tables = {}
    for role in ("guest", "host"):
        with (
            importlib.resources.files("nodeconsole").joinpath("demo_data", f"{role}.csv").open(encoding="utf-8") as file
        ):
            tables[role] = list(csv.DictReader(file))
    ids = {role: [row["id"] for row in rows] for role, rows in tables.items()}
    assert {role: (len(column), len(set(column))) for role, column in ids.items()} == {
        "guest": (512, 512),
        "host": (496, 496),
    }
    assert len(set(ids["guest"]) & set(ids["host"])) == 439
    everybody = {f"P{int(hashlib.sha256(f'wdbc id {n}'.encode()).hexdigest(), 16) % 10**9:09d}" for n in range(RECORDS)}
    assert set(ids["guest"]) | set(ids["host"]) == everybody
    features = [set(tables[role][0]) - {"id", "diagnosis"} for role in ("guest", "host")]
    assert [len(names) for names in features] == [10, 20]
    assert not features[0] & features[1]
