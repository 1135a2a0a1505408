"""Jobs: how they stand, what becomes of them, what they left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_scheduler.wire.console import (
    Decision,
    JobCheck,
    JobCompatibility,
    JobDetail,
    JobDifference,
    JobPage,
    JobRow,
    Keeping,
    StopRequest,
    SubmitReply,
)
from embedded_scheduler.wire.console_space import Discarded
from embedded_scheduler.wire.console_tasks import FlowRuns, ResultPreview, TaskDetail
from nodeconsole.client.calls import Calls, body_of, path_of
from nodeconsole.client.stream import ByteStream


class JobCalls(Calls):
    async def jobs(
        self,
        *,
        before: str | None = None,
        limit: int = 50,
        state: str | None = None,
        flow_id: str | None = None,
        q: str | None = None,
        needs_decision: bool = False,
        sort: str | None = None,
        falling: bool = False,
    ) -> JobPage:
        """Newest first, or by a column. `before` is `next` of the page before; `state` one or more states separated by
        commas; `q` a filter (`embedded_scheduler.wire.query`)."""
        query = {"before": before, "limit": limit, "state": state, "flow_id": flow_id, "q": q, "sort": sort}
        return await self._get(JobPage, "/jobs", query | {"needs_decision": needs_decision, "falling": falling})

    async def job(self, job_id: str) -> JobDetail:
        """`job_id` may be cut to a prefix that fits one job only."""
        return await self._get(JobDetail, path_of("jobs", job_id))

    async def job_compatibility(self, job_id: str) -> JobCompatibility:
        """What the partners have of the components of a job; they are asked now."""
        return await self._get(JobCompatibility, path_of("jobs", job_id, "compatibility"))

    async def job_difference(self, job_id: str, *, against: str = "") -> JobDifference:
        """From the last run of the same flow that was approved there, or from the job `against`."""
        return await self._get(JobDifference, path_of("jobs", job_id, "difference"), {"from": against or None})

    async def task(self, job_id: str, task: str) -> TaskDetail:
        """One task with its attempts on the node."""
        return await self._get(TaskDetail, path_of("jobs", job_id, "tasks", task))

    async def result(self, job_id: str, task: str, party: str, output: str, *, rows: int = 50) -> ResultPreview:
        """The beginning of what a task stored on the node."""
        return await self._get(ResultPreview, path_of("jobs", job_id, "results", task, party, output), {"rows": rows})

    def result_content(self, job_id: str, task: str, party: str, output: str) -> ByteStream:
        """All of it, byte by byte; for administrators."""
        return self._stream(path_of("jobs", job_id, "results", task, party, output, "content"), {})

    async def runs(self, flow_id: str, *, before: str | None = None, limit: int = 20) -> FlowRuns:
        """The newest jobs of a flow with the states of their tasks; `before` is `next` of the page before."""
        return await self._get(FlowRuns, "/runs", {"flow_id": flow_id, "before": before, "limit": limit})

    async def submit(self, document: Mapping[str, Any]) -> SubmitReply:
        """`document` is a job file: `{flow_id, dag, config}`."""
        return await self._send(SubmitReply, "POST", "/jobs", document)

    async def check_job(self, document: Mapping[str, Any]) -> JobCheck:
        """What would become of a job file; partners are asked, so it may take a few seconds."""
        return await self._send(JobCheck, "POST", "/jobs/check", document)

    async def rerun(self, job_id: str) -> SubmitReply:
        """Submit what a finished job of ours was submitted as once more: a new job."""
        return await self._send(SubmitReply, "POST", path_of("jobs", job_id, "rerun"), {})

    async def approve(self, job_id: str, reason: str = "") -> JobRow:
        return await self._send(JobRow, "POST", path_of("jobs", job_id, "approve"), body_of(Decision, reason=reason))

    async def reject(self, job_id: str, reason: str = "") -> JobRow:
        return await self._send(JobRow, "POST", path_of("jobs", job_id, "reject"), body_of(Decision, reason=reason))

    async def stop(self, job_id: str, task_name: str = "", reason: str = "") -> JobRow:
        """Stop the job, or one task with everything that follows it."""
        body = body_of(StopRequest, task_name=task_name, reason=reason)
        return await self._send(JobRow, "POST", path_of("jobs", job_id, "stop"), body)

    async def keep(self, job_id: str) -> Keeping:
        """The results of the job stay on the node until somebody releases or removes them."""
        return await self._send(Keeping, "POST", path_of("jobs", job_id, "keep"), {})

    async def release(self, job_id: str) -> Keeping:
        """They go when they are old enough."""
        return await self._send(Keeping, "POST", path_of("jobs", job_id, "release"), {})

    async def discard(self, job_id: str) -> Discarded:
        """Remove them now. There is no way back."""
        return await self._send(Discarded, "POST", path_of("jobs", job_id, "discard"), {})
