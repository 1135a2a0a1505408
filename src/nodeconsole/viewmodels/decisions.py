"""The approval card: who asks, what would run, which of our data, what would leave the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, count, printable, wrap
from nodeconsole.viewmodels.times import age

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DataUse, DecisionCard, JobDetail, JobRow
    from nodeconsole.viewmodels.display import Display

_LABEL = 13


def card_lines(detail: JobDetail, display: Display, width: int) -> list[Line]:
    """The card of a job, wrapped to `width` cells. What must not be overlooked (problems) comes first."""
    card = detail.card
    if card is None:
        return [(Span(display.text("card.none"), "dim"),)]
    text = display.text
    lines = _problems(card, display, width)
    lines += _facts(detail, card, display, width)
    lines.append((Span(text("card.data"), "accent"),))
    for use in card.data:
        lines += _data(use, display, width)
    if not card.data:
        lines.append((Span(f"  {text('card.no_data')}", "dim"),))
    lines.append((Span(text("card.leaves"), "accent"),))
    for item in card.leaves:
        lines += _bullet(printable(item), width, "warn")
    if not card.leaves:
        lines.append((Span(f"  {text('card.leaves_unknown')}", "warn"),))
    if detail.policy:
        lines.append((Span(text("card.policy"), "accent"),))
    for sentence in detail.policy:
        lines += _bullet(printable(sentence), width, "dim")
    return lines


def _problems(card: DecisionCard, display: Display, width: int) -> list[Line]:
    if not card.problems:
        return []
    lines: list[Line] = [(Span(display.text("card.problems"), "bad"),)]
    for problem in card.problems:
        lines += _bullet(printable(problem), width, "bad")
    return lines


def _facts(detail: JobDetail, card: DecisionCard, display: Display, width: int) -> list[Line]:
    text = display.text
    job = detail.job
    asked = f"{printable(card.asked_by)}  {text('card.ago', age=age(job.created_ms, display.now_ms))}"
    facts = [
        (text("card.asked_by"), asked),
        (text("card.job"), printable(job.job_id)),
        (text("card.flow"), job_name(job)),
        (text("card.roles"), ", ".join(map(printable, card.our_roles))),
        (text("card.parties"), " ".join(map(printable, job.parties))),
        (text("card.coordinator"), printable(card.coordinator)),
        (text("card.components"), ", ".join(map(printable, card.components))),
    ]
    if job.approvers_needed > 1:
        facts.append((text("card.approvals"), _approvals(job, display)))
    lines: list[Line] = []
    for label, value in facts:
        role: Role = "strong" if not lines else ""
        for number, part in enumerate(wrap(value, width - _LABEL)):
            shown = label if number == 0 else ""
            lines.append((Span(shown + " " * (_LABEL - cells(shown)), "dim"), Span(part, role)))
    return lines


def _approvals(job: JobRow, display: Display) -> str:
    """`1 of 2 persons (ann), still needed: 1 more`"""
    names = " ".join(printable(actor.removeprefix("operator:")) for actor in job.approved_by)
    given = len(job.approved_by)
    counted = display.text(
        "card.approved", given=given, needed=job.approvers_needed, names=f" ({names})" if names else ""
    )
    return f"{counted}, {display.text('card.missing', n=job.approvers_needed - given)}"


def _data(use: DataUse, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = []
    if use.columns:
        facts.append(text("card.columns", n=len(use.columns), names=" ".join(map(printable, use.columns))))
    if use.rows is not None:
        facts.append(text("card.rows", n=count(use.rows)))
    if not use.found:
        facts.append(text("card.not_found"))
    if use.note:
        facts.append(printable(use.note))
    head = f"{printable(use.task)}: {printable(use.dataset)}"
    return _bullet("  ".join([head, *facts]), width, "" if use.found else "bad")


def _bullet(value: str, width: int, role: Role) -> list[Line]:
    parts = wrap(value, width - 4)
    return [(Span("  - " if i == 0 else "    ", "dim"), Span(part, role)) for i, part in enumerate(parts)]
