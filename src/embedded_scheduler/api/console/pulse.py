"""`/statistics`, `/resources` and `/attention`: how the node is, in figures, and what needs a person."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from quart import Quart

from embedded_scheduler.api.console import endpoint, views
from embedded_scheduler.api.console.catalogue import Peers
from embedded_scheduler.api.console.jobs import Jobs, last_signs
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.diagnosis import NO_DISK, WARN_DAYS, endings
from embedded_scheduler.domain import attention
from embedded_scheduler.domain.attention import Concern, Severity
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.window import HOUR_MS, Window, window
from embedded_scheduler.engine.resources import EVERY
from embedded_scheduler.engine.space import LOW_DISK, kept_free, quota_of
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.store import contracts, grants, jobs, ledger, outbox, peers, statistics
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.grants import Grant
from embedded_scheduler.store.jobs import JobHead
from embedded_scheduler.store.peers import Peer
from embedded_scheduler.store.statistics import Failure, Figures
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.console_pulse import (
    AttentionItem,
    AttentionList,
    FlowRun,
    FlowRuns,
    Overview,
    ResourceReport,
    ResourceSample,
    Statistics,
    StatisticsBucket,
    StatisticsShare,
    Took,
)

_LONGEST_HOURS = 24 * 366
_RECOUNT_MS = 2_000
"""A count is used again for at least so long, and for `_RARELY` times as long as it took to count."""
_RARELY = 50
_FLOWS, _RUNS, _AMONG = 12, 20, 400
_FAILED_LATELY_MS = 24 * HOUR_MS
_OF_ONE_KIND = 30
_MOST_RUNNING = 50
_RECENT = 40
_MINUTE_MS = 60_000


def install(app: Quart, console: Console) -> None:
    pulse = Pulse(console)
    endpoint.route(app, "GET", "/statistics", pulse.statistics)
    endpoint.route(app, "GET", "/resources", pulse.resources)
    endpoint.route(app, "GET", "/attention", pulse.attention)
    endpoint.route(app, "GET", "/overview", pulse.overview)


@dataclass(frozen=True, slots=True)
class _Counted:
    last_seq: int
    took_ms: int
    reply: Statistics


class Pulse:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine
        self._jobs = Jobs(console)
        self._peers = Peers(console)
        self._counted: dict[int, _Counted] = {}
        self._counting = asyncio.Lock()
        self._endings: tuple[object, list[Concern]] = (None, [])

    # -- figures ------------------------------------------------------------------------------------------------------

    async def statistics(self) -> Statistics:
        hours = endpoint.number_query("hours", 24, low=1, high=_LONGEST_HOURS)
        # Several consoles that ask at once get one count.
        async with self._counting:
            return await self._count(hours)

    async def _count(self, hours: int) -> Statistics:
        now_ms = self._engine.clock.now_ms()
        span = window(hours, now_ms, _offset_ms(now_ms))
        seq = (await self._engine.db.read(ledger.last))[0]
        held = self._counted.get(hours)
        if held is not None and held.reply.until_ms == span.until_ms:
            pause = max(_RECOUNT_MS, held.took_ms * _RARELY)
            if held.last_seq == seq or 0 <= now_ms - held.reply.at_ms < pause:
                return held.reply
        node_id, began = self._engine.node_id, self._engine.clock.monotonic()
        figures, lately = await self._engine.db.read(
            lambda reader: (
                statistics.figures(reader, span, self_node=node_id),
                statistics.runs_lately(reader, among=_AMONG, flows=_FLOWS, runs=_RUNS),
            )
        )
        reply = _statistics(hours, now_ms, span, figures, lately)
        took_ms = round((self._engine.clock.monotonic() - began) * 1000)
        # Somebody may ask for windows of every length: the last few are kept.
        self._counted = {**dict([*self._counted.items()][-7:]), hours: _Counted(seq, took_ms, reply)}
        return reply

    async def resources(self) -> ResourceReport:
        after = endpoint.number_query("after", 0, low=0, high=1 << 62)
        found = await self._console.resources.look()
        return ResourceReport(
            samples=[ResourceSample(**asdict(sample)) for sample in found.samples if sample.at_ms > after],
            every_ms=round(EVERY * 1000),
            cores=found.cores,
            memory_total=found.memory_total,
            disk_free=found.disk_free,
            disk_total=found.disk_total,
            process_memory=found.process_memory,
        )

    # -- what needs a person ------------------------------------------------------------------------------------------

    async def attention(self) -> AttentionList:
        now_ms = self._engine.clock.now_ms()
        known = await self._engine.db.read(lambda reader: self._known(reader, now_ms))
        concerns = [
            *self._decisions(known),
            *(_failed(failure) for failure in known.failed),
            *self._stuck(known),
            *await self._ending(known.agreed, now_ms),
            *self._partners(known, now_ms),
            *self._services(),
            *await self._disk(now_ms),
        ]
        ordered = attention.ordered(concerns)
        kept: list[Concern] = []
        for concern in ordered:
            if sum(other.kind == concern.kind for other in kept) < _OF_ONE_KIND:
                kept.append(concern)
        return AttentionList(items=[_item(concern) for concern in kept], left_out=len(ordered) - len(kept))

    async def overview(self) -> Overview:
        attention_list, figures = await self.attention(), await self.statistics()
        wanted = ledger.Wanted()
        running, (recent, _) = await self._engine.db.read(
            lambda reader: (
                self._jobs.running(reader, _MOST_RUNNING),
                ledger.newest(reader, wanted, limit=_RECENT),
            )
        )
        return Overview(
            attention=attention_list,
            statistics=figures,
            running=running,
            peers=(await self._peers.all()).peers,
            recent=[views.event_row(record) for record in recent],
        )

    def _known(self, reader: Reader, now_ms: int) -> _Known:
        waiting = jobs.page(reader, self_node=self._engine.node_id, limit=_OF_ONE_KIND + 1, needs_decision=True)
        still = {stuck.job_id: jobs.head(reader, stuck.job_id) for stuck in self._console.watchdog.stuck}
        return _Known(
            waiting=waiting,
            failed=statistics.failures(reader, now_ms - _FAILED_LATELY_MS, _OF_ONE_KIND + 1),
            agreed=contracts.all(reader),
            asked=grants.page(reader, direction="in", state=AgreementState.APPLIED, limit=_OF_ONE_KIND + 1),
            partners=peers.all(reader),
            undelivered=outbox.waiting_since(reader),
            stuck={job_id: head for job_id, head in still.items() if head is not None},
        )

    def _decisions(self, known: _Known) -> Iterator[Concern]:
        expires_ms = round(self._engine.settings.approval.expires_hours * HOUR_MS)
        for head in known.waiting:
            facts = {"by": head.initiator}
            if expires_ms:
                facts["expires_ms"] = str(head.created_ms + expires_ms)
            name = head.flow_id or head.job_id
            yield Concern("job_decision", Severity.DECIDE, "job", head.job_id, name, head.created_ms, facts)
        for row in known.agreed:
            if row.state is AgreementState.APPLIED and not row.compared_by:
                facts = {"address": row.address}
                yield Concern(
                    "contract_decision",
                    Severity.DECIDE,
                    "contract",
                    row.contract_id,
                    row.node_id,
                    row.created_ms,
                    facts,
                )
        for grant in known.asked:
            facts = {"by": grant.node_id, "kind": grant.kind}
            name = grant.name or grant.resource_id
            yield Concern("grant_decision", Severity.DECIDE, "grant", grant.grant_id, name, grant.created_ms, facts)

    def _stuck(self, known: _Known) -> Iterator[Concern]:
        for stuck in self._console.watchdog.stuck:
            head = known.stuck.get(stuck.job_id)
            if head is None:
                continue
            heard = last_signs(self._console, stuck)
            partner, partner_ms = min(heard.items(), key=lambda pair: pair[1]) if heard else ("", 0)
            facts = {"task": stuck.task_name, "party": f"{stuck.role}.{stuck.index}"}
            if partner:
                facts |= {"partner": partner, "partner_ms": str(partner_ms)}
            name = head.flow_id or head.job_id
            yield Concern("task_stuck", Severity.WARNING, "job", stuck.job_id, name, stuck.vital.last_ms, facts)

    async def _ending(self, agreed: list[Contract], now_ms: int) -> list[Concern]:
        """As of this minute: certificates are files, and end by days."""
        known = (now_ms // _MINUTE_MS, [(row.contract_id, row.state) for row in agreed])
        if self._endings[0] != known:
            engine = self._engine
            found = await asyncio.to_thread(lambda: list(endings(engine.home, engine.settings, agreed)))
            concerns = [
                attention.ending(e.what, e.who, engine.node_id, e.end_ms, now_ms, warn_days=WARN_DAYS) for e in found
            ]
            self._endings = (known, [concern for concern in concerns if concern is not None])
        return self._endings[1]

    def _partners(self, known: _Known, now_ms: int) -> Iterator[Concern]:
        for row in known.partners:
            contact = self._console.contacts.of(row.node_id)
            number, oldest_ms = known.undelivered.get(row.node_id, (0, None))
            concern = attention.partner(
                row.node_id,
                ok_ms=contact.last_ok_ms,
                error_ms=contact.last_error_ms,
                error=contact.last_error,
                undelivered=number,
                oldest_ms=oldest_ms,
                now_ms=now_ms,
            )
            if concern is not None:
                yield concern

    def _services(self) -> Iterator[Concern]:
        for health in self._console.health():
            if health.state is ServiceState.PAUSED:
                facts = {"error": health.last_error, "crashes": str(health.crashes)}
                node_id = self._engine.node_id
                yield Concern("service", Severity.ERROR, "node", node_id, health.name, health.since_ms, facts)

    async def _disk(self, now_ms: int) -> list[Concern]:
        free = await asyncio.to_thread(self._console.resources.disk_free)
        engine = self._engine
        keep = kept_free(engine.settings)
        low, none_left = max(LOW_DISK, 2 * keep), max(NO_DISK, keep)
        found = [attention.disk(engine.node_id, free, now_ms, low=low, none_left=none_left)]
        if engine.room.usage is not None:
            used = engine.room.usage.total
            found.append(attention.quota(engine.node_id, used, quota_of(engine.settings), now_ms))
        return [concern for concern in found if concern is not None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says, all of one moment."""

    waiting: list[JobHead]
    failed: list[Failure]
    agreed: list[Contract]
    asked: list[Grant]
    partners: list[Peer]
    undelivered: Mapping[str, tuple[int, int]]
    stuck: Mapping[str, JobHead]


