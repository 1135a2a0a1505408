"""`/events` and `/ledger`: what happened, as pages, as a stream, as a file, and whether the record is intact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial

import quart
from quart import Quart, Response

from embedded_scheduler.api.console import endpoint, views
from embedded_scheduler.api.console.jobs import find_job
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.api.console.streams import HEARTBEAT, HEARTBEAT_SECONDS, frame, stream_response
from embedded_scheduler.api.console.telling import tell
from embedded_scheduler.errors import NodeError
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import EventPage, LedgerReport
from embedded_scheduler.wire.console_pulse import LedgerPage

_FAR = 1 << 62
_LONGEST_PAGE = 1_000
_EXPORT_PAGE = 2_000
_PACE_SECONDS = 0.05
"""Events that follow one another faster are sent together."""


def install(app: Quart, console: Console) -> None:
    events = Events(console)
    endpoint.route(app, "GET", "/events", events.page)
    endpoint.route(app, "GET", "/events/stream", events.stream)
    endpoint.route(app, "GET", "/ledger", events.newest)
    endpoint.route(app, "GET", "/ledger/verify", events.verify)
    endpoint.route(app, "GET", "/ledger/export", events.export)


class Events:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._db = console.engine.db

    async def page(self) -> EventPage:
        after = endpoint.number_query("after", 0, low=0, high=_FAR)
        limit = endpoint.number_query("limit", 200, low=1, high=_LONGEST_PAGE)
        return await self._read(after, limit, endpoint.text_query("job_id"))

    async def _read(self, after: int, limit: int, job_id: str = "") -> EventPage:
        records = await self._db.read(lambda reader: ledger.page(reader, after=after, limit=limit, job_id=job_id))
        full = len(records) == limit
        return EventPage(events=[views.event_row(record) for record in records], next=records[-1].seq if full else None)

    async def newest(self) -> LedgerPage:
        """Newest first, with filters: what the audit list shows."""
        before = endpoint.number_query("before", ledger.FAR, low=1, high=ledger.FAR)
        limit = endpoint.number_query("limit", 200, low=1, high=_LONGEST_PAGE)
        job_id = endpoint.text_query("job_id")
        wanted = ledger.Wanted(
            actor=endpoint.text_query("actor"),
            subject=endpoint.text_query("subject"),
            event=endpoint.text_query("event"),
            partner=endpoint.text_query("partner"),
            job_id=await find_job(self._console, job_id) if job_id else "",
            since_ms=endpoint.number_query("since_ms", 0, low=0, high=_FAR),
            until_ms=endpoint.number_query("until_ms", _FAR, low=0, high=_FAR),
        )
        records, following = await self._db.read(lambda r: ledger.newest(r, wanted, before=before, limit=limit))
        return LedgerPage(events=[views.event_row(record, chain=True) for record in records], next=following)

    async def stream(self) -> Response:
        after = endpoint.number_query("after", 0, low=0, high=_FAR)
        seen = quart.request.headers.get("last-event-id", "")
        if seen.isascii() and seen.isdecimal() and len(seen) < 19:
            after = max(after, int(seen))
        return stream_response(self._follow(after))

    async def _follow(self, after: int) -> AsyncIterator[bytes]:
        with self._console.streams.open() as subscription:
            # Something at once, so that a client knows that it is connected although nothing happens.
            yield HEARTBEAT
            while not self._console.streams.closing:
                try:
                    page = await self._read(after, _LONGEST_PAGE)
                    await tell(self._db, page)
                except NodeError:
                    return
                if page.events:
                    after = page.events[-1].seq
                    yield b"id: %d\n" % after + frame(page)
                if page.next is not None:
                    continue
                if await subscription.get(HEARTBEAT_SECONDS) is None:
                    yield HEARTBEAT
                elif not self._console.streams.closing:
                    await asyncio.sleep(_PACE_SECONDS)

    async def verify(self) -> LedgerReport:
        report = await self._db.read(ledger.verify)
        return LedgerReport(
            ok=report.ok,
            events=report.events,
            last_seq=report.last_seq,
            last_hash=report.last_hash,
            fault=report.fault,
        )

    async def export(self) -> Response:
        return stream_response(self._lines(), "application/x-ndjson")

    async def _lines(self) -> AsyncIterator[bytes]:
        """The same lines as `ledger.export`, page by page: the ledger only grows, so pages fit together."""
        last = (await self._db.read(ledger.last))[0]
        after = 0
        while after < last and not self._console.streams.closing:
            records = await self._db.read(partial(_export_page, after))
            if not records:
                return
            after = records[-1].seq
            lines = (json.dumps(asdict(record), sort_keys=True, separators=(",", ":")) for record in records)
            yield ("\n".join(lines) + "\n").encode()


def _export_page(after: int, reader: Reader) -> list[ledger.EventRecord]:
    return ledger.page(reader, after=after, limit=_EXPORT_PAGE)
