"""The list of nodes to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from nodeconsole.remote.contexts import Contexts
    from nodeconsole.remote.target import Place
    from nodeconsole.viewmodels.display import Display


def offered_places(contexts: Contexts, seen: Sequence[Place]) -> list[tuple[str, str]]:
    """What `:node` takes, and what it is: the contexts, then what was looked at without a name."""
    named = [(name, context.node) for name, context in contexts.named.items()]
    others = [(str(place.where), str(place.where)) for place in seen if place.name not in contexts.named]
    return [*named, *dict.fromkeys(others)]


def place_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("nodes.column.name"), 16, flex=1),
        Column("node", text("nodes.column.node"), 24, flex=2),
        Column("how", text("nodes.column.how"), 14, drop=1),
    )


def place_cells(choice: tuple[str, str], current: str, contexts: Contexts, display: Display) -> Line:
    name, node = choice
    context = contexts.named.get(name)
    how = Span(display.text("nodes.read_only"), "warn") if context is not None and context.read_only else Span("")
    if name == current:
        how = Span(display.text("nodes.current"), "ok")
    shown = name if context is not None else display.text("nodes.no_name")
    return (Span(printable(shown), "strong" if context is not None else "dim"), Span(printable(node), "dim"), how)
