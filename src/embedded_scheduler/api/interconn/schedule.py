"""What partner nodes call: `/v1/interconn/schedule/…` (control layer §3)."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.authentication import PartnerAuthenticator, Partners
from embedded_scheduler.api.family import Call, Family, Gate, InboxAnswers
from embedded_scheduler.api.verbs import Host, JobVerbs
from embedded_scheduler.domain.failure import read_failure
from embedded_scheduler.domain.lifecycle import TaskState
from embedded_scheduler.errors import ErrorCode, NodeError
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia.job import (
    AuditConfirm,
    Created,
    CreatedAll,
    CreateJob,
    JobProgress,
    JobReference,
    StopJob,
    raw_document,
)
from embedded_scheduler.wire.bfia.signature import Signer
from embedded_scheduler.wire.bfia.task import (
    PollTask,
    StartTask,
    StopTask,
    TaskCallback,
    TaskStatus,
    shown_word,
    task_word,
)

PREFIX = "/v1/interconn/schedule"

family: Family[JobVerbs] = Family("interconn", PREFIX, base="/v1/interconn")

_OUR_TROUBLE = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT, ErrorCode.INTERNAL})


@family.endpoint("POST", "/job/create_all", CreateJob, section="3.1", answer=CreatedAll)
async def create_all(call: Call[JobVerbs, CreateJob]) -> CreatedAll:
    """Create a job at its coordinator, which creates it at every participant before it answers."""
    submitted = await call.verbs.create_all(
        call.engine,
        call.body.job_id,
        raw_document(call.members),
        source=call.caller.source,
        trace_id=call.caller.trace_id,
        as_sent=call.as_sent,
        shown=call.caller.headers.permits,
    )
    return CreatedAll(job_id=submitted.job_id, status=submitted.state, nodes=dict(submitted.nodes))


@family.endpoint("POST", "/job/create", CreateJob, section="3.2", answer=Created)
async def create(call: Call[JobVerbs, CreateJob]) -> Created:
    """Create a job at a participant; PENDING until its operator has decided."""
    state = await call.verbs.create(
        call.engine,
        call.body.job_id,
        raw_document(call.members),
        source=call.caller.source,
        trace_id=call.caller.trace_id,
        as_sent=call.as_sent,
        shown=call.caller.headers.permits,
    )
    return Created(status=shown_word(state, ready_as_pending=call.caller.style.ready_as_pending))


@family.endpoint("POST", "/job/start", JobReference, section="3.3")
async def start(call: Call[JobVerbs, JobReference]) -> None:
    """Start a job here, in all roles this node holds."""
    await call.verbs.start(call.engine, call.body.job_id, source=call.caller.source)


@family.endpoint("POST", "/task/start", StartTask, section="3.4")
async def start_task(call: Call[JobVerbs, StartTask]) -> None:
    """Start this node's shares of a task."""
    body = call.body
    await call.verbs.start_task(call.engine, body.job_id, body.task_id, body.task_name, source=call.caller.source)


@family.endpoint("POST", "/job/stop_all", StopJob, section="3.5")
async def stop_all(call: Call[JobVerbs, StopJob]) -> None:
    """Ask the coordinator to stop a job, or a task and all that follow it."""
    source = call.caller.source
    await call.verbs.stop_all(call.engine, call.body.job_id, call.body.task_name, actor=f"peer:{source}", source=source)


@family.endpoint("POST", "/job/stop", StopJob, section="3.6")
async def stop(call: Call[JobVerbs, StopJob]) -> None:
    """Stop a job here, or a task and all that follow it; nothing changes about what has ended."""
    await call.verbs.stop(call.engine, call.body.job_id, call.body.task_name, source=call.caller.source)


@family.endpoint("GET", "/job/status_all", JobReference, section="3.7", answer=JobProgress, reads=True)
@family.endpoint("POST", "/job/status_all", JobReference, section="3.7 (v1.2.0)", answer=JobProgress, reads=True)
async def status_all(call: Call[JobVerbs, JobReference]) -> JobProgress:
    """State of a job and of all its tasks, by task id."""
    style = call.caller.style
    status = await call.verbs.status_all(call.engine, call.body.job_id, source=call.caller.source)
    tasks = {
        task_id: shown_word(state, ready_as_pending=style.ready_as_pending) for task_id, state in status.tasks.items()
    }
    if style.omit_job_status:
        return JobProgress(status=tasks)
    return JobProgress(job_status=status.job_status, status=tasks, outcome=status.outcome, reason=status.reason)


@family.endpoint("POST", "/task/poll", PollTask, section="3.8", answer=TaskStatus, reads=True)
async def poll(call: Call[JobVerbs, PollTask]) -> TaskStatus:
    """State of this node's share of a task, in one of its roles or over all of them."""
    style = call.caller.style
    try:
        state, failure = await call.verbs.poll(
            call.engine, call.body.task_id, call.body.role, source=call.caller.source
        )
    except NodeError as error:
        # For this partner one failed poll is a failed task; PENDING claims nothing and makes it ask again.
        if style.patient_poll or error.code not in _OUR_TROUBLE:
            raise
        state, failure = TaskState.PENDING, None
    told = failure.document if failure is not None and style.failure_class else None
    return TaskStatus(status=shown_word(state, ready_as_pending=style.ready_as_pending), failure=told)


# Not stored: a status told twice changes nothing, and this is the message that comes most often.
@family.endpoint("POST", "/task/callback", TaskCallback, section="3.9", stored=False)
async def callback(call: Call[JobVerbs, TaskCallback]) -> None:
    """A participant tells how its share of a task stands."""
    source = call.caller.source
    status = task_word(call.body.status, told_by=source or "(unnamed)")
    proven = call.caller.proven and call.caller.in_force
    failure = read_failure(call.body.failure)
    await call.verbs.callback(
        call.engine, call.body.task_id, status, call.body.role, source=source, proven=proven, failure=failure
    )


@family.endpoint("POST", "/job/audit_confirm", AuditConfirm, section="3.10")
async def audit_confirm(call: Call[JobVerbs, AuditConfirm]) -> None:
    """A participant tells what its operator decided about a job."""
    await call.verbs.audit_confirm(
        call.engine, call.body.job_id, approved=call.body.approved, source=call.caller.source
    )


@family.endpoint("POST", "/task/stop", StopTask, section="unspecified (Kuscia)")
async def stop_task(call: Call[JobVerbs, StopTask]) -> None:
    """Stop this node's share of one task."""
    await call.verbs.stop_task(call.engine, call.body.task_id, source=call.caller.source)


def register(
    app: Quart,
    engine: Host,
    *,
    jobs: JobVerbs,
    partners: Partners,
    database: Database,
    signer: Signer | None = None,
    gate: Gate | None = None,
) -> None:
    """Serve the family in `app`. `jobs` = the verbs (`engine.jobs`), `partners` = the partner directory, `gate` = the
    limits per partner; `signer` signs the answers."""
    settings = engine.settings
    authenticator = PartnerAuthenticator(
        settings.node_id, partners, clock=engine.clock, signer=signer, mutual=settings.partner.tls == "mutual"
    )
    family.register(app, engine, verbs=jobs, authenticator=authenticator, answers=InboxAnswers(database), gate=gate)
