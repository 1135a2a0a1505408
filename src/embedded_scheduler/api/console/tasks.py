"""`/jobs/<id>/tasks/<name>`, `/jobs/<id>/results/…` and `/runs`: one task, what it stored, the runs of a flow."""

from __future__ import annotations

from quart import Quart, Response

from embedded_scheduler.api.console import endpoint, views
from embedded_scheduler.api.console.jobs import Jobs, find_job
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.api.console.streams import stream_response
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine import results, traffic
from embedded_scheduler.errors import InvalidRequest, NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.store import attempts, jobs, ledger
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.console_tasks import FlowRun, FlowRuns, ResultPreview, TaskDetail

_MOST_RUNS = 50
_MOST_ROWS = 200


def install(app: Quart, console: Console) -> None:
    tasks = Tasks(console)
    endpoint.route(app, "GET", "/jobs/<job_id>/tasks/<task>", tasks.show)
    endpoint.route(app, "GET", "/jobs/<job_id>/results/<task>/<party>/<output>", tasks.preview)
    # A preview is for whoever may look; whole tables leave the node with an administrator only.
    endpoint.route(app, "GET", "/jobs/<job_id>/results/<task>/<party>/<output>/content", tasks.content, role=Role.ADMIN)
    endpoint.route(app, "GET", "/runs", tasks.runs)


_MOST_USES = 50
"""Earlier runs of a component that are looked at for what it needs."""


class Tasks:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine
        self._jobs = Jobs(console)

    async def show(self, job_id: str, task: str) -> TaskDetail:
        found = await find_job(self._console, job_id)

        def look(reader: Reader) -> TaskDetail:
            row = self._jobs.task_row(reader, found, task)
            ready = ledger.ready_shares(reader, found, task)
            mine = attempts.of_task(reader, found, task)
            rows = [views.attempt_row(a, ready.get(f"{a.role}.{a.index}"), self._traffic(a)) for a in mine]
            for row_, attempt in zip(rows, mine, strict=True):
                uses = attempts.uses_of(reader, attempt.component, _MOST_USES) if attempt.component else []
                row_.usual_peak_bytes = max((use.peak_bytes for use in uses), default=None)
            return TaskDetail(job_id=found, task=row, attempts=rows)

        return await self._engine.db.read(look)

    def _traffic(self, attempt: Attempt) -> traffic.Traffic | None:
        """As it was kept at the end, else as it is being counted."""
        if attempt.ended_ms is not None:
            return traffic.of_text(attempt.traffic)
        return self._engine.channel.meter.read(attempt.token_hash, attempt.launched_ms)

    async def preview(self, job_id: str, task: str, party: str, output: str) -> ResultPreview:
        rows = endpoint.number_query("rows", 50, low=1, high=_MOST_ROWS)
        found = await self._output(job_id, task, party, output)
        shown, stored = await results.preview(self._engine, found, rows)
        return ResultPreview(
            task=task,
            party=party,
            output=output,
            kind=shown.kind,
            size=stored.size,
            columns=list(shown.columns),
            rows=[list(row) for row in shown.rows],
            total=shown.total,
            document=shown.document,
            text=shown.text,
            whole=shown.whole,
            why=str(shown.why),
            said=said(why=shown.why),
        )

    async def content(self, job_id: str, task: str, party: str, output: str) -> Response:
        found = await self._output(job_id, task, party, output)
        address = found.address.address
        if await self._engine.storage.stat(address.namespace, address.name) is None:
            raise NotFound(say("nothing_stored", task=shorten(task), output=shorten(output)))
        return stream_response(results.content(self._engine, found), "application/octet-stream")

    async def _output(self, job_id: str, task: str, party: str, output: str) -> results.Output:
        found = await find_job(self._console, job_id)

        def look(reader: Reader) -> list[results.Output]:
            snapshot = self._jobs.snapshot(reader, found)
            return results.declared(reader, snapshot, attempts.of_task(reader, found, task))

        return results.one_of(await self._engine.db.read(look), task, party, output)

    async def runs(self) -> FlowRuns:
        flow_id = endpoint.text_query("flow_id")
        if not flow_id:
            raise InvalidRequest(say("flow_unnamed"))
        before = endpoint.number_query("before", jobs.FIRST_PAGE, low=0, high=jobs.FIRST_PAGE)
        limit = endpoint.number_query("limit", 20, low=1, high=_MOST_RUNS)

        def look(reader: Reader) -> FlowRuns:
            heads = jobs.page(reader, self_node=self._engine.node_id, before=before, limit=limit + 1, flow_id=flow_id)
            tasks: dict[str, None] = {}
            found = []
            for head in heads[:limit]:
                spec = jobs.spec(reader, head.job_id)
                tasks |= dict.fromkeys(spec.flow.order if spec else ())
                states = jobs.task_states(reader, head.job_id)
                found.append(FlowRun(job=self._jobs.row(reader, head), tasks=states))
            more = str(heads[limit - 1].position) if len(heads) > limit else None
            return FlowRuns(flow_id=flow_id, tasks=list(tasks), runs=found, next=more)

        return await self._engine.db.read(look)
