"""`/jobs`: list, show, submit, decide, stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from quart import Quart

from embedded_scheduler.api.console import cards, endpoint, filters, views
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.clock import HOUR_MS
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.lifecycle import JOB, JobState
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.domain.space import removal_ms
from embedded_scheduler.domain.table_metadata import TableMetadata
from embedded_scheduler.engine import compatibility, policies, precedents, receipts, rehearsal, results, votes
from embedded_scheduler.engine import jobs as verbs
from embedded_scheduler.engine.watchdog import Stuck
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, NotFound
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.storage import DescribingStorage, FileStorage, Storage, Stored
from embedded_scheduler.store import attempts, job_search, keeping
from embedded_scheduler.store import jobs as store
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import (
    Decision,
    JobCheck,
    JobCompatibility,
    JobDetail,
    JobDifference,
    JobPage,
    JobRow,
    Keeping,
    ResultRow,
    StopRequest,
    SubmitReply,
    SubmitRequest,
    TaskRow,
    said,
)

_LONGEST_PAGE = 500
_PATIENCE_FOR_RESULTS_S = 5.0
_LOG = logging.getLogger(__name__)
_LONGEST_WAIT = 24 * 36_500
"""Hours. A longer setting is shown as a hundred years."""


def install(app: Quart, console: Console) -> None:
    jobs = Jobs(console)
    endpoint.route(app, "GET", "/jobs", jobs.page)
    endpoint.route(app, "POST", "/jobs", jobs.submit)
    endpoint.route(app, "POST", "/jobs/check", jobs.check)
    endpoint.route(app, "GET", "/jobs/<job_id>", jobs.show)
    endpoint.route(app, "GET", "/jobs/<job_id>/difference", jobs.difference)
    endpoint.route(app, "GET", "/jobs/<job_id>/compatibility", jobs.compatibility)
    endpoint.route(app, "POST", "/jobs/<job_id>/approve", jobs.approve, role=Role.APPROVER)
    endpoint.route(app, "POST", "/jobs/<job_id>/reject", jobs.reject, role=Role.APPROVER)
    endpoint.route(app, "POST", "/jobs/<job_id>/stop", jobs.stop)
    endpoint.route(app, "POST", "/jobs/<job_id>/rerun", jobs.rerun)


class Jobs:
    """The handlers. `job_id` may be a beginning that fits one job only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine
        self._expires_ms = round(min(self._engine.settings.approval.expires_hours, _LONGEST_WAIT) * HOUR_MS)

    async def page(self) -> JobPage:
        """By filter and order, over all jobs; without a filter, newest first, each page costs the same."""
        limit = endpoint.number_query("limit", 50, low=1, high=_LONGEST_PAGE)
        by = endpoint.text_query("sort")
        if by and by not in job_search.ORDERS:
            raise InvalidRequest(say("named_one_of", name="sort", known=", ".join(job_search.ORDERS)))
        after = filters.place(endpoint.text_query("before"), sorted_=bool(by))
        falling = endpoint.flag_query("falling")
        wanted = filters.job_search(
            endpoint.text_query("q"),
            states=_states(endpoint.text_query("state")),
            flow_id=endpoint.text_query("flow_id") or None,
            waiting=endpoint.flag_query("needs_decision"),
            now_ms=self._engine.clock.now_ms(),
        )
        node = self._engine.node_id

        def look(reader: Reader) -> tuple[job_search.Found, list[JobRow]]:
            if by:
                found = job_search.search_sorted(
                    reader, wanted, self_node=node, by=by, falling=falling, limit=limit, after=after
                )
            else:
                found = job_search.search(reader, wanted, self_node=node, limit=limit, after=after)
            return found, [self.row(reader, head) for head in found.heads]

        found, rows = await self._engine.db.read(look)
        return JobPage(
            jobs=rows, next=filters.cursor(found.next, sorted_=bool(by)), searched=found.searched, total=found.total
        )

    async def submit(self) -> SubmitReply:
        document, body = await endpoint.body_document(self._console.depth)
        endpoint.checked(SubmitRequest, document)
        trace_id = self._engine.mint.nonce()
        done = await verbs.submit(self._engine, document, actor=endpoint.operator(), trace_id=trace_id, as_sent=body)
        return SubmitReply(job_id=done.job_id, state=done.state, nodes=dict(done.nodes))

    async def rerun(self, job_id: str) -> SubmitReply:
        """Only what this node asked for itself, and only when it is over: two runs at once are what `submit` is for."""
        found = await self._find(job_id)

        def look(reader: Reader) -> JobSpec:
            head, spec = store.head(reader, found), store.spec(reader, found)
            assert head is not None
            assert spec is not None
            if not self._can_run_again(head):
                raise Conflict(say("not_run_again", job=shorten(found)))
            return spec

        spec = await self._engine.db.read(look)
        trace_id = self._engine.mint.nonce()
        done = await verbs.submit(
            self._engine, spec.document, actor=endpoint.operator(), trace_id=trace_id, as_sent=b""
        )
        return SubmitReply(job_id=done.job_id, state=done.state, nodes=dict(done.nodes))

    def _can_run_again(self, head: store.JobHead) -> bool:
        return JOB.is_terminal(head.state) and head.initiator == self._engine.node_id

    async def check(self) -> JobCheck:
        """Submit, but for storing and sending it."""
        document, _ = await endpoint.body_document(self._console.depth)
        endpoint.checked(SubmitRequest, document)
        found = await rehearsal.rehearse(self._engine, document)
        return JobCheck(
            problems=list(map(str, found.problems)),
            warnings=list(map(str, found.warnings)),
            coordinator=found.coordinator,
            said=said(problems=found.problems, warnings=found.warnings),
        )

    async def show(self, job_id: str) -> JobDetail:
        found = await self._find(job_id)
        detail, snapshot, outputs = await self._engine.db.read(lambda reader: self._detail(reader, found))
        if detail.job.needs_decision:
            detail.card = await cards.card(self._engine, snapshot)
            await receipts.job_opened(self._engine, snapshot)
        detail.results = await self._results(outputs)
        over, kept = JOB.is_terminal(snapshot.state), detail.keeping.kept_ms is not None
        detail.keeping.actions = views.result_actions(over=over, stored=bool(detail.results), kept=kept)
        return detail

    async def difference(self, job_id: str) -> JobDifference:
        """From the last approved run, or from the job of the query."""
        found = await self._find(job_id)
        other = endpoint.text_query("from")
        against = await self._find(other) if other else ""

        def look(reader: Reader) -> JobDifference:
            spec = store.spec(reader, found)
            assert spec is not None
            return cards.difference(spec, *precedents.of_job(reader, self._engine.node_id, spec, against))

        return await self._engine.db.read(look)

    async def compatibility(self, job_id: str) -> JobCompatibility:
        """Partners are asked now; takes as long as the slowest answer, at most a few seconds."""
        found = await self._find(job_id)
        spec = await self._engine.db.read(lambda reader: store.spec(reader, found))
        assert spec is not None
        findings = await compatibility.of_job(self._engine, spec)
        return JobCompatibility(job_id=found, components=[views.component_match(finding) for finding in findings])

    async def approve(self, job_id: str) -> JobRow:
        return await self._decide(job_id, approve=True)

    async def reject(self, job_id: str) -> JobRow:
        return await self._decide(job_id, approve=False)

    async def _decide(self, job_id: str, *, approve: bool) -> JobRow:
        decision = await endpoint.body_message(Decision, self._console.depth)
        found = await self._find(job_id)
        await verbs.decide(self._engine, found, approve=approve, reason=decision.reason, actor=endpoint.operator())
        return await self._head(found)

    async def stop(self, job_id: str) -> JobRow:
        request = await endpoint.body_message(StopRequest, self._console.depth)
        found = await self._find(job_id)
        await verbs.stop_all(self._engine, found, request.task_name, actor=endpoint.operator(), reason=request.reason)
        return await self._head(found)

    # -- reading --------------------------------------------------------------------------------------------------

    async def _find(self, job_id: str) -> str:
        return await find_job(self._console, job_id)

    async def _head(self, job_id: str) -> JobRow:
        def look(reader: Reader) -> JobRow:
            head = store.head(reader, job_id)
            if head is None:
                raise NotFound(say("job_unknown", job=job_id))
            return self.row(reader, head)

        return await self._engine.db.read(look)

    def row(self, reader: Reader, head: store.JobHead) -> JobRow:
        return self._job_row(reader, head, None if JOB.is_terminal(head.state) else self.snapshot(reader, head.job_id))

    def _job_row(self, reader: Reader, head: store.JobHead, snapshot: JobSnapshot | None) -> JobRow:
        still = self._still(head.job_id) if snapshot else ()
        row = views.job_row(head, snapshot, self._expires_ms, still, self._engine.launch_waits.of_job(head.job_id))
        if self._can_run_again(head):
            row.actions.append("rerun")
        needed = self._engine.settings.approval.job_approvers
        if row.needs_decision and needed > 1:
            row.approvers_needed = needed
            row.approved_by = [vote.actor for vote in votes.so_far(reader, "job", head.job_id)]
        return row

    def running(self, reader: Reader, limit: int) -> list[JobRow]:
        """The newest jobs that run."""
        heads = store.page(reader, self_node=self._engine.node_id, states=(JobState.RUNNING,), limit=limit)
        return [self.row(reader, head) for head in heads]

    def _still(self, job_id: str) -> tuple[views.Still, ...]:
        return tuple((stuck, last_signs(self._console, stuck)) for stuck in self._console.watchdog.of_job(job_id))

    def snapshot(self, reader: Reader, job_id: str) -> JobSnapshot:
        engine = self._engine
        found = store.snapshot(reader, job_id, self_node=engine.node_id, traits=engine.directory.traits)
        if found is None:
            raise NotFound(say("job_unknown", job=shorten(job_id)))
        return found

    def _detail(self, reader: Reader, job_id: str) -> tuple[JobDetail, JobSnapshot, list[results.Output]]:
        s = self.snapshot(reader, job_id)
        head = store.head(reader, job_id)
        assert head is not None
        runs = attempts.of_job(reader, job_id)
        decided = [
            views.Decided(row["node_id"], row["state"], row["reason"], row["decided_by"], row["since_ms"])
            for row in reader.all("jobs.approvals", job_id=job_id)
        ]
        policy = _policy_lines(reader, job_id)
        detail = JobDetail(
            job=self._job_row(reader, head, None if JOB.is_terminal(s.state) else s),
            tasks=self._task_rows(reader, s, s.tasks, runs),
            approvals=[views.approval_row(row) for row in decided],
            spec=s.spec.document,
            warnings=list(s.spec.flow.warnings),
            policy=list(map(str, policy)),
            said=said(policy=policy),
            stops=views.stop_rows(s),
            keeping=keeping_of(reader, job_id, self._engine.settings.retention.results_days),
        )
        return detail, s, results.declared(reader, s, runs)

    def task_row(self, reader: Reader, job_id: str, task: str) -> TaskRow:
        """One task of a job, as the job shows it."""
        s = self.snapshot(reader, job_id)
        if task not in s.tasks:
            raise NotFound(say("job_without_task", job=job_id, task=shorten(task)))
        return self._task_rows(reader, s, [task], attempts.of_task(reader, job_id, task))[0]

    def _task_rows(
        self, reader: Reader, s: JobSnapshot, names: Iterable[str], runs: Sequence[attempts.Attempt]
    ) -> list[TaskRow]:
        job_id = s.spec.job_id
        times = {
            row["name"]: views.Times(row["started_ms"], row["ended_ms"])
            for row in reader.all("jobs.tasks", job_id=job_id)
        }
        still, put_off = self._still(job_id), self._engine.launch_waits.of_job(job_id)
        return [
            views.task_row(
                s,
                s.tasks[name],
                times[name],
                [run for run in runs if run.task_name == name],
                [found for found in still if found[0].task_name == name],
                put_off,
            )
            for name in names
        ]

    async def _results(self, outputs: list[results.Output]) -> list[ResultRow]:
        """What of the declared outputs is there. A job is shown without them while the storage is not."""
        storage = self._engine.storage
        kept: dict[tuple[str, str], Stored] = {}
        try:
            async with asyncio.timeout(_PATIENCE_FOR_RESULTS_S):
                for namespace in {output.address.address.namespace for output in outputs}:
                    kept |= {(namespace, found.name): found for found in await storage.list(namespace)}
        except (NodeError, TimeoutError) as error:
            _LOG.warning("the results cannot be listed: %s", error)
        rows = []
        for output in outputs:
            address = output.address.address
            stored = kept.get((address.namespace, address.name))
            if stored is None:
                continue
            described = None
            if isinstance(storage, DescribingStorage) and output.address.port.type not in results.REPORTS:
                described = await _described(storage, stored)
            rows.append(views.result_row(output, stored, described, _local_path(storage, stored)))
        return rows


