"""A form: one line per field, edited where it stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Input

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice, Control, Field, Kind
from algorithm_components.sdk.forms.values import is_on, join_list, split_list
from nodeconsole.actions import GLOBAL, Action
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.dialog import Question, QuestionScreen
from nodeconsole.screens.document import RecordScreen
from nodeconsole.screens.editing import NoEditor, TextScreen, edit_outside
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.state import Json
from nodeconsole.viewmodels.forms import rows
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.tabs import tab_line
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.inline import InlineEditor
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

_FIND = "find"

ChoicesOf = Callable[[str, Mapping[str, str]], Awaitable[Sequence[Choice] | str]]
"""The choices of a provider, given what stands in the form's fields; a text says why there are none."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a form is for."""

    title: str
    word: str
    """For submitting: register, add, keep."""
    submit: Callable[[dict[str, Any]], Awaitable[bool]] | None
    """Takes the values; False = it did not work and the operator has been told why. None = it is only tried out."""
    question: str = ""
    """Asked before submitting, with what differs from the defaults; empty = nothing is asked."""
    facts: tuple[Line, ...] = ()
    """Further lines of that question."""
    draft: str = ""
    """The name under which what was typed is kept until it is submitted; empty = it is not."""
    choices: ChoicesOf | None = None
    needed: frozenset[str] | None = None
    """The fields that have to be right; None = all."""
    on_leave: Callable[[], None] | None = None
    """Called when the form is closed, submitted or not."""


class FormScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("form", "move", GLOBAL)
    DEFAULT_CSS = """
    FormScreen #sheet { height: 1fr; }
    FormScreen #fields { height: 1fr; }
    FormScreen #tabs { height: 1; }
    FormScreen #help { height: 7; border-top: solid $panel; }
    """

    def __init__(self, session: Session, form: Form, purpose: Purpose) -> None:
        super().__init__(session)
        self.form = form
        self.view = rows.View()
        self._purpose = purpose
        self._raw = False
        self._before = ""
        self._editing = ""
        """The field whose value is in the line that is edited."""
        self._busy = False
        if purpose.draft:
            nothing: dict[str, Json] = {}
            form.restore(session.state.recall(f"draft.{purpose.draft}", nothing))

    # Layout.

    def body(self) -> Iterable[Widget]:
        yield Bar(id="tabs")
        with Container(id="sheet"):
            yield VirtualTable[Field](lambda one: one.name, self._cells, id="fields")
        yield Sheet(id="help")

    def _cells(self, one: Field) -> Line:
        return rows.cells(one, self.form, self.view, self.session.display())

    @property
    def main(self) -> VirtualTable[Field]:
        return self.query_one("#fields", VirtualTable)

    @property
    def _editor(self) -> InlineEditor | None:
        found = list(self.query(InlineEditor))
        return found[0] if found else None

    def on_mount(self) -> None:
        super().on_mount()
        self.work("choices", self._load_choices)

    def on_unmount(self) -> None:
        super().on_unmount()
        if self._purpose.on_leave is not None:
            self._purpose.on_leave()

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._place_editor)

    def crumbs(self) -> tuple[Line, Line]:
        title = Span(f" {printable(self._purpose.title)}", "accent")
        found = len(self.form.spec.notes)
        warned = Span(f"{self.session.text('form.n_notes', n=found)} ", "warn")
        return (title,), (warned,) if found else ()

    def why(self) -> Line:
        return rows.summary(self.form, self.view, self.session.display())

    def possible(self, action: Action) -> bool:
        if action.id == "form.submit":
            return not self._wrong and not self._busy and self._purpose.submit is not None
        return super().possible(action)

    def _refusal(self, action: Action) -> str:
        if action.id == "form.submit":
            if self._purpose.submit is None:
                return self.session.text("form.only_tried")
            return self.session.text("form.not_yet", n=len(self._wrong))
        return super()._refusal(action)

    @property
    def _wrong(self) -> list[str]:
        """Fields that keep the form from being submitted."""
        needed = self._purpose.needed
        return [name for name in self.form.faulty if needed is None or name in needed]

    def repaint_body(self) -> None:
        display = self.session.display()
        tabs = rows.tab_words(self.form, display)
        line = tab_line(tabs, rows.tab_here(self.form, self.view), self.tab_labels)
        bar = self.query_one("#tabs", Bar)
        bar.display = bool(line) or bool(self.view.pattern) or self.view.changed_only
        chip = display.text("form.only_changed") if self.view.changed_only else ""
        chip = display.text("form.found", pattern=printable(self.view.pattern)) if self.view.pattern else chip
        bar.show((Span(" "), *line), (Span(f"{chip} ", "accent"),), cut=display.glyphs.cut)
        self.main.set_columns(rows.columns(self.form, display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        empty = (display.text("form.nothing"), display.text("form.nothing_hint"))
        self.main.show(rows.visible_fields(self.form, self.view), empty=empty)
        self._repaint_help()

    def _repaint_help(self) -> None:
        sheet = self.query_one("#help", Sheet)
        display, one = self.session.display(), self.main.item
        width = max(20, sheet.view_width - 3)
        lines: list[Line] = []
        if one is not None:
            field = self.form.field(one.name)
            lines = (
                rows.raw_lines(field, width)
                if self._raw
                else rows.help_lines(field, self.form, self.view, display, width)
            )
        if not self._raw and self.form.spec.notes:
            lines.append((Span(display.text("form.notes"), "dim"),))
            lines += rows.note_lines(self.form.spec.notes, display, width, named=True)
        sheet.show([(Span(" "), *line) for line in lines])

    async def on_virtual_table_moved(self) -> None:
        if self._editing and self.main.key != self._editing:
            # By the mouse: the line that is edited is left as with Enter.
            await self._keep_edited()
        self._repaint_help()
        self.repaint_chrome()

    async def on_virtual_table_scrolled(self) -> None:
        if self.main.cell_region("value") is None:
            await self._keep_edited()
        self._place_editor()

    def on_virtual_table_opened(self) -> None:
        self.act_form_edit()

    # Choices that the node knows.

    async def _load_choices(self) -> None:
        ask = self._purpose.choices
        names = [one.name for one in self.form.fields if one.provider]
        if ask is None or not names:
            return
        for name in names:
            answer = await ask(self.form.field(name).provider, self._filled())
            if isinstance(answer, str):
                self.view.failed[name] = answer
            else:
                self.view.failed.pop(name, None)
                self.form.offer(name, answer)
        self.retranslate()

    def _filled(self) -> dict[str, str]:
        """What stands in the fields: what a dataset is called decides which columns there are."""
        return {one.name: self.form.text(one.name) for one in self.form.fields if not one.secret}

    def act_app_refresh(self, *_: str) -> None:
        """Ask the node for the choices again."""
        self.view.failed.clear()
        self.work("choices", self._load_choices)

    # Editing.

    def act_form_edit(self) -> None:
        one = self._current()
        if one is None:
            return
        if one.read_only:
            self.session.say(self.session.text("form.is_read_only"), "warn")
        elif one.kind is Kind.FLAG and not one.choices:
            self._put(one.name, "false" if is_on(self.form.text(one.name)) else "true")
        elif one.choices:
            self._choose(one)
        elif one.control is Control.AREA or one.kind is Kind.JSON or "\n" in self.form.text(one.name):
            self._edit_long(one)
        else:
            self._edit_here(one)

    def act_form_toggle(self) -> None:
        one = self._current()
        if one is not None and one.kind is Kind.FLAG and not one.read_only:
            self.act_form_edit()
        else:
            self.act_move_page_down()

    def _current(self) -> Field | None:
        item = self.main.item
        return None if item is None else self.form.field(item.name)

    def _put(self, name: str, text: str) -> None:
        self.form.set(name, text)
        self._keep_draft({**self.form.draft()})
        self.retranslate()
        if any(one.provider and one.name != name for one in self.form.fields):
            self.act_app_refresh()

    def _keep_draft(self, draft: dict[str, Json]) -> None:
        if self._purpose.draft:
            self.session.state.remember(f"draft.{self._purpose.draft}", draft)

    def _choose(self, one: Field) -> None:
        now = self.form.text(one.name)
        chosen = split_list(now) if one.multiple else [now]

        def take(values: list[str] | None) -> None:
            if values is not None:
                self._put(one.name, join_list(values) if one.multiple else values[0])

        dialog = ChoiceScreen(self.session, one.label, one.choices, chosen, several=one.multiple)
        self.app.push_screen(dialog, take)

    def _edit_long(self, one: Field) -> None:
        def take(text: str | None) -> None:
            if text is not None:
                self._put(one.name, text)

        self.app.push_screen(TextScreen(self.session, one.label, self.form.text(one.name)), take)

    def _edit_here(self, one: Field) -> None:
        place = self.main.cell_region("value")
        if place is None or self._editor is not None:
            return
        self._before, self._editing = self.form.text(one.name), one.name
        number = one.kind in (Kind.INTEGER, Kind.NUMBER) and one.control is Control.NUMBER
        editor = InlineEditor(self._before, place, number=number, secret=one.secret)
        self.expect_typing()
        self.query_one("#sheet", Container).mount(editor)

    def _place_editor(self) -> None:
        editor = self._editor
        if editor is None:
            return
        place = self.main.cell_region("value")
        if place is not None:
            editor.put(place)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "inline" and self._editing:
            event.stop()
            self.form.set(self._editing, event.value)
            self._repaint_help()
            self.repaint_chrome()

    def on_inline_editor_stepped(self, message: InlineEditor.Stepped) -> None:
        editor = self._editor
        if editor is None or not self._editing:
            return
        value = self.form.reading(self._editing).value
        if isinstance(value, int | float) or not editor.value.strip():
            editor.value = f"{(value or 0) + message.step:.12g}"
            editor.cursor_position = len(editor.value)

    async def on_inline_editor_done(self, message: InlineEditor.Done) -> None:
        edited, editor = self._editing, self._editor
        if not await self._keep_edited():
            return
        if message.submit:
            self.act_form_submit()
        elif message.step:
            self.main.move(message.step)
            following = self._current()
            if following is not None and following.name != edited and self._is_line(following):
                self._edit_here(following)
        if editor is not None:
            self.line_ended(editor)

    async def on_inline_editor_given_up(self) -> None:
        edited, before, editor = self._editing, self._before, self._editor
        await self._close_editor()
        if edited:
            self._put(edited, before)
        if editor is not None:
            self.line_ended(editor)

    async def _keep_edited(self) -> bool:
        """Take what is in the line that is edited; False when there is none."""
        editor, edited = self._editor, self._editing
        if editor is None or not edited:
            return False
        text = editor.value
        await self._close_editor()
        self._put(edited, text)
        return True

    async def _close_editor(self) -> None:
        self._editing = ""
        self.set_focus(None)
        editor = self._editor
        if editor is not None:
            await editor.remove()

    def _is_line(self, one: Field) -> bool:
        """Tab goes on typing from one line to the next, and stops at whatever else there is."""
        long = one.control is Control.AREA or one.kind in (Kind.JSON, Kind.FLAG)
        return not (one.read_only or one.choices or long)

    def act_form_default(self) -> None:
        one = self._current()
        if one is not None:
            self.form.reset(one.name)
            self._put(one.name, self.form.text(one.name))

    def act_form_editor(self) -> None:
        """The value in the operator's own editor."""
        one = self._current()
        if one is None or one.read_only:
            return
        suffix = ".json" if one.kind is Kind.JSON else ".txt"
        try:
            text = edit_outside(self.app, self.form.text(one.name), suffix=suffix)
        except NoEditor as error:
            self.session.say(self.session.text("form.no_editor", why=error), "bad")
            return
        self._put(one.name, text)

    # Looking.

    def act_form_next(self) -> None:
        self.main.move(1)

    def act_form_before(self) -> None:
        self.main.move(-1)

    def act_form_tab(self) -> None:
        self._turn(1)

    def act_form_tab_before(self) -> None:
        self._turn(-1)

    def _turn(self, step: int) -> None:
        self.open_tab(str((self.view.tab + step) % len(rows.tabs(self.form))))

    def tab_names(self) -> Sequence[str]:
        tabs = rows.tab_words(self.form, self.session.display())
        return [tab.name for tab in tabs if tab.name != rows.tab_here(self.form, self.view)]

    def open_tab(self, name: str) -> None:
        self.view.pattern, self.view.tab = "", int(name)
        self.retranslate()

    def act_form_changed(self) -> None:
        self.view.changed_only = not self.view.changed_only
        self.retranslate()

    def act_form_raw(self) -> None:
        self._raw = not self._raw
        self._repaint_help()

    def act_form_find(self) -> None:
        self.open_prompt(_FIND, "/", self.view.pattern)

    def prompt_typed(self, kind: str, text: str) -> None:
        if kind == _FIND:
            self.view.pattern = text.strip()
            self.retranslate()

    def prompt_cancelled(self, kind: str) -> None:
        if kind == _FIND:
            self.unwind()

    def unwind(self) -> bool:
        if not self.view.pattern and not self.view.changed_only:
            return super().unwind()
        self.view.pattern, self.view.changed_only = "", False
        self.retranslate()
        return True

    def act_list_problem(self) -> None:
        self._to_problem(1)

    def act_list_problem_before(self) -> None:
        self._to_problem(-1)

    def _to_problem(self, step: int) -> None:
        """The next field that is wrong, in whatever group."""
        order = [one.name for one in self.form.fields if not one.hidden]
        wrong = set(self.form.faulty)
        here = order.index(self.main.key) if self.main.key in order else -1
        for distance in range(1, len(order) + 1):
            name = order[(here + step * distance) % len(order)]
            if name in wrong:
                self.show_field(name)
                return
        self.session.say(self.session.text("form.no_errors"), "ok")

    def show_field(self, name: str) -> None:
        """Go to a field, in whatever group it is."""
        if not self.main.move_to_key(name):
            self.view.pattern, self.view.changed_only = "", False
            self.view.tab = rows.tab_of(self.form, name)
            self.retranslate()
            self.main.move_to_key(name)

    def act_form_preview(self) -> None:
        """What would be submitted."""
        title = f"{printable(self._purpose.title)} > JSON"
        self.app.push_screen(RecordScreen(self.session, title, self.form.values()))

    # Submitting.

    def act_form_submit(self) -> None:
        if self._wrong:
            self.session.say(self.session.text("form.not_yet", n=len(self._wrong)), "warn")
            self.show_field(self._wrong[0])
        elif self._purpose.question and self.session.read_only:
            self.session.say(self.session.text("message.read_only", action=self._purpose.word), "warn")
        elif self._purpose.question:
            display = self.session.display()
            facts = (*self._purpose.facts, *rows.changes(self.form, display))
            question = Question(self._purpose.question, facts, (), self._purpose.word)
            self.app.push_screen(QuestionScreen(self.session, question), self._answered)
        else:
            self._answered({})

    def _answered(self, answer: dict[str, str] | None) -> None:
        if answer is not None and not self._busy:
            self._busy = True
            self.run_worker(self._submit(), group="submit")

    async def _submit(self) -> None:
        if self._purpose.submit is None:
            return
        try:
            done = await self._purpose.submit(self.form.values())
        finally:
            self._busy = False
        if done:
            self._keep_draft({})
            if self.is_attached and self.app.screen is self:
                self.app.pop_screen()
        else:
            self.repaint_chrome()
