"""The built wheel, installed alone into a new environment, is the whole product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it. The dependencies are those of the running one, our packages are not."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run(
        [*build, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(directory), str(ROOT)], check=True
    )
    (wheel,) = directory.glob("nodeconsole-*.whl")
    target = directory / "venv"
    venv.create(target, with_pip=False)
    python = target / "bin" / "python"
    # No editable install is seen through this: .pth files count only in an environment's own directory.
    site = next((target / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [*build, "--python", str(python), "install", *offline, "--no-warn-script-location", str(wheel)], check=True
    )
    return target


def run(environment: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NODECONSOLE"))}
    return subprocess.run(
        [str(environment / "bin" / command[0]), *command[1:]],
        env=clean,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_packages_come_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    code = "import nodeconsole, embedded_scheduler, algorithm_components as a; print(nodeconsole.__file__, a.__file__)"
    done = run(environment, "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(str(environment) in path for path in done.stdout.split())


def test_the_wheel_carries_types_and_data(environment: Path) -> None:
    site = next((environment / "lib").glob("python*/site-packages"))
    for package in ("nodeconsole", "embedded_scheduler", "algorithm_components"):
        assert (site / package / "py.typed").exists()
    patterns = (
        "nodeconsole/themes/*.toml",
        "nodeconsole/shipped_packs/algorithms/pack.toml",
        "nodeconsole/shipped_packs/algorithms/requirements.lock",
        "nodeconsole/shipped_packs/algorithms/code/spu_alignment/manifest.json",
        "nodeconsole/i18n/*.toml",
        "nodeconsole/demo_data/*.csv",
        "embedded_scheduler/store/sql/*.sql",
        "embedded_scheduler/store/migrations/*.sql",
        "algorithm_components/*/manifest.json",
        "algorithm_components/sdk/report.schema.json",
        "nodeconsole/kit/template/*/manifest.json.tmpl",
        "nodeconsole/kit/template/data/parameters.json.tmpl",
        "nodeconsole-*.dist-info/licenses/LICENSE",
    )
    for pattern in patterns:
        assert list(site.glob(pattern)), pattern


def test_the_demo_runs_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    done = run(environment, "nodeconsole", "demo", "--home", str(tmp_path / "demo"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["right"] is True