async def _described(storage: DescribingStorage, stored: Stored) -> TableMetadata | None:
    """What lies beside a table; it is shown without where that cannot be had."""
    try:
        async with asyncio.timeout(_PATIENCE_FOR_RESULTS_S):
            return await storage.description(stored.namespace, stored.name)
    except (NodeError, TimeoutError) as error:
        _LOG.warning("the description of %s/%s cannot be read: %s", stored.namespace, stored.name, error)
        return None


def keeping_of(reader: Reader, job_id: str, days: int) -> Keeping:
    """What becomes of a job's results, which go after so many days (0 = never)."""
    head, found = store.head(reader, job_id), keeping.of(reader, job_id)
    ended_ms = head.ended_ms if head is not None and found.removed_ms is None else None
    due_ms = removal_ms(ended_ms, days, kept=found.kept_ms is not None)
    return Keeping(**asdict(found), removal_ms=due_ms)


def last_signs(console: Console, stuck: Stuck) -> dict[str, int]:
    """When each other node of the attempt's session gave a sign of life: a message in the session, or any answer."""
    found = {}
    for node_id, heard_ms in stuck.partners_ms.items():
        if node_id != console.engine.node_id:
            found[node_id] = max(heard_ms, console.contacts.of(node_id).last_ok_ms or 0)
    return found


