"""`nodeconsole peer test`"""

from __future__ import annotations

from collections.abc import Iterable

from embedded_scheduler.wire.linktest import LinkCheck, OwnSide
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Invocation
from nodeconsole.cli.text import moment
from nodeconsole.i18n.request_sheet import request_sheet

_MARKS = {"ok": "✓", "bad": "✗", "note": "!", "skipped": "·"}


async def test(call: Invocation) -> Exit:
    args = call.args
    if args.listen is not None:
        return await _listen(call, args.listen)
    if not args.target:
        raise CommandError("peer test needs an ADDRESS or a CODE, or --listen MINUTES", Exit.USAGE)
    if args.sheet:
        return await _sheet(call, args.sheet, args.target)
    async with call.client() as client:
        report = await client.test_link(args.target, quick=args.quick)
    if call.out.as_json:
        call.out.document(report.model_dump(mode="json"))
    else:
        call.out.line(f"from {report.own.node_id} to {report.target}")
        _print(call, report.checks)
        if report.reverse:
            call.out.line(f"from there to {report.own.public_url}")
            _print(call, report.reverse)
        call.out.line("run it on the other side too: what works in one direction may not work in the other")
    bad = any(check.state == "bad" for check in (*report.checks, *report.reverse))
    return Exit.FAILED if bad else Exit.OK


async def _listen(call: Invocation, minutes: int) -> Exit:
    async with call.client() as client:
        reply = await client.open_link_test(minutes)
    if call.out.as_json:
        call.out.document(reply.model_dump(mode="json"))
    else:
        call.out.line(reply.code)
        call.out.note(
            f"good for tests until {moment(reply.until_ms)}, for nothing else; at the other side:"
            " `nodeconsole peer test CODE`"
        )
    return Exit.OK


async def _sheet(call: Invocation, language: str, target: str) -> Exit:
    async with call.client() as client:
        own = await client.own_side()
    text = request_sheet(language, own=_facts(own), target=target)
    if call.out.as_json:
        call.out.document({"language": language, "text": text})
    else:
        for line in text.rstrip("\n").split("\n"):
            call.out.line(line)
    return Exit.OK


def _facts(own: OwnSide) -> dict[str, str]:
    return {name: str(value) for name, value in own.model_dump().items()}


def _print(call: Invocation, checks: Iterable[LinkCheck]) -> None:
    for check in checks:
        call.out.line(f"  {_MARKS.get(check.state, '?')} {check.name}: {check.text}")
        if check.advice:
            call.out.line(f"      {check.advice}")
