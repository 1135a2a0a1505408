"""`nodeconsole grant …`"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from embedded_scheduler.wire.console_grants import GrantDetail, GrantRequest, PermitRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_document
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment, span_ms


async def listing(call: Invocation) -> Exit:
    args = call.args
    direction = "in" if args.pending else args.direction
    async with call.client() as client:
        page = await client.grants(direction=direction, state="APPLIED" if args.pending else None, limit=args.limit)
    if call.out.as_json:
        call.out.document({"grants": plain(page.grants)})
        return Exit.OK
    cells = (
        (
            row.grant_id,
            row.direction,
            row.node_id,
            row.kind,
            row.resource_id,
            row.state,
            _limits(row.permit),
            moment(row.created_ms),
        )
        for row in page.grants
    )
    columns = ("REQUEST", "DIRECTION", "PARTNER", "KIND", "WHAT", "STATE", "LIMITS", "CREATED")
    call.out.table(columns, cells, empty="no requests: `nodeconsole grant request dataset NODE DATASET`")
    return Exit.OK


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        detail = await client.grant(call.args.grant)
    if call.out.as_json:
        call.out.document(detail.model_dump(mode="json"))
    else:
        _show(call, detail)
    return Exit.OK


async def request(call: Invocation) -> Exit:
    args = call.args
    members: dict[str, Any] = read_document(args.file) if args.file else {}
    if args.kind == "dataset":
        members |= _asked_limits(args.times, args.until)
    if args.kind == "model" and args.project:
        members["apply_project_id"] = args.project
    asked = GrantRequest(
        kind=args.kind, node_id=args.node_id, resource_id=args.resource, name=args.name, members=members
    )
    async with call.client() as client:
        row = await client.request_grant(asked)
    call.out.done(row, f"asked {row.node_id} for {row.kind} {row.resource_id}: {row.grant_id}")
    return Exit.OK


def _asked_limits(times: int | None, until: str | None) -> dict[str, Any]:
    limits = {"times_limit": times, "time_limit": until_ms(until) if until else None}
    return {name: value for name, value in limits.items() if value is not None}


async def approve(call: Invocation) -> Exit:
    args = call.args
    until = until_ms(args.until) if args.until else None
    async with call.client() as client:
        row = await client.approve_grant(args.grant, args.reason, level=args.level, times=args.times, until_ms=until)
    if row.state == "APPLIED":
        call.out.done(row, f"{row.grant_id} waits for another person's approval")
        return Exit.OK
    call.out.done(row, f"approved {row.grant_id}: {row.kind} {row.resource_id} for {row.node_id}")
    return Exit.OK


async def reject(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await client.reject_grant(call.args.grant, call.args.reason)
    call.out.done(row, f"rejected {row.grant_id}")
    return Exit.OK


async def revoke(call: Invocation) -> Exit:
    args = call.args
    async with call.client() as client:
        before = (await client.grant(args.grant)).grant
        for job_id in before.open_jobs:
            fate = "will be stopped" if args.stop_jobs else "goes on (stop it with --stop-jobs)"
            call.out.note(f"job {job_id} was admitted with it and {fate}")
        reply = await client.revoke_grant(before.grant_id, args.reason, stop_jobs=args.stop_jobs)
    call.out.done(reply, f"revoked {reply.grant.grant_id}")
    return Exit.OK


async def refresh(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await client.refresh_grant(call.args.grant)
    call.out.done(row, f"{row.grant_id} is {row.state}")
    return Exit.OK


def until_ms(text: str) -> int:
    """A point in time: a date, a date with a time, or a span from now (`12h`, `30d`, `2w`). Epoch ms."""
    span = span_ms(text)
    if span is not None:
        return int(time.time() * 1000) + span
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise CommandError(f"{text!r} is not a date (2027-01-31) or a span (12h, 30d, 2w)", Exit.USAGE) from None


def _limits(permit: PermitRow | None) -> str:
    if permit is None:
        return ""
    times = f"{permit.used} of {permit.times_limit} jobs" if permit.times_limit else ""
    until = f"until {moment(permit.time_limit_ms)}" if permit.time_limit_ms else ""
    return ", ".join(part for part in (times, until) if part) or "none"


def _show(call: Invocation, detail: GrantDetail) -> None:
    row = detail.grant
    asked = f"{row.node_id} asked this node" if row.direction == "in" else f"this node asked {row.node_id}"
    call.out.facts(
        {
            "request": row.grant_id,
            "asked": f"{asked} for {row.kind} {row.resource_id}",
            "name": row.name,
            "state": row.state,
            "decided by": row.decided_by.removeprefix("operator:"),
            "reason": row.reason,
            "limits": _limits(row.permit),
            "level": str(row.permit.level) if row.permit is not None else "",
            "approved so far by": ", ".join(actor.removeprefix("operator:") for actor in row.approvals),
            "open jobs": ", ".join(row.open_jobs),
            "policy": " · ".join(detail.policy),
            "created": moment(row.created_ms),
        }
    )
    if detail.messages:
        call.out.line()
        cells = ((one.operation, one.state, str(one.attempts), one.last_error) for one in detail.messages)
        call.out.table(("MESSAGE", "STATE", "TRIES", "LAST ERROR"), cells, empty="")


COMMANDS: dict[str, Command] = {
    "list": listing,
    "show": show,
    "request": request,
    "approve": approve,
    "reject": reject,
    "revoke": revoke,
    "refresh": refresh,
}
