"""`nodeconsole stats`, `attention` and `top`: how the node is, without the console."""

from __future__ import annotations

from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.text import moment, span
from nodeconsole.client import NodeClient

_MARKS = {"decide": "decide", "error": "ERROR", "warning": "warning"}


async def stats(call: Invocation) -> Exit:
    async with call.client() as client:
        found = await client.statistics(hours=call.args.hours)
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    sums = {
        name: sum(getattr(bucket, name) for bucket in found.buckets)
        for name in ("created", "succeeded", "failed", "stopped", "rejected", "other")
    }
    call.out.facts(
        {
            "from": moment(found.since_ms),
            "to": moment(found.until_ms),
            "submitted": str(sums.pop("created")),
            "ended": "  ".join(f"{name} {number}" for name, number in sums.items() if number) or "none",
            "success": f"{found.success:.1%}" if found.success is not None else "",
            "median": span(found.took.p50_ms),
            "95 of 100 within": span(found.took.p95_ms),
        }
    )
    for kind, shares in (("FLOW", found.flows), ("PARTNER", found.partners)):
        if shares:
            rows = [
                (s.name, str(s.total), str(s.succeeded), str(s.failed), span(s.p50_ms), span(s.p95_ms)) for s in shares
            ]
            call.out.line()
            call.out.table((kind, "JOBS", "SUCCEEDED", "FAILED", "MEDIAN", "P95"), rows, empty="")
    return Exit.OK


async def attention(call: Invocation) -> Exit:
    """Exit code 0 also when something needs a person: it is no failure of the command."""
    async with call.client() as client:
        found, now_ms = await client.attention(), (await client.status()).now_ms
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    rows = [
        (_MARKS.get(item.severity, item.severity), item.text, span(max(0, now_ms - item.since_ms)), item.subject)
        for item in found.items
    ]
    call.out.table(("", "WHAT", "SINCE", "ABOUT"), rows, empty="nothing needs you")
    if found.left_out:
        call.out.note(f"{found.left_out} more are left out")
    return Exit.OK


async def top(call: Invocation) -> Exit:
    from nodeconsole.cli.live import show  # noqa: PLC0415 - the console's view models: no other command needs them

    async with call.client() as client:
        if call.out.as_json:
            await _print_document(call, client)
        else:
            await show(client, every=call.args.every, once=call.args.once, out=call.out)
    return Exit.OK


async def _print_document(call: Invocation, client: NodeClient) -> None:
    status, overview = await client.status(), await client.overview()
    resources = await client.resources()
    document = {
        "status": status.model_dump(mode="json"),
        "resources": resources.model_dump(mode="json"),
        **overview.model_dump(mode="json"),
    }
    call.out.document(document)


COMMANDS: dict[str, Command] = {"stats": stats, "attention": attention, "top": top}
