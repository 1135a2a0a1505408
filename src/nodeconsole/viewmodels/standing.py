"""The warnings that stand until somebody does something about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Finding
    from nodeconsole.viewmodels.display import Display


def warning_lines(warnings: Iterable[Finding], display: Display, width: int) -> list[Line]:
    """Each with its kind, what is the matter, and what to do. The node's own sentences are English; in another
    language the sentence of the kind stands before them."""
    lines: list[Line] = []
    for warning in warnings:
        if lines:
            lines.append(())
        kind = display.catalogue.get(f"warning.kind.{warning.check}", printable(warning.check))
        sign = display.glyphs.bad if warning.level == "error" else "!"
        head = Span(f"{sign} {kind}", "bad" if warning.level == "error" else "warn")
        lines.append((head, Span(f"  {printable(warning.subject)}", "strong")) if warning.subject else (head,))
        for sentence in _sentences(warning, display):
            lines += [(Span(f"  {part}"),) for part in wrap(sentence, width - 2)]
        if warning.fix:
            lines += [(Span(f"  {part}", "ok"),) for part in wrap(_fix(warning, display), width - 2)]
    return lines


def _sentences(warning: Finding, display: Display) -> list[str]:
    own = display.catalogue.get(f"warning.text.{warning.check}", "")
    return [own, printable(warning.text)] if own else [printable(warning.text)]


def _fix(warning: Finding, display: Display) -> str:
    return display.text("warning.do", fix=printable(warning.fix))
