"""All jobs, newest first, as they live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.decisions import ask_stop
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.jobs import in_order, is_problem, job_cells, job_columns, job_why, merged
from nodeconsole.viewmodels.node import total_jobs
from nodeconsole.viewmodels.query import JobQuery, parse_query
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobPage, JobRow

_PAGE = 100
_FEW = 8
"""Up to so many changed jobs are asked for one by one; for more, the head of the list is read again."""
_SORTED = 5_000
"""Sorting needs all rows; beyond so many only these are sorted, and the screen says so."""


class JobsScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("jobs", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._rows: list[JobRow] = []
        self._next: str | None = None
        self._query = JobQuery()
        self._filter = ""
        self._order, self._reverse = "newest", False
        self._loading_more = False

    def body(self) -> Iterable[Widget]:
        table: VirtualTable[JobRow] = VirtualTable(
            lambda job: job.job_id, lambda job: job_cells(job, self.session.display()), id="jobs"
        )
        yield table

    @property
    def main(self) -> VirtualTable[JobRow]:
        return self.query_one("#jobs", VirtualTable)

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [Span(f" {text('jobs.title')}", "accent")]
        if self._filter:
            left.append(Span(f"  {text('jobs.filtered', filter=printable(self._filter))}", "wait"))
        if self._order != "newest":
            left.append(Span(f"  {text(f'order.{self._order}')}{'-' if self._reverse else ''}", "dim"))
        return tuple(left), (Span(f"{self._counted()} ", "dim"),)

    def _counted(self) -> str:
        if not self.has_data:
            return ""
        shown = count(len(self._rows))
        total = total_jobs(self.session.status) if self._query.empty else None
        if total is not None and total >= len(self._rows):
            return self.session.text("jobs.counted", shown=shown, total=count(total))
        return self.session.text("jobs.found_more" if self._next else "jobs.found", shown=shown)

    def why(self) -> Line:
        job = self.main.item
        return () if job is None else job_why(job, self.session.display())

    def offered(self) -> list[str]:
        job = self.main.item
        return [] if job is None else job.actions

    def repaint_body(self) -> None:
        display = self.session.display()
        self.main.set_columns(job_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        self._show()

    def _show(self) -> None:
        text = self.session.text
        more = text("jobs.more") if self._next else ""
        empty: tuple[str, ...] = ()
        if self.has_data and not self._rows:
            empty = (text("jobs.none_found"),) if not self._query.empty else (text("jobs.none"), text("jobs.none_hint"))
        ordered = in_order(self._rows, self._order, self.session.now_ms(), reverse=self._reverse)
        self.main.show(ordered, more=more, empty=empty)

    # Loading.

    async def reload(self, changes: Changes) -> bool:
        query = self._query
        if changes.everything or len(changes.jobs) > _FEW:
            page = await self._page(None)
            if page is None or query != self._query:
                return False
            self._take_head(page, whole=changes.everything)
        elif changes.jobs and not await self._reload_named(changes.jobs, query):
            return False
        self._show_loaded()
        return True

    async def _page(self, before: str | None) -> JobPage | None:
        query = self._query
        return await self.session.ask(
            lambda client: client.jobs(
                before=before, limit=_PAGE, state=query.state, q=query.q or None, needs_decision=query.needs_decision
            )
        )

    def _take_head(self, page: JobPage, *, whole: bool) -> None:
        """The newest page. What was loaded below it stays, unless the list is another one."""
        known = {row.job_id for row in page.jobs}
        below = [row for row in self._rows if row.job_id not in known]
        oldest = page.jobs[-1].created_ms if page.jobs else None
        if whole or page.next is None or oldest is None:
            self._rows, self._next = list(page.jobs), page.next
        else:
            self._rows = [*page.jobs, *(row for row in below if row.created_ms <= oldest)]

    async def _reload_named(self, names: frozenset[str], query: JobQuery) -> bool:
        known = {row.job_id for row in self._rows}
        if query.q and not names <= known:
            # Whether a new job fits the text that is searched for, the node alone can tell.
            page = await self._page(None)
            if page is None:
                return False
            self._take_head(page, whole=False)
            names &= known
        found: list[JobRow] = []
        for name in sorted(names):
            page = await self.session.ask(
                lambda client, name=name: client.jobs(  # type: ignore[misc]
                    q=name, limit=1, state=query.state, needs_decision=query.needs_decision
                )
            )
            if page is None:
                return False
            found += [row for row in page.jobs if row.job_id == name]
        if query == self._query:
            self._rows = merged(self._rows, names, found)
        return True

    def _show_loaded(self) -> None:
        self._loaded = True
        self._show()
        self.repaint_chrome()

    def on_virtual_table_near_end(self) -> None:
        if self._next and not self._loading_more and self.session.online:
            self._loading_more = True
            self.run_worker(self._load_more(1), group="more")

    async def _load_more(self, pages: int) -> None:
        try:
            query = self._query
            while pages > 0 and self._next and query == self._query:
                page = await self._page(self._next)
                if page is None or query != self._query:
                    return
                known = {row.job_id for row in self._rows}
                self._rows += [row for row in page.jobs if row.job_id not in known]
                self._next = page.next
                self._show_loaded()
                pages -= 1
        finally:
            self._loading_more = False

    def on_virtual_table_moved(self) -> None:
        self.repaint_chrome()

    def on_virtual_table_opened(self) -> None:
        self.act_jobs_open()

    # Filter and order.

    def filter(self, text: str) -> None:
        """Show the jobs that fit; the node filters."""
        text = text.strip()
        if text == self._filter:
            return
        self._filter, self._query = text, parse_query(text)
        if self._query.unknown:
            words = " ".join(self._query.unknown)
            self.session.say(self.session.text("message.no_state", words=words), "warn")
        self.changed(EVERYTHING)
        self.repaint_chrome()

    def act_jobs_filter(self) -> None:
        self.open_prompt("filter", "/", self._filter)

    def prompt_typed(self, kind: str, text: str) -> None:
        if kind == "filter":
            self.filter(text)

    def prompt_cancelled(self) -> None:
        self.filter("")

    def opened_with(self, *words: str) -> None:
        self.filter(" ".join(words))

    def unwind(self) -> bool:
        filtered = bool(self._filter)
        self.filter("")
        return filtered

    def _sort(self, order: str) -> None:
        self._reverse = not self._reverse if order == self._order else False
        self._order = order
        self._show()
        self.repaint_chrome()
        if order != "newest" and self._next and not self._loading_more:
            self._loading_more = True
            self.run_worker(self._load_more((_SORTED - len(self._rows)) // _PAGE), group="more")

    def act_sort_newest(self) -> None:
        self._sort("newest")

    def act_sort_status(self) -> None:
        self._sort("status")

    def act_sort_flow(self) -> None:
        self._sort("flow")

    def act_sort_duration(self) -> None:
        self._sort("duration")

    def act_sort_progress(self) -> None:
        self._sort("progress")

    # The job under the cursor.

    def act_list_problem(self) -> None:
        self._problem(1)

    def act_list_problem_before(self) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        if not self.main.find(is_problem, step):
            self.session.say(self.session.text("message.no_problem"), "dim")

    def act_jobs_open(self) -> None:
        job = self.main.item
        if job is None:
            return
        if job.needs_decision:
            self._open_card()
        else:
            self.act_jobs_describe()

    def act_jobs_describe(self) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

        if self.main.item is not None:
            self.app.push_screen(JobScreen(self.session, self.main.item.job_id))

    def act_jobs_logs(self) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415

        if self.main.item is not None:
            self.app.push_screen(JobScreen(self.session, self.main.item.job_id, logs=True))

    def _open_card(self) -> None:
        from nodeconsole.screens.card import CardScreen  # noqa: PLC0415

        if self.main.item is not None:
            self.app.push_screen(CardScreen(self.session, self.main.item.job_id))

    def act_jobs_approve(self, *_: str) -> None:
        # The card first: nobody decides on a line of a list.
        self._open_card()

    def act_jobs_reject(self, *_: str) -> None:
        self._open_card()

    def act_jobs_stop(self, *_: str) -> None:
        if self.main.item is not None:
            ask_stop(self, self.session, self.main.item)
