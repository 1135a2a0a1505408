"""A form in the running console, by keys alone."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice
from algorithm_components.sdk.forms.relaxed import parse_object
from algorithm_components.sdk.forms.selfdesc import form_of_component
from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.editing import NoEditor, edit_outside
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.widgets.inline import InlineEditor
from tests.support.console import burst, press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import FakeNode
from tests.support.self_descriptions import SPECIFICATION_SAMPLE, component, large

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


class Shown:
    """A form on top of the job list, and what was submitted."""

    def __init__(self, pilot: Pilot[Any], form: Form, **options: Any) -> None:
        self.pilot = pilot
        self.submitted: list[dict[str, Any]] = []
        app = pilot.app
        assert isinstance(app, NodeConsoleApp)
        self.screen = FormScreen(app.session, form, Purpose("a form", "keep", self._submit, **options))

    async def _submit(self, values: dict[str, Any]) -> bool:
        self.submitted.append(values)
        return True

    async def open(self) -> FormScreen:
        await self.pilot.app.push_screen(self.screen)
        await until_shown(self.pilot, "fields ")
        return self.screen


def sample() -> Form:
    return Form(form_of_component(parse_object(SPECIFICATION_SAMPLE)[0]))


async def typed(pilot: Pilot[Any], text: str) -> None:
    """Replace what stands in the line that is edited."""
    await press(pilot, "ctrl+u", *text)


async def test_a_form_that_is_closed_at_once_is_not_painted_any_more(node: FakeNode, make_app: MakeApp) -> None:
    """Its table goes before the form does, and a repaint may still be on its way to it."""
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        closed = [Shown(pilot, sample()).screen for _ in range(5)]
        for screen in closed:
            pilot.app.push_screen(screen)
            pilot.app.pop_screen()
        await until(pilot, lambda: not any(screen.is_attached for screen in closed))
        await until_shown(pilot, "100 of 1,200")


async def test_a_field_is_edited_where_it_stands(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        shown = Shown(pilot, sample())
        screen = await shown.open()
        assert "L2正则 (L2)" in screen_text(pilot)
        assert "placeholder" not in screen_text(pilot)
        screen.show_field("max_iter")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(screen.focused, InlineEditor))
        await typed(pilot, "2000")
        assert "must be in (0,1000)" in screen_text(pilot)
        await press(pilot, "enter", "f10")
        await until_shown(pilot, "not right yet: 1")
        assert shown.submitted == []
        await press(pilot, "e", "enter")
        await typed(pilot, "20")
        await press(pilot, "f10")
        await until(pilot, lambda: shown.submitted)
        assert shown.submitted[0]["max_iter"] == 20
        await until_shown(pilot, "100 of 1,200")


async def test_keys_that_come_in_a_burst_fill_in_and_submit_as_if_they_came_one_by_one(
    node: FakeNode, make_app: MakeApp
) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        for turns in (0, 1, 2, 4, 8):
            shown = Shown(pilot, sample())
            screen = await shown.open()
            screen.show_field("max_iter")
            await burst(pilot, "enter", "ctrl+u", "7", "1", "enter", "enter", "2", "f10", turns=turns)
            await until(pilot, lambda shown=shown: bool(shown.submitted))  # type: ignore[misc]
            assert shown.submitted[0]["max_iter"] == 712, turns
            await until_gone(pilot, "fields ")


async def test_choices_are_found_by_letters_and_show_what_depends_on_them(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, sample()).open()
        assert "needs optimizer" in screen_text(pilot)
        screen.show_field("optimizer")
        await press(pilot, "enter")
        await until_shown(pilot, "Enter takes it")
        await press(pilot, *"ada", "enter")
        await until_gone(pilot, "needs optimizer")
        await press(pilot, "=")
        await until_shown(pilot, "changed only")
        assert "max_iter" not in screen_text(pilot)
        await press(pilot, "escape")
        await until_shown(pilot, "max_iter")
        screen.show_field("optimizer")
        await press(pilot, "ctrl+r")
        await until_shown(pilot, "needs optimizer")


async def test_several_choices_switches_numbers_and_long_texts(node: FakeNode, make_app: MakeApp) -> None:
    params = (
        {"name": "many", "UIType": "checkbox", "bindingData": ["a", "b", "c"]},
        {"name": "flag", "type": "bool", "UIType": "switch"},
        {"name": "rounds", "type": "int", "UIType": "numberPicker", "defaultValue": "3"},
        {"name": "sql", "UIType": "textArea"},
        {"name": "doc", "type": "object"},
        {"name": "fixed", "UIPattern": "readOnly", "defaultValue": "f"},
    )
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        shown = Shown(pilot, Form(form_of_component(component(*params))), question="Sure?")
        screen = await shown.open()
        await press(pilot, "enter")
        await until_shown(pilot, "Space marks")
        await press(pilot, "space", "down", "space", "enter")
        await until_shown(pilot, "a, c")
        await press(pilot, "tab", "space", "tab", "enter", "up", "up", "down", "tab")
        assert "[x]" in screen_text(pilot)
        assert screen.form.values()["rounds"] == 4
        await press(pilot, "enter")
        await until_shown(pilot, "F10 or ctrl+s")
        pilot.app.post_message(events.Paste("SELECT 1\nFROM 标签"))
        await pilot.pause()
        await press(pilot, "f10")
        await until_shown(pilot, "SELECT 1 (2 lines)")
        await press(pilot, "tab", "enter", *"{", "ctrl+s")
        await until_shown(pilot, "not JSON: line 1")
        await press(pilot, "enter", *'"k": 1}', "ctrl+s", "tab", "enter")
        await until_shown(pilot, "this field cannot be changed")
        await press(pilot, "y")
        await until_shown(pilot, '"sql": "SELECT 1\\nFROM 标签"')
        await press(pilot, "q", "f10")
        await until_shown(pilot, "Sure?")
        assert "many" in screen_text(pilot)
        await press(pilot, "enter", "f10", "Y")
        await until(pilot, lambda: shown.submitted)
        assert shown.submitted == [
            {"many": ["a", "c"], "flag": True, "rounds": 4, "sql": "SELECT 1\nFROM 标签", "doc": {"k": 1}, "fixed": "f"}
        ]


async def test_escape_brings_the_value_back_and_pasted_text_and_chinese_arrive_whole(
    node: FakeNode, make_app: MakeApp
) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, sample()).open()
        await press(pilot, "enter", "x", "escape")
        assert screen.form.text("id") == "id"
        await press(pilot, "enter", "ctrl+u", "标", "签")
        editor = screen.query_one(InlineEditor)
        pilot.app.post_message(events.Paste("一\n二"))
        await pilot.pause()
        # The terminal's own cursor is where the input method draws: behind wide characters of two cells each.
        assert pilot.app.cursor_position.x == editor.content_region.x + 4 + 5
        await press(pilot, "enter")
        assert screen.form.text("id") == "标签一 二"
        await until_shown(pilot, "标签一 二")


async def test_groups_find_and_raw_description(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, sample()).open()
        assert "[默认分组(8)] 高级分组(1)" in screen_text(pilot)
        await press(pilot, "right")
        await until_shown(pilot, "not needed now 1")
        await press(pilot, "/", *"方式")
        await until_shown(pilot, "init_method")
        await press(pilot, "enter", "i")
        await until_shown(pilot, '"defaultValue": "zeros"')
        await press(pilot, "i", "q")
        await until_gone(pilot, "/方式")
        await press(pilot, "e")
        await until_shown(pilot, "no errors")
        assert screen.view.pattern == ""


async def test_choices_of_the_node_come_later_and_may_not_come(node: FakeNode, make_app: MakeApp) -> None:
    answers: dict[str, Any] = {"getKV": [Choice("k1", "Key 1"), Choice("k2")], "gone": "no such provider"}
    asked: list[tuple[str, Mapping[str, str]]] = []

    async def choices(name: str, filled: Mapping[str, str]) -> Sequence[Choice] | str:
        asked.append((name, filled))
        found: Sequence[Choice] | str = answers[name]
        return found

    params = (
        {"name": "kv", "bindingData": "call_function getKV()"},
        {"name": "free", "bindingData": "call_function gone()"},
    )
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, Form(form_of_component(component(*params))), choices=choices).open()
        await until_shown(pilot, "no list: type it")
        await press(pilot, "enter")
        await until_shown(pilot, "Key 1")
        await press(pilot, "enter")
        await until(pilot, lambda: ("gone", {"kv": "k1", "free": ""}) in asked)
        await press(pilot, "tab")
        await until_shown(pilot, "gone() gave no choices: no such provider")
        await press(pilot, "enter", *"x", "enter")
        assert screen.form.values() == {"kv": "k1", "free": "x"}
        answers["gone"] = [Choice("y")]
        await press(pilot, "r")
        await until_shown(pilot, "x is not one of y")


async def test_what_was_typed_is_kept_until_it_is_submitted(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await Shown(pilot, sample(), draft="a").open()
        await press(pilot, "enter", *"x", "enter", "escape")
        again = Shown(pilot, sample(), draft="a")
        screen = await again.open()
        assert screen.form.text("id") == "idx"
        await press(pilot, "f10")
        await until(pilot, lambda: again.submitted)
        assert (await Shown(pilot, sample(), draft="a").open()).form.text("id") == "id"


async def test_a_hundred_parameters_need_no_hundred_widgets(node: FakeNode, make_app: MakeApp) -> None:
    """That they are seen at once is measured in `benchmarks/`."""
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        shown = Shown(pilot, Form(form_of_component(large(100))))
        screen = await shown.open()
        assert len(screen.query("*")) < 30
        await press(pilot, "G")
        await until_shown(pilot, "参数 99")


async def test_the_operators_own_editor(
    node: FakeNode, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor"
    script.write_text("#!/bin/sh\nprintf '标签\\n' > \"$1\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", str(script))
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, sample()).open()
        # A test has no terminal to hand over.
        await press(pilot, "$")
        await until_shown(pilot, "the editor did not work")
        assert screen.form.text("id") == "id"
    with pytest.raises(NoEditor):
        edit_outside(pilot.app, "x")


async def test_another_row_clicked_while_typing_leaves_the_line_as_enter_does(
    node: FakeNode, make_app: MakeApp
) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = await Shown(pilot, sample()).open()
        await press(pilot, "enter", "x")
        await pilot.click("#fields", offset=(5, 3))
        await until(pilot, lambda: not screen.query(InlineEditor))
        assert (screen.form.text("id"), screen.form.text("penalty")) == ("idx", "L2")
        assert screen.main.key == "penalty"
