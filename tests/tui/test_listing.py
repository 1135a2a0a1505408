"""The grammar that all lists share: marks, order, columns, preview, copying, saving, acting on many."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeconsole.app import NodeConsoleApp
from nodeconsole.i18n.catalogue import load
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.document import coloured
from nodeconsole.viewmodels.glyphs import UNICODE
from nodeconsole.viewmodels.list_filter import amount, list_fault_text, parse_filter
from nodeconsole.viewmodels.listing import (
    Listing,
    View,
    arranged,
    as_csv,
    as_json,
    as_text,
    in_order,
    kept_view,
    matching,
    natural,
    sort_letters,
)
from nodeconsole.viewmodels.spans import Column, Line, Span, plain, wide_columns
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import NOW_MS, FakeNode, job_id

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)
EN = Display(load("en_US"), UNICODE, NOW_MS, UTC, "alice")


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    size: int | None = None


COLUMNS = (Column("name", "NAME", 10, flex=1), Column("size", "SIZE", 6, right=True), Column("state", "STATE", 8))


def _cells(thing: Thing, display: Display) -> Line:
    return (Span(thing.name), Span("-" if thing.size is None else f"{thing.size:,}"), Span("ok"))


THINGS: Listing[Thing] = Listing(
    "things", lambda thing: thing.name, lambda _: COLUMNS, _cells, values={"size": lambda thing, _: thing.size}
)
ROWS = [Thing("run 10", 5), Thing("Run 9", 12_000), Thing("样本", None), Thing("alpha", 700)]


def test_every_column_has_a_letter_of_its_own_to_sort_by() -> None:
    columns = [Column(name, name, 5) for name in ("state", "size", "s", "age", "aes")]
    assert sort_letters(columns) == {"s": "state", "i": "size", "a": "s", "g": "age", "e": "aes"}
    assert sort_letters([Column("time", "T", 5, letter="d"), Column("day", "D", 5)]) == {"d": "time", "a": "day"}


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (View(), ["run 10", "Run 9", "样本", "alpha"]),
        (View(by="name"), ["alpha", "Run 9", "run 10", "样本"]),
        (View(by="size"), ["run 10", "alpha", "Run 9", "样本"]),
        (View(by="size", reverse=True), ["Run 9", "alpha", "run 10", "样本"]),
        (View(by="gone"), ["run 10", "Run 9", "样本", "alpha"]),
    ],
)
def test_order(view: View, names: list[str]) -> None:
    assert [row.name for row in in_order(ROWS, THINGS, view, EN)] == names


@given(st.text(max_size=12), st.integers(0, 10**9), st.text(max_size=5))
def test_numbers_in_texts_count_by_their_value(text: str, number: int, rest: str) -> None:
    if not text[-1:].isdecimal() and not rest[:1].isdecimal():
        assert natural(f"{text}{number}{rest}") < natural(f"{text.upper()}{number + 1}{rest}")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("size:>600", ["Run 9", "alpha"]),
        ("size:<=700 !name:run", ["alpha"]),
        ("name:run,alpha", ["run 10", "Run 9", "alpha"]),
        ("state:OK", []),
        ("name:Run", ["Run 9"]),
        ("re:^run", ["run 10", "Run 9"]),
        ("run", ["run 10", "Run 9"]),
        ("Run", ["Run 9"]),
        ("run !10", ["Run 9"]),
        ("~rn9", ["Run 9"]),
        ("!~rn", ["样本", "alpha"]),
        ("样", ["样本"]),
        ("12,000", ["Run 9"]),
        ("!", ["run 10", "Run 9", "样本", "alpha"]),
    ],
)
def test_filter_of_a_complete_list(pattern: str, names: list[str]) -> None:
    assert [row.name for row in matching(ROWS, THINGS, parse_filter(pattern, [c.id for c in COLUMNS]), EN)] == names


@pytest.mark.parametrize(
    ("pattern", "kind", "left"),
    [
        ("size:>much alpha", "amount", 1),
        ("colour:red", "column", 4),
        ("state:", "value", 4),
        ("re:(", "pattern", 4),
        ("https://run", "", 0),
        ('"colour:red"', "", 0),
    ],
)
def test_a_term_that_means_nothing_is_told_of_and_left_out(pattern: str, kind: str, left: int) -> None:
    found = parse_filter(pattern, [c.id for c in COLUMNS])
    assert (found.fault.kind if found.fault else "") == kind
    assert len(matching(ROWS, THINGS, found, EN)) == left
    assert not found.fault or pattern.split(maxsplit=1)[0] in list_fault_text(found.fault, EN)


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        ("1,234", 1234), ("2h02", 7320), ("31m", 1860), ("+ 3m", 180), ("12.5 KiB", 12_800), ("97%", 97),
        ("1.37M", 1_370_000), ("5d", 432_000), ("-", None), ("never", None), ("7 apples", None),
    ],
)  # fmt: skip
def test_columns_are_compared_by_what_they_mean(shown: str, value: float | None) -> None:
    assert amount(shown) == value


def test_how_a_list_was_looked_at_survives_what_changed_since() -> None:
    view = View(("size", "name"), frozenset({"state"}), {"name": 20}, "size", reverse=True, wide=True)
    assert kept_view(json.loads(json.dumps(view.kept())), COLUMNS) == view
    assert kept_view(view.kept(), COLUMNS[:1]) == View(("name",), widths={"name": 20}, reverse=True, wide=True)
    nonsense = {"order": 3, "hidden": [None, {}], "widths": {"name": "9", "size": 0}, "by": [], "reverse": "yes"}
    assert kept_view(nonsense, COLUMNS) == View()


def test_columns_are_moved_hidden_and_sized() -> None:
    columns, places = arranged(
        COLUMNS, View(order=("state", "nothing"), hidden=frozenset({"size"}), widths={"name": 4})
    )
    assert [(column.id, column.width, column.flex) for column in columns] == [("state", 8, 0), ("name", 4, 0)]
    assert places == (2, 0)
    assert [c.id for c in arranged(COLUMNS, View(hidden=frozenset({"name", "size", "state"})))[0]] == ["name"]


@given(st.integers(0, 80), st.integers(0, 4))
def test_the_wide_view_keeps_the_first_column_and_never_overflows(width: int, skipped: int) -> None:
    fitted = wide_columns(COLUMNS, width, skipped)
    assert sum(item.width + 1 for item in fitted) <= width + 1
    assert [item.place for item in fitted[:1]] == ([0] if width else [])


def test_saved_rows_are_what_is_seen_and_nothing_that_a_spreadsheet_would_run() -> None:
    rows = [*ROWS, Thing('=HYPERLINK("http://x")', 1), Thing("-", 2)]
    read = list(csv.reader(io.StringIO(as_csv(rows, THINGS, View(hidden=frozenset({"state"})), EN))))
    assert read[0] == ["NAME", "SIZE"]
    assert read[2:4] == [["Run 9", "12,000"], ["样本", "-"]]
    assert read[5] == ['\'=HYPERLINK("http://x")', "1"]
    assert read[6] == ["-", "2"]
    assert json.loads(as_json(rows[:1], THINGS, EN)) == [{"name": "run 10", "size": "5", "state": "ok"}]
    assert as_text(ROWS[1], THINGS, View(order=("size",)), EN) == "12,000\tRun 9\tok"


def test_names_stand_out_in_a_record() -> None:
    assert [(s.text, s.role) for s in coloured('  "a": 1')] == [("  ", ""), ('"a"', "accent"), (": 1", "")]
    assert plain(coloured("- http://x")) == "- http://x"


def _listing(app: NodeConsoleApp) -> ListingScreen[object]:
    assert isinstance(app.screen, ListingScreen)
    return app.screen


async def test_marks_range_all_and_none(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = _listing(pilot.app)
        await press(pilot, "space", "space")
        assert "2 marked" in screen_text(pilot)
        assert "*job-" in screen_text(pilot)
        assert screen.main.cursor == 2
        await press(pilot, "j", "v", "j", "j")
        assert "range of 3" in screen_text(pilot)
        await press(pilot, "v")
        assert "5 marked" in screen_text(pilot)
        await press(pilot, "k", "space")
        assert "4 marked" in screen_text(pilot)
        await press(pilot, "/", *"waiting", "enter")
        await until_shown(pilot, "2 of 1,200")
        await press(pilot, "*")
        assert "5 marked" in screen_text(pilot)
        await press(pilot, "escape")
        await until_shown(pilot, "100 of 1,200")
        assert "5 marked" in screen_text(pilot)
        await press(pilot, "escape")
        assert "marked" not in screen_text(pilot)
        await press(pilot, "v", "j", "\\")
        assert "range" not in screen_text(pilot)


async def test_a_write_over_marked_rows_takes_their_number(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "space", "space", "space", "S")
        await until_shown(pilot, "Stop 2 jobs?")
        assert "1 for which the node does not offer it" in screen_text(pilot)
        await press(pilot, "enter", "3", "enter")
        await until_shown(pilot, "type exactly")
        assert not any(request.startswith("POST") for request in node.requests)
        await press(pilot, "backspace", "2", "enter")
        await until_shown(pilot, "asked 2 of 2 jobs to stop")
        assert [node.jobs[job_id(n)].outcome for n in (0, 1)] == ["stopped", "stopped"]
        await until_shown(pilot, "1 marked")


async def test_columns_are_chosen_and_the_wide_view_scrolls(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "o", "j", "space", "enter")
        await until_gone(pilot, "Space shows or hides")
        assert "FLOW" not in screen_text(pilot)
        await press(pilot, "o", "j", "j", "{", "enter")
        assert screen_text(pilot).splitlines()[2].split()[0] == "STATE" or "FLOW" not in screen_text(pilot)
        await press(pilot, "o", "0", "enter")
        assert "FLOW" in screen_text(pilot)
        await press(pilot, "w")
        first = screen_text(pilot).splitlines()[2]
        await press(pilot, "right", "right", "right")
        second = screen_text(pilot).splitlines()[2]
        assert first != second
        assert second.split()[0] == "ID"
        assert "DUR" in second or "TASKS" in second
        await press(pilot, "w")


async def test_a_row_is_described_shown_as_data_and_copied(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "y")
        await until_shown(pilot, f'"job_id": "{job_id(0)}"')
        await press(pilot, "y")
        await until_shown(pilot, f"job_id: {job_id(0)}")
        await press(pilot, "/", *"initiator", "enter")
        await until_shown(pilot, "1 of 1")
        await press(pilot, "q", "c")
        await until_shown(pilot, "j JSON")
        await press(pilot, "c")
        await until_shown(pilot, "sent to terminal clipboard: id")
        assert pilot.app.clipboard == job_id(0)
        await press(pilot, "c", "l")
        assert pilot.app.clipboard == f"job {job_id(0)}"


async def test_the_menu_of_a_row_lists_what_can_be_done(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "x")
        await until_shown(pilot, "copy id, name, row, JSON or link")
        await press(pilot, "S")
        await until_shown(pilot, "Stop this job?")
        await press(pilot, "escape", "x", "escape")
        assert _listing(pilot.app).main.cursor == 0


async def test_a_list_is_saved(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "c")
        await until_shown(pilot, "sample_alignment")
        path = tmp_path / "components.json"
        await press(pilot, ":", *f"save {path}", "enter")
        await until(pilot, path.exists)
        await until_shown(pilot, "rows written to")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text("utf-8"))[0]["name"] == "sample_alignment"
        await press(pilot, ":", *f"save {path}", "enter")
        await until_shown(pilot, "choose another name")


async def test_the_preview_stands_beside_a_wide_list_and_below_a_narrow_one(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(132, 40)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "c")
        await until_shown(pilot, "registered")
        beside = next(line for line in screen_text(pilot).splitlines() if "registered" in line)
        assert beside.index("registered") > 70
        await press(pilot, "p")
        await until_gone(pilot, "registered")
        await press(pilot, "p")
        await until_shown(pilot, "registered")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: any(line.startswith("  registered") for line in screen_text(pilot).splitlines()))


async def test_a_list_is_found_as_it_was_left_until_it_is_reset(
    node: FakeNode, make_app: MakeApp, tmp_path: Path
) -> None:
    def console() -> NodeConsoleApp:
        return make_app(environ={"XDG_STATE_HOME": str(tmp_path)})

    async with console().run_test(size=SIZE) as pilot:
        await press(pilot, "g", "c")
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "/", "n", "a", "tab")
        await until_shown(pilot, "name:")
        await press(pilot, *"zzz", "enter")
        await until_shown(pilot, "Nothing fits")
        await press(pilot, "s", "v")
    async with console().run_test(size=SIZE) as pilot:
        await press(pilot, "g", "c")
        await until_shown(pilot, "filter: name:zzz")
        assert isinstance(pilot.app.screen, ListingScreen)
        assert pilot.app.screen.view.by == "version"
        await press(pilot, "ctrl+r")
        await until_shown(pilot, "sample_alignment")
        assert pilot.app.screen.view == View()
        await press(pilot, "/", *"colour:red")
        await until_shown(pilot, "! colour:red: no such column")


async def test_a_complete_list_is_filtered_and_sorted_here(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "s", "n", "s", "n")
        await until_shown(pilot, "NODE↓")
        assert getattr(_listing(pilot.app).main.items[0], "node_id", "") == "erin"
        await press(pilot, "/", *"!erin", "enter")
        await until_shown(pilot, "3 of 4")