def _failed(failure: Failure) -> Concern:
    facts = {"reason": failure.reason}
    name = failure.flow_id or failure.job_id
    return Concern("job_failed", Severity.ERROR, "job", failure.job_id, name, failure.ended_ms, facts)


_TEXTS = {
    "job_decision": "{by} asks this node to join {name}",
    "contract_decision": "{name} asks to become a partner, or waits for the words",
    "grant_decision": "{by} asks for {kind} {name}",
    "job_failed": "{name} failed: {reason}",
    "task_stuck": "{task} of {name} looks stuck: no log, no byte, no CPU time",
    "own_certificate_ends": "this node's certificate ends in {days} days",
    "own_certificate_ended": "this node's certificate has ended",
    "own_certificate_unreadable": "this node's certificate cannot be read",
    "listener_certificate_ends": "the certificate {name} ends in {days} days",
    "listener_certificate_ended": "the certificate {name} has ended",
    "listener_certificate_unreadable": "the certificate {name} cannot be read",
    "partner_certificate_ends": "the certificate of {name} ends in {days} days",
    "partner_certificate_ended": "the certificate of {name} has ended",
    "partner_certificate_unreadable": "the certificate of {name} cannot be read",
    "contract_ends": "the contract with {name} ends in {days} days",
    "contract_ended": "the contract with {name} has ended",
    "partner_down": "{name} does not answer ({undelivered} undelivered): {error}",
    "undelivered": "{undelivered} messages for {name} are not delivered",
    "service": "the service {name} of this node crashed and starts again: {error}",
    "disk": "{free_mib} MiB are left on the disk of this node",
    "quota": "{percent} % of the space for this node's files are used",
    "quota_over": "the space for this node's files is used up: new jobs are refused",
}