async def find_job(console: Console, prefix: str) -> str:
    """The id of the one job that is `prefix` or begins with it; `NotFound` or `InvalidRequest` otherwise."""

    def look(reader: Reader) -> tuple[str | None, int]:
        found = store.find(reader, prefix)
        return found, len(reader.all("jobs.by_prefix", low=prefix, high=prefix + "\x7f"))

    found, number = await console.engine.db.read(look)
    if found is not None:
        return found
    if number > 1:
        raise InvalidRequest(say("job_ambiguous", prefix=shorten(prefix)))
    raise NotFound(say("job_unknown", job=shorten(prefix)))


def _states(text: str) -> tuple[JobState, ...]:
    words = [word.strip().upper() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in JobState.__members__]
    if unknown:
        raise InvalidRequest(say("job_states", known=", ".join(JobState.__members__), value=shorten(unknown[0])))
    return tuple(dict.fromkeys(JobState(word) for word in words))


def _policy_lines(reader: Reader, job_id: str) -> list[Words]:
    ruling = policies.ruling_of(reader, "job", job_id)
    return (
        []
        if ruling is None
        else [say("policy_says", version=ruling.version, what=sentence) for sentence in ruling.reasoning]
    )


def _local_path(storage: Storage, stored: Stored) -> str:
    return str(storage.path(stored.namespace, stored.name)) if isinstance(storage, FileStorage) else ""
