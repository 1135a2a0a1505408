"""What the console's job screen shows, printed by commands on the shown node."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.test_commands import run
from tests.support.hosted import Hosted
from tests.support.showcase import serving

from embedded_scheduler.domain.table_metadata import TableMetadata
from embedded_scheduler.storage.local import LocalStorage
from nodeconsole.cli.exits import Exit


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


@pytest.fixture
async def jobs(node: Hosted) -> dict[str, str]:
    """The newest job of some flows."""
    async with node.client() as client:
        flows = ("sgb-train-v12", "woe-binning", "psi-fraud-hourly")
        return {flow: (await client.jobs(flow_id=flow, limit=1)).jobs[0].job_id for flow in flows}


async def _json(node: Hosted, *arguments: str) -> Any:
    return json.loads((await run(*arguments, "--json", home=node.home)).out)


async def test_a_graph_is_drawn(node: Hosted, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODECONSOLE_GLYPHS", "ascii")
    drawn = (await run("job", "graph", jobs["sgb-train-v12"], home=node.home)).out
    assert drawn.isascii()
    assert "[+ read_a" in drawn
    assert "`----" in drawn
    assert "| alice R" in (await run("job", "graph", jobs["sgb-train-v12"], "--level", "box", home=node.home)).out
    found = await _json(node, "job", "graph", jobs["sgb-train-v12"])
    assert found["critical_path"][1] == "psi"


async def test_a_timeline_and_events_are_printed(node: Hosted, jobs: dict[str, str]) -> None:
    printed = (await run("job", "timeline", jobs["woe-binning"], home=node.home)).out
    assert "host.0" in printed
    rows = await _json(node, "job", "timeline", jobs["woe-binning"])
    assert {"task", "party", "started_ms", "ended_ms"} <= rows[0].keys()
    events = (await run("job", "events", jobs["woe-binning"], home=node.home)).out
    assert events.splitlines()[1].split()[4:5] == ["job.created"]
    assert (await _json(node, "job", "events", jobs["woe-binning"]))[0]["event"] == "job.created"


async def test_a_task_is_explained(node: Hosted, jobs: dict[str, str]) -> None:
    printed = (await run("job", "task", jobs["psi-fraud-hourly"], "psi", home=node.home)).out
    assert "Where the time went" in printed
    assert "compute" in printed
    assert (await _json(node, "job", "task", jobs["psi-fraud-hourly"], "psi"))["attempts"][0]["exit_code"] == 0
    assert (await run("job", "task", jobs["psi-fraud-hourly"], "gone", home=node.home)).code == Exit.NOT_FOUND


async def test_results_are_listed_shown_and_saved(node: Hosted, jobs: dict[str, str], tmp_path: Path) -> None:
    job_id = jobs["psi-fraud-hourly"]
    assert "intersection" in (await run("job", "results", job_id, home=node.home)).out
    shown = (await run("job", "results", job_id, "--task", "psi", "--rows", "3", home=node.home)).out
    assert "3 of 120 rows, 2 columns" in shown
    saved = await run("job", "results", job_id, "--save", str(tmp_path / "out"), home=node.home)
    files = [Path(line) for line in saved.out.splitlines()]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert files[0].read_text().startswith("uid,value\n")
    again = await run("job", "results", job_id, "--save", str(tmp_path / "out"), home=node.home)
    assert (again.code, "File exists" in again.err) == (Exit.FAILED, True)


async def test_what_lies_beside_a_table_says_its_form_and_columns(node: Hosted, jobs: dict[str, str]) -> None:
    job_id = jobs["psi-fraud-hourly"]
    row = next(row for row in await _json(node, "job", "results", job_id) if row["task"] == "psi")
    assert (row["format"], row["rows"]) == ("", None), "nothing lies there yet"
    columns = (("uid", "string"), ("value", "float"))
    described = TableMetadata(row["namespace"], row["name"], count=120, columns=columns)
    await LocalStorage(node.home.storage).describe(described)
    row = next(row for row in await _json(node, "job", "results", job_id) if row["task"] == "psi")
    assert (row["format"], row["rows"], row["columns"][1]) == ("csv", 120, {"name": "value", "type": "float"})
    assert "120" in (await run("job", "results", job_id, home=node.home)).out
    assert "uid     string" in (await run("job", "results", job_id, "--columns", home=node.home)).out


async def test_results_are_kept_and_removed_and_the_space_is_told(node: Hosted, jobs: dict[str, str]) -> None:
    job_id = jobs["woe-binning"]
    told = await run("space", home=node.home)
    assert job_id in told.out
    assert "no quota" in told.out
    assert "kept for good" in (await run("job", "keep", job_id, home=node.home)).out
    found = await _json(node, "space", "--limit", "1000")
    assert next(row for row in found["jobs"] if row["job_id"] == job_id)["kept"]
    asked = await run("job", "discard", job_id, home=node.home)
    assert asked.code is Exit.USAGE
    assert "add --yes" in asked.err
    assert "removed on" in (await run("job", "release", job_id, home=node.home)).out
    assert (await run("job", "discard", job_id, "--yes", home=node.home)).out.startswith("removed ")
    again = await run("job", "discard", job_id, "--yes", home=node.home)
    assert (again.code, "nothing that job" in again.err) == (Exit.REFUSED, True)
    assert "results were removed on" in (await run("job", "show", job_id, home=node.home)).out


async def test_a_report_is_drawn_and_saved_in_other_forms(node: Hosted, jobs: dict[str, str], tmp_path: Path) -> None:
    job_id = jobs["psi-fraud-hourly"]
    drawn = (await run("job", "results", job_id, "--task", "match", home=node.home)).out
    assert "AUC           0.7834" in drawn
    assert "* training" in drawn
    for form, begins in (("html", b"<!doctype html>"), ("png", b"\x89PNG"), ("csv", b"item,kind,row")):
        args = ("job", "results", job_id, "--task", "match", "--save", str(tmp_path), "--as", form)
        saved = await run(*args, home=node.home)
        assert saved.code == Exit.OK, saved.err
        file = Path(saved.out.strip())
        assert (file.suffix, stat.S_IMODE(file.stat().st_mode)) == (f".{form}", 0o600)
        assert file.read_bytes().startswith(begins)
    refused = await run(
        "job", "results", job_id, "--task", "psi", "--save", str(tmp_path), "--as", "png", home=node.home
    )
    assert (refused.code, "makes no picture" in refused.err) == (Exit.FAILED, True)
    assert not list(tmp_path.glob("psi-*"))


async def test_the_runs_of_a_flow_are_printed(node: Hosted) -> None:
    printed = await run("job", "runs", "psi-fraud-hourly", "--limit", "5", home=node.home)
    assert "match" in printed.out
    assert "there are more: add --before" in printed.err
    page = await _json(node, "job", "runs", "psi-fraud-hourly", "--limit", "5")
    assert len(page["runs"]) == 5
    assert "no run of this flow" in (await run("job", "runs", "nothing", home=node.home)).err
