"""Everything that waits for a person of this node: jobs, contracts and partners' requests, in one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.contracts import APPLIED, contract_next
from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.grants import grant_approvals, kind_name
from nodeconsole.viewmodels.jobs import job_name, job_why
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.viewmodels.times import age, clock
from nodeconsole.viewmodels.waiting import waiting_facts

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import GrantRow
    from nodeconsole.viewmodels.display import Display


@dataclass(frozen=True, slots=True)
class Request:
    """One line; exactly one of `job`, `contract` and `grant` is there."""

    job: JobRow | None = None
    contract: ContractRow | None = None
    grant: GrantRow | None = None
    snoozed_ms: int = 0
    """Until when a person put it off; 0 = it was not."""

    @property
    def key(self) -> str:
        if self.job is not None:
            return f"job {self.job.job_id}"
        if self.contract is not None:
            return f"contract {self.contract.contract_id}"
        assert self.grant is not None
        return f"grant {self.grant.grant_id}"

    @property
    def row(self) -> JobRow | ContractRow | GrantRow:
        """What the node sent of it."""
        row = self.job or self.contract or self.grant
        assert row is not None
        return row

    @property
    def title(self) -> str:
        if self.job is not None:
            return job_name(self.job)
        return self.contract.node_id if self.contract is not None else self.key

    @property
    def since_ms(self) -> int:
        return self.row.created_ms

    @property
    def actions(self) -> list[str]:
        """What the node offers, in the words of this list: `approve` and `reject`."""
        same = {"confirm": "approve", "refuse": "reject"}
        offered = [same.get(action, action) for action in self.row.actions]
        return [*offered, "snooze"] if "approve" in offered else offered


def requests(
    jobs: Iterable[JobRow],
    contracts: Iterable[ContractRow],
    grants: Iterable[GrantRow],
    snoozed: Mapping[str, int] | None = None,
) -> list[Request]:
    """What waits for this node, the newest first; then what was put off, and contracts that wait for the partner."""
    ours = [Request(job=job) for job in jobs]
    ours += [Request(grant=grant) for grant in grants]
    applied = [contract for contract in contracts if contract.state == APPLIED]
    ours += [Request(contract=contract) for contract in applied if not contract.compared_by]
    theirs = [Request(contract=contract) for contract in applied if contract.compared_by]
    known = snoozed or {}
    later = [replace(one, snoozed_ms=known[one.key]) for one in ours if one.key in known]
    ours = [one for one in ours if one.key not in known]
    return [*_newest_first(ours), *_newest_first(later), *_newest_first(theirs)]


def _newest_first(found: list[Request]) -> list[Request]:
    return sorted(found, key=lambda request: request.since_ms, reverse=True)


def request_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("kind", text("approvals.column.kind"), 10),
        Column("from", text("approvals.column.from"), 12, flex=1, most=24),
        Column("what", text("approvals.column.what"), 26, flex=3, most=72),
        Column("state", text("approvals.column.state"), 18),
        Column("age", text("approvals.column.age"), 5, right=True),
    )


def request_cells(request: Request, display: Display) -> Line:
    kind, who, what = _subject(request, display)
    return (
        Span(kind, "strong"),
        Span(printable(who)),
        Span(what),
        _state(request, display),
        Span(age(request.since_ms, display.now_ms), "dim"),
    )


def _subject(request: Request, display: Display) -> tuple[str, str, str]:
    if request.job is not None:
        return display.text("approvals.job"), request.job.initiator, job_name(request.job)
    if request.contract is not None:
        contract = request.contract
        return display.text("approvals.contract"), contract.node_id, printable(contract.institution or contract.address)
    assert request.grant is not None
    return kind_name(request.grant.kind, display), request.grant.node_id, printable(request.grant.resource_id)


def _state(request: Request, display: Display) -> Span:
    text = display.text
    if request.contract is not None and request.contract.compared_by:
        return Span(f"{display.glyphs.pending} {text('approvals.their_turn')}", "dim")
    if request.snoozed_ms:
        until = text("snooze.state", at=clock(request.snoozed_ms, display.zone))
        return Span(f"{display.glyphs.pending} {until}", "dim")
    plain = text("status.waiting") if request.contract is None else text("approvals.compare")
    given, needed = _votes(request)
    word = text("approvals.counted", given=given, needed=needed) if needed > 1 else plain
    return Span(f"{display.glyphs.waiting} {word}", "wait")


def _votes(request: Request) -> tuple[int, int]:
    if request.job is not None:
        return len(request.job.approved_by), request.job.approvers_needed
    row = request.contract or request.grant
    assert row is not None
    return len(row.approvals), row.approvers_needed


def request_why(request: Request, display: Display) -> Line:
    """What the one under the cursor waits for."""
    if request.job is not None:
        return job_why(request.job, display)
    if request.contract is not None:
        return (Span(contract_next(request.contract, display), "wait"),)
    assert request.grant is not None
    counted = grant_approvals(request.grant, display)
    said = counted or display.text("approvals.grant_why", node=printable(request.grant.node_id))
    return (Span(said, "wait"),)


def request_facts(request: Request, display: Display, width: int) -> list[Line]:
    """In short, beside the list; the card has all of it."""
    text = display.text
    kind, who, what = _subject(request, display)
    label = text("card.flow") if request.job is not None else kind
    facts = [(text("card.asked_by"), printable(who)), (label, what)]
    if request.job is not None:
        facts += [
            (text("job.id"), printable(request.job.job_id)),
            (text("job.parties"), " ".join(map(printable, request.job.parties))),
        ]
        facts += waiting_facts(request.job.waiting, display) if request.job.waiting is not None else []
    else:
        if request.contract is not None:
            facts.append((text("contract.address"), printable(request.contract.address)))
        elif request.grant is not None:
            facts.append((text("grant.name"), printable(request.grant.name)))
        facts.append((text("waiting.since"), when(request.since_ms, display)))
    return fact_lines(facts, width)
