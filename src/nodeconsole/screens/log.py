"""The log of one task, followed as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.logs import LEVELS, PAGE, LogBuffer, line_role, matcher
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable, short_id
from nodeconsole.widgets.log import VirtualLog

_SEARCH_PAGE = 1000
_REPAINT_SECONDS = 0.2


class LogScreen(Moves, ConsoleScreen):
    """`parties` = our shares of the task whose logs can be read here (`guest.0` …), the first is shown."""

    SCOPES: ClassVar[tuple[str, ...]] = ("log", "move", GLOBAL)

    def __init__(self, session: Session, job_id: str, task: str, parties: Sequence[str] = ()) -> None:
        super().__init__(session)
        self._job_id, self._task_name = job_id, task
        self._parties = tuple(parties)
        self._party = 0
        self._level = "debug"
        self._searching = ""
        self._waiting: list[tuple[int, list[str], int, bool]] = []
        self._repaint_planned = False

    def body(self) -> Iterable[Widget]:
        yield VirtualLog(id="log")

    @property
    def main(self) -> VirtualLog:
        return self.query_one("#log", VirtualLog)

    @property
    def party(self) -> str | None:
        return self._parties[self._party] if self._parties else None

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [Span(f" {short_id(self._job_id)} > ", "dim"), Span(printable(self._task_name), "accent")]
        if self.party:
            left.append(Span(f"  {printable(self.party)}", "dim"))
        right: list[Span] = []
        counts = self.main.buffer.counts
        for number, level in enumerate(LEVELS, 1):
            shown = count(counts[level]) if level in counts else ""
            label = f"{number} {text(f'log.level.{level}')} {shown}".rstrip()
            right.append(Span(f" {label} ", "match" if level == self._level else "dim"))
        return tuple(left), tuple(right)

    def why(self) -> Line:
        text, log = self.session.text, self.main
        total = log.buffer.total
        if not total:
            return (Span(text("log.empty"), "dim"),)
        spans = [Span(text("log.position", first=count(log.top + 1), last=count(log.bottom + 1), total=count(total)))]
        if log.buffer.complete:
            spans.append(Span(f"  {text('log.complete')}", "dim"))
        elif log.following:
            spans.append(Span(f"  {text('log.following')}", "run"))
        else:
            spans.append(Span(f"  {text('log.paused')}", "wait"))
        if log.wrapped:
            spans.append(Span(f"  {text('log.wrapped')}", "dim"))
        if log.pattern:
            spans.append(Span(f"  {text('log.search', pattern=printable(log.pattern))}", "dim"))
        if self._searching:
            spans.append(Span(f"  {self._searching}", "wait"))
        return tuple(spans)

    def repaint_body(self) -> None:
        self.main.set_texts(self.session.catalogue.template("log.gap"))

    # Loading.

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self.has_data:
            # A task that had no log yet may have one now; what it writes comes through the stream.
            if self._job_id in changes.jobs and not self._streaming:
                self._follow_stream()
            return True
        self.main.clear()
        self._waiting.clear()
        page = await self._fetch(-PAGE, PAGE)
        if page:
            self._follow_stream()
        return page

    def reconnected(self, *, another: bool) -> None:
        super().reconnected(another=another)
        if self._loaded and not another:
            self._follow_stream()

    async def _fetch(self, start: int, limit: int) -> bool:
        """Load lines into the buffer; False when the node did not answer."""
        level, party = self._level, self.party
        page = await self.session.ask(
            lambda client: client.log(self._job_id, self._task_name, party=party, level=level, start=start, limit=limit)
        )
        if page is None:
            return False
        if (level, party) == (self._level, self.party):
            self.main.buffer.counts = page.counts or self.main.buffer.counts
            self.main.put(page.start, page.lines, total=page.total, complete=page.complete)
            self.repaint_chrome()
        return True

    @property
    def _streaming(self) -> bool:
        return any(worker.group == "follow" and worker.node is self for worker in self.workers if worker.is_running)

    def _follow_stream(self) -> None:
        self.run_worker(self._follow(), group="follow", exclusive=True)

    async def _follow(self) -> None:
        from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        client, buffer = self.session.client, self.main.buffer
        if client is None or buffer.complete:
            return
        stream = client.follow_log(
            self._job_id, self._task_name, party=self.party, level=self._level, start=buffer.total
        )
        try:
            async for page in stream:
                buffer.counts = page.counts or buffer.counts
                self._waiting.append((page.start, page.lines, page.total, page.complete))
                self._plan_repaint()
        except ClientError as error:
            self.session.say(error.message, "bad")
        except NodeUnreachable:
            # The app notices too and says so; `reconnected` takes the log up again where it ended.
            return
        else:
            self._waiting.append((buffer.total, [], 0, True))
            self._plan_repaint()

    def _plan_repaint(self) -> None:
        """However fast lines come, the screen changes a few times a second."""
        if not self._repaint_planned:
            self._repaint_planned = True
            self.set_timer(_REPAINT_SECONDS, self._take_waiting)

    def _take_waiting(self) -> None:
        self._repaint_planned = False
        waiting, self._waiting = self._waiting, []
        for start, lines, total, complete in waiting[:-1]:
            self.main.buffer.put(start, lines, total=total, complete=complete)
        for start, lines, total, complete in waiting[-1:]:
            self.main.put(start, lines, total=total, complete=complete)
        self.repaint_chrome()

    def on_virtual_log_missing(self, message: VirtualLog.Missing) -> None:
        if self.session.online:
            self.run_worker(self._fetch(message.start, min(message.length, 2 * PAGE)), group="gap", exclusive=True)

    def on_virtual_log_scrolled(self) -> None:
        self.repaint_chrome()

    # Actions.

    def act_log_follow(self) -> None:
        self.main.follow()

    def _set_level(self, level: str) -> None:
        if level != self._level:
            self._level = level
            self._start_over()

    def _start_over(self) -> None:
        self.workers.cancel_group(self, "follow")
        self.workers.cancel_group(self, "gap")
        counts = self.main.buffer.counts
        self.main.clear()
        self.main.buffer.counts = counts
        self.changed(EVERYTHING)

    def act_log_all(self) -> None:
        self._set_level("debug")

    def act_log_info(self) -> None:
        self._set_level("info")

    def act_log_error(self) -> None:
        self._set_level("error")

    def act_log_party(self) -> None:
        if len(self._parties) > 1:
            self._party = (self._party + 1) % len(self._parties)
            self._start_over()

    def act_log_wrap(self) -> None:
        self.main.toggle_wrap()
        self.repaint_chrome()

    def act_log_left(self) -> None:
        self.main.sideways(-1)

    def act_log_right(self) -> None:
        self.main.sideways(1)

    # Searching.

    def act_log_search(self) -> None:
        self.open_prompt("search", "\\", self.main.pattern)

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind != "search":
            return
        try:
            matcher(text)
        except ValueError as error:
            self.session.say(self.session.text("log.bad_pattern", error=error), "bad")
            return
        self.main.pattern = text
        self.main.found = -1
        self.main.repaint()
        if text:
            # From the end of what is seen upwards: in a log that is followed, matches lie above.
            self._search(matcher(text), -1 if self.main.following else 1)

    def act_log_next(self) -> None:
        self._search_pattern(1)

    def act_log_before(self) -> None:
        self._search_pattern(-1)

    def _search_pattern(self, step: int) -> None:
        if self.main.pattern:
            self._search(matcher(self.main.pattern), step)
        else:
            self.act_log_search()

    def act_log_problem(self) -> None:
        self._search(lambda line: line_role(line) == "bad", 1)

    def act_log_problem_before(self) -> None:
        self._search(lambda line: line_role(line) == "bad", -1)

    def _search(self, wanted: Callable[[str], bool], step: int) -> None:
        log = self.main
        start = log.found + step if log.found >= 0 else (log.top if step > 0 else log.bottom)
        self.run_worker(self._search_from(wanted, start, step), group="search", exclusive=True)

    async def _search_from(self, wanted: Callable[[str], bool], start: int, step: int) -> None:
        """Look through the whole log, asking the node for what is not here."""
        text = self.session.text
        buffer: LogBuffer = self.main.buffer
        at = start
        try:
            while 0 <= at < buffer.total:
                found = buffer.find(wanted, at, step)
                if found is not None:
                    self.main.show_line(found)
                    return
                at = self._next_gap(buffer, at, step)
                if not 0 <= at < buffer.total:
                    break
                self._searching = text("log.searching", line=count(at + 1))
                self.repaint_chrome()
                first = at if step > 0 else max(0, at - _SEARCH_PAGE + 1)
                if not await self._fetch(first, _SEARCH_PAGE) or buffer is not self.main.buffer:
                    return
                if buffer.line(at) is None:
                    break
            self.session.say(text("log.not_found_below" if step > 0 else "log.not_found_above"), "warn")
        finally:
            self._searching = ""
            self.repaint_chrome()

    @staticmethod
    def _next_gap(buffer: LogBuffer, at: int, step: int) -> int:
        while 0 <= at < buffer.total and buffer.line(at) is not None:
            at += step
        return at

    def act_app_back(self, *_: str) -> None:
        if self._searching:
            self.workers.cancel_group(self, "search")
            return
        super().act_app_back()
