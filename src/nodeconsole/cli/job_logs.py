"""`nodeconsole job logs`"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from embedded_scheduler.wire.console import LogPage
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Invocation
from nodeconsole.cli.outage import RETRY_SECONDS, Outage
from nodeconsole.client import NodeClient, NodeUnreachable

_LOG_PAGE = 2000


async def logs(call: Invocation) -> Exit:
    async with call.client() as client:
        task = call.args.task or await _only_task(client, call.args.job)
        if call.args.follow:
            return await _follow(call, client, task)
        async for page in _pages(call, client, task):
            _print_page(call, page)
    return Exit.OK


async def _only_task(client: NodeClient, job_id: str) -> str:
    names = [task.name for task in (await client.job(job_id)).tasks]
    if len(names) != 1:
        raise CommandError(f"which task? this job has {', '.join(names)}", Exit.USAGE)
    return names[0]


async def _pages(call: Invocation, client: NodeClient, task: str) -> AsyncIterator[LogPage]:
    """The asked range in pages; without a limit, up to the end of the log as it was when a page came back short."""
    args = call.args
    start = args.start or 0
    left = args.limit
    while left is None or left > 0:
        limit = min(left or _LOG_PAGE, _LOG_PAGE)
        page = await client.log(args.job, task, party=args.party, level=args.level, start=start, limit=limit)
        if page.lines:
            yield page
        start = page.start + len(page.lines)
        if left is not None:
            left -= len(page.lines)
        if not page.lines or start >= page.total:
            return


async def _follow(call: Invocation, client: NodeClient, task: str) -> Exit:
    args = call.args
    start = args.start or 0
    outage = Outage(call.out)
    while True:
        try:
            async for page in client.follow_log(args.job, task, party=args.party, level=args.level, start=start):
                outage.is_over()
                _print_page(call, page)
                start = page.start + len(page.lines)
                if page.complete:
                    return Exit.OK
            # The stream ended without the end marker: the node is stopping, or the log is complete since long.
            if (await client.log(args.job, task, party=args.party, level=args.level, start=start, limit=1)).complete:
                return Exit.OK
        except NodeUnreachable as error:
            outage.goes_on(error)
        await asyncio.sleep(RETRY_SECONDS)


def _print_page(call: Invocation, page: LogPage) -> None:
    if call.out.as_json:
        for number, text in enumerate(page.lines, start=page.start):
            call.out.document({"line": number, "text": text})
    elif sys.stdout.isatty():
        for text in page.lines:
            call.out.line(text)
    else:
        call.out.raw("".join(f"{text}\n" for text in page.lines))
    call.out.flush()
