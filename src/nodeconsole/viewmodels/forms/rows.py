"""A form as lines: one row per field, the tabs of its groups, and what there is to know about the field one is on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from algorithm_components.sdk.forms.model import Choice, Control, Field, Kind, Note
from algorithm_components.sdk.forms.values import is_on, split_list
from nodeconsole.viewmodels.facts import bullets
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.tabs import TabWord
from nodeconsole.viewmodels.text import printable, wrap

if TYPE_CHECKING:
    from algorithm_components.sdk.forms.form import Form
    from nodeconsole.viewmodels.display import Display

_MASK = "********"
_SHORT_TYPES = {"integer": "int", "boolean": "bool"}


@dataclass(frozen=True, slots=True)
class Tab:
    """What is shown together. `title` empty = everything that is shown without being asked for."""

    title: str
    names: tuple[str, ...]


@dataclass(slots=True)
class View:
    """What of a form one looks at."""

    tab: int = 0
    changed_only: bool = False
    pattern: str = ""
    """Finds fields of every group."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why the choices of a field could not be had, by its name."""


def tabs(form: Form) -> tuple[Tab, ...]:
    """The first has the fields of all groups that are shown by themselves, the others have one group each."""
    unshown = {group.name for group in form.spec.groups if not group.shown}
    visible = [one for one in form.fields if not one.hidden]
    first = Tab("", tuple(one.name for one in visible if one.group not in unshown))
    used = [group.name for group in form.spec.groups if any(one.group == group.name for one in visible)]
    if len(used) < 2 and first.names:
        return (first,)
    rest = [Tab(name, tuple(one.name for one in visible if one.group == name)) for name in used]
    if rest and rest[0].names == first.names:
        # All the others are kept for those who ask.
        return tuple(rest)
    return (first, *rest) if first.names else tuple(rest) or (first,)


def visible_fields(form: Form, view: View) -> list[Field]:
    """The rows. A field that does not count because of the values of others is there too, and says what it needs."""
    found = form.fields if view.pattern else [form.field(name) for name in tabs(form)[_tab(form, view)].names]
    rows = []
    for one in found:
        if one.hidden or (view.changed_only and not form.is_changed(one.name)):
            continue
        if view.pattern and not _matches(one, view.pattern):
            continue
        rows.append(one)
    return rows


def hidden_count(form: Form, view: View) -> int:
    """Fields of this tab that are not shown because of the values of others."""
    if view.pattern:
        return 0
    return sum(not form.is_shown(name) for name in tabs(form)[_tab(form, view)].names)


def tab_of(form: Form, name: str) -> int:
    """The first tab that has the field."""
    return next((place for place, tab in enumerate(tabs(form)) if name in tab.names), 0)


def _tab(form: Form, view: View) -> int:
    return min(view.tab, len(tabs(form)) - 1)


def _matches(one: Field, pattern: str) -> bool:
    wanted = pattern.lower()
    return any(wanted in text.lower() for text in (one.name, one.title, one.description))


def columns(form: Form, display: Display) -> tuple[Column, ...]:
    text = display.text
    title = Column("title", text("form.column.title"), 8, flex=2, most=24, drop=2)
    return (
        Column("mark", "", 1),
        Column("name", text("form.column.name"), 12, flex=2, most=26),
        *([title] if _is_titled(form) else []),
        Column("value", text("form.column.value"), 18, flex=4, most=60),
        Column("type", text("form.column.type"), 7, drop=1),
        Column("note", text("form.column.note"), 14, flex=4, most=70),
    )


def _is_titled(form: Form) -> bool:
    return any(map(_title, form.fields))


def _title(one: Field) -> str:
    return one.title if one.title != one.name else ""


def cells(one: Field, form: Form, view: View, display: Display) -> Line:
    """One row, a span per column of `columns`."""
    fault = form.fault(one.name)
    counts = form.is_shown(one.name)
    mark, role = _mark(one, form, fault)
    title = Span(printable(_title(one)), "" if counts else "dim")
    return (
        Span(mark, role),
        Span(printable(one.name), "strong" if counts else "dim"),
        *([title] if _is_titled(form) else []),
        Span(value_text(one, form.text(one.name), display), _value_role(one, form, fault)),
        Span(type_text(one), "dim"),
        _note(one, form, view, fault, display),
    )


def _mark(one: Field, form: Form, fault: Note | None) -> tuple[str, Role]:
    if fault is not None:
        return "!", "bad"
    if not form.is_shown(one.name):
        return "-", "dim"
    return ("*", "accent") if form.is_changed(one.name) else ("", "")


def _value_role(one: Field, form: Form, fault: Note | None) -> Role:
    if fault is not None:
        return "bad"
    if one.read_only or not form.is_shown(one.name):
        return "dim"
    return "accent" if form.is_changed(one.name) else ""


def _note(one: Field, form: Form, view: View, fault: Note | None, display: Display) -> Span:
    text = display.text
    if fault is not None:
        return Span(printable(fault.text(display)), "bad")
    if not form.is_shown(one.name):
        return Span(printable(text("form.needs", names=" ".join(c.name for c in one.conditions))), "dim")
    if one.name in view.failed:
        return Span(text("form.free_text"), "warn")
    if one.read_only:
        return Span(text("form.read_only"), "dim")
    if form.is_changed(one.name):
        return Span(text("form.changed"), "accent")
    if one.required:
        return Span(text("form.required"), "dim")
    return Span(printable(one.validator.source) if one.validator and not one.choices else "", "dim")


