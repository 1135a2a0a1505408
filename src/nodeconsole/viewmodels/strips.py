"""What the next key may be, in as few lines as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nodeconsole.actions import KeyMap, key_name
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells

_GAP = "  "


class Choice(NamedTuple):
    """`also`: another key that does the same without this strip."""

    key: str
    word: str
    also: str = ""


def following(keymap: KeyMap, prefix: str, text: Callable[[str], str]) -> list[Choice]:
    """What may come after `prefix`, in the order of the table of actions."""
    choices: list[Choice] = []
    for key, action in keymap.following(prefix).items():
        others = [other for other in keymap.keys_of(action) if " " not in other]
        also = key_name(others[0]) if others else ""
        choices.append(Choice(key_name(key), text(f"action.{action.id}"), also))
    return choices


def strip_lines(title: str, choices: Iterable[Choice], width: int) -> tuple[Line, ...]:
    """Broken between choices; further lines begin under the first choice."""
    head: Line = (Span(title, "strong"), Span(_GAP))
    indent = cells(title) + len(_GAP)
    lines: list[list[Span]] = [list(head)]
    used = indent
    for choice in choices:
        spans = _choice(choice)
        length = sum(cells(span.text) for span in spans)
        if used > indent and used + length > width:
            lines.append([Span(" " * indent)])
            used = indent
        lines[-1] += [*spans, Span(_GAP)]
        used += length + len(_GAP)
    return tuple(tuple(line) for line in lines)


def _choice(choice: Choice) -> Sequence[Span]:
    also = (Span(f" {choice.also}", "dim"),) if choice.also else ()
    return (Span(choice.key, "key"), Span(f" {choice.word}"), *also)
