"""The line of tabs, the same on every screen that has some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nodeconsole.viewmodels.spans import Line, Role, Span

NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TabWord:
    """`word` is printable already. `wrong`: something on the tab wants to be put right."""

    name: str
    word: str
    wrong: bool = False


def tab_line(tabs: Iterable[TabWord], here: str, labels: Mapping[str, str] = NO_LABELS) -> Line:
    """`[Graph] Tasks  Spec `; a label of jump mode, by name, stands in the gap before its tab."""
    spans: list[Span] = []
    for tab in tabs:
        mark = "!" if tab.wrong else ""
        if tab.name == here:
            spans.append(Span(f"[{tab.word}]{mark}", "accent"))
            continue
        role: Role = "bad" if tab.wrong else "dim"
        label = labels.get(tab.name, "")
        spans += (
            [Span(label, "label"), Span(f"{tab.word}{mark} ", role)] if label else [Span(f" {tab.word}{mark} ", role)]
        )
    return tuple(spans)
