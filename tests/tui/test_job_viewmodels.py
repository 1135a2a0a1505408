"""The view models of the job screen, the task page and the grid, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from embedded_scheduler.wire.console import EventRow, JobDetail, JobRow, ShareRow, StopRow, TaskRow
from embedded_scheduler.wire.console_tasks import AttemptRow, FlowRun, LinkRow, ResultPreview, TaskDetail, TrafficRow
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.document import json_lines, marked, places, yaml_lines
from nodeconsole.viewmodels.glyphs import ASCII, GLYPH_SETS, UNICODE
from nodeconsole.viewmodels.history import Stretch, chart_lines, event_cells, event_subject, stretches
from nodeconsole.viewmodels.job import head_lines
from nodeconsole.viewmodels.jobgraph import LEVELS, critical_path, faces_of, fitting_level, graph_of, port_facts
from nodeconsole.viewmodels.results import preview_lines
from nodeconsole.viewmodels.runs import Grid, grid_lines, run_facts
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.task import Part, task_page, time_bar, time_parts, traffic_lines
from nodeconsole.viewmodels.text import cells, printable

T0 = 1_795_000_000_000
NOW = T0 + 600_000
EN = Display(load("en_US"), UNICODE, NOW, UTC, "alice")
ZH = Display(load("zh_CN"), ASCII, NOW, UTC, "alice")
EVIL = "\x1b]0;x\x07\u202ename[red]"


def share(state: str, node: str = "alice", role: str = "guest", **more: object) -> ShareRow:
    return ShareRow(role=role, index=0, node_id=node, state=state, local=node == "alice", **more)  # type: ignore[arg-type]


def task(
    name: str, state: str = "SUCCESS", *upstream: str, took: int = 0, shares: tuple[ShareRow, ...] = ()
) -> TaskRow:
    return TaskRow(
        name=name,
        component="probe",
        provider="nodeconsole",
        version="1.0.0",
        state=state,
        upstream=list(upstream),
        started_ms=T0 if took else None,
        ended_ms=T0 + took if state in ("SUCCESS", "FAILED") and took else None,
        shares=list(shares),
    )


def job(*tasks: TaskRow, **more: object) -> JobDetail:
    row = JobRow(
        job_id="job-1234567890",
        flow_id="daily",
        state="RUNNING",
        initiator="alice",
        coordinator="alice",
        parties=["guest:alice", "host:bob"],
        tasks_total=len(tasks),
        created_ms=T0,
        started_ms=T0,
    )
    return JobDetail(job=row, tasks=list(tasks), **more)  # type: ignore[arg-type]


def event(subject_id: str, target: str, at: int, subject: str = "share", **more: str) -> EventRow:
    return EventRow(
        seq=at + 1,
        at_ms=T0 + at,
        subject=subject,
        subject_id=f"job-1234567890/{subject_id}",
        job_id="job-1234567890",
        event=f"{subject}.{target.lower()}",
        source="PENDING",
        target=target,
        actor="node",
        **more,
    )


# -- graph ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("glyphs", GLYPH_SETS.values(), ids=lambda glyphs: glyphs.name)
@pytest.mark.parametrize("level", LEVELS)
def test_faces_are_exactly_as_wide_as_their_boxes(glyphs: object, level: str) -> None:
    display = Display(load("zh_CN"), glyphs, NOW, UTC, "alice")  # type: ignore[arg-type]
    shares = (share("SUCCESS"), share("RUNNING", "样本对齐节点", "host"))
    tasks = [
        task("读取", took=1000, shares=shares),
        task("a" * 40, "RUNNING", "读取", took=5),
        task(EVIL, "FAILED", "读取"),
    ]
    layout = graph_of(tasks, level, display)
    for name, face in faces_of(tasks, layout, level, display).items():
        assert len(face) == layout.boxes[name].height
        for line in face:
            assert cells(plain(line)) == layout.boxes[name].width
            assert "\x1b" not in plain(line)


def test_a_change_of_state_moves_no_box() -> None:
    before = [task("a"), task("b", "RUNNING", "a", took=5)]
    after = [task("a"), task("b", "SUCCESS", "a", took=123_456_789)]
    for level in LEVELS:
        assert graph_of(before, level, EN) == graph_of(after, level, EN)


def test_as_much_detail_as_fits() -> None:
    tasks = [task("a"), task("b", "PENDING", "a"), task("c", "PENDING", "a")]

    def fitted(width: int, height: int, number: int = 3) -> str:
        return fitting_level(lambda level: graph_of(tasks, level, EN), number, width, height)

    assert [fitted(100, 30), fitted(60, 9), fitted(60, 3), fitted(20, 3), fitted(20, 3, 500)] == [
        "box",
        "box",
        "name",
        "name",
        "dot",
    ]


def test_the_critical_path_is_the_chain_that_took_longest() -> None:
    tasks = [
        task("a", took=1000),
        task("b", "SUCCESS", "a", took=9000),
        task("c", "SUCCESS", "a", took=500),
        task("d", "RUNNING", "b", "c", took=1),
        task("e", "PENDING", "c"),
        task("lone", took=100),
    ]
    assert critical_path(tasks, NOW) == ("a", "b", "d")
    assert critical_path([], NOW) == ()
    assert len(critical_path([task("x", "PENDING", "y"), task("y", "PENDING", "x")], NOW)) == 2


def test_ports_as_the_specification_names_them() -> None:
    spec = {
        "dag": {
            "components": [
                {"name": "b", "input": [{"key": "a.data", "type": "dataset"}], "output": [{"key": EVIL}, "x"]}
            ]
        }
    }
    text = plain(port_facts(task("b"), job(task("b"), spec=spec), EN))
    assert text == " in a.data (dataset)   out \\u202ename[red]"
    assert plain(port_facts(task("b"), job(spec={"dag": 7}), EN)) == " in -   out -"


# -- timeline and events ----------------------------------------------------------------------------------------------


def test_stretches_of_tasks_and_parties_from_events_and_processes() -> None:
    detail = job(task("psi", "SUCCESS", took=90_000, shares=(share("SUCCESS", started_ms=T0 + 2, ended_ms=T0 + 5),)))
    events = [
        event("psi", "READY", 0, "task"),
        event("psi/guest.0", "READY", 1),
        event("psi/guest.0", "RUNNING", 3),
        event("psi", "RUNNING", 3, "task"),
        event("psi/guest.0", "SUCCESS", 7),
        event("other/guest.0", "READY", 8),
    ]
    whole, party = stretches(detail, events)
    assert whole == Stretch("psi", "", "", "done", T0, T0 + 3, T0 + 90_000)
    # Of its own processes the node knows the times themselves.
    assert party == Stretch("psi", "guest.0", "alice", "done", T0 + 1, T0 + 2, T0 + 5)


def test_a_party_that_is_done_waits_for_the_others() -> None:
    detail = job(task("psi", "RUNNING"))
    rows = [
        Stretch("psi", "", "", "running", T0, T0 + 100_000),
        Stretch("psi", "guest.0", "alice", "done", T0, T0 + 100_000, T0 + 300_000),
        Stretch("psi", "host.0", "bob", "running", T0 + 200_000, T0 + 300_000),
        Stretch("woe", "", "", "pending"),
    ]
    axis, lines = chart_lines(rows, detail, EN, 80, "psi/host.0")
    whole, guest, host, later = map(plain, lines)
    assert set(whole[22:70].strip().split(" ")[0]) == {"─", "━"}
    assert "━╌" in guest
    assert "╌" not in host
    assert host.startswith("▌●")
    assert host.index("─") > guest.index("─")
    assert later.rstrip() == " ○ woe"
    assert plain(axis[0]).split()[0] == "11:06:40"
    assert all(cells(plain(line)) <= 80 for line in (*axis, *lines))


@pytest.mark.parametrize("width", [40, 80, 132, 250])
def test_the_chart_fits_whatever_the_clocks_say(width: int) -> None:
    rows = [
        Stretch("t" * 60, "", "", "done", T0 + 50, T0, T0 - 1_000),
        Stretch("t" * 60, "guest.0", "节点" * 20, "done", None, T0, T0 + 10**12),
    ]
    for display in (EN, ZH):
        axis, lines = chart_lines(rows, job(), display, width, "")
        assert all(cells(plain(line)) <= width for line in (*axis, *lines))


def test_events_are_named_without_the_jobs_id_and_harmless() -> None:
    found = event("psi/guest.0", "FAILED", 5, reason=EVIL)
    assert event_subject(found) == "share psi/guest.0"
    row = event_cells(found, EN)
    assert row[3].text == "PENDING → FAILED"
    assert row[3].role == "bad"
    assert "\x1b" not in plain(row)


# -- where the time went ----------------------------------------------------------------------------------------------


def attempt(**more: object) -> AttemptRow:
    return AttemptRow(attempt_id="a1", party="guest.0", number=1, created_ms=T0 + 1_000, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (attempt(), {"start": 599_000}),
        (attempt(ready_ms=T0), {"queue": 1_000, "start": 599_000}),
        (
            attempt(ready_ms=T0, launched_ms=T0 + 3_000, ended_ms=T0 + 13_000),
            {"queue": 1_000, "start": 2_000, "compute": 10_000},
        ),
        (
            attempt(
                launched_ms=T0 + 3_000,
                called_ms=T0 + 4_000,
                ended_ms=T0 + 14_000,
                traffic=TrafficRow(waiting_ms=6_000, sending_ms=1_500),
            ),
            {"start": 3_000, "compute": 2_500, "waiting": 6_000, "link": 1_500},
        ),
        # More was measured than the run lasted: calls at its edges, clocks that differ.
        (
            attempt(launched_ms=T0 + 1_000, ended_ms=T0 + 2_000, traffic=TrafficRow(waiting_ms=5_000, sending_ms=9)),
            {"start": 0, "compute": 0, "waiting": 1_000, "link": 0},
        ),
        (attempt(ready_ms=T0 + 9_000, launched_ms=T0, ended_ms=T0 - 5), {"queue": 0, "start": 0, "compute": 0}),
    ],
)
def test_the_parts_of_an_attempts_time(found: AttemptRow, parts: dict[str, int]) -> None:
    assert dict(time_parts(found, NOW)) == parts


def test_the_bar_shows_every_part_that_took_time() -> None:
    parts = [Part("queue", 1), Part("start", 0), Part("compute", 900), Part("waiting", 99)]
    bar = time_bar(parts, 20, EN)
    assert [span.text[0] for span in bar] == ["─", "━", "╌"]
    assert cells(plain(bar)) <= 20
    assert time_bar([Part("queue", 0)], 20, EN) == ()


def test_topics_with_the_most_bytes_first_and_only_so_many() -> None:
    links = [LinkRow(node_id="bob", topic=f"task-1/t{n}", sent=1, sent_bytes=n * 1024) for n in range(20)]
    lines = [plain(line) for line in traffic_lines(TrafficRow(waiting_ms=0, sending_ms=0, links=links), "task-1", EN)]
    assert lines[0].split() == ["bob", "t19", "in", "0", "B", "(0)", "out", "19.0", "KiB", "(1)"]
    assert lines[-1] == "    and 8 more topics"


def test_the_page_of_a_task_says_what_is_known_and_nothing_else() -> None:
    row = task("psi", "FAILED", "read", took=9, shares=(share("FAILED", reason=EVIL), share("SUCCESS", "bob", "host")))
    spec = {"config": {"task_params": {"common": {"psi": {"id": EVIL}}, "host": {"0": {"psi": {"keys": [1, "二"]}}}}}}
    ended = attempt(launched_ms=T0 + 1_000, ended_ms=T0 + 2_000, exit_code=3, reason="exit code 3")
    lines = [
        plain(line)
        for line in task_page(TaskDetail(job_id="j", task=row, attempts=[ended]), job(row, spec=spec), EN, 70)
    ]
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert 'keys                    [1, "二"]' in text
    assert "no messages to other parties, or not measured" in text
    assert "exit 3" in text
    assert "Inputs and outputs" not in text
    assert all(cells(line) <= 80 for line in lines)


# -- results ----------------------------------------------------------------------------------------------------------


def preview(kind: str, **more: object) -> ResultPreview:
    return ResultPreview(task="t", party="guest.0", output="o", kind=kind, size=2048, **more)  # type: ignore[arg-type]


def shown(found: ResultPreview, width: int = 40) -> list[str]:
    return [plain(line) for line in preview_lines(found, EN, width)]


def test_tables_show_the_columns_that_fit_and_name_the_rest() -> None:
    rows = [["1", "样本" * 30, EVIL], ["2", "b", "c"]]
    lines = shown(preview("table", columns=["id", "name", "third"], rows=rows, total=2))
    assert lines[0] == "2 of 2 rows, 3 columns"
    assert lines[1].startswith("1 more columns: third")
    assert lines[2].split() == ["id", "name"]
    assert all(cells(line) <= 40 for line in lines)
    assert "\x1b" not in "".join(shown(preview("table", columns=["id"], rows=[[EVIL]], total=None)))


def test_reports_are_tables() -> None:
    nested = shown(preview("document", document={"auc": 0.9, "bins": [1, 2], "by": {"host": {"rows": 5}}}), 60)
    assert nested[1:] == [
        "METRIC        VALUE",
        "auc           0.9",
        "bins          [1, 2]",
        "by.host.rows  5",
    ]
    rows = shown(preview("document", document=[{"a": 1}, {"a": 2, "b": "x"}]))
    assert rows[1:] == ["a  b", "1", "2  x"]


REPORT: dict[str, Any] = {
    "form": "nodeconsole.report/1",
    "title": f"Training {EVIL}",
    "items": [
        {"kind": "scalar", "name": "auc", "title": "AUC", "value": 0.93123456},
        {"kind": "scalar", "name": "rows", "value": None, "description": "could not be counted"},
        {
            "kind": "table",
            "name": "parties",
            "columns": [{"name": "party"}, {"name": "rows", "type": "integer"}],
            "rows": [["guest", 512], ["host", 7]],
        },
        {
            "kind": "curve",
            "name": "loss",
            "x": {"title": "epoch"},
            "y": {"title": "loss"},
            "series": [
                {"title": "train", "points": [[0, 4], [5, None], [10, 2]]},
                {"title": EVIL, "points": [[0, 0], [10, 0]]},
            ],
        },
        {"kind": "curve", "name": "none", "x": {}, "y": {}, "series": []},
        {"kind": "text", "name": "note", "text": "stopped early\nsecond line"},
    ],
}


@pytest.mark.parametrize("name", ["unicode", "ascii"])
def test_a_report_is_drawn_item_by_item(name: str) -> None:
    display = replace(EN, glyphs=GLYPH_SETS[name])
    lines = [plain(line) for line in preview_lines(preview("document", document=REPORT), display, 60)]
    text = "\n".join(lines)
    assert "AUC           0.931235" in lines
    assert "rows          -   could not be counted" in lines
    assert "guest   512" in lines
    assert "host      7" in lines
    drawn = [line for line in lines if "|" in line or "│" in line]
    assert len(drawn) == 10
    assert drawn[0].split("|" if name == "ascii" else "│") == ["         4", "*"]
    assert drawn[-1].strip().startswith("0")
    assert set(drawn[-1].strip()[2:]) == {"+"}
    assert "* train  (last 2)" in text
    assert "no points" in text
    assert "\x1b" not in text
    assert all(cells(line) <= 60 for line in lines)
    assert name == "unicode" or text.replace(printable(EVIL), "").isascii()


def test_a_report_with_a_fault_is_shown_as_it_is_and_the_fault_is_named() -> None:
    broken = REPORT | {"items": [{"kind": "scalar", "name": "auc"}]}
    lines = shown(preview("document", document=broken), 60)
    assert "cannot be drawn: items[0].value is missing" in " ".join(lines)
    assert any("nodeconsole.report/1" in line for line in lines)


def test_text_is_wrapped_and_what_is_no_text_is_not_shown() -> None:
    assert shown(preview("text", text="one two\n\nthree", whole=False), 5) == [
        "the beginning; 2.0 KiB in all",
        "one",
        "two",
        "",
        "three",
    ]
    assert shown(preview("binary")) == ["not text (2.0 KiB): save it to look at it"]
    assert shown(preview("binary", why="it is too large")) == ["it is too large"]


# -- runs -------------------------------------------------------------------------------------------------------------


def runs(*states: str) -> Grid:
    found = []
    for number, state in enumerate(states):
        row = job().job.model_copy(
            update={
                "job_id": f"job-{number:08}",
                "state": "FINISHED",
                "outcome": "failed" if state == "FAILED" else "succeeded",
                "ended_ms": T0 + (number + 1) * 1000,
            }
        )
        found.append(FlowRun(job=row, tasks={"psi": "SUCCESS", "woe": state}))
    return Grid(("psi", "woe", "new"), tuple(found))


def test_the_grid_has_a_row_per_task_and_a_sign_per_run() -> None:
    lines = [plain(line).rstrip() for line in grid_lines(runs("SUCCESS", "FAILED"), 2, 1, 40, EN)]
    assert lines == [
        " whole run   ✓  ✗",
        " psi         ✓  ✓",
        " woe         ✓ [✗]",
        " new",
    ]


def test_the_chart_above_the_grid_is_as_high_as_asked_and_the_longest_run_fills_it() -> None:
    for display in (EN, ZH):
        lines = grid_lines(runs("SUCCESS", "FAILED", "SUCCESS"), 0, 0, 40, display, chart=4)
        assert len(lines) == 8
        top = plain(lines[0])
        assert top.split() == ["3.0s", display.glyphs.levels[-1]]
        assert lines[3][1].text.strip()
    assert [plain(line) for line in grid_lines(Grid(("psi",), (FlowRun(job=_unstarted()),)), 0, 0, 40, EN, chart=3)][
        :3
    ] == [
        "",
        "",
        "",
    ]


def _unstarted() -> JobRow:
    return job().job.model_copy(update={"started_ms": None, "state": "PENDING"})


def test_failed_tasks_are_found_by_run_in_both_directions() -> None:
    grid = runs("FAILED", "SUCCESS", "FAILED")
    assert grid.next_failed(0, 0, 1) == (2, 0)
    assert grid.next_failed(2, 0, 1) == (2, 2)
    assert grid.next_failed(2, 2, 1) == (2, 0)
    assert grid.next_failed(2, 2, -1) == (2, 0)
    assert runs("SUCCESS").next_failed(0, 0, 1) is None


def test_only_as_many_runs_as_fit_and_the_chosen_one_among_them() -> None:
    grid = runs(*["SUCCESS"] * 50)
    for column in (0, 10, 49):
        lines = [plain(line) for line in grid_lines(grid, 1, column, 60, EN)]
        assert all(cells(line) <= 60 for line in lines)
        assert "[✓]" in lines[1]
    assert "woe" in plain(run_facts(grid.runs[0], "woe", "done", EN))


# -- documents and the head -------------------------------------------------------------------------------------------


def test_yaml_quotes_only_what_would_be_read_otherwise() -> None:
    document = {"a": "yes", "b": "1.5", "c": "plain", "d": [{"x": 1, "y": []}, "t: u"], "e": {}, "f": None, "g": ""}
    assert yaml_lines(document) == [
        'a: "yes"',
        'b: "1.5"',
        "c: plain",
        "d:",
        "  - x: 1",
        "    y: []",
        '  - "t: u"',
        "e: {}",
        "f: null",
        'g: ""',
    ]
    assert json_lines({"a": EVIL})[1] == '  "a": "\\u001b]0;x\\u0007\\u202ename[red]"'


def test_searching_is_smart_about_case() -> None:
    lines = ["Alpha", "alphabet", "İstanbul alpha"]
    assert places(lines, "alpha") == [0, 1, 2]
    assert places(lines, "Alpha") == [0]
    assert places(lines, "") == []
    assert plain(marked("xAlphay", "alpha")) == "xAlphay"


def test_how_far_a_stop_has_come() -> None:
    stops = [StopRow(node_id="alice", state="confirmed"), StopRow(node_id="bob", state="asked", error="no answer")]
    _, line = head_lines(job(stops=stops), EN)
    assert plain(line) == " stopping: 1 of 2 nodes confirmed; waits for bob no answer"
    assert "2 个节点中 1 个已确认" in plain(head_lines(job(stops=stops), ZH)[1])