def value_text(one: Field, text: str, display: Display) -> str:
    """The value as it is shown: the label of a choice, a box for yes or no, the first line of a long text."""
    if one.kind is Kind.FLAG and not one.choices and (not text or is_boolean(text)):
        return "[x]" if is_on(text) else "[ ]" if text else "[-]"
    if not text:
        return "-"
    if one.secret:
        return _MASK
    if one.multiple:
        return printable(", ".join(_label(one.choices, item) for item in split_list(text)))
    first, _, rest = text.partition("\n")
    if rest:
        lines = display.text("form.lines", n=text.count("\n") + 1)
        return printable(first) + display.aside(lines)
    return printable(_label(one.choices, text))


def is_boolean(text: str) -> bool:
    return text.strip().lower() in ("true", "false", "1", "0", "yes", "no", "on", "off")


def _label(choices: Sequence[Choice], value: str) -> str:
    return next((choice.shown for choice in choices if choice.value == value and not choice.heading), value)


def type_text(one: Field) -> str:
    """`select`, `int?` for what may be left empty, `float`."""
    if one.control in (Control.SELECT, Control.RADIO, Control.TREE) and (one.choices or one.provider):
        return one.control.value
    if one.multiple:
        return "list"
    name = _SHORT_TYPES.get(one.type_name.lower(), one.type_name)
    return printable(name) + ("?" if one.kind is Kind.INTEGER and not one.required else "")


def help_lines(one: Field, form: Form, view: View, display: Display, width: int) -> list[Line]:
    """What there is to know about a field."""
    text = display.text
    fault = form.fault(one.name)
    more = one.description if one.description not in (one.title, one.name) else ""
    heading = printable(one.label) + (f" - {printable(more)}" if more else "")
    lines: list[Line] = [
        (Span(part, "strong" if not number else ""),) for number, part in enumerate(wrap(heading, width))
    ]
    if fault is not None:
        lines += [(Span(part, "bad"),) for part in wrap(printable(fault.text(display)), width)]
    facts = "   ".join(_facts(one, form, display))
    lines += [(Span(part, "dim"),) for part in wrap(facts, width)]
    if one.name in view.failed:
        failed = text("form.provider_failed", name=printable(one.provider), why=printable(view.failed[one.name]))
        lines += [(Span(part, "warn"),) for part in wrap(failed, width)]
    return lines + note_lines([said for said in form.spec.notes if said.about == one.name], display, width)


def _facts(one: Field, form: Form, display: Display) -> Iterable[str]:
    text = display.text
    yield text("form.is_required") if one.required else text("form.is_optional")
    if one.default and not one.secret:
        yield text("form.default", value=printable(one.default[:60]))
    if one.conditions:
        words = " ".join(printable(c.name + (f" = {' | '.join(c.values)}" if c.values else "")) for c in one.conditions)
        yield text("form.shown_because" if form.is_shown(one.name) else "form.hidden_because", what=words)
    if one.validator is not None:
        yield text("form.validator", what=printable(one.validator.source))
    if one.provider:
        yield text("form.provider", name=printable(one.provider))
    yield f"UIType {one.control.value}"


def note_lines(notes: Sequence[Note], display: Display, width: int, *, named: bool = False) -> list[Line]:
    """Warnings about the description itself; `named`: each once, with the fields it is about."""
    about: dict[str, list[str]] = {}
    for found in notes:
        about.setdefault(found.text(display), []).append(found.about)
    said = [
        display.labelled(display.listed(filter(None, names)), text) if named and any(names) else text
        for text, names in about.items()
    ]
    return bullets(map(printable, said), width, "warn")


def raw_lines(one: Field, width: int) -> list[Line]:
    """The description of a field as it was sent."""
    document = json.dumps(one.raw, ensure_ascii=False, indent=2, default=str)
    return [(Span(part),) for line in document.splitlines() for part in wrap(printable(line), width)]


def tab_words(form: Form, display: Display) -> tuple[TabWord, ...]:
    """`Standard(9) data(2) …`, named by their places; none when there is only one."""
    everything = tabs(form)
    if len(everything) < 2:
        return ()
    return tuple(
        TabWord(
            str(place),
            f"{printable(tab.title) or display.text('form.all')}({len(tab.names)})",
            any(form.fault(name) is not None for name in tab.names),
        )
        for place, tab in enumerate(everything)
    )


def tab_here(form: Form, view: View) -> str:
    """The name of the tab that is shown; empty while fields of all of them are."""
    return "" if view.pattern else str(_tab(form, view))


def summary(form: Form, view: View, display: Display) -> Line:
    """`1 error, 2 changed, 9 fields`."""
    wrong, changed = len(form.faulty), len(form.changed)
    total = sum(form.is_shown(one.name) for one in form.fields)
    spans = [
        Span(display.text("form.errors", n=wrong), "bad" if wrong else "ok"),
        Span("  "),
        Span(display.text("form.n_changed", n=changed), "accent" if changed else "dim"),
        Span("  "),
        Span(display.text("form.n_fields", n=total), "dim"),
    ]
    hidden = hidden_count(form, view)
    if hidden:
        spans += [Span("  "), Span(display.text("form.n_hidden", n=hidden), "dim")]
    return tuple(spans)


def changes(form: Form, display: Display, most: int = 9) -> list[Line]:
    """What differs from the defaults, for the question before submitting."""
    lines: list[Line] = []
    for name in form.changed[:most]:
        one = form.field(name)
        before = value_text(one, one.default, display)
        after = value_text(one, form.text(name), display)
        arrow = display.glyphs.arrow
        lines.append((Span(f"{printable(one.name)}  ", "dim"), Span(f"{before} {arrow} "), Span(after, "accent")))
    left = len(form.changed) - most
    if left > 0:
        lines.append((Span(display.text("form.more", n=left), "dim"),))
    return lines
