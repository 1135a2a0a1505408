"""The approval card: who asks and how we know, what would run, which of our data, what would leave the node, what is
new about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.differences import difference_summary, track_record
from nodeconsole.viewmodels.display import approval_status
from nodeconsole.viewmodels.facts import bullets, fact_lines, grouped, votes_text, when
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.sentences import sentence, sentences, told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, count, printable, short_id, wrap
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Asker, ComponentMatch, Cover, DataUse, DecisionCard, JobDetail, Part
    from nodeconsole.viewmodels.display import Display

_KEY_DIGITS = 16
"""Of a fingerprint: enough to tell keys apart at a glance; the contract has all of it."""


def card_lines(
    detail: JobDetail, display: Display, width: int, partners: Sequence[ComponentMatch] | None = ()
) -> list[Line]:
    """The card of a job, wrapped to `width` cells. What must not be overlooked (problems) comes first.

    `partners`: what they have of the components; None = they are being asked.
    """
    card = detail.card
    if card is None:
        return [(Span(display.text("card.none"), "dim"),)]
    lines = _problems(card, display, width)
    lines += _who(detail, card, display, width)
    lines += [_heading("card.data", display), *_all_data(card, display, width)]
    lines += [_heading("card.leaves", display), *_all_leaves(card, display, width)]
    lines += _parts(card, display, width)
    lines += match_lines(partners, display, width)
    lines += fact_lines(_outlook(detail, card, display), width)
    lines += _difference(card, display, width)
    if detail.policy:
        lines += [
            _heading("card.policy", display),
            *bullets(sentences(detail.policy, detail.said, "policy", display), width, "dim"),
        ]
    return lines


def policy_lines(detail: JobDetail, display: Display, width: int) -> list[Line]:
    """What the rules said of it, sentence by sentence, and who decided so far."""
    lines = [_heading("card.policy", display)]
    lines += bullets(sentences(detail.policy, detail.said, "policy", display), width, "") or [
        (Span(f"  {display.text('card.no_policy')}", "dim"),)
    ]
    lines += [(), _heading("card.decided", display)]
    for row in detail.approvals:
        badge = display.badge(approval_status(row.state))
        by = printable(row.decided_by.removeprefix("operator:"))
        facts = [when(row.since_ms, display), by, told(row, "reason", display)]
        lines.append((Span(f"  {printable(row.node_id)}  "), badge, Span(f"  {'  '.join(filter(None, facts))}", "dim")))
    return lines


def _heading(key: str, display: Display) -> Line:
    return (Span(display.text(key), "accent"),)


def _problems(card: DecisionCard, display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    if card.asker.resembles:
        warning = display.text(
            "card.resembles", node=printable(card.asker.node_id), other=printable(card.asker.resembles)
        )
        lines += [(Span(part, "bad"),) for part in wrap(f"! {warning}", width)]
    if card.problems:
        said = sentences(card.problems, card.said, "problems", display)
        lines += [(Span(display.text("card.problems"), "bad"),), *bullets(said, width, "bad")]
    return lines


def _who(detail: JobDetail, card: DecisionCard, display: Display, width: int) -> list[Line]:
    text, job = display.text, detail.job
    asked = f"{asker_name(card.asker, display)}  {text('card.ago', age=age(job.created_ms, display.now_ms))}"
    lines = fact_lines([(text("card.asked_by"), asked)], width, "strong")
    lines += _proof(card.asker, display, width, signs=card.coordinator is None)
    if card.coordinator is not None:
        lines += fact_lines([(text("card.coordinator"), asker_name(card.coordinator, display))], width)
        lines += _proof(card.coordinator, display, width, signs=True)
    parties = f"{display.listed(map(printable, card.our_roles))}   {' '.join(map(printable, job.parties))}"
    facts = [
        (text("card.job"), f"{printable(job.job_id)}  {job_name(job)}"),
        (text("card.roles"), parties),
        (text("card.approvals"), votes_text(job.approved_by, job.approvers_needed, display)),
    ]
    return [*lines, *fact_lines(facts, width)]


def asker_name(asker: Asker, display: Display) -> str:
    """`bob (Bank of B)`"""
    return printable(asker.node_id) + display.aside(printable(asker.institution))


def _proof(asker: Asker, display: Display, width: int, *, signs: bool) -> list[Line]:
    """Whose key, what was agreed, and whether this very request proved it. `signs`: the request is its own."""
    text, glyphs = display.text, display.glyphs
    if not asker.signing and not asker.contract:
        return fact_lines([(text("card.key"), text("card.ourselves"))], width)
    facts = []
    if asker.fingerprint:
        facts.append((text("card.key"), f"{grouped(printable(asker.fingerprint[:_KEY_DIGITS]))} .."))
    lines = fact_lines(facts, width)
    state = display.catalogue.get(f"contract.state.{asker.contract.lower()}", printable(asker.contract))
    agreed = [state or text("card.no_contract")]
    if asker.contract_since_ms:
        agreed.append(text("card.since", at=when(asker.contract_since_ms, display)[:10]))
    if asker.certificate_ends_ms:
        agreed.append(text("card.key_ends", span=span_text(asker.certificate_ends_ms - display.now_ms)))
    good = asker.contract == "APPROVED"
    contract = f"{glyphs.ok if good else glyphs.bad} {display.clauses(agreed)}"
    lines += fact_lines([(text("card.contract"), contract)], width, "" if good else "bad")
    if signs:
        sure = asker.signing == "required" and good
        word = text("card.signed" if sure else "card.unsigned")
        lines += fact_lines([(text("card.signature"), f"{glyphs.ok if sure else '!'} {word}")], width,
                            "ok" if sure else "warn")  # fmt: skip
    else:
        lines += fact_lines([(text("card.signature"), text("card.said_by"))], width, "warn")
    return lines


def _all_data(card: DecisionCard, display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    for use in card.data:
        lines += _data(use, display, width)
    return lines or [(Span(f"  {display.text('card.no_data')}", "dim"),)]


def _data(use: DataUse, display: Display, width: int) -> list[Line]:
    text = display.text
    rows = f"   {text('card.rows', n=count(use.rows))}" if use.rows is not None else ""
    head = f"{printable(use.dataset)}{rows}  {display.aside(printable(use.task))}"
    lines: list[Line] = [(Span(f"  {part}", "strong" if use.found else "bad"),) for part in wrap(head, width - 2)]
    below: list[tuple[str, Role]] = []
    if use.columns:
        names = use.named or use.columns
        key = "card.columns" if use.named else "card.columns_all"
        below.append((text(key, n=len(names), of=len(use.columns), names=" ".join(map(printable, names))), ""))
    if not use.found:
        below.append((text("card.not_found"), "bad"))
    if use.note:
        below.append((sentence(use.said.get("note"), use.note, display), "dim"))
    below += [(_cover(cover, display), "ok") for cover in use.covered_by]
    if use.found and not use.covered_by:
        below.append((text(f"card.access_{use.access or 'none'}"), "warn" if use.access != "approval" else "dim"))
    for value, role in below:
        lines += [(Span(f"    {part}", role),) for part in wrap(value, width - 4)]
    return lines


def _cover(cover: Cover, display: Display) -> str:
    text = display.text
    limits = [text("grant.used", n=cover.used) if cover.times is None else f"{cover.used}/{cover.times}"]
    if cover.until_ms:
        limits.append(text("grant.until", at=when(cover.until_ms, display)[:10]))
    mark = text("card.counted") if cover.counted else text("card.covered")
    who = text(
        "card.grant", grant=short_id(cover.grant_id), node=printable(cover.node_id), limits=display.clauses(limits)
    )
    return f"{display.glyphs.ok} {who}  {mark}"


def _all_leaves(card: DecisionCard, display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    for part in card.parts:
        for leaves in sentences(part.leaves, part.said, "leaves", display):
            shown = display.labelled(printable(part.task), leaves)
            if part.new:
                shown = f"! {display.labelled(display.text('card.not_seen'), shown)}"
            lines += bullets([shown], width, "warn" if part.new else "")
    return lines or [(Span(f"  {display.text('card.leaves_unknown')}", "warn"),)]


def _parts(card: DecisionCard, display: Display, width: int) -> list[Line]:
    """`psi 1.2.0 ✓  predict 2.0.0 ! new`, as many to a line as fit; tasks of the same component count once."""
    pieces = [_part(part, display) for part in _each_once(card.parts)]
    lines: list[Line] = [_heading("card.components", display)]
    line: list[Span] = [Span("  ")]
    used = 2
    for piece in pieces:
        length = sum(cells(span.text) for span in piece)
        if used > 2 and used + length > width:
            lines.append(tuple(line))
            line, used = [Span("  ")], 2
        line += [*piece, Span("   ")]
        used += length + 3
    return [*lines, tuple(line)]


def match_lines(partners: Sequence[ComponentMatch] | None, display: Display, width: int) -> list[Line]:
    """One line for each partner that has everything, one for each component that is in the way."""
    text, glyphs = display.text, display.glyphs
    if partners is None:
        return [(Span(f"  {text('card.asking')}", "dim"),)]
    lines: list[Line] = []
    for node in dict.fromkeys(row.node_id for row in partners):
        rows = [row for row in partners if row.node_id == node]
        wrong = [_match_text(row, display) for row in rows if row.wrong]
        if wrong:
            lines += bullets([f"{printable(node)}: {what}" for what in wrong], width, "bad")
            continue
        unknown = next((row for row in rows if row.match == "unknown"), None)
        if unknown is not None:
            said = text("card.match_unknown", why=sentence(unknown.said.get("note"), unknown.note, display))
            lines += [(Span(f"  {part}", "dim"),) for part in wrap(f"- {printable(node)}: {said}", width - 2)]
            continue
        same = all(row.match == "same" for row in rows)
        said = text("card.match_same" if same else "card.match_listed")
        lines.append((Span(f"  {glyphs.ok} {printable(node)}: {said}", "ok" if same else ""),))
    return lines


def _match_text(row: ComponentMatch, display: Display) -> str:
    return display.text(
        f"card.match_{row.match}",
        name=printable(f"{row.name} {row.version}".strip()),
        versions=printable(" ".join(row.versions)),
    )


def _each_once(parts: Iterable[Part]) -> list[Part]:
    return list({(part.provider, part.name, part.version): part for part in parts}.values())


def _part(part: Part, display: Display) -> tuple[Span, ...]:
    name = Span(f"{printable(part.name)} {printable(part.version)} ")
    if not part.known and part.ours:
        return name, Span(f"{display.glyphs.bad} {display.text('card.not_here')}", "bad")
    if part.new:
        return name, Span(f"! {display.text('card.new')}", "warn")
    return name, Span(display.glyphs.ok if part.known else "-", "ok" if part.known else "dim")


def _outlook(detail: JobDetail, card: DecisionCard, display: Display) -> list[tuple[str, str]]:
    text = display.text
    asks = [
        display.text(f"card.resource_{kind}", n=f"{value:g}")
        for kind, value in card.resources.items()
        if display.catalogue.get(f"card.resource_{kind}", "")
    ]
    now = text("card.running", n=card.running) if card.running else ""
    return [
        (text("card.resources"), display.listed(asks) + (f"   {now}" if now and asks else "")),
        (text("card.similar"), track_record(card.difference.record, card.asker.node_id, display)),
        (text("card.expires"), _expires(detail, display)),
    ]


def _expires(detail: JobDetail, display: Display) -> str:
    waiting = detail.job.waiting
    if waiting is None or waiting.next_ms is None:
        return ""
    left = span_text(waiting.next_ms - display.now_ms)
    return f"{when(waiting.next_ms, display)}  {display.text('waiting.in', span=left)}"


def _difference(card: DecisionCard, display: Display, width: int) -> list[Line]:
    """The same as below the card, for whoever reads the card itself; wrapped."""
    line = difference_summary(card.difference, display)
    whole = "".join(span.text for span in line)
    role: Role = line[0].role if len(line) == 1 else "strong"
    return fact_lines([(display.text("card.differs"), whole)], width, role)
