"""A question before something is changed. Enter alone never decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Field:
    """A line to fill in. `fault` says what is wrong with a value, or an empty text."""

    id: str
    label: str
    fault: Callable[[str], str]
    longest: int = 2000
    value: str = ""
    """What stands there at first."""
    masked: bool = False
    """It is a secret: what is typed is not shown."""


FACTS_WIDTH = 70
"""Cells of a line of what a question is about."""


@dataclass(frozen=True, slots=True)
class Question:
    """`typed_confirmation`: a field has to be filled in exactly, so Enter in the last one decides. Otherwise a choice
    between No and `act` follows the fields: No is chosen at first, the capital letter Y decides too."""

    title: str
    facts: tuple[Line, ...]
    fields: tuple[Field, ...]
    act: str
    """The word for doing it."""
    typed_confirmation: bool = False


class _Line(Input):
    """A line of a question. It takes pasted text whole: a long code arrives as the lines that a terminal or a mail made
    of it. What is typed ahead goes to whoever has the focus after Enter, not into the line that Enter closed."""

    def _on_key(self, event: events.Key) -> None:  # type: ignore[override]
        screen = self.screen
        if screen.focused is not self:
            (screen.focused or screen).post_message(events.Key(event.key, event.character))
        elif event.key == "enter" and isinstance(screen, QuestionScreen):
            screen.entered(self)
        else:
            return
        event.stop()
        event.prevent_default()

    def _on_paste(self, event: events.Paste) -> None:
        super()._on_paste(events.Paste("".join(event.text.splitlines())))
        event.prevent_default()
        event.stop()


class QuestionScreen(Overlay[dict[str, str] | None]):
    """Dismissed with the values by field, or None."""

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    QuestionScreen { align: center middle; background: $background 60%; }
    QuestionScreen Vertical { width: 74; max-width: 100%; height: auto; max-height: 100%; background: $surface;
        border: round $role-warn; padding: 0 1; }
    QuestionScreen Sheet { height: auto; max-height: 12; background: $surface; }
    QuestionScreen Bar { background: $surface; }
    QuestionScreen Input { background: $panel; color: $foreground; margin-bottom: 0; }
    """

    def __init__(self, session: Session, question: Question) -> None:
        super().__init__()
        self.session = session
        self.question = question
        self._ready = False
        self._agrees = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Bar(id="title")
            yield Sheet(id="facts")
            for field in self.question.fields:
                yield Bar(id=f"label-{field.id}")
                yield _Line(
                    field.value,
                    id=f"field-{field.id}",
                    compact=True,
                    max_length=field.longest,
                    password=field.masked,
                )
            yield Bar(id="choice")
            yield Bar(id="hint")

    def prepare(self) -> None:
        for line in self.query(Input):
            line.cursor_blink = False
        facts = self.query_one("#facts", Sheet)
        facts.styles.height = len(self.question.facts)
        self.query_one("#title", Bar).show((Span(self.question.title, "warn"),))
        facts.show(self.question.facts)
        for field in self.question.fields:
            self.query_one(f"#label-{field.id}", Bar).show((Span(field.label, "dim"),))
        self.query_one("#choice", Bar).display = not self.question.typed_confirmation
        if self.question.fields:
            self._show_choice()
            self._hint(self.session.text("dialog.fill"))
        else:
            self._choose()

    def _hint(self, text: str, role: Role = "dim") -> None:
        self.query_one("#hint", Bar).show((Span(text, role),))

    def _values(self) -> dict[str, str]:
        return {field.id: self.query_one(f"#field-{field.id}", Input).value.strip() for field in self.question.fields}

    def _first_fault(self) -> tuple[Field, str] | None:
        values = self._values()
        for field in self.question.fields:
            fault = field.fault(values[field.id])
            if fault:
                return field, fault
        return None

    def entered(self, line: Input) -> None:
        """Enter was pressed in `line`."""
        inputs: Sequence[Input] = list(self.query(Input))
        place = inputs.index(line)
        if place + 1 < len(inputs):
            # At once: `Widget.focus` waits for the next turn.
            self.set_focus(inputs[place + 1])
            return
        faulty = self._first_fault()
        if faulty is not None:
            field, fault = faulty
            self.set_focus(self.query_one(f"#field-{field.id}", Input))
            self._hint(fault, "bad")
        elif self.question.typed_confirmation:
            self.dismiss(self._values())
        else:
            self._choose()

    def _choose(self) -> None:
        """All is filled in: No or yes?"""
        self._ready = True
        self.set_focus(None)
        self._show_choice()
        self._hint(self.session.text("dialog.confirm", act=self.question.act), "wait")

    def _show_choice(self) -> None:
        sign = self.session.glyphs.cursor
        answers = (self.session.text("dialog.no"), self.question.act)
        line: list[Span] = []
        for place, answer in enumerate(answers):
            chosen = self._ready and place == int(self._agrees)
            line.append(Span(f"{sign if chosen else ' '}[ {answer} ]  ", "strong" if chosen else "dim"))
        self.query_one("#choice", Bar).show(line)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(None)
        elif not self._ready:
            return
        elif event.character == "Y" or (event.key == "enter" and self._agrees):
            self.dismiss(self._values())
        elif event.key == "enter":
            self.dismiss(None)
        elif event.key in ("left", "right", "tab", "shift+tab"):
            self._agrees = not self._agrees
            self._show_choice()
        event.stop()
        event.prevent_default()


def required(message: str) -> Callable[[str], str]:
    """A field that must not be empty."""
    return lambda value: "" if value else message


def exactly(wanted: str, message: str) -> Callable[[str], str]:
    """A field that must be typed as asked."""
    return lambda value: "" if value == wanted else message


def anything(value: str) -> str:  # noqa: ARG001 - a rule without a rule
    return ""
