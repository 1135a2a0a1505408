"""`nodeconsole job …`"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from embedded_scheduler.wire.console import (
    Changed,
    ComponentMatch,
    DataUse,
    JobDetail,
    JobDifference,
    JobRow,
    SubmitReply,
    TaskRow,
    Waiting,
)
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_document
from nodeconsole.cli.job_logs import logs
from nodeconsole.cli.outage import RETRY_SECONDS, Outage
from nodeconsole.cli.output import bar, plain
from nodeconsole.cli.space import RESULT_COLUMNS, keeping_note, result_words
from nodeconsole.cli.text import moment, span
from nodeconsole.client import NodeClient, NodeUnreachable


async def submit(call: Invocation) -> Exit:
    document = read_document(call.args.file)
    async with call.client() as client:
        reply = await call.out.busy("asking the parties", client.submit(document))
        if not call.args.wait:
            return _submitted(call, reply)
        call.out.note(f"submitted {reply.job_id}; Ctrl+C leaves it running")
        return _over(call, await _wait(call, client, reply.job_id))


async def wait(call: Invocation) -> Exit:
    async with call.client() as client:
        # What was typed may be the beginning of an id.
        job_id = (await client.job(call.args.job)).job.job_id
        return _over(call, await _wait(call, client, job_id))


def _over(call: Invocation, job: JobRow) -> Exit:
    call.out.done(job, job.job_id)
    call.out.note(f"{_state(job)}{f': {job.reason}' if job.reason else ''}")
    return Exit.OK if job.outcome == "succeeded" else Exit.UNSUCCESSFUL


async def check(call: Invocation) -> Exit:
    """Exit code 6 when it could not be submitted, or not run here."""
    document = read_document(call.args.file)
    async with call.client() as client:
        found = await call.out.busy("asking the parties", client.check_job(document))
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.UNSUCCESSFUL if found.problems else Exit.OK
    for problem in found.problems:
        call.out.line(f"problem: {problem}")
    for warning in found.warnings:
        call.out.line(f"warning: {warning}")
    if not found.problems:
        call.out.line(f"it can be submitted; {found.coordinator} would drive it")
    return Exit.UNSUCCESSFUL if found.problems else Exit.OK


async def _wait(call: Invocation, client: NodeClient, job_id: str) -> JobRow:
    """Follow the job until it is over; says what changes and why it waits."""
    try:
        async with asyncio.timeout(call.args.timeout):
            shown: list[str] = []
            async with aclosing(_changes(call, client, job_id)) as changes:
                async for detail in changes:
                    _report(call, detail, shown)
                    if _is_over(detail.job):
                        return detail.job
    except TimeoutError:
        raise CommandError(
            f"{job_id} is not over after {call.args.timeout:g} s; it goes on: `nodeconsole job show {job_id}`"
        ) from None
    raise CommandError(f"lost sight of {job_id}")


async def _changes(call: Invocation, client: NodeClient, job_id: str) -> AsyncGenerator[JobDetail, None]:
    """The job now, and again whenever one of its events is committed."""
    outage = Outage(call.out)
    while True:
        try:
            after = (await client.status()).last_seq
            yield await client.job(job_id)
            outage.is_over()
            async for page in client.events(after):
                if any(event.job_id == job_id for event in page.events):
                    yield await client.job(job_id)
        except NodeUnreachable as error:
            outage.goes_on(error)
        await asyncio.sleep(RETRY_SECONDS)


def _report(call: Invocation, detail: JobDetail, shown: list[str]) -> None:
    job = detail.job
    lines = [f"{_state(job)}  {job.tasks_done}/{job.tasks_total} tasks", *_why(detail)]
    call.out.progress(f"[{bar(job.tasks_done, job.tasks_total)}] {'  '.join(lines)}")
    for line in lines if not call.out.interactive else lines[1:]:
        if line not in shown:
            call.out.note(line)
    shown[:] = lines


def _why(detail: JobDetail) -> list[str]:
    whole = detail.job.waiting.text if detail.job.waiting else ""
    parts = [f"{task.name} {task.waiting.text}" for task in detail.tasks if task.waiting and task.waiting.text != whole]
    return [line for line in (whole, *parts) if line]


def _is_over(job: JobRow) -> bool:
    """`outcome` is set with FINISHED; a rejected job never runs."""
    return job.outcome is not None or job.state in {"FINISHED", "REJECTED"}


async def listing(call: Invocation) -> Exit:
    args = call.args
    async with call.client() as client:
        page = await client.jobs(
            before=args.before,
            limit=args.limit,
            state=args.state,
            flow_id=args.flow,
            q=" ".join(filter(None, (args.query, *args.filter))),
            needs_decision=args.needs_decision,
            sort=args.sort,
            falling=args.falling,
        )
    if call.out.as_json:
        call.out.document({"jobs": plain(page.jobs), "next": page.next})
        return Exit.OK
    columns = ("JOB", "FLOW", "STATE", "TASKS", "PARTIES", "CREATED", "TOOK", "WAITS FOR")
    call.out.table(columns, (_row(job) for job in page.jobs), empty="no job fits")
    if page.next:
        searched = f" (searched {page.searched:,} of {page.total:,})" if len(page.jobs) < args.limit else ""
        call.out.note(f"there are more{searched}: add --before {shlex.quote(page.next)}")
    return Exit.OK


def _row(job: JobRow) -> tuple[str, ...]:
    took = span(job.ended_ms - job.started_ms) if job.ended_ms and job.started_ms else ""
    waits = "your decision" if job.needs_decision else job.waiting.text if job.waiting else ""
    tasks = f"{job.tasks_done}/{job.tasks_total}"
    return (
        job.job_id,
        job.flow_id,
        _state(job),
        tasks,
        " ".join(job.parties),
        moment(job.created_ms),
        took,
        waits,
    )


def _state(job: JobRow) -> str:
    return f"{job.state} {job.outcome}" if job.outcome else job.state


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        detail = await client.job(call.args.job)
    if call.out.as_json:
        call.out.document(detail.model_dump(mode="json"))
        return Exit.OK
    job = detail.job
    call.out.facts(
        {
            "job": job.job_id,
            "flow": job.flow_id,
            "state": _state(job),
            "reason": job.reason,
            "initiator": job.initiator,
            "coordinator": job.coordinator,
            "parties": "  ".join(job.parties),
            "created": moment(job.created_ms),
            "started": moment(job.started_ms),
            "ended": moment(job.ended_ms),
            "decisions": "  ".join(f"{row.node_id} {row.state}" for row in detail.approvals),
            "now": _waiting(job.waiting),
            "you can": ", ".join(job.actions),
        }
    )
    call.out.line()
    rows = [row for task in detail.tasks for row in _task_rows(task)]
    call.out.table(("TASK", "COMPONENT", "PARTY", "NODE", "STATE", "TOOK", "NOTE"), rows, empty="no tasks")
    _show_card(call, detail)
    _show_policy(call, detail)
    _show_results(call, detail)
    for warning in detail.warnings:
        call.out.line(f"warning: {warning}")
    return Exit.OK


def _task_rows(task: TaskRow) -> list[tuple[str, ...]]:
    state = f"{task.state} (cancelled)" if task.cancelled else task.state
    took = span(task.ended_ms - task.started_ms) if task.ended_ms and task.started_ms else ""
    rows: list[tuple[str, ...]] = [(task.name, task.component, "", "", state, took, _waiting(task.waiting))]
    for share in task.shares:
        took = span(share.ended_ms - share.started_ms) if share.ended_ms and share.started_ms else ""
        where = f"{share.node_id} (here)" if share.local else share.node_id
        runs = share.where or share.runner
        note = "; ".join(part for part in (share.reason, f"runs by {runs}" if runs else "") if part)
        rows.append(("", "", f"{share.role}.{share.index}", where, share.state, took, note))
    return rows


def _show_card(call: Invocation, detail: JobDetail) -> None:
    card = detail.card
    if card is None:
        return
    call.out.line()
    call.out.line(f"{card.asker.node_id} asks this node to take part as {', '.join(card.our_roles)}")
    if card.asker.resembles:
        call.out.line(f"  careful      {card.asker.node_id} is not {card.asker.resembles}: compare the key")
    if card.asker.fingerprint:
        call.out.line(f"  key          {card.asker.fingerprint}  contract {card.asker.contract}")
    for part in card.parts:
        marks = "".join((" NEW" if part.new else "", "" if part.known or not part.ours else " NOT REGISTERED"))
        call.out.line(f"  runs         {part.task}: {part.provider} {part.name} {part.version}{marks}")
    for use in card.data:
        call.out.line(f"  our data     {_data_use(use)}")
    for part in card.parts:
        for leaves in part.leaves:
            call.out.line(f"  leaves here  {part.task}: {leaves}")
    for problem in card.problems:
        call.out.line(f"  problem      {problem}")
    for line in _difference_lines(card.difference):
        call.out.line(f"  {line}")


def _data_use(use: DataUse) -> str:
    columns = f"  columns {len(use.named) or len(use.columns)} of {len(use.columns)}: {' '.join(use.named)}"
    facts = [
        f"{use.task}: {use.dataset}",
        f"{use.rows} rows" if use.rows is not None else "",
        columns.strip().rstrip(":") if use.columns else "",
        "" if use.found else "NOT FOUND",
        use.note,
        *(f"grant {cover.grant_id}" for cover in use.covered_by),
    ]
    return "  ".join(fact for fact in facts if fact)


async def diff(call: Invocation) -> Exit:
    """How a job differs from the last approved run of the same flow, or from the job that is named."""
    async with call.client() as client:
        found = await client.job_difference(call.args.job, against=call.args.other or "")
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    for line in _difference_lines(found):
        call.out.line(line)
    return Exit.OK


async def components(call: Invocation) -> Exit:
    """What the partners have of the components of a job. Fails when something is in the way."""
    async with call.client() as client:
        found = await client.job_compatibility(call.args.job)
    wrong = any(row.wrong for row in found.components)
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.FAILED if wrong else Exit.OK
    cells = (
        (row.node_id, " ".join(filter(None, (row.provider, row.name, row.version))), " ".join(row.tasks), _match(row))
        for row in found.components
    )
    call.out.table(("PARTNER", "COMPONENT", "TASKS", "THERE"), cells, empty="no partner runs a part of this job")
    return Exit.FAILED if wrong else Exit.OK


def _match(row: ComponentMatch) -> str:
    return {
        "same": "the same self-description",
        "listed": "yes; self-description not compared",
        "different": "ANOTHER SELF-DESCRIPTION",
        "disabled": "DISABLED",
        "other_version": f"ONLY {' '.join(row.versions)}",
        "missing": "MISSING",
        "unknown": f"not known: {row.note}",
    }.get(row.match, row.match)


def _difference_lines(found: JobDifference) -> list[str]:
    """The track record, then one line per difference: `+` new, `-` gone, `~` changed."""
    record, precedent = found.record, found.precedent
    decided = record.approved + record.rejected
    lines = [f"approved {record.approved} of {decided} of its jobs in 90 days, {record.same_flow} of this flow"]
    if precedent is None:
        return [*lines, "nothing like it was approved here before"]
    if not precedent.changes:
        return [*lines, f"no different from {precedent.other}"]
    lines.append(f"compared with {precedent.other}:")
    lines += [f"  {_change_line(change)}" for change in precedent.changes]
    return [*lines, f"  and {precedent.more} more"] if precedent.more else lines


def _change_line(change: Changed) -> str:
    sign = "+" if not change.before else "-" if not change.after else "~"
    where = f" ({change.where})" if change.where else ""
    values = f": {change.before} -> {change.after}" if sign == "~" else ""
    return f"{sign} {change.aspect} {change.name}{where}{values}"


def _show_policy(call: Invocation, detail: JobDetail) -> None:
    if detail.policy:
        call.out.line()
    for sentence in detail.policy:
        call.out.line(sentence)


def _show_results(call: Invocation, detail: JobDetail) -> None:
    if not detail.results and detail.keeping.removed_ms is None:
        return
    call.out.line()
    if detail.results:
        call.out.table(RESULT_COLUMNS, map(result_words, detail.results), empty="")
    if note := keeping_note(detail.keeping):
        call.out.line(note)


def _waiting(waiting: Waiting | None) -> str:
    return waiting.text if waiting else ""


async def approve(call: Invocation) -> Exit:
    async with call.client() as client:
        job = await client.approve(call.args.job, call.args.reason)
    return _decided(call, job, "approved")


async def reject(call: Invocation) -> Exit:
    async with call.client() as client:
        job = await client.reject(call.args.job, call.args.reason)
    return _decided(call, job, "rejected")


async def stop(call: Invocation) -> Exit:
    async with call.client() as client:
        job = await client.stop(call.args.job, call.args.task, call.args.reason)
    return _decided(call, job, "asked to stop")


async def rerun(call: Invocation) -> Exit:
    async with call.client() as client:
        reply = await call.out.busy("asking the parties", client.rerun(call.args.job))
    return _submitted(call, reply)


def _submitted(call: Invocation, reply: SubmitReply) -> Exit:
    if call.out.as_json:
        call.out.document(reply.model_dump(mode="json"))
    else:
        call.out.line(reply.job_id)
        call.out.note(f"{reply.state}  {_pairs(reply.nodes)}")
    return Exit.OK


def _decided(call: Invocation, job: JobRow, what: str) -> Exit:
    if call.out.as_json:
        call.out.document(job.model_dump(mode="json"))
    else:
        call.out.line(f"{what} {job.job_id}: {_state(job)}")
        if still := missing_approvals(job):
            call.out.note(still)
    return Exit.OK


def missing_approvals(job: JobRow) -> str:
    """`1 of 2 approvals (ann), still needed: one more person`; empty when no further person has to approve."""
    if not job.needs_decision or job.approvers_needed <= 1:
        return ""
    missing = job.approvers_needed - len(job.approved_by)
    names = ", ".join(actor.removeprefix("operator:") for actor in job.approved_by)
    who = "one more person" if missing == 1 else f"{missing} more persons"
    given = f"{len(job.approved_by)} of {job.approvers_needed} approvals{f' ({names})' if names else ''}"
    return f"{given}, still needed: {who}"


def _pairs(nodes: Mapping[str, str]) -> str:
    return "  ".join(f"{node}: {state}" for node, state in nodes.items())


COMMANDS: dict[str, Command] = {
    "submit": submit,
    "check": check,
    "list": listing,
    "show": show,
    "diff": diff,
    "components": components,
    "approve": approve,
    "wait": wait,
    "reject": reject,
    "stop": stop,
    "rerun": rerun,
    "logs": logs,
}
