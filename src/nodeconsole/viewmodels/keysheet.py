"""The table of actions as people read it: one group per scope, for the help sheet, `nodeconsole keys` and the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nodeconsole.actions import Action, key_name
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, wrap

_KEYS = 14
_LEVELS = ("", "L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: its id, its keys as they are written, its command, what it does, how much it takes."""

    id: str
    keys: tuple[str, ...]
    command: str
    does: str
    level: str


@dataclass(frozen=True, slots=True)
class Group:
    scope: str
    title: str
    entries: tuple[Entry, ...]


def groups(actions: Sequence[Action], text: Callable[[str], str]) -> tuple[Group, ...]:
    """By scope, in the order of the table."""
    scopes = dict.fromkeys(action.scope for action in actions)
    return tuple(
        Group(scope, text(f"scope.{scope}"), tuple(_entry(action, text) for action in actions if action.scope == scope))
        for scope in scopes
    )


def _entry(action: Action, text: Callable[[str], str]) -> Entry:
    command = f":{action.command[0]} {action.argument}".rstrip() if action.command else ""
    keys = tuple(key_name(key) for key in action.keys)
    return Entry(action.id, keys, command, text(f"help.{action.id}"), _LEVELS[action.level])


def sheet(shown: Sequence[Group], width: int) -> list[Line]:
    """Lines to read, wrapped to `width` cells."""
    lines: list[Line] = []
    for group in shown:
        if lines:
            lines.append(())
        lines.append((Span(f" {group.title}", "accent"),))
        for entry in group.entries:
            lines += _entry_lines(entry, width)
    return lines


def _entry_lines(entry: Entry, width: int) -> list[Line]:
    keys = "  ".join(entry.keys)
    head = [Span(f"   {keys}{' ' * max(1, _KEYS - cells(keys))}", "key")]
    used = sum(cells(span.text) for span in head)
    tail = f"  {entry.command}" if entry.command else ""
    room = width - used - cells(tail)
    parts = wrap(entry.does, max(20, room))
    first = (*head, Span(parts[0]), *((Span(tail, "dim"),) if tail else ()))
    return [first, *((Span(" " * used), Span(part)) for part in parts[1:])]


def markdown(presets: Mapping[str, Sequence[Group]]) -> str:
    """The page of docs: every scope as a table with the keys of every preset."""
    names = list(presets)
    lines: list[str] = []
    for place, group in enumerate(presets[names[0]]):
        lines += ["", f"## {group.title}", ""]
        lines.append(f"| binding | {' | '.join(names)} | command | does |")
        lines.append("|---" * (len(names) + 3) + "|")
        for row, entry in enumerate(group.entries):
            keys = [_code(presets[name][place].entries[row].keys) for name in names]
            level = f" ({entry.level})" if entry.level else ""
            command = _code([entry.command]) if entry.command else ""
            lines.append(f"| `{entry.id}` | {' | '.join(keys)} | {command} | {_cell(entry.does)}{level} |")
    return "\n".join(lines) + "\n"


def _code(words: Sequence[str]) -> str:
    return " ".join(f"`{_cell(word)}`" for word in words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
