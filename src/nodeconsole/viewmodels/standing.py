"""The warnings that stand until somebody does something about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.sentences import finding_fix, finding_text
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Finding
    from nodeconsole.viewmodels.display import Display


def warning_lines(warnings: Iterable[Finding], display: Display, width: int) -> list[Line]:
    """Each with its kind, what is the matter, and what to do."""
    lines: list[Line] = []
    for warning in warnings:
        if lines:
            lines.append(())
        kind = display.catalogue.get(f"warning.kind.{warning.check}", printable(warning.check))
        sign = display.glyphs.bad if warning.level == "error" else "!"
        head = Span(f"{sign} {kind}", "bad" if warning.level == "error" else "warn")
        lines.append((head, Span(f"  {printable(warning.subject)}", "strong")) if warning.subject else (head,))
        lines += [(Span(f"  {part}"),) for part in wrap(finding_text(warning, display), width - 2)]
        if warning.fix:
            fix = display.text("warning.do", fix=finding_fix(warning, display))
            lines += [(Span(f"  {part}", "ok"),) for part in wrap(fix, width - 2)]
    return lines
