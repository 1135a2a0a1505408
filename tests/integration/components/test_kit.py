"""The component kit as an author uses it: a new folder, its checks, the finished program, a trial of all parties."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.test_commands import Done, run

from nodeconsole.cli.exits import Exit
from nodeconsole.kit.archives import build_program, default_python, write_sdk_wheel
from nodeconsole.kit.project import KitFault, find_manifest, open_project


@pytest.fixture(scope="module")
def scaffold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new component as it comes; copy it before changing anything."""
    directory = tmp_path_factory.mktemp("kit") / "row_counts"
    done = subprocess.run(
        [sys.executable, "-m", "nodeconsole", "component", "new", "row_counts", str(directory), "--provider", "me"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def project(scaffold: Path, tmp_path: Path) -> Path:
    return shutil.copytree(scaffold, tmp_path / "row_counts")


async def component(*words: str) -> Done:
    return await run("component", *words)


async def trial(project: Path, *options: str) -> dict[str, Any]:
    done = await component("test", str(project), "--json", *options)
    found: dict[str, Any] = done.json
    assert done.code == (Exit.OK if found["passed"] else Exit.FAILED), done
    return found


async def test_the_new_component_passes_as_it_is(project: Path) -> None:
    done = await component("test", str(project))
    assert (done.code, done.err) == (Exit.OK, ""), done
    lines = done.out.splitlines()
    assert "guest.0 | info: 7 rows here" in lines
    assert "host.0  | info: summary: 2 rows" in lines
    assert lines.count("  guest.0,7,11.5") == 2
    assert ["All", "rows", "14"] in [line.split() for line in lines]
    assert lines[-1] == f"passed; logs and results are in {project / '.trial'}"
    again = await trial(project)
    assert [party["code"] for party in again["parties"]] == [0, 0]
    log = Path(again["parties"][0]["log"]).read_text()
    assert "info: 7 rows here" in log
    for output in again["parties"][1]["outputs"]:
        assert Path(output["path"]).stat().st_size == output["size"] > 0


async def test_its_manifest_is_without_fault(project: Path) -> None:
    done = await run("component", "check", "--strict", str(project), home=project / "no-node-here")
    assert done.code == Exit.OK, done
    assert done.out == "me/row_counts/0.1.0; no node was asked\n"


def test_its_own_tests_pass_with_nothing_but_the_sdk(project: Path) -> None:
    (wheel,) = (project / "wheels").iterdir()
    done = subprocess.run(
        [sys.executable, "-S", "-m", "unittest"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stderr


async def test_more_parties_other_data_and_parameters(project: Path, tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    table.write_text("id,n\n1,10\n2,20\n")
    found = await trial(
        project,
        "--parties",
        "guest,host,host",
        "--data",
        f"host.1={table}",
        "--set",
        "host.1:column=n",
        "--set",
        "decimals=0",
    )
    assert found["passed"], found
    assert found["parties"][2]["outputs"][0]["preview"] == [
        ["party", "rows", "mean"],
        ["guest.0", "7", "12.0"],
        ["host.0", "7", ""],
        ["host.1", "2", "15.0"],
    ]
    file = tmp_path / "parameters.json"
    file.write_text('{"column": "mean_texture"}')
    found = await trial(project, "--parameters", str(file))
    assert found["parties"][0]["outputs"][0]["preview"][1:] == [["guest.0", "7", "17.0"], ["host.0", "7", "17.0"]]


async def test_one_that_fails_ends_the_others_and_the_trial(project: Path) -> None:
    found = await trial(project, "--set", "guest:column=id")
    assert found["faults"] == ["guest.0 ended with 1"]
    assert [(party["code"] == 0, party["stopped"]) for party in found["parties"]] == [(False, False), (False, True)]
    log = Path(found["parties"][0]["log"]).read_text()
    assert "error: column id holds something that is not a number" in log


def change(project: Path, before: str, after: str, file: str = "row_counts/component.py") -> None:
    path = project / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


async def test_one_that_hangs_is_ended_in_time(project: Path) -> None:
    change(project, "    own = measure(task)\n", "    own = measure(task)\n    import time; time.sleep(600)\n")
    found = await trial(project, "--timeout", "2")
    assert found["faults"] == [f"{party} did not end in time and was stopped" for party in ("guest.0", "host.0")]


async def test_outputs_are_held_against_their_declaration(project: Path) -> None:
    change(project, 'task.write_report("report", report)', "pass")
    change(project, 'task.write_table("summary", ["party", "rows", "mean"], table)', "odd(task, table)")
    with (project / "row_counts" / "component.py").open("a") as file:
        file.write(
            "\n\ndef odd(task, table):\n"
            '    path = task.tables.path(task.output("summary"))\n'
            '    path.write_text("a,b\\n1\\n")\n'
            '    path.with_name("stray").write_text("x")\n'
        )
    found = await trial(project)
    assert "guest.0: summary: row 1 has 1 fields, the header 2" in found["faults"]
    assert "guest.0: report was declared and not written" in found["faults"]
    assert any(fault.endswith("stray was written and not declared") for fault in found["faults"])


async def test_a_report_that_cannot_be_drawn_is_a_fault(project: Path) -> None:
    change(
        project,
        'task.write_report("report", report)',
        """task.tables.write_text(task.output("report"), '{"form": "nodeconsole.report/1", "items": [{}]}')""",
    )
    found = await trial(project)
    assert "host.0: report: items[0].kind must be one of scalar, text, table, curve" in found["faults"]


async def test_several_inputs_come_from_another_task(project: Path, tmp_path: Path) -> None:
    change(
        project,
        '"inputData": [\n',
        '"inputData": [\n    {"name": "extra", "category": "dataset"},\n',
        "row_counts/manifest.json",
    )
    change(project, "own = measure(task)", 'task.log.info(str(task.input("extra"))); own = measure(task)')
    for role in ("guest", "host"):
        shutil.copy(project / "data" / f"{role}.csv", tmp_path / f"{role}-extra.csv")
    both = [f"--data={role}:data={project}/data/{role}.csv" for role in ("guest", "host")]
    found = await trial(project, *both)
    assert found["passed"], found
    assert "trial-guest-0/" in Path(found["parties"][0]["log"]).read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "decimals=99"], "guest.0: parameter decimals: must be in [0,9]"),
        (["--set", "arbiter:column=x"], "there is no party arbiter; there are guest.0, host.0"),
        (["--data", "guest=/nowhere"], "/nowhere: No such file or directory"),
        (["--data", "guest:other=/nowhere"], "there is no input other; declared are data"),
        (["--parties", "guest,arbiter"], "arbiter.0 has no data: add --data arbiter=FILE"),
        (["--image", "exec:/nowhere"], "/nowhere cannot be run: No such file"),
        (["--image", "registry.example/x:1", "--engine", "/nowhere.sock"], "/nowhere.sock"),
        (["--python", "/nowhere/python"], "/nowhere/python is not a program"),
        (["--output", "."], "holds something else than a trial"),
    ],
)
async def test_what_cannot_be_tried_is_told_before_anything_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(project)
    done = await component("test", ".", *options)
    assert done.code == Exit.USAGE, done
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["Row", "1x", "a", "a-b", "json", "class", "nodeconsole", "../x", "é1"])
async def test_names_are_checked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = await component("new", name)
    assert done.code == Exit.USAGE
    assert list(tmp_path.iterdir()) == []