def _item(concern: Concern) -> AttentionItem:
    return AttentionItem(
        kind=concern.kind,
        severity=concern.severity,
        target=concern.target,
        subject=concern.subject,
        name=concern.name,
        since_ms=concern.since_ms,
        facts={name: str(fact) for name, fact in concern.facts.items()},
        said=said(**concern.facts),
        text=_TEXTS[concern.kind].format(name=concern.name, **concern.facts),
    )


def _offset_ms(now_ms: int) -> int:
    """How far this machine's local time is ahead of UTC."""
    ahead = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone().utcoffset()
    return round(ahead.total_seconds() * 1000) if ahead is not None else 0


def _statistics(
    hours: int, now_ms: int, span: Window, figures: Figures, lately: Mapping[str, list[statistics.Run]]
) -> Statistics:
    buckets = [_bucket(span.since_ms + number * span.step_ms, b) for number, b in enumerate(figures.buckets)]
    succeeded, failed = sum(b.succeeded for b in buckets), sum(b.failed for b in buckets)
    return Statistics(
        hours=hours,
        at_ms=now_ms,
        since_ms=span.since_ms,
        until_ms=span.until_ms,
        step_ms=span.step_ms,
        buckets=buckets,
        took=Took(**asdict(figures.took)),
        success=succeeded / (succeeded + failed) if succeeded + failed else None,
        flows=[_share(share) for share in figures.flows],
        partners=[_share(share) for share in figures.partners],
        lately=[
            FlowRuns(
                flow_id=flow_id,
                runs=[FlowRun(job_id=r.job_id, state=r.state, outcome=r.outcome or None) for r in runs],
            )
            for flow_id, runs in lately.items()
        ],
    )


def _bucket(start_ms: int, bucket: statistics.Bucket) -> StatisticsBucket:
    known = {name: bucket.ended.get(name, 0) for name in ("succeeded", "failed", "stopped", "rejected")}
    return StatisticsBucket(
        start_ms=start_ms,
        created=bucket.created,
        **known,
        other=sum(bucket.ended.values()) - sum(known.values()),
        **asdict(bucket.took),
    )


def _share(share: statistics.Share) -> StatisticsShare:
    return StatisticsShare(
        name=share.name,
        total=share.total,
        succeeded=share.succeeded,
        failed=share.failed,
        last_ms=share.last_ms,
        **asdict(share.took),
    )
