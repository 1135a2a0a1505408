"""`/jobs/<id>/tasks/<name>/logs`: ranges of a task's log, and its lines as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from quart import Quart, Response

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.jobs import find_job
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.api.console.streams import END, HEARTBEAT, HEARTBEAT_SECONDS, frame, stream_response
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import JOB, TASK
from embedded_scheduler.engine import logs as verbs
from embedded_scheduler.engine import progress
from embedded_scheduler.errors import InvalidRequest, NodeError, NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.store.log_search import containing
from embedded_scheduler.wire.console import LogPage
from embedded_scheduler.wire.console_logs import LogList, LogMatches, LogPlace, LogRow

_LONGEST_PAGE = 10_000
_FAR = 1 << 40
_MATCHES = 1_000
"""Matching lines in one answer."""
_LONGEST_TEXT = 500
_RECENT_JOBS = 100
_BATCH = 2_000
"""Lines in one event of a stream."""
_LATEST = 400
"""Lines in one event of a stream of the latest; what came between two of them is left for who asks for it."""
_EAGER_SECONDS = 0.1
_CALM_SECONDS = 1.0
"""A log grows without any commit: it is looked at again after 0.1 s, and less often the longer it is silent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which log; `party` empty = the first share of the task that ran here. `times` = the caller wants them, too."""

    job_id: str
    task: str
    party: str
    level: str
    times: bool = False


def install(app: Quart, console: Console) -> None:
    logs = Logs(console)
    endpoint.route(app, "GET", "/jobs/<job_id>/tasks/<task>/logs", logs.page)
    endpoint.route(app, "GET", "/jobs/<job_id>/tasks/<task>/logs/stream", logs.stream)
    endpoint.route(app, "GET", "/jobs/<job_id>/tasks/<task>/logs/search", logs.search)
    endpoint.route(app, "GET", "/jobs/<job_id>/tasks/<task>/logs/at", logs.at)
    endpoint.route(app, "GET", "/logs", logs.recent)


class Logs:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def page(self, job_id: str, task: str) -> LogPage:
        place = await self._place(job_id, task)
        start = endpoint.number_query("start", 0, low=-_FAR, high=_FAR)
        limit = endpoint.number_query("limit", 200, low=1, high=_LONGEST_PAGE)
        return await self._read(place, start, limit)

    async def stream(self, job_id: str, task: str) -> Response:
        place = await self._place(job_id, task)
        start = endpoint.number_query("start", 0, low=-_FAR, high=_FAR)
        # Before the first byte goes out an error can still be a problem; afterwards the stream can only end.
        first = await self._read(place, start, _BATCH)
        return stream_response(self._follow(place, first, latest=endpoint.flag_query("latest")))

    async def search(self, job_id: str, task: str) -> LogMatches:
        """Lines that contain `text` (exact in case only if it has a capital letter), or with `problems` those that
        report an error, from line `start` on. `bare` = their numbers alone."""
        place = await self._place(job_id, task)
        text = endpoint.text_query("text")
        if len(text) > _LONGEST_TEXT:
            raise InvalidRequest(say("search_long", most=_LONGEST_TEXT))
        start = endpoint.number_query("start", 0, low=0, high=_FAR)
        limit = endpoint.number_query("limit", 1, low=1, high=_MATCHES)
        backward, problems = endpoint.flag_query("backward"), endpoint.flag_query("problems")
        wanted = verbs.is_problem if problems else containing(text)
        found, total = await verbs.search(
            self._engine, place.job_id, place.task, place.party, place.level, wanted, start, limit, backward=backward
        )
        lines = [] if endpoint.flag_query("bare") else [_text(line) for line in found.lines]
        times = verbs.times_of(found.lines) if place.times else []
        return LogMatches(numbers=found.numbers, lines=lines, times=times, next=found.next, total=total)

    async def at(self, job_id: str, task: str) -> LogPlace:
        """Where the moment `at_ms` (Unix epoch milliseconds) is in the log."""
        place = await self._place(job_id, task)
        at_ms = endpoint.number_query("at_ms", 0, low=0, high=_FAR * 1000)
        line, stamp = await verbs.place_of(self._engine, place.job_id, place.task, place.party, place.level, at_ms)
        return LogPlace(line=line, at_ms=stamp)

    async def recent(self) -> LogList:
        """The logs of the newest jobs, those of running tasks first."""
        limit = endpoint.number_query("limit", _RECENT_JOBS, low=1, high=_RECENT_JOBS)
        rows = await verbs.recent(self._engine, jobs=limit)
        return LogList(
            logs=[
                LogRow(
                    job_id=attempt.job_id,
                    flow_id=flow_id,
                    task=attempt.task_name,
                    party=f"{attempt.role}.{attempt.index}",
                    number=attempt.number,
                    started_ms=attempt.launched_ms,
                    ended_ms=attempt.ended_ms,
                    exit_code=attempt.exit_code,
                    size_bytes=size,
                )
                for flow_id, attempt, size in rows
            ]
        )

    async def _place(self, job_id: str, task: str) -> Place:
        found = await find_job(self._console, job_id)
        level = verbs.check_level(endpoint.text_query("level") or "debug")
        snapshot = await progress.view(self._engine, found)
        if task not in snapshot.tasks:
            raise NotFound(say("job_task_of", job=found, task=shorten(task), tasks=", ".join(snapshot.tasks)))
        party = endpoint.text_query("party")
        local = [share.party.key for share in snapshot.tasks[task].shares if snapshot.is_local(share)]
        if party and party not in local:
            where = ", ".join(local) or "none"
            raise NotFound(say("no_such_share", party=shorten(party), task=task, known=where))
        return Place(found, task, party, level, endpoint.flag_query("times"))

    async def _read(self, place: Place, start: int, limit: int) -> LogPage:
        lines = await verbs.page(self._engine, place.job_id, place.task, place.party, place.level, start, limit)
        return LogPage(
            start=lines.start,
            lines=[_text(line) for line in lines.lines],
            total=lines.counts[place.level],
            complete=lines.complete,
            counts=lines.counts,
            times=verbs.times_of(lines.lines) if place.times else [],
        )

    async def _follow(self, place: Place, page: LogPage, *, latest: bool) -> AsyncIterator[bytes]:
        """Batches of new lines until the log is complete, the node stops, or no line can come any more. With `latest`,
        a log that is written faster than anybody reads is skipped through: each batch ends with its newest line."""
        pause = _EAGER_SECONDS
        silent = 0.0
        with self._console.streams.open() as subscription:
            while not self._console.streams.closing:
                reached = page.start + len(page.lines)
                if page.lines:
                    yield frame(page)
                    pause, silent = _EAGER_SECONDS, 0.0
                if reached >= page.total and (page.complete or await self._is_void(place, page)):
                    yield END
                    return
                if reached >= page.total:
                    await subscription.get(pause)
                    silent += pause
                    pause = min(pause * 1.5, _CALM_SECONDS)
                if silent >= HEARTBEAT_SECONDS:
                    yield HEARTBEAT
                    silent = 0.0
                elif latest:
                    # Nobody's eye is faster; what has come meanwhile goes out as one batch.
                    await asyncio.sleep(_EAGER_SECONDS)
                try:
                    page = await self._read(place, reached, _BATCH)
                    if latest and page.total - reached > _LATEST:
                        page = await self._read(place, -_LATEST, _LATEST)
                except NodeError:
                    # The log was removed meanwhile, or the database is closing: nothing more will come.
                    return

    async def _is_void(self, place: Place, page: LogPage) -> bool:
        """The task is over here and has no log: it was never started."""
        if page.total:
            return False
        snapshot = await progress.view(self._engine, place.job_id)
        task = snapshot.tasks[place.task]
        return JOB.is_terminal(snapshot.state) or task.cancelled or TASK.is_terminal(task.state)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
