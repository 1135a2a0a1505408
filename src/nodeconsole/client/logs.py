"""Logs of tasks: pages, the stream, searches."""

from __future__ import annotations

from embedded_scheduler.wire.console import LogPage
from embedded_scheduler.wire.console_logs import LogList, LogMatches, LogPlace, LogRow
from nodeconsole.client.calls import Calls, path_of
from nodeconsole.client.stream import PageStream


class LogCalls(Calls):
    async def log(
        self,
        job_id: str,
        task: str,
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        limit: int = 200,
        times: bool = False,
    ) -> LogPage:
        """`start` below 0 counts from the end; without `party`, the first share that runs on this node."""
        query = {"party": party, "level": level, "start": start, "limit": limit, "times": times}
        return await self._get(LogPage, path_of("jobs", job_id, "tasks", task, "logs"), query)

    def follow_log(
        self,
        job_id: str,
        task: str,
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        times: bool = False,
        latest: bool = False,
    ) -> PageStream[LogPage]:
        """Pages of new lines as they come; ends when the log is complete or the node stops. With `latest`, pages may
        leave lines out before them when the log grows faster than it is read: `start` says where each begins."""
        query = {"party": party, "level": level, "start": start, "times": times, "latest": latest}
        return self._pages(LogPage, path_of("jobs", job_id, "tasks", task, "logs", "stream"), query)

    async def search_log(
        self,
        job_id: str,
        task: str,
        text: str = "",
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        limit: int = 1,
        backward: bool = False,
        problems: bool = False,
        bare: bool = False,
        times: bool = False,
    ) -> LogMatches:
        """Lines that contain `text`, or with `problems` those that report an error, from line `start` on, in the order
        of the search; the node looks at a bounded number of lines and says where to go on."""
        query = {"party": party, "level": level, "text": text or None, "start": start, "limit": limit}
        query |= {"backward": backward, "problems": problems, "bare": bare, "times": times}
        return await self._get(LogMatches, path_of("jobs", job_id, "tasks", task, "logs", "search"), query)

    async def log_place(
        self, job_id: str, task: str, at_ms: int, *, party: str | None = None, level: str = "debug"
    ) -> LogPlace:
        """The first line at a moment or later."""
        query = {"party": party, "level": level, "at_ms": at_ms}
        return await self._get(LogPlace, path_of("jobs", job_id, "tasks", task, "logs", "at"), query)

    async def logs(self) -> list[LogRow]:
        """The logs of the newest jobs, those of running tasks first."""
        return (await self._get(LogList, "/logs")).logs
