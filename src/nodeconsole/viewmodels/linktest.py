"""The result of a link test: what passes in each direction, and what to do about what does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, wrap

if TYPE_CHECKING:
    from embedded_scheduler.wire.linktest import LinkCheck, LinkReport
    from nodeconsole.viewmodels.display import Display

_SIGNS: dict[str, tuple[str, Role]] = {
    "ok": ("ok", "ok"),
    "bad": ("bad", "bad"),
    "note": ("waiting", "warn"),
    "skipped": ("unknown", "dim"),
}
_NAME = 16


def verdict(report: LinkReport, display: Display) -> tuple[str, Role]:
    """One sentence: everything passes, or how much does not."""
    tried = [check for check in (*report.checks, *report.reverse) if check.state != "skipped"]
    bad = sum(check.state == "bad" for check in tried)
    notes = sum(check.state == "note" for check in tried)
    if bad:
        return display.text("linktest.bad", n=bad, of=len(tried)), "bad"
    if notes:
        return display.text("linktest.noted", n=notes), "warn"
    whole = len(tried) == len(report.checks) + len(report.reverse)
    return display.text("linktest.good" if whole else "linktest.partly", n=len(tried)), "ok"


def report_lines(report: LinkReport, display: Display, width: int) -> list[Line]:
    text = display.text
    sentence, role = verdict(report, display)
    lines: list[Line] = [(Span(part, role),) for part in wrap(sentence, width)]
    there, here = printable(report.target), printable(report.own.public_url or report.own.node_id)
    lines += [(), (Span(text("linktest.outward", target=there), "accent"),), *_checks(report.checks, display, width)]
    if report.reverse:
        lines += [(), (Span(text("linktest.inward", here=here), "accent"),), *_checks(report.reverse, display, width)]
    lines += [(), *((Span(part, "dim"),) for part in wrap(text("linktest.both_sides"), width))]
    return lines


def _checks(checks: Sequence[LinkCheck], display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    for check in checks:
        sign, role = _SIGNS.get(check.state, ("unknown", ""))
        mark = getattr(display.glyphs, sign)
        name = sentence(check.said.get("name"), check.name, display)
        head = f"  {mark} {name}{' ' * max(1, _NAME - cells(name))}"
        indent = " " * cells(head)
        for number, part in enumerate(wrap(sentence(check.said.get("text"), check.text, display), width - cells(head))):
            lead = Span(head, role) if number == 0 else Span(indent)
            lines.append((lead, Span(part, "" if check.state != "skipped" else "dim")))
        if check.advice:
            fix = sentence(check.said.get("advice"), check.advice, display)
            advice = display.text("warning.do", fix=fix)
            lines += [(Span(indent), Span(part, "warn")) for part in wrap(advice, width - cells(head))]
    return lines
