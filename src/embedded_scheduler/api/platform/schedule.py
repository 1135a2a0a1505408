"""What the own platform and the node's components call: `/v1/platform/schedule/…` (control layer §4, §5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel
from quart import Quart

from embedded_scheduler.api.family import Call, Family, Handler, InboxAnswers
from embedded_scheduler.api.platform.authentication import PlatformAuthenticator, actor_of
from embedded_scheduler.api.verbs import ComponentVerbs, Host, JobVerbs, LogVerbs
from embedded_scheduler.engine.credentials import Credentials
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia.component import RegisterComponent
from embedded_scheduler.wire.bfia.job import (
    CreatedAll,
    JobList,
    JobListQuery,
    JobProgress,
    JobReference,
    StopJobFrom,
    SubmitJob,
    raw_document,
)
from embedded_scheduler.wire.bfia.log import LogLineCount, LogLineQuery, LogQuery, LogText
from embedded_scheduler.wire.bfia.task import ComponentCallback

PREFIX = "/v1/platform/schedule"


@dataclass(frozen=True, slots=True)
class Verbs:
    jobs: JobVerbs
    components: ComponentVerbs
    logs: LogVerbs


family: Family[Verbs] = Family("platform", PREFIX, base="/v1/platform")
SCOPES: dict[tuple[str, str], str] = {}
"""Method and path → the scope that a token needs there."""

B = TypeVar("B", bound=BaseModel)


def _endpoint(
    method: str,
    path: str,
    request: type[BaseModel],
    *,
    scope: str,
    section: str,
    answer: type[BaseModel] | None = None,
    reads: bool = False,
    stored: bool = True,
    component: bool = False,
) -> Callable[[Callable[[Call[Verbs, B]], Awaitable[BaseModel | None]]], Handler[Verbs]]:
    """`Family.endpoint` for callers whose token has the scope."""
    SCOPES[method, PREFIX + path] = scope
    return family.endpoint(
        method, path, request, section=section, answer=answer, reads=reads, stored=stored, component=component
    )


@_endpoint("POST", "/task/callback", ComponentCallback, scope="jobs:write", section="4.1", component=True, stored=False)
async def component_callback(call: Call[Verbs, ComponentCallback]) -> None:
    """A component of this node tells how its task stands."""
    body, caller = call.body, call.caller
    await call.verbs.jobs.component_callback(
        call.engine, body.task_id, body.status, body.role, token=caller.token, trusted=caller.trusted
    )


@_endpoint("POST", "/job/create_all", SubmitJob, scope="jobs:write", section="5.1", answer=CreatedAll)
async def submit(call: Call[Verbs, SubmitJob]) -> CreatedAll:
    """Submit a job; the node makes its id and creates it at every participant."""
    submitted = await call.verbs.jobs.submit(
        call.engine,
        raw_document(call.members),
        actor=actor_of(call.caller),
        trace_id=call.caller.trace_id,
        as_sent=call.as_sent,
    )
    return CreatedAll(job_id=submitted.job_id, status=submitted.state, nodes=dict(submitted.nodes))


@_endpoint("POST", "/job/stop_all", JobReference, scope="jobs:write", section="5.2")
async def stop_all(call: Call[Verbs, JobReference]) -> None:
    """Stop a job everywhere."""
    await call.verbs.jobs.stop_all(call.engine, call.body.job_id, "", actor=actor_of(call.caller))


@_endpoint("GET", "/job/status_all", JobReference, scope="jobs:read", section="5.3", answer=JobProgress, reads=True)
@_endpoint(
    "POST", "/job/status_all", JobReference, scope="jobs:read", section="5.3 (by POST)", answer=JobProgress, reads=True
)
async def status_all(call: Call[Verbs, JobReference]) -> JobProgress:
    """State of a job and of all its tasks, by task id."""
    status = await call.verbs.jobs.status_all(call.engine, call.body.job_id)
    return JobProgress(
        job_status=status.job_status,
        status=dict(status.tasks),
        outcome=status.outcome,
        reason=status.reason,
        task_names=dict(status.names),
    )


@_endpoint("GET", "/task/get_log_line", LogLineQuery, scope="logs:read", section="5.4", answer=LogLineCount, reads=True)
async def line_count(call: Call[Verbs, LogLineQuery]) -> LogLineCount:
    """How many lines a task's log has at a level."""
    return LogLineCount(num=await call.verbs.logs.line_count(call.engine, call.body.task_id, call.body.log_level))


@_endpoint("GET", "/task/get_log", LogQuery, scope="logs:read", section="5.5", answer=LogText, reads=True)
async def log_lines(call: Call[Verbs, LogQuery]) -> LogText:
    """Lines of a task's log at a level, from `start` (0-based)."""
    body = call.body
    lines = await call.verbs.logs.read(call.engine, body.task_id, body.log_level, body.start, body.length)
    return LogText(data=lines.decode("utf-8", "backslashreplace"))


@_endpoint("GET", "/job/query_job_list", JobListQuery, scope="jobs:read", section="5.6", answer=JobList, reads=True)
async def job_list(call: Call[Verbs, JobListQuery]) -> JobList:
    """Jobs of a flow, or all, with their states."""
    return JobList(job_list=dict(await call.verbs.jobs.job_list(call.engine, call.body.flow_id or None)))


@_endpoint("POST", "/job/stop_task", StopJobFrom, scope="jobs:write", section="5.7")
async def stop_task(call: Call[Verbs, StopJobFrom]) -> None:
    """Stop a task of a job and all that follow it, everywhere."""
    await call.verbs.jobs.stop_all(call.engine, call.body.job_id, call.body.task_name, actor=actor_of(call.caller))


@_endpoint("POST", "/component/register", RegisterComponent, scope="components:write", section="5.8")
async def register_component(call: Call[Verbs, RegisterComponent]) -> None:
    """Register a component: where it is and how it describes itself."""
    manifest = call.members["component_info"]
    await call.verbs.components.register(call.engine, call.body.imageUrl, dict(manifest), actor=actor_of(call.caller))


def register(app: Quart, engine: Host, *, verbs: Verbs, database: Database, credentials: Credentials) -> None:
    """Serve the family in `app` to whoever shows one of the `credentials`."""
    authenticator = PlatformAuthenticator(
        credentials, engine.clock, _scope_of, trust_loopback=engine.settings.platform.trust_loopback
    )
    family.register(app, engine, verbs=verbs, authenticator=authenticator, answers=InboxAnswers(database))


def _scope_of(method: str, path: str) -> str:
    return SCOPES.get((method, path), "")
