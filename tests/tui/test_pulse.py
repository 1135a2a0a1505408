"""Home, statistics, audit and doctor: view models as tables, the screens against a real node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from embedded_scheduler.wire.console import EventRow, Finding, LedgerReport
from embedded_scheduler.wire.console_pulse import (
    AttentionItem,
    AttentionList,
    ResourceSample,
    Statistics,
    StatisticsBucket,
)
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.attention import attention_rows, attention_text
from nodeconsole.viewmodels.audit import audit_facts, parse_audit, verified
from nodeconsole.viewmodels.checks import Check, Terminal, check_facts, check_name, checks, level_badge, terminal_checks
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import ASCII, UNICODE, Glyphs
from nodeconsole.viewmodels.plots import bars, gauge, line, spark, stretched
from nodeconsole.viewmodels.pulse import _over_time, rate
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.statistics import as_csv, as_json, ended_rows, hours_of, took_rows
from nodeconsole.viewmodels.text import cells
from nodeconsole.viewmodels.times import parse_since, parse_span
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import NOW_MS, app_of, serving

EN = Display(load("en_US"), UNICODE, NOW_MS, UTC, "alice")
ZH = Display(load("zh_CN"), ASCII, NOW_MS, UTC, "alice")
SIZE = (80, 24)


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


# -- plots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "width", "glyphs", "drawn"),
    [
        ([], 5, UNICODE, ""),
        ([0, 1, 4, 8], 9, UNICODE, "▁▂▅█"),
        ([0, 1, 4, 8], 9, ASCII, ".:|#"),
        ([None, 0, None], 9, UNICODE, " ▁ "),
        ([0, 0], 9, ASCII, ".."),
        ([1, 9, 2, 2], 2, UNICODE, "█▃"),
        ([0.001, 1000], 9, UNICODE, "▂█"),
    ],
    ids=["nothing", "levels", "ascii", "unknown", "zero", "gathered", "never like nothing"],
)
def test_sparks(values: list[float | None], width: int, glyphs: Glyphs, drawn: str) -> None:
    assert spark(values, width, glyphs) == drawn


def test_a_known_top_keeps_the_scale() -> None:
    assert spark([50, 100], 9, UNICODE, top=100) == "▅█"
    assert spark([50, 50], 9, UNICODE, top=100) == "▅▅"
    assert stretched([1, 2], 5) == [1, 1, 2, 2]


@pytest.mark.parametrize(("part", "filled"), [(0, 0), (1, 1), (50, 5), (100, 10), (200, 10)])
def test_gauges(part: float, filled: int) -> None:
    assert gauge(part, 100, 10, ASCII) == "#" * filled + "." * (10 - filled)


def test_bars() -> None:
    assert bars([4, 2, 0, None, 1], 15, 2, UNICODE) == ["██             ", "██ ██       ▄▄ "]
    assert bars([4, 2, 0, None, 1], 5, 2, ASCII) == ["#    ", "##  :"]


def test_lines() -> None:
    assert line([0, 1], 4, 2, ASCII) == ["  **", "**  "]
    assert line([0, None, 1], 3, 3, ASCII) == ["  *", "   ", "*  "]
    drawn = line([0, 4, 0], 4, 2, UNICODE)
    assert all(len(row) == 4 for row in drawn)
    assert all(char == " " or 0x2800 < ord(char) < 0x2900 for row in drawn for char in row)
    assert line([], 3, 2, UNICODE) == ["   ", "   "]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "<1kB/s"), (999, "<1kB/s"), (2_149, "2.1kB/s"), (341_700, "340kB/s"), (2_100_000, "2.1MB/s")],
)
def test_rates_are_rounded_so_that_noise_does_not_show(value: int, text: str) -> None:
    assert rate(value) == text


def test_a_plot_moves_on_with_the_clock() -> None:
    samples = [ResourceSample(at_ms=at) for at in (0, 2_000, 19_999, 20_000, 60_001)]
    assert _over_time([1, 5, 2, 3, 4], samples) == [5, 3, None, 4]


# -- what needs a person ----------------------------------------------------------------------------------------------


def item(kind: str, **values: object) -> AttentionItem:
    known: dict[str, object] = {"severity": "error", "target": "job", "subject": "job-1", "name": "n", "since_ms": 1}
    return AttentionItem.model_validate({"kind": kind} | known | values)


def test_the_console_has_words_for_every_kind_in_both_languages() -> None:
    from embedded_scheduler.api.console.pulse import _TEXTS  # noqa: PLC0415 - the node's list of kinds

    for display in (EN, ZH):
        for kind in _TEXTS:
            assert f"attention.{kind}" in display.catalogue.keys, kind
    facts = {"days": "9", "by": "bob", "task": "psi", "undelivered": "2", "free_mib": "7", "percent": "90"}
    assert all("{" not in attention_text(item(kind, facts=facts), ZH) for kind in _TEXTS)


def test_a_kind_from_a_newer_node_is_shown_in_its_own_words() -> None:
    assert attention_text(item("moon", text="the moon is \x1b[2Jfull"), ZH) == "the moon is full"


@pytest.mark.parametrize(
    ("severity", "start"), [("decide", "? "), ("error", "✗ "), ("warning", "! ")], ids=lambda value: value
)
def test_urgency_is_a_sign_too(severity: str, start: str) -> None:
    (row,) = attention_rows(AttentionList(items=[item("job_failed", severity=severity)]), EN)
    assert plain(row.line).startswith(start)
    assert row.problem
    assert row.target == ("job", "job-1", ())


def test_nothing_to_do_is_said_and_what_is_left_out_counted() -> None:
    assert attention_rows(None, EN) == []
    assert "nothing needs you" in plain(attention_rows(AttentionList(), EN)[0].line)
    rows = attention_rows(AttentionList(items=[item("job_failed")], left_out=7), EN)
    assert "7 more" in plain(rows[-1].line)


# -- the home screen --------------------------------------------------------------------------------------------------


async def test_pulse_at_a_glance(node: Hosted) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "psi-credit-daily")
        await press(pilot, "g", "p")
        await until_shown(pilot, "risk-join-2026q4  from bob")
        shown = screen_text(pilot)
        for words in ("NEEDS YOU", "JOBS", "RUNNING", "PARTNERS", "NODE", "FLOWS x RUNS", "122 GiB free", "p50"):
            assert words in shown, words
        assert all(len(row) <= 80 for row in shown.splitlines())
        # The reason is said below, where there is room.
        await press(pilot, "e", "e", "e", "e", "e", "e")
        await until_shown(pilot, "woe-binning failed  ")


async def test_pulse_by_keys(node: Hosted) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await press(pilot, "g", "p")
        await until_shown(pilot, "risk-join-2026q4  from bob")
        await press(pilot, "tab", "tab")
        await until_shown(pilot, "job-")
        await press(pilot, "enter")
        await until_shown(pilot, "feature_stats")
        await press(pilot, "escape")
        await until_shown(pilot, "FLOWS x RUNS")
        await press(pilot, "z")
        await until_gone(pilot, "FLOWS x RUNS")
        await press(pilot, "escape")
        await until_shown(pilot, "FLOWS x RUNS")
        await press(pilot, "w")
        await until_shown(pilot, "last 7d")
        # A decision is taken on its card.
        await press(pilot, *["shift+tab"] * 2, "e", "e", "enter")
        await until_shown(pilot, "WHAT LEAVES")
        await press(pilot, "escape")
        await until_shown(pilot, "FLOWS x RUNS")
        # Through the panes: the last one lists flows, Enter their jobs.
        await press(pilot, "shift+tab", "enter")
        await until_shown(pilot, "filter: psi-credit-daily")


@pytest.mark.parametrize("size", [(60, 18), (100, 30), (160, 45)], ids=str)
async def test_pulse_fits_every_terminal(node: Hosted, size: tuple[int, int]) -> None:
    async with app_of(node, language="zh_CN").run_test(size=size) as pilot:
        await press(pilot, "g", "p")
        await until_shown(pilot, "待您处理")
        await until_shown(pilot, "frank")
        beside = screen_text(pilot).count("──")
        assert beside >= 1
        await press(pilot, "tab")
        await until_shown(pilot, "作业")


# -- statistics -------------------------------------------------------------------------------------------------------


def counted(**values: object) -> Statistics:
    hour = 3_600_000
    buckets = [
        StatisticsBucket(start_ms=NOW_MS, succeeded=4, failed=1, p50_ms=2_000, p95_ms=9_000),
        StatisticsBucket(start_ms=NOW_MS + hour),
    ]
    known = {"hours": 2, "at_ms": NOW_MS, "since_ms": NOW_MS, "until_ms": NOW_MS + 2 * hour, "step_ms": hour}
    return Statistics.model_validate(known | {"buckets": buckets} | values)


@pytest.mark.parametrize("display", [EN, ZH], ids=["en", "zh"])
def test_plots_fit_the_room_they_are_given(display: Display) -> None:
    found = counted()
    for width, height in ((30, 6), (60, 12), (150, 30)):
        for rows in (ended_rows(found, display, width, height), took_rows(found, display, width, height)):
            assert len(rows) <= height
            assert all(cells(plain(row.line)) <= width for row in rows)


def test_statistics_as_files() -> None:
    found = counted()
    lines = as_csv(found).splitlines()
    assert lines[0] == "start,created,succeeded,failed,stopped,rejected,other,p50_ms,p95_ms"
    assert lines[1] == "2026-11-28T12:04:31+00:00,0,4,1,0,0,0,2000,9000"
    assert lines[2].endswith(",0,0,0,0,0,,")
    assert Statistics.model_validate_json(as_json(found)) == found


@pytest.mark.parametrize(("typed", "hours"), [("24h", 24), ("7d", 168), ("2w", 336), ("0h", None), ("500d", None)])
def test_spans_of_statistics(typed: str, hours: int | None) -> None:
    assert hours_of(parse_span(typed)) == hours


@pytest.mark.parametrize(
    ("typed", "ago"), [("2h", 2 * 3_600_000), ("2026-11-28T12:00:00+00:00", 271_000), ("soon", None), ("-1d", None)]
)
def test_moments_that_have_passed(typed: str, ago: int | None) -> None:
    found = parse_since(typed, NOW_MS, UTC)
    assert found == (None if ago is None else NOW_MS - ago)


async def test_statistics_by_keys(node: Hosted, tmp_path: Path) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await press(pilot, "g", "s")
        await until_shown(pilot, "psi-fraud-hourly")
        shown = screen_text(pilot)
        assert "JOBS ENDED per 1h" in shown
        assert "done 32" in shown
        await press(pilot, "w", "w")
        await until_shown(pilot, "per 1d")
        await press(pilot, "ctrl+s")
        await until_shown(pilot, "save as")
        await press(pilot, *["backspace"] * 30)
        for name in ("days.csv", "days.json"):
            pilot.app.screen.act_statistics_save(str(tmp_path / name))  # type: ignore[attr-defined]
            await until(pilot, (tmp_path / name).exists)
        await press(pilot, "escape")
        assert len((tmp_path / "days.csv").read_text("utf-8").splitlines()) == 31
        pilot.app.screen.act_statistics_save(str(tmp_path / "days.csv"))  # type: ignore[attr-defined]
        await until_shown(pilot, "exists already")
        await press(pilot, "e", "enter")
        await until_shown(pilot, "filter: churn-join")


async def test_statistics_over_a_span_that_is_typed(node: Hosted) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "psi-credit-daily")
        await press(pilot, ":", *"stats", "space", *"7d", "enter")
        await until_shown(pilot, "last 7d")
        await until_shown(pilot, "per 6h")
        await press(pilot, ":", *"stats", "space", "x", "enter")
        await until_shown(pilot, "how far back?")


# -- the ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "filters", "unknown"),
    [
        ("", {}, ()),
        ("actor:ann", {"actor": "ann"}, ()),
        ("job:job-1 event:approved", {"job_id": "job-1", "event": "approved"}, ()),
        ("contract partner:bob", {"subject": "contract", "partner": "bob"}, ()),
        ("since:2h", {"since_ms": NOW_MS - 7_200_000}, ()),
        ("since:soon colour:red actor:", {}, ("since:soon", "colour:red", "actor:")),
    ],
)
def test_what_is_typed_over_the_ledger(typed: str, filters: dict[str, object], unknown: tuple[str, ...]) -> None:
    found = parse_audit(typed, NOW_MS, UTC)
    assert (found.filters, found.unknown) == (filters, unknown)


def test_all_of_an_event_is_shown_and_nothing_of_it_reaches_the_terminal_raw() -> None:
    event = EventRow(
        seq=7,
        at_ms=NOW_MS,
        subject="job",
        subject_id="job-1",
        event="job.approved",
        actor="operator:li",
        source="PENDING",
        target="READY",
        data={"note": "\x1b[2Jgone", "columns": ["a", "b"]},
        prev_hash="ab" * 32,
        hash="cd" * 32,
    )
    shown = "\n".join(plain(line) for line in audit_facts(event, EN, 100))
    for words in ("job.approved", "operator:li", "PENDING → READY", "a, b", "abab abab", "cdcd cdcd"):
        assert words in shown, words
    assert "\x1b" not in shown


def test_the_chain_is_judged_in_words() -> None:
    whole = LedgerReport(ok=True, events=9, last_seq=9, last_hash="ab")
    assert plain((verified(whole, EN),)) == "✓ chain whole, 9 events"
    broken = LedgerReport(ok=False, events=3, last_seq=3, last_hash="ab", fault="event 4 was altered")
    assert "event 4 was altered" in verified(broken, ZH).text
    assert verified(broken, ZH).role == "bad"


async def test_audit_by_keys(node: Hosted, tmp_path: Path) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await press(pilot, "g", "u")
        await until_shown(pilot, "node.started")
        await press(pilot, "h")
        await until_shown(pilot, "chain whole")
        await press(pilot, "/", *"actor:li", "space", *"event:approval", "enter")
        await until_shown(pilot, "filter: actor:li event")
        await until_gone(pilot, "node.started")
        await until_shown(pilot, "approval.approved")
        await press(pilot, "d")
        await until_shown(pilot, "hash before")
        await press(pilot, "escape", "escape")
        await until_shown(pilot, "node.started")
        pilot.app.screen.act_audit_export(str(tmp_path / "all.jsonl"))  # type: ignore[attr-defined]
        await until_shown(pilot, "saved")
        lines = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()
        assert len(lines) > 20_000
        await press(pilot, "G")
        await until_shown(pilot, "200, and more")


async def test_audit_says_what_it_does_not_understand(node: Hosted) -> None:
    async with app_of(node, language="zh_CN").run_test(size=SIZE) as pilot:
        await until_shown(pilot, "psi-credit-daily")
        await press(pilot, ":", *"audit", "space", *"2h", "enter")
        await until_shown(pilot, "筛选：since:2h")
        await press(pilot, "/", *"x:y", "enter")
        await until_shown(pilot, "无法识别")


# -- the doctor -------------------------------------------------------------------------------------------------------

GOOD = Terminal(
    environ={"TERM": "xterm-256color", "LANG": "en_US.UTF-8"},
    encoding="UTF-8",
    colors="truecolor",
    sync_output=True,
    width=132,
    height=40,
    glyphs="unicode",
    latency_ms=4,
    console_version="1.0",
    node_version="1.0",
)


@pytest.mark.parametrize(
    ("terminal", "kind", "level"),
    [
        (replace(GOOD, width=79), "size", "warning"),
        (replace(GOOD, colors="standard"), "colors", "warning"),
        (replace(GOOD, colors="", environ={"NO_COLOR": "1", "TERM": "xterm"}), "", ""),
        (replace(GOOD, encoding="ANSI_X3.4-1968"), "encoding", "warning"),
        (replace(GOOD, encoding="ANSI_X3.4-1968", glyphs="ascii"), "", ""),
        (replace(GOOD, environ={"TERM": "xterm", "LANG": "zh_CN.UTF-8"}), "ambiguous", "warning"),
        (replace(GOOD, environ={"TERM": "xterm", "LANG": "zh_CN.UTF-8"}, glyphs="safe"), "", ""),
        (replace(GOOD, environ={"TERM": "linux"}), "type", "warning"),
        (replace(GOOD, environ={"TERM": "tmux-256color", "TMUX": "/x"}), "clipboard", "warning"),
        (replace(GOOD, latency_ms=400), "latency", "warning"),
        (replace(GOOD, latency_ms=None), "latency", "error"),
        (replace(GOOD, node_version="0.9"), "versions", "warning"),
        (replace(GOOD, faults=("keymap.toml: x: two meanings",)), "keys", "warning"),
        (GOOD, "", ""),
    ],
)
def test_what_is_wrong_with_a_terminal(terminal: Terminal, kind: str, level: str) -> None:
    for display in (EN, ZH):
        wrong = [check for check in terminal_checks(terminal, display) if check.level != "ok"]
        assert [(check.kind, check.level) for check in wrong] == ([(kind, level)] if kind else [])
        assert all(check.fix for check in wrong)


def test_every_check_of_the_node_has_a_name_and_a_reason() -> None:
    sources = Path(__file__).parents[2] / "src" / "embedded_scheduler"
    text = "".join((sources / name).read_text("utf-8") for name in ("api/console/node.py", "diagnosis.py"))
    # What a node that does not run finds is shown by the command alone.
    kinds = set(re.findall(r'Finding\.of\(\s*"([a-z_ ]+)"|_(?:ok|warning|error)\(\s*"([a-z ]+)"', text))
    named = {first or second for first, second in kinds} - {"settings", "process", "port"}
    assert len(named) > 10
    for kind in named:
        check = Check("node", kind, "ok", "x")
        assert check_name(check, ZH) != kind, kind
        assert "why" in "".join(plain(line) for line in check_facts(check, EN, 100)), kind


def test_what_is_wrong_comes_first_and_is_a_word_too() -> None:
    findings = [
        Finding(check="disk", level="ok", text="fine"),
        Finding(check="service", level="error", text="down \x1b[2J", fix="report it"),
        Finding(check="unsigned", level="warning", text="bob"),
    ]
    found = checks(findings, GOOD, EN)
    assert [check.level for check in found[:3]] == ["error", "warning", "ok"]
    assert found[0].text == "down "
    assert [plain((level_badge(level, EN),)) for level in ("ok", "warning", "error")] == [
        "✓ ok",
        "! warning",
        "✗ error",
    ]


async def test_doctor_by_keys(node: Hosted) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await press(pilot, "g", "h")
        await until_shown(pilot, "need a look")
        await until_shown(pilot, "erin: 2 undelivered")
        await press(pilot, "/", *"dave", "enter")
        await until_shown(pilot, "make a new contract")
        await press(pilot, "escape", "f3")
        await until_shown(pilot, "诊断")
        await until_shown(pilot, "证书与合约")
