"""The log of one task, followed as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nodeconsole.screens.log_view import LogView
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.logs import PAGE, Lines, LogBuffer, Matches, Selection, matcher
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable, short_id
from nodeconsole.viewmodels.times import MINUTE, parse_moment
from nodeconsole.widgets.log import VirtualLog

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import LogPage
    from embedded_scheduler.wire.console_logs import LogMatches

_SEARCH_PAGE = 1000
_WHOLE_PAGE = 5_000
_COUNTED = 10_000
"""So many matches are counted; a search for more common text says `10,000+`."""
_LOOK_AGAIN_SECONDS = 1.0


class LogScreen(LogView):
    """`parties` = our shares of the task whose logs can be read here (`guest.0` …), the first is shown."""

    def __init__(self, session: Session, job_id: str, task: str, parties: Sequence[str] = ()) -> None:
        super().__init__(session)
        self._job_id, self._task_name = job_id, task
        self._parties = tuple(parties)
        self._party = 0
        self._filter = ""
        self._matches = Matches()
        self._arrived: list[LogPage] = []

    @property
    def party(self) -> str | None:
        return self._parties[self._party] if self._parties else None

    @property
    def file_name(self) -> str:
        parts = [short_id(self._job_id), self._task_name, self.party or ""]
        return "-".join(part.replace("/", "_") for part in parts if part) + ".log"

    def crumbs(self) -> tuple[Line, Line]:
        left = [Span(f" {short_id(self._job_id)} > ", "dim"), Span(printable(self._task_name), "accent")]
        if self._filter:
            left.append(Span(f"  {self.session.text('log.filtered', filter=printable(self._filter))}", "wait"))
        if self.party:
            left.append(Span(f"  {printable(self.party)}", "dim"))
        return tuple(left), self.levels()

    # Loading.

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self.has_data:
            # A task that had no log yet may have one now; what it writes comes through the stream.
            if self._job_id in changes.jobs and not self._at_work("follow"):
                self._follow()
            return True
        self._arrived.clear()
        if self._filter:
            self.main.show(Selection())
            self._follow()
            return True
        self.main.show(LogBuffer())
        page = await self._fetch(-PAGE, PAGE)
        if page:
            self._follow()
        return page

    def reconnected(self, *, another: bool) -> None:
        super().reconnected(another=another)
        if self._loaded and not another:
            self._follow()

    def start_over(self) -> None:
        for group in ("follow", "gap", "count"):
            self.workers.cancel_group(self, group)
        counts, rules = self.main.buffer.counts, self.main.margin
        self.main.show(LogBuffer())
        self.main.buffer.counts = counts
        self.main.margin = replace(rules, bookmarks=frozenset())
        self._matches = Matches()
        self.changed(EVERYTHING)

    async def _page(self, start: int, limit: int) -> LogPage | None:
        level, party, times = self.level, self.party, self.wants_times
        return await self.session.ask(
            lambda client: client.log(
                self._job_id, self._task_name, party=party, level=level, start=start, limit=limit, times=times
            )
        )

    async def _fetch(self, start: int, limit: int) -> bool:
        """Load lines into the buffer; False when the node did not answer."""
        buffer = self.main.buffer
        page = await self._page(start, limit)
        if page is None:
            return False
        if buffer is self.main.buffer and isinstance(buffer, LogBuffer):
            self._put(buffer, page)
            self.main.grown()
            self.repaint_chrome()
        return True

    def _put(self, buffer: LogBuffer, page: LogPage) -> None:
        buffer.counts = page.counts or buffer.counts
        buffer.put(page.start, page.lines, total=page.total, complete=page.complete, times=page.times)
        self._set_zero(page)

    def _at_work(self, group: str) -> bool:
        return any(worker.group == group and worker.node is self for worker in self.workers if worker.is_running)

    def _follow(self) -> None:
        follow = self._follow_selection if self._filter else self._follow_stream
        self.work("follow", follow)
        if self.wants_times and self.main.margin.zero_ms is None:
            self.work("zero", self._find_zero)

    async def _find_zero(self) -> None:
        page = await self._page(0, PAGE)
        if page is not None:
            self._set_zero(page)
            self.main.repaint()

    def _set_zero(self, page: LogPage) -> None:
        """Where seconds are counted from: the first line that names a time."""
        if self.main.margin.zero_ms is None and page.start == 0:
            self.main.margin = replace(self.main.margin, zero_ms=next((at for at in page.times if at), None))

    async def _follow_stream(self) -> None:
        from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        client, buffer = self.session.client, self.main.buffer
        if client is None or buffer.complete:
            return
        stream = client.follow_log(
            self._job_id,
            self._task_name,
            party=self.party,
            level=self.level,
            start=buffer.total,
            times=self.wants_times,
            latest=True,
        )
        try:
            async for page in stream:
                self._arrived.append(page)
                self.plan_repaint()
        except ClientError as error:
            self.session.say(error.message, "bad")
        except NodeUnreachable:
            # The app notices too and says so; `reconnected` takes the log up again where it ended.
            return
        else:
            buffer.complete = True
            self.plan_repaint()

    def take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        buffer = self.main.buffer
        if isinstance(buffer, LogBuffer):
            for page in arrived:
                self._put(buffer, page)

    def on_virtual_log_missing(self, message: VirtualLog.Missing) -> None:
        if self.session.online:
            self.work("gap", self._fetch, message.start, min(message.length, 2 * PAGE))

    def act_log_party(self) -> None:
        if len(self._parties) > 1:
            self._party = (self._party + 1) % len(self._parties)
            self.start_over()

    # Filter: the node picks the lines out of the whole log.

    def act_log_filter(self) -> None:
        self.open_prompt("filter", "/", self._filter)

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "filter":
            self._filter_by(text.strip())
        elif kind == "moment":
            self._go_to(text.strip())
        else:
            super().prompt_entered(kind, text)

    def _filter_by(self, text: str) -> None:
        if text != self._filter:
            self._filter = text
            self.start_over()
            # What was looked for stays lit, so that one sees why a line is here.
            self.main.pattern = text or self.main.pattern

    async def _follow_selection(self) -> None:
        """Pick lines to the end of the log, and again whenever it has grown, until it is complete."""
        selection, text = self.main.buffer, self._filter
        if not isinstance(selection, Selection):
            return
        while not selection.full and selection is self.main.buffer:
            found = await self._matching(text, selection.looked_at, _SEARCH_PAGE)
            if found is None:
                return
            at = found.total if found.next is None else found.next
            selection.add(found.numbers, found.lines, found.times, looked_at=at)
            self.progress = "" if found.next is None else self._searched(at, found.total)
            self.plan_repaint()
            if found.next is not None:
                continue
            status = await self._page(-1, 1)
            if status is None or (status.complete and status.total <= selection.looked_at):
                selection.complete = status is not None
                break
            selection.counts = status.counts
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        if selection.full:
            self.session.say(self.session.text("log.too_many", n=count(selection.most)), "warn")
        self.plan_repaint()

    def _searched(self, at: int, total: int) -> str:
        return self.session.text("log.searched", at=count(at), total=count(total))

    async def _matching(
        self,
        text: str,
        start: int,
        limit: int,
        *,
        backward: bool = False,
        problems: bool = False,
        bare: bool = False,
    ) -> LogMatches | None:
        level, party, times = self.level, self.party, self.wants_times and not bare
        return await self.session.ask(
            lambda client: client.search_log(
                self._job_id,
                self._task_name,
                text,
                party=party,
                level=level,
                start=start,
                limit=limit,
                backward=backward,
                problems=problems,
                bare=bare,
                times=times,
            )
        )

    # Search: the node looks through the whole log.

    def found_count(self) -> str:
        known = self._matches
        if not known.numbers:
            return ""
        more = "" if known.next is None else "+"
        rank = known.rank(self.main.cursor)
        return f" {count(rank) if rank else '-'}/{count(len(known.numbers))}{more}"

    def pattern_changed(self) -> None:
        self._matches = Matches()
        text = self.main.pattern
        if text and not text.startswith("re:") and isinstance(self.main.buffer, LogBuffer):
            self.work("count", self._count_matches, text, self._matches)

    async def _count_matches(self, text: str, matches: Matches) -> None:
        while matches.next is not None and len(matches.numbers) < _COUNTED and matches is self._matches:
            found = await self._matching(text, matches.next, _SEARCH_PAGE, bare=True)
            if found is None:
                return
            matches.add(found.numbers, found.next)
            self.repaint_chrome()

    def find_pattern(self, step: int) -> None:
        text = self.main.pattern
        if not isinstance(self.main.buffer, LogBuffer):
            super().find_pattern(step)
        elif text.startswith("re:"):
            # The node looks for plain text only: an expression can be made to take for ever.
            self.work("search", self._find_loading, matcher(text), step)
        else:
            self.work("search", self._find_at_node, step, text=text)

    def find_problem(self, step: int) -> None:
        if isinstance(self.main.buffer, LogBuffer):
            self.work("search", self._find_at_node, step, problems=True)
        else:
            super().find_problem(step)

    async def _find_at_node(self, step: int, *, text: str = "", problems: bool = False) -> None:
        buffer: Lines = self.main.buffer
        at: int | None = self.main.cursor + step
        try:
            while at is not None and 0 <= at < buffer.total:
                found = await self._matching(text, at, 1, backward=step < 0, problems=problems, bare=True)
                if found is None or buffer is not self.main.buffer:
                    return
                if found.numbers:
                    self.main.show_line(found.numbers[0])
                    return
                at = found.next
                if at is not None:
                    self.say_progress(self.session.text("log.searching", line=count(at + 1)))
            self.say_not_found(step)
        finally:
            self.say_progress("")

    async def _find_loading(self, wanted: Callable[[str], bool], step: int) -> None:
        """Look through the whole log here, asking the node for what is missing."""
        buffer: Lines = self.main.buffer
        at = self.main.cursor + step
        try:
            while 0 <= at < buffer.total:
                found = buffer.find(wanted, at, step)
                if found is not None:
                    self.main.show_line(found)
                    return
                at = self._next_gap(buffer, at, step)
                if not 0 <= at < buffer.total:
                    break
                self.say_progress(self.session.text("log.searching", line=count(at + 1)))
                first = at if step > 0 else max(0, at - _SEARCH_PAGE + 1)
                if not await self._fetch(first, _SEARCH_PAGE) or buffer is not self.main.buffer:
                    return
                if buffer.line(at) is None:
                    break
            self.say_not_found(step)
        finally:
            self.say_progress("")

    @staticmethod
    def _next_gap(buffer: Lines, at: int, step: int) -> int:
        while 0 <= at < buffer.total and buffer.line(at) is not None:
            at += step
        return at

    # Time.

    def act_log_moment(self) -> None:
        self.open_prompt("moment", self.session.text("log.moment"))

    def act_log_recent(self) -> None:
        """The last five minutes of the log."""
        self.work("search", self._show_moment, lambda last: last - 5 * MINUTE)

    def _go_to(self, text: str) -> None:
        zone = self.session.zone
        self.work("search", self._show_moment, lambda last: parse_moment(text, last, zone))

    async def _show_moment(self, wanted: Callable[[int], int | None]) -> None:
        """Go to a moment that is told from the time of the log's last line."""
        times = await self._last_times()
        if not times:
            self.session.say(self.session.text("log.no_times"), "warn")
            return
        at_ms = wanted(times[-1])
        if at_ms is None:
            self.session.say(self.session.text("log.bad_moment"), "warn")
            return
        level, party = self.level, self.party
        place = await self.session.ask(
            lambda client: client.log_place(self._job_id, self._task_name, at_ms, party=party, level=level)
        )
        if place is not None:
            self.main.show_line(place.line)

    async def _last_times(self) -> list[int]:
        level, party = self.level, self.party
        page = await self.session.ask(
            lambda client: client.log(
                self._job_id, self._task_name, party=party, level=level, start=-PAGE, limit=PAGE, times=True
            )
        )
        return [at for at in page.times if at] if page is not None else []

    # Out of the console, and together with others.

    async def whole(self) -> AsyncIterator[list[str]]:
        buffer = self.main.buffer
        if isinstance(buffer, Selection):
            yield [buffer.line(number) or "" for number in range(buffer.total)]
            return
        start, total = 0, 1
        while start < total:
            page = await self._page(start, _WHOLE_PAGE)
            if page is None or not page.lines:
                return
            yield page.lines
            start, total = start + len(page.lines), page.total

    def act_log_merge(self) -> None:
        from nodeconsole.screens.log_merge import LogAddress, choose_more  # noqa: PLC0415 - loaded when asked for

        choose_more(self, [LogAddress(self._job_id, self._task_name, self.party or "")])

    def unwind(self) -> bool:
        if super().unwind():
            return True
        if not self._filter:
            return False
        self._filter_by("")
        return True