async def test_nothing_is_overwritten(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    done = await component("new", "row_counts", str(project))
    assert done.code == Exit.USAGE
    assert "nothing was written" in done.err
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    for words in (["--provider", "a/b"], ["--roles", "Guest"], ["--roles", "guest,guest"]):
        assert (await component("new", "fresh", str(project / "fresh"), *words)).code == Exit.USAGE


async def test_a_component_of_one_role_or_three_is_whole_too(tmp_path: Path) -> None:
    for roles in ("arbiter", "guest,host,arbiter"):
        directory = tmp_path / roles.replace(",", "_")
        assert (await component("new", "counts", str(directory), "--roles", roles)).code == Exit.OK
        assert (await trial(directory))["passed"]
        job = json.loads((directory / "job.json").read_text())
        assert list(job["config"]["role"]) == roles.split(",")


def test_the_program_is_one_file_and_the_same_for_the_same_source(project: Path) -> None:
    first = build_program(open_project(project), project / "one.pyz").read_bytes()
    for path in project.rglob("*"):
        os.utime(path, (0, 1_000_000_000))
    (project / "row_counts" / "__pycache__").mkdir()
    (project / "row_counts" / "__pycache__" / "junk.pyc").write_bytes(b"x")
    program = build_program(open_project(project), project / "two.pyz")
    assert program.read_bytes() == first
    assert first.startswith(f"#!{default_python()}\n".encode())
    assert program.stat().st_mode & 0o777 == 0o755
    done = subprocess.run(
        [program], env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the node did not start this component" in done.stdout


def test_what_cannot_be_a_program_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(KitFault, match="too long or has a space"):
        build_program(open_project(project), tmp_path / "x", "/has space/python")
    (project / "row_counts" / "component.py").unlink()
    with pytest.raises(KitFault, match=r"no component\.py"):
        build_program(open_project(project), tmp_path / "x")


def test_the_sdk_wheel_installs_and_is_the_same_every_time(tmp_path: Path) -> None:
    wheel = write_sdk_wheel(tmp_path / "a")
    assert wheel.read_bytes() == write_sdk_wheel(tmp_path / "b").read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "algorithm_components/sdk/report.schema.json" in names
    assert not any("probe" in name or "sample_alignment" in name for name in names)
    target = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
            "--no-index",
            "--target",
            target,
            wheel,
        ],
        check=True,
    )
    code = "import algorithm_components.sdk.running; print(algorithm_components.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(target))


def test_a_manifest_is_found_where_authors_put_it(tmp_path: Path) -> None:
    with pytest.raises(KitFault, match="component new NAME"):
        find_manifest(tmp_path)
    for place in ("src/one", "tests/fixtures", "dist/old", ".venv/lib"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").write_text("{}")
    assert find_manifest(tmp_path) == tmp_path / "src/one/manifest.json"
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "manifest.json").write_text("{}")
    with pytest.raises(KitFault, match=r"several components \(src/one/manifest.json, two/manifest.json\)"):
        find_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(KitFault, match="not a JSON object"):
        open_project(tmp_path)
