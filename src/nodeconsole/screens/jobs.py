"""All jobs, newest first, as they live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.decisions import ask_stop
from nodeconsole.screens.dialog import Field, anything, required
from nodeconsole.screens.listing import ListingScreen, SetWrite
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.jobs import JOBS, job_why, merged
from nodeconsole.viewmodels.listing import Listing, in_order
from nodeconsole.viewmodels.node import total_jobs
from nodeconsole.viewmodels.query import JobQuery, parse_query
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import count

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobPage, JobRow

_PAGE = 100
_FEW = 8
"""Up to so many changed jobs are asked for one by one; for more, the head of the list is read again."""
_SORTED = 5_000
"""Sorting needs all rows; beyond so many only these are sorted, and the screen says so."""


class JobsScreen(ListingScreen["JobRow"]):
    SCOPES: ClassVar[tuple[str, ...]] = ("jobs", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._rows: list[JobRow] = []
        self._next: str | None = None
        self._query = JobQuery()
        self._loading_more = False

    @property
    def listing(self) -> Listing[JobRow]:
        return JOBS

    def counted(self) -> str:
        if not self.has_data:
            return ""
        shown = count(len(self._rows))
        total = total_jobs(self.session.status) if self._query.empty else None
        if total is not None and total >= len(self._rows):
            return self.session.text("list.counted", shown=shown, total=count(total))
        return self.session.text("jobs.found_more" if self._next else "jobs.found", shown=shown)

    def why(self) -> Line:
        job = self.main.item
        return () if job is None else job_why(job, self.session.display())

    def offered(self) -> list[str]:
        job = self.main.item
        jobs = self.marked or ([] if job is None else [job])
        offered = [action for each in jobs for action in each.actions]
        # Belongs to no job.
        status = self.session.status
        return [*offered, "submit"] if status is not None and "submit" in status.actions else offered

    def act_jobs_compose(self, *_: str) -> None:
        from nodeconsole.screens.compose import ask_new  # noqa: PLC0415 - loaded when it is asked for

        ask_new(self, self.session, self.main.item)

    def shown(self) -> Sequence[JobRow]:
        return in_order(self._rows, JOBS, self.view, self.session.display())

    def more(self) -> str:
        return self.session.text("jobs.more") if self._next else ""

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
        self._show_loaded(news=not changes.everything)
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

    def _show_loaded(self, *, news: bool = False) -> None:
        self._loaded = True
        self.show_rows(news=news)
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

    # Filter and order.

    def filter(self, text: str) -> None:
        """Show the jobs that fit; the node filters."""
        text = text.strip()
        if text == self.pattern:
            return
        self._pattern, self._query = text, parse_query(text)
        if self._query.unknown:
            words = " ".join(self._query.unknown)
            self.session.say(self.session.text("message.no_state", words=words), "warn")
        self.changed(EVERYTHING)
        self.repaint_chrome()

    def sort(self, column: str) -> None:
        super().sort(column)
        if self._next and not self._loading_more:
            self._loading_more = True
            self.run_worker(self._load_more((_SORTED - len(self._rows)) // _PAGE), group="more")

    async def all_rows(self) -> Sequence[JobRow]:
        await self._load_more((_SORTED - len(self._rows)) // _PAGE)
        return self.main.items

    # The job under the cursor.

    def act_list_open(self, *_: str) -> None:
        job = self.main.item
        if job is None:
            return
        if job.needs_decision:
            self._open_card()
        else:
            self.act_list_describe()

    def act_list_describe(self, *_: str) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

        if self.main.item is not None:
            self.app.push_screen(JobScreen(self.session, self.main.item.job_id))

    def act_jobs_runs(self) -> None:
        from nodeconsole.screens.job import open_runs  # noqa: PLC0415

        if self.main.item is not None:
            open_runs(self, self.session, self.main.item.flow_id)

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
        text = self.session.text
        reject: SetWrite[JobRow] = SetWrite(
            "reject",
            text("action.jobs.reject"),
            lambda client, job, values: client.reject(job.job_id, values["reason"]),
            _changed,
            (Field("reason", text("reject.reason"), required(text("reject.no_reason"))),),
        )
        if not self.over_marked(reject, lambda job: "reject" in job.actions):
            self._open_card()

    def act_jobs_stop(self, *_: str) -> None:
        text = self.session.text
        stop: SetWrite[JobRow] = SetWrite(
            "stop",
            text("action.jobs.stop"),
            lambda client, job, values: client.stop(job.job_id, "", values["reason"]),
            _changed,
            (Field("reason", text("stop.reason"), anything),),
        )
        if not self.over_marked(stop, lambda job: "stop" in job.actions) and self.main.item is not None:
            ask_stop(self, self.session, self.main.item)


def _changed(jobs: list[JobRow]) -> Changes:
    return Changes(jobs=frozenset(job.job_id for job in jobs))
