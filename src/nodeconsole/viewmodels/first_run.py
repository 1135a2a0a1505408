"""The five questions of the first start: what can be answered, and how each step looks. Nothing is done here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, wrap

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

STEPS = ("language", "terminal", "connect", "keys", "tour")
RULER = "● ◐ ○ ✓ ✗ ■ ? 任务 运行中"
"""Signs and wide characters: where a terminal draws them at another width, the ruler below ends elsewhere."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found before anything was asked. `socket` = of a node that runs here, empty when there is none."""

    language: str
    glyphs: str
    terminal: tuple[str, ...]
    """Its type, its encoding, what it runs in."""
    colours: str
    """How many it has: all, 256 or 16."""
    home: str
    node_id: str
    listen: str = ""
    """Where a new node would be reached by partners, and by programs of this machine: addresses that are free."""
    platform: str = ""
    socket: str = ""
    themes: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    settings_file: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """`connect`: found, create, ssh or demo. `node_id` counts for create, `address` for ssh."""

    language: str
    glyphs: str
    theme: str
    connect: str
    preset: str
    tour: str = "yes"
    node_id: str = ""
    address: str = ""

    @property
    def field(self) -> str:
        """The answer that is typed with the chosen connection; empty = none."""
        return {"create": "node_id", "ssh": "address"}.get(self.connect, "")


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose: the name of the answer, and what it may be."""

    name: str
    options: tuple[str, ...]


def first_answers(found: Surroundings) -> Answers:
    """What Enter five times gives."""
    return Answers(
        language=found.language,
        glyphs=found.glyphs,
        theme=found.themes[0],
        connect="found" if found.socket else "create",
        preset=found.presets[0],
        node_id=found.node_id,
    )


def choices(step: str, found: Surroundings) -> tuple[Choice, ...]:
    """What a step asks for."""
    connections = ("found", "create", "ssh", "demo") if found.socket else ("create", "ssh", "demo")
    return {
        "language": (Choice("language", ("en_US", "zh_CN")),),
        "terminal": (Choice("glyphs", ("unicode", "safe", "ascii")), Choice("theme", found.themes)),
        "connect": (Choice("connect", connections),),
        "keys": (Choice("preset", found.presets),),
        "tour": (Choice("tour", ("yes", "no")),),
    }[step]


def moved(answers: Answers, choice: Choice, by: int) -> Answers:
    """The next or the previous option, round and round."""
    place = choice.options.index(getattr(answers, choice.name))
    return replace(answers, **{choice.name: choice.options[(place + by) % len(choice.options)]})


def strip(step: int, display: Display) -> Line:
    """All steps in one line, the present one in brackets."""
    spans: list[Span] = [Span(" ")]
    for number, name in enumerate(STEPS):
        word = f"{number + 1} {display.text(f'first.step.{name}')}"
        spans.append(Span(f"[{word}]" if number == step else f" {word} ", "accent" if number == step else "dim"))
        spans.append(Span(" "))
    return tuple(spans)


def body(step: str, row: int, answers: Answers, found: Surroundings, display: Display, width: int) -> list[Line]:
    """The lines of a step."""
    lines: list[Line] = [(), *_words(display.text(f"first.ask.{step}"), width, "strong"), ()]
    if step == "terminal":
        lines += _terminal(row, answers, found, display, width)
    else:
        lines += _options(choices(step, found)[0], answers, found, display, width)
    if step == "tour":
        lines += ((), *_outcome(answers, found, display, width))
    return lines


def _words(text: str, width: int, role: Role = "") -> Iterator[Line]:
    for line in wrap(text, width - 4):
        yield (Span("  "), Span(line, role))


def _mark(*, chosen: bool) -> str:
    return "(o)" if chosen else "( )"


def _options(choice: Choice, answers: Answers, found: Surroundings, display: Display, width: int) -> Iterator[Line]:
    """One option after the other, each with a sentence about it."""
    for option in choice.options:
        chosen = getattr(answers, choice.name) == option
        word = display.text(f"first.{choice.name}.{option}")
        yield (Span(f"  {_mark(chosen=chosen)} "), Span(word, "accent" if chosen else ""))
        where = found.socket if option == "found" else found.home
        about = display.text(f"first.{choice.name}_about.{option}", home=printable(where), listen=found.listen)
        for line in wrap(about, width - 10) if about else ():
            yield (Span(f"      {line}", "dim"),)


def _terminal(row: int, answers: Answers, found: Surroundings, display: Display, width: int) -> Iterator[Line]:
    ruler = "".join(str(number % 10) for number in range(cells(RULER)))
    yield (Span(f"      |{RULER}|"),)
    yield (Span(f"      |{ruler}|"),)
    yield ()
    yield from _words(display.text("first.ruler"), width, "dim")
    yield ()
    for number, choice in enumerate(choices("terminal", found)):
        pointer = display.glyphs.cursor if number == row else " "
        label = display.text(f"first.label.{choice.name}")
        pad = " " * max(1, 10 - cells(label))
        yield (
            Span(f"  {pointer} ", "key"),
            Span(f"{label}{pad}", "strong" if number == row else ""),
            *_row(choice, answers),
        )
    yield ()
    yield (Span("    "), *_samples(display))
    yield ()
    what = display.listed((*map(printable, found.terminal), display.text(f"first.colours.{found.colours}")))
    yield from _words(display.text("first.detected", what=what), width, "dim")


def _row(choice: Choice, answers: Answers) -> Iterator[Span]:
    present = getattr(answers, choice.name)
    if choice.name == "theme":
        place = choice.options.index(present) + 1
        yield Span(f"< {present} >", "accent")
        yield Span(f"   {place}/{len(choice.options)}", "dim")
        return
    for option in choice.options:
        yield Span(f"{_mark(chosen=option == present)} {option}   ", "accent" if option == present else "")


def _samples(display: Display) -> Iterator[Span]:
    """States as they will look."""
    for status in ("running", "done", "waiting", "failed", "stopped", "pending"):
        yield display.badge(status)
        yield Span("   ")


def _outcome(answers: Answers, found: Surroundings, display: Display, width: int) -> Iterator[Line]:
    """What Enter will do: the last look before anything is written."""
    yield from _words(display.text("first.now"), width, "strong")
    happens = []
    if found.settings_file:
        happens.append(display.text("first.does.settings", path=printable(found.settings_file)))
    values = {"node": printable(answers.node_id), "home": printable(found.home), "address": printable(answers.address)}
    happens.append(display.text(f"first.does.{answers.connect}", **values))
    for text in happens:
        first, *more = wrap(text, width - 8)
        yield (Span(f"    {display.glyphs.dot} ", "dim"), Span(first))
        for line in more:
            yield (Span(f"      {line}"),)
