"""View models: pure functions from messages to lines."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from embedded_scheduler.sentences import say
from embedded_scheduler.wire.console import (
    EventRow,
    Finding,
    JobRow,
    NodeStatus,
    Said,
    ShareRow,
    TaskRow,
    Waiting,
    said,
)
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels import display as display_module
from nodeconsole.viewmodels.changes import Changes, changes_of
from nodeconsole.viewmodels.commands import Command, best, parse_command
from nodeconsole.viewmodels.decisions import card_lines
from nodeconsole.viewmodels.display import Display, job_status, share_status, task_status
from nodeconsole.viewmodels.glyphs import ASCII, GLYPH_SETS, SAFE, UNICODE, default_glyphs, progress
from nodeconsole.viewmodels.history import runs_by
from nodeconsole.viewmodels.job import head_lines, parties_of, task_cells, task_columns, task_lines
from nodeconsole.viewmodels.jobs import JOBS, job_cells, job_columns, job_why, merged
from nodeconsole.viewmodels.listing import View, in_order
from nodeconsole.viewmodels.logs import (
    PAGE,
    LogBuffer,
    Margin,
    Matches,
    Merged,
    Stamps,
    line_role,
    match_spans,
    matcher,
    readable_block,
)
from nodeconsole.viewmodels.node import Link, LinkState, status_line, total_jobs
from nodeconsole.viewmodels.sentences import finding_text
from nodeconsole.viewmodels.spans import Column, fit_columns, plain
from nodeconsole.viewmodels.text import cells, confirmation_code, printable, size, wrap
from nodeconsole.viewmodels.times import age, clock, duration, exact_span, parse_moment, span_text
from nodeconsole.viewmodels.waiting import waiting_text
from tests.support.fake_node import NOW_MS, make_detail, make_job

EN = Display(load("en_US"), UNICODE, NOW_MS, UTC, "alice")
ZH = Display(load("zh_CN"), SAFE, NOW_MS, UTC, "alice")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("样本 对齐", "样本 对齐"),
        ("a\tb", "a    b"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=", ""),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x9b31mred", "red"),
        ("bell\x07", "bell\\x07"),
        ("a\x00b", "a\\x00b"),
        ("over\rwrite", "over\\x0dwrite"),
        ("line\n", "line"),
        ("\u202eevil", "\\u202eevil"),
        ("ze\u200bro", "ze\\u200bro"),
        ("fil\u3164ler", "fil\\u3164ler"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("ideographic\u3000space", "ideographic\u3000space"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_lets_no_control_through(text: str) -> None:
    assert all(char.isprintable() or char.isspace() for char in printable(text))
    assert not set(printable(text)) & {"\x1b", "\x9b", "\x9d", "\n", "\r", "\t", "\u202e", "\u200b"}


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "Zs", "P"])), st.integers(2, 40))
def test_wrap_loses_nothing_but_spaces_and_never_overflows(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert lines


@pytest.mark.parametrize("text", ["abc", "样本对齐", "ＡＢＣ", "한국", "é", "e\u0301", "✓●◐"])
def test_cells_agrees_with_the_terminal_library(text: str) -> None:
    assert cells(text) == cell_len(text)


def test_small_texts() -> None:
    assert confirmation_code("job-4e07408562bedb8b60ce05c1decfe3ad") == "e3ad"
    assert [size(n) for n in (0, 1023, 1536, 83_111_222, 5 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "79.3 MiB",
        "5.0 TiB",
    ]


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (-5, "0s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (65 * 60_000, "1h05"),
        (47 * 3_600_000, "47h"),
        (48 * 3_600_000, "2d"),
    ],
)
def test_span_text(ms: int, shown: str) -> None:
    assert span_text(ms) == shown
    assert len(shown) <= 5


def test_ages_and_durations() -> None:
    assert age(None, NOW_MS) == "-"
    assert age(NOW_MS + 5000, NOW_MS) == "0s"
    assert duration(None, None, NOW_MS) == "-"
    assert duration(NOW_MS - 90_000, None, NOW_MS) == "1m"
    assert duration(NOW_MS - 90_000, NOW_MS - 500, NOW_MS) == "1m29"
    assert exact_span(400) == "0.4s"
    assert clock(NOW_MS, UTC) == "11:06"
    assert clock(10**18, UTC) == "00:00"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "unicode"),
        ({"LANG": "en_US.UTF-8"}, "unicode"),
        ({"LANG": "zh_CN.UTF-8", "LC_CTYPE": "C.UTF-8"}, "safe"),
        ({"LANG": "C"}, "ascii"),
        ({"LANG": "C", "NODECONSOLE_GLYPHS": "unicode"}, "unicode"),
    ],
)
def test_default_glyphs(environ: dict[str, str], name: str) -> None:
    assert default_glyphs(environ).name == name


def test_every_state_sign_is_one_cell_wide() -> None:
    for glyphs in GLYPH_SETS.values():
        for name in (
            "run",
            "ready",
            "pending",
            "ok",
            "bad",
            "stopped",
            "rejected",
            "waiting",
            "unknown",
            "full",
            "empty",
        ):
            assert cell_len(getattr(glyphs, name)) == 1, (glyphs.name, name)
    assert all(getattr(ASCII, name).isascii() for name in ASCII.__slots__)
    assert progress(1, 3, 6, ASCII) == "##...."
    assert progress(9, 3, 6, ASCII) == "######"
    assert progress(1, 0, 3, ASCII) == "..."


def test_commands() -> None:
    assert parse_command("  ") is None
    assert parse_command("：Theme  mono") == Command("theme", ("mono",))
    assert best("dts", ["jobs", "datasets", "d t s"])[0] == 1
    assert best("", ["a", "b"]) == [0, 1]


@pytest.mark.parametrize(
    ("number", "status"),
    [(0, "running"), (2, "failed"), (3, "waiting"), (5, "done"), (7, "rejected"), (9, "stopped"), (60, "pending")],
)
def test_job_status(number: int, status: str) -> None:
    assert job_status(make_job(number)) == status


def test_unknown_states_of_a_newer_node_are_shown_as_they_are() -> None:
    job = make_job(0).model_copy(update={"state": "SUSPENDED", "waiting": None})
    assert job_status(job) == "suspended"
    assert EN.badge("suspended").text == "· suspended"
    task = TaskRow(name="t", component="c", state="PENDING", cancelled=True)
    assert task_status(task) == "cancelled"
    assert share_status(ShareRow(role="guest", index=0, node_id="a", state="FAILED", outcome="stopped")) == "stopped"


def test_every_sign_has_a_word_in_both_languages() -> None:
    for status in display_module._SIGNS:
        assert EN.badge(status).text.split(" ", 1)[1] != ""
        assert ZH.catalogue.get(f"status.{status}", status) != status


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("display", [EN, ZH], ids=["en", "zh"])
def test_job_cells_fit_their_columns(number: int, display: Display) -> None:
    job = make_job(number)
    columns = job_columns(display)
    values = job_cells(job, display)
    assert len(values) == len(columns)
    assert cells(values[2].text) <= columns[2].width
    assert cells(values[4].text) <= columns[4].width


def test_sentences_of_the_node_are_said_in_chinese() -> None:
    """What is newer than this console, and what are names, stays as it came."""
    many = say("by_tasks", tasks=("a", "b", "c", "d", "e"))
    found = Finding.of("certificate", "warning", say("end_over", what=say("contract", who="bob"), date="2026-11-01"))
    waiting = Waiting(blocked_by=str(many), on="bob", since_ms=NOW_MS - 60_000, said=said(blocked_by=many, on="bob"))
    assert waiting_text(waiting, ZH) == "等待 任务 a、b、c 等，另有 2 个：bob，已 1m"
    assert finding_text(found, ZH) == "与 bob 的合约已于 2026-11-01 到期"
    assert finding_text(found, EN) == "the contract with bob ended on 2026-11-01"
    found.said["text"].facts["what"] = Said(code="not_known_yet")
    assert finding_text(found, ZH) == "the contract with bob ended on 2026-11-01"
    found.said["text"].facts = {"date": "2026-11-01"}
    assert finding_text(found, ZH) == "the contract with bob ended on 2026-11-01"


def test_why_line_prefers_the_wait_over_the_reason() -> None:
    assert plain(job_why(make_job(0), EN)) == "job-5feceb66 waits for bob: binning of host.0, for 3m; poll in 3s"
    assert "column age has 2 nulls" in plain(job_why(make_job(2), EN))
    assert plain(job_why(make_job(0), ZH)) == "job-5feceb66 等待 bob：binning of host.0，已 3m，下一步：poll（3s 后）"


def test_wait_without_the_nodes_own_sentence() -> None:
    job = make_job(0)
    job.waiting = Waiting(blocked_by="bob", on="task/poll", since_ms=NOW_MS - 120_000)
    assert plain(job_why(job, EN)).endswith("waits for bob: task/poll, for 2m")


def test_orders() -> None:
    jobs = [make_job(number) for number in range(40)]

    def by(column: str, *, reverse: bool = False) -> list[JobRow]:
        return list(in_order(jobs, JOBS, View(by=column, reverse=reverse), EN))

    assert by("") == jobs
    assert by("age") == jobs
    assert by("age", reverse=True) == jobs[::-1]
    assert [job_status(job) for job in by("status")][:3] == ["waiting", "waiting", "failed"]
    assert by("flow")[0].flow_id == "loan-score"
    started = [job for job in by("duration") if job.started_ms]
    taken = [(job.ended_ms or NOW_MS) - (job.started_ms or 0) for job in started]
    assert taken == sorted(taken)
    assert all(job.started_ms is None for job in by("duration", reverse=True)[len(started) :])
    assert by("tasks", reverse=True)[0].tasks_done == 3


def test_merged_replaces_removes_and_inserts_in_order() -> None:
    rows = [make_job(number) for number in range(6)]
    newer = rows[0].model_copy(update={"job_id": "job-new", "created_ms": NOW_MS})
    changed = rows[2].model_copy(update={"state": "RUNNING"})
    result = merged(rows, {"job-new", rows[2].job_id, rows[4].job_id}, [newer, changed])
    assert [row.job_id for row in result] == ["job-new", *(rows[i].job_id for i in (0, 1, 2, 3, 5))]
    assert result[3].state == "RUNNING"
    assert len(rows) == 6


@given(st.integers(0, 200))
def test_fit_columns_never_overflows_unless_nothing_can_be_dropped(width: int) -> None:
    columns = job_columns(EN)
    fitted = fit_columns(columns, width)
    used = sum(item.width for item in fitted) + max(0, len(fitted) - 1)
    kept = {item.column.id for item in fitted}
    assert {"id", "flow", "status"} <= kept
    assert used <= max(width, 12 + 16 + 11 + 2)


def test_columns_are_dropped_by_priority() -> None:
    at_80 = [item.column.id for item in fit_columns(job_columns(EN), 77)]
    assert at_80 == ["id", "flow", "status", "parties", "tasks", "age"]
    assert len(fit_columns(job_columns(EN), 100)) == 7
    assert fit_columns((Column("a", "A", 3), Column("b", "B", 3, flex=1, most=5)), 50)[1].width == 5


def test_two_parties_of_one_role_have_a_column_each() -> None:
    detail = make_detail(make_job(1))
    detail.job.parties = ["guest:alice", "host:bob", "host:carl"]
    detail.tasks[0].shares.append(ShareRow(role="host", index=1, node_id="carl", state="FAILED"))
    assert parties_of(detail)[:3] == ("guest.0", "host.0", "host.1")
    titles = [column.title for column in task_columns(detail, EN)]
    assert {"alice:guest", "bob:host", "carl:host"} <= set(titles)
    row = task_cells(detail.tasks[0], parties_of(detail), EN)
    assert row[5].text == "✗ failed"
    assert len(row) == len(titles)


def test_job_head_and_task_facts() -> None:
    detail = make_detail(make_job(2))
    first, second = map(plain, head_lines(detail, EN))
    assert "✗ failed  1/3" in first
    assert "alice:guest bob:host" in first
    assert "column age has 2 nulls" in second
    facts = [plain(line) for line in task_lines(detail.tasks[1], detail, EN, 60)]
    assert "  bob:host.0  ✗ failed  exit 1  1m15" in facts
    assert head_lines(make_detail(make_job(5)), EN)[1] == ()


def test_what_runs_a_task_is_said_with_where() -> None:
    detail = make_detail(make_job(2))
    share = next(share for share in detail.tasks[1].shares if share.role == "guest")
    share.runner, share.where = "ray", "Ray job alice-task-1.guest.0.1 at http://ray-head.example:8265"
    text = [plain(line) for line in task_lines(detail.tasks[1], detail, EN, 60)]
    [head] = [place for place, line in enumerate(text) if line.startswith("  alice:guest.0")]
    assert text[head].endswith("  ray")
    assert " ".join(line.strip() for line in text[head + 1 : head + 3]) == share.where
    assert runs_by(detail, f"{detail.tasks[1].name}/guest.0") == share.where
    assert runs_by(detail, f"{detail.tasks[1].name}/host.0") == ""


def test_card_says_all_that_matters_and_problems_first() -> None:
    detail = make_detail(make_job(4))
    text = [plain(line) for line in card_lines(detail, EN, 78)]
    assert text[0] == "CANNOT BE APPROVED AS THINGS STAND"
    assert "vert_woe 1.0.2 is not registered here" in text[1]
    for fact in (
        "bob (Bank of B)  (",
        "3f9a 51c0 7be2 d844 ..",
        "✓ in force, since 2026-10-09, key good for 214d",
        "✓ verified with this key",
        "columns 3 of 8: uid age overdue",
        "✓ grant dataset-1181 to bob: 3/12, until",
        "! not seen before: woe: bucket weights",
        "vert_woe 1.0.2 ✗ not registered here",
        "2 cores, 4 GiB memory   now: 3 jobs not over",
        "approved 4 of 4 from bob in 90 days (last 6d",
        "+ component woe",
        detail.job.job_id,
        "host.0",
        "1,370,000 rows",
        "NOT REGISTERED HERE",
        "WHAT LEAVES THIS NODE",
    ):
        assert any(fact in line for line in text), fact
    assert all(cells(plain(line)) <= 60 for line in card_lines(detail, EN, 60))
    assert card_lines(make_detail(make_job(5)), EN, 60) == [(("There is nothing to decide here.", "dim"),)]


def test_card_says_who_approved_and_how_many_are_missing() -> None:
    detail = make_detail(make_job(4))
    assert not any("still needed" in plain(line) for line in card_lines(detail, EN, 70))
    detail.job.approvers_needed, detail.job.approved_by = 2, ["operator:ann\x1b[31m"]
    text = "\n".join(plain(line) for line in card_lines(detail, EN, 70))
    assert "1 of 2 persons (ann), still needed: 1 more" in text
    assert "\x1b" not in text
    assert "还需 1 人批准" in "".join(plain(line) for line in card_lines(detail, ZH, 70))


def test_card_says_what_the_policy_said() -> None:
    detail = make_detail(make_job(4))
    assert not any("POLICY" in plain(line) for line in card_lines(detail, EN, 60))
    detail.policy = ["policy 3: rule 'psi' does not apply: partner bob is not carol", "policy 3: no rule applies\x1b"]
    text = "\n".join(plain(line) for line in card_lines(detail, EN, 60))
    assert "WHAT OUR POLICY SAID\n  - policy 3: rule 'psi'" in text
    assert "\x1b" not in text
    assert "我方策略的判断" in "".join(plain(line) for line in card_lines(detail, ZH, 60))


def test_hostile_names_are_harmless_everywhere() -> None:
    evil = "\x1b]0;x\x07\u202ename[red]"
    detail = make_detail(make_job(3))
    for target, names in (
        (detail.job, ("flow_id", "initiator", "coordinator", "reason")),
        (detail.tasks[0], ("name", "component")),
    ):
        for name in names:
            setattr(target, name, evil)
    detail.job.parties = [f"guest:{evil}"]
    assert detail.card is not None
    detail.card.asker.node_id = detail.card.asker.institution = detail.card.asker.resembles = evil
    lines = [*card_lines(detail, EN, 70), *head_lines(detail, EN), *task_lines(detail.tasks[0], detail, EN, 70)]
    lines += [job_cells(detail.job, EN), task_cells(detail.tasks[0], parties_of(detail), EN), job_why(detail.job, EN)]
    for line in lines:
        assert plain(line).isprintable()


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("12:00:01 ERROR x", "bad"),
        ("12:00:01 [FATAL] x", "bad"),
        ("WARNING: x", "warn"),
        ("12:00:01 INFO error words do not count", ""),
        ("DEBUG ERROR", "dim"),
        ("no level", ""),
        (f"{'x' * 90} ERROR", ""),
    ],
)
def test_line_role(line: str, role: str) -> None:
    assert line_role(line) == role


def test_log_buffer_knows_what_is_missing() -> None:
    buffer = LogBuffer()
    buffer.put(29_800, [f"line {n}" for n in range(29_800, 30_000)], total=30_000)
    assert buffer.line(29_999) == "line 29999"
    assert buffer.line(0) is None
    assert buffer.gap(0, 20) == (0, 200)
    assert buffer.gap(29_990, 30_050) is None
    assert buffer.gap(29_790, 29_810) == (29_600, 400)
    buffer.put(0, ["only one"], total=30_000)
    assert buffer.gap(0, 20) == (1, 199)
    assert buffer.find(lambda line: "29900" in line, 29_999, -1) == 29_900
    assert buffer.find(lambda line: "nowhere" in line, 29_999, -1) is None


def test_log_buffer_forgets_what_nobody_looks_at() -> None:
    buffer = LogBuffer(keep=3 * PAGE)
    for page in range(5):
        buffer.touch(0, 10)
        buffer.put(page * PAGE, ["x"] * PAGE)
    assert buffer.line(0) == "x"
    assert buffer.line(PAGE) is None
    assert buffer.total == 5 * PAGE


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 450)), max_size=12))
def test_log_buffer_returns_what_was_put(pieces: list[tuple[int, int]]) -> None:
    buffer = LogBuffer()
    expected: dict[int, str] = {}
    for start, length in pieces:
        lines = [f"{n}" for n in range(start, start + length)]
        buffer.put(start, lines)
        expected.update(enumerate(lines, start))
    assert {n: buffer.line(n) for n in range(1400)} == {n: expected.get(n) for n in range(1400)}
    assert buffer.total == max(expected, default=-1) + 1


def test_log_lines_are_cut_and_cleaned_once() -> None:
    buffer = LogBuffer()
    buffer.put(0, ["\x1b[31mred\x1b[0m", "x" * 10_000])
    assert buffer.line(0) == "red"
    assert (buffer.line(1) or "").endswith(" ...+1808")


def test_search_is_smart_about_case() -> None:
    assert matcher("abc")("xABCx")
    assert not matcher("Abc")("xABCx")
    assert matcher("re:^a+$")("aaa")
    with pytest.raises(ValueError, match="unterminated"):
        matcher("re:(")
    assert match_spans("aXa", "a") == [(0, 1), (2, 3)]
    assert match_spans("aXa", "re:x*") == []
    assert match_spans("aXa", "") == []


@pytest.mark.parametrize(
    ("link", "fact"),
    [
        (Link(), "connecting ..."),
        (Link(LinkState.ONLINE), "● online  run 2  wait 1!  peers 3"),
        (
            Link(LinkState.OFFLINE, NOW_MS - 48_000, 6, NOW_MS + 8_000),
            "✗ OFFLINE 48s  retry 6 in 8s (r now)  data from 11:06:40",
        ),
    ],
)
def test_status_line(link: Link, fact: str) -> None:
    status = _status(jobs={"RUNNING": 2, "PENDING": 0, "waiting": 1}, peers=3)
    left, right = status_line(status, link, NOW_MS, EN)
    assert fact in plain(left)
    assert plain(right) == "11:06 "
    assert total_jobs(status) == 2


def _status(**values: Any) -> NodeStatus:
    return NodeStatus(
        node_id="alice", version="0", pid=1, started_ms=0, now_ms=NOW_MS, home="/h", listen="", platform="", **values
    )


def test_changes_name_jobs_and_kinds() -> None:
    events = [
        EventRow(seq=1, at_ms=0, subject="task", subject_id="t", job_id="job-1", event="task.running", actor="a"),
        EventRow(seq=2, at_ms=0, subject="peer", subject_id="bob", event="peer.added", actor="a"),
    ]
    changes = changes_of(events)
    assert changes == Changes(frozenset({"job-1"}), frozenset({"task", "peer"}))
    assert not Changes()
    assert (changes | Changes(everything=True)).everything


def test_a_merged_log_is_in_the_order_of_times() -> None:
    merged = Merged(most=5)
    merged.add("a", 0, ["a1", "a2 without", "a3"], [100, None, 300])
    merged.add("b", 10, ["b1", "b2"], [200, 300])
    assert [merged.line(number) for number in range(5)] == ["a1", "a2 without", "b1", "a3", "b2"]
    assert [merged.tag(number) for number in range(5)] == ["a", "a", "b", "a", "b"]
    assert merged.place(2) == 10
    merged.add("a", 3, ["a4 from a clock set back"], [50])
    assert merged.line(4) == "a4 from a clock set back"
    assert merged.line(0) == "a2 without"
    assert merged.begins_late


def test_matches_say_which_one_the_cursor_is_on() -> None:
    matches = Matches()
    matches.add([3, 70], 100)
    matches.add([118], None)
    assert [matches.rank(number) for number in (3, 118, 4)] == [1, 3, 0]


def test_a_block_is_the_line_with_what_belongs_to_it() -> None:
    buffer = LogBuffer()
    buffer.put(0, ["INFO a", "ERROR b", "  File x", "    y", "INFO c"])
    assert buffer.block(3) == ["ERROR b", "  File x", "    y"]
    assert buffer.block(4) == ["INFO c"]


def test_json_in_a_line_is_laid_out() -> None:
    lines = readable_block(['INFO [psi] done {"rows": 3, "ids": ["a"]}', "  more"], 40)
    assert lines == ["INFO [psi] done", "{", '  "rows": 3,', '  "ids": [', '    "a"', "  ]", "}", "  more"]
    assert readable_block(["INFO [psi] {not json}"], 40) == ["INFO [psi] {not json}"]
    assert readable_block(["x" * 50], 40) == ["x" * 40, "x" * 10]


def test_the_margin_is_as_wide_as_it_says() -> None:
    buffer = LogBuffer()
    buffer.put(0, ["a", "b"], total=12_345, times=[60_000, None])
    for stamps in Stamps:
        margin = Margin(numbers=True, stamps=stamps, zero_ms=1_000, zone=UTC, bookmarks=frozenset({1}), tag_width=6)
        for number in (0, 1, 9_000):
            assert sum(cells(span.text) for span in margin.spans(buffer, number)) == margin.width(buffer)
    shown = plain(Margin(stamps=Stamps.SINCE, zero_ms=1_000).spans(buffer, 0))
    assert shown.strip() == "+59.000"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("12:04", 43_440_000),
        ("9:04:31", 32_671_000),
        ("5m", 86_099_000),
        ("-30s", 86_369_000),
        ("1970-01-01 12:04", 43_440_000),
        ("1970-01-01T00:00:00+01:00", -3_600_000),
        ("noon", None),
        ("25:00", None),
        ("", None),
    ],
)
def test_a_moment_as_a_person_types_it(text: str, ms: int | None) -> None:
    assert parse_moment(text, 86_399_000, UTC) == ms
