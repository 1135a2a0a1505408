"""`nodeconsole space` and `job keep | release | discard`: what takes the disk, and what becomes of results."""

from __future__ import annotations

from embedded_scheduler.wire.console import Keeping, ResultRow
from embedded_scheduler.wire.console_space import JobSpaceRow, SpaceReport
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.text import moment, size

RESULT_COLUMNS = ("RESULT OF", "PARTY", "OUTPUT", "TYPE", "FORMAT", "ROWS", "COLUMNS", "SIZE", "WHERE")


def result_words(row: ResultRow) -> tuple[str, ...]:
    """The cells of one result under `RESULT_COLUMNS`."""
    rows = "" if row.rows is None else str(row.rows)
    columns = str(len(row.columns)) if row.columns else ""
    place = row.path or f"{row.namespace}#{row.name}"
    return row.task, row.party, row.output, row.type, row.format, rows, columns, size(row.size), place


def keeping_note(keeping: Keeping) -> str:
    """What becomes of a job's results; empty = nothing to say."""
    if keeping.removed_ms is not None:
        by = "they were old enough" if keeping.removed_by == "node" else f"by {keeping.removed_by}"
        return f"results were removed on {moment(keeping.removed_ms)}: {by}"
    if keeping.kept_ms is not None:
        return f"results are kept for good, since {moment(keeping.kept_ms)} by {keeping.kept_by}"
    return f"results are removed on {moment(keeping.removal_ms)}" if keeping.removal_ms is not None else ""


async def space(call: Invocation) -> Exit:
    async with call.client() as client:
        found = await call.out.busy("counting", client.space(limit=call.args.limit))
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    _show(call, found)
    return Exit.OK


def _show(call: Invocation, found: SpaceReport) -> None:
    quota = f" of {size(found.quota)} ({found.used * 100 // found.quota} %)" if found.quota else ", no quota"
    disk = f"{size(found.disk_free)} of {size(found.disk_total)}; {size(found.disk_keep)} stay free"
    storage = f"{found.storage}{'' if found.storage_seen else ' (cannot be counted now)'}" if found.storage else ""
    call.out.facts(
        {
            "used": f"{size(found.used)}{quota}",
            "disk free": disk,
            "storage": storage,
            "new jobs": f"refused: {found.refusal}" if found.refusal else "",
        }
    )
    call.out.line()
    call.out.table(("KIND", "SIZE"), ((kind, size(amount)) for kind, amount in found.kinds.items()), empty="")
    if found.jobs:
        call.out.line()
        columns = ("JOB", "FLOW", "STATE", "TOTAL", "RESULTS", "LOGS", "WORKING", "RESULTS GO")
        call.out.table(columns, map(_job, found.jobs), empty="")
    if found.datasets:
        call.out.line()
        rows = ((row.dataset_id, size(row.size)) for row in found.datasets)
        call.out.table(("PREPARED DATASET", "SIZE"), rows, empty="")
    if found.jobs_total > len(found.jobs):
        call.out.note(f"{found.jobs_total - len(found.jobs)} more jobs have files here: add --limit N")
    if any("discard" in row.actions for row in found.jobs):
        call.out.note("`nodeconsole job discard JOB` removes a job's results, `job keep JOB` keeps them for good")


def _job(row: JobSpaceRow) -> tuple[str, ...]:
    goes = "kept for good" if row.kept else moment(row.removal_ms)
    state = " ".join(filter(None, (row.state or "unknown", row.outcome)))
    sizes = (row.total, row.results, row.logs, row.runs + row.channel)
    return row.job_id, row.flow_id, state, *map(size, sizes), goes


async def keep(call: Invocation) -> Exit:
    async with call.client() as client:
        return _kept(call, await client.keep(call.args.job))


async def release(call: Invocation) -> Exit:
    async with call.client() as client:
        return _kept(call, await client.release(call.args.job))


def _kept(call: Invocation, keeping: Keeping) -> Exit:
    call.out.done(keeping, keeping_note(keeping) or "results go when they are old enough (retention.results_days)")
    return Exit.OK


async def discard(call: Invocation) -> Exit:
    """Without `--yes` it only says what would go."""
    async with call.client() as client:
        detail = await client.job(call.args.job)
        if not call.args.yes:
            total = sum(row.size for row in detail.results)
            what = f"{len(detail.results)} results of {detail.job.job_id} ({size(total)})"
            raise CommandError(f"this removes {what} for good: add --yes to do so", Exit.USAGE)
        gone = await client.discard(detail.job.job_id)
    call.out.done(gone, f"removed {gone.objects} results of {detail.job.job_id}, {size(gone.size)}")
    return Exit.OK


COMMANDS: dict[str, Command] = {"space": space, "keep": keep, "release": release, "discard": discard}
