"""All jobs, newest first, as they live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from embedded_scheduler.wire.query import STATUSES, QueryFault, parse_query
from nodeconsole.actions import GLOBAL
from nodeconsole.screens.decisions import ask_rerun, ask_stop
from nodeconsole.screens.dialog import Field, anything, required
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.session import Session
from nodeconsole.screens.set_writes import SetWrite
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.job_preview import LOG_LINES, preview_lines, watched_task
from nodeconsole.viewmodels.jobs import JOBS, fault_text, job_why, merged
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.node import total_jobs
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, JobPage, JobRow, Waiting

_PAGE = 100
_LARGEST_PAGE = 500
_FEW = 8
"""Up to so many changed jobs are asked for one by one; for more, the head of the list is read again."""
_REST_SECONDS = 0.12
_MOST = 5_000
"""So many are loaded to be marked together, or saved."""


class JobsScreen(ListingScreen["JobRow"]):
    """Filter and order are the node's, over all jobs; here are the pages of it that one has come to see."""

    SCOPES: ClassVar[tuple[str, ...]] = ("jobs", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.rows: list[JobRow] = []
        self._next: str | None = None
        self._searched = 0
        self._total = 0
        self._wrong: QueryFault | None = None
        self._loading_more = False
        self._detail: JobDetail | None = None
        self._log: tuple[str, ...] = ()
        self._previewed = ""

    @property
    def listing(self) -> Listing[JobRow]:
        return JOBS

    def shown(self) -> Sequence[JobRow]:
        return self.rows

    def more(self) -> str:
        return self.session.text("jobs.more") if self._next else ""

    def counted(self) -> str:
        if not self.has_data:
            return ""
        text = self.session.text
        shown, total = len(self.rows), max(self._total, total_jobs(self.session.status) or 0, len(self.rows))
        if self._next and shown < _PAGE:
            return text("jobs.searched", shown=count(shown), searched=count(self._searched), total=count(total))
        more = "+" if self._next and self.pattern else ""
        return text("list.counted", shown=count(shown) + more, total=count(total))

    def why(self) -> Line:
        display = self.session.display()
        if self._wrong is not None:
            return (Span(fault_text(self._wrong, display), "warn"),)
        job = self.main.item
        return () if job is None else job_why(job, display)

    @property
    def subject(self) -> str:
        return self.main.key or ""

    def waits(self) -> Iterable[Waiting | None]:
        job = self.main.item
        return () if job is None else (job.waiting,)

    def offered(self) -> list[str]:
        job = self.main.item
        jobs = self.marked or ([] if job is None else [job])
        offered = [action for each in jobs for action in each.actions]
        # Belongs to no job.
        status = self.session.status
        return [*offered, "submit"] if status is not None and "submit" in status.actions else offered

    def act_jobs_compose(self, *_: str) -> None:
        from nodeconsole.screens.composing import ask_new  # noqa: PLC0415 - loaded when it is asked for

        ask_new(self, self.session, self.main.item)

    # Preview.

    @property
    def previews(self) -> bool:
        return True

    def preview(self, row: JobRow, width: int, height: int) -> list[Line]:
        """What is known of the job now; the rest is asked for when the cursor rests on it."""
        state = f"{row.job_id} {row.updated_seq} {row.tasks_done}"
        # Asking for a job that waits for us tells its sender that it was opened: only who opens it does that.
        if state != self._previewed and self.session.online and not row.needs_decision:
            self._previewed = state
            self.work("preview", self._load_preview, row.job_id)
        own = self._detail is not None and self._detail.job.job_id == row.job_id
        detail, log = (self._detail, self._log) if own else (None, ())
        return preview_lines(row, detail, log, self.session.display(), width, height)

    async def _load_preview(self, job_id: str) -> None:
        # Whoever runs down the list asks for nothing.
        await asyncio.sleep(_REST_SECONDS)
        detail = await self.session.ask(lambda client: client.job(job_id))
        task = watched_task(detail) if detail is not None else None
        page = None
        if task is not None:
            page = await self.session.ask(lambda client: client.log(job_id, task.name, start=-LOG_LINES))
        self._detail, self._log = detail, tuple(page.lines) if page is not None else ()
        self.show_preview()

    # Loading.

    @property
    def _asked(self) -> tuple[str, str, bool]:
        """What the pages that come in have to answer to."""
        return self.pattern, self.view.by, self.view.reverse

    async def reload(self, changes: Changes) -> bool:
        asked = self._asked
        if changes.everything or len(changes.jobs) > _FEW or (changes.jobs and self.view.by):
            sorted_again = self.view.by and not changes.everything
            page = await self._page(None, min(max(len(self.rows), _PAGE), _LARGEST_PAGE) if sorted_again else _PAGE)
            if page is None or asked != self._asked:
                return False
            self._take_head(page, whole=changes.everything or bool(self.view.by))
        elif changes.jobs and not await self._reload_named(changes.jobs):
            return False
        self._show_loaded(news=not changes.everything)
        if len(self.rows) < _PAGE:
            self._want_more(_PAGE)
        return True

    async def _page(self, before: str | None, limit: int = _PAGE, q: str = "") -> JobPage | None:
        wanted = f"{self.pattern} {q}".strip()
        return await self.session.ask(
            lambda client: client.jobs(
                before=before, limit=limit, q=wanted or None, sort=self.view.by or None, falling=self.view.reverse
            )
        )

    def _take_head(self, page: JobPage, *, whole: bool) -> None:
        """The first page. What was loaded below it stays, unless the list is another one."""
        self._searched, self._total = page.searched, page.total
        known = {row.job_id for row in page.jobs}
        oldest = page.jobs[-1].created_ms if page.jobs else None
        if whole or page.next is None or oldest is None:
            self.rows, self._next = list(page.jobs), page.next
        else:
            below = [row for row in self.rows if row.job_id not in known]
            self.rows = [*page.jobs, *(row for row in below if row.created_ms <= oldest)]

    async def _reload_named(self, names: frozenset[str]) -> bool:
        asked = self._asked
        found: list[JobRow] = []
        for name in sorted(names):
            # With the filter: whether a job still fits it, the node alone can tell.
            page = await self._page(None, 1, q=f'"{name}"')
            if page is None:
                return False
            self._total = page.total
            found += [row for row in page.jobs if row.job_id == name]
        if asked == self._asked:
            self.rows = merged(self.rows, names, found)
        return True

    def _show_loaded(self, *, news: bool = False) -> None:
        self._loaded = True
        self.show_rows(news=news)
        self.repaint_chrome()

    def on_virtual_table_near_end(self) -> None:
        self._want_more(len(self.rows) + _PAGE)

    def _want_more(self, rows: int) -> None:
        if self._next and not self._loading_more and self.session.online:
            self.work("more", self._load_more, rows)

    async def _load_more(self, rows: int) -> None:
        """Until there are so many, or no more."""
        if self._loading_more:
            return
        self._loading_more = True
        try:
            asked = self._asked
            while len(self.rows) < rows and self._next:
                page = await self._page(self._next, min(max(rows - len(self.rows), _PAGE), _LARGEST_PAGE))
                if page is None or asked != self._asked:
                    return
                known = {row.job_id for row in self.rows}
                self.rows += [row for row in page.jobs if row.job_id not in known]
                self._next, self._searched, self._total = page.next, page.searched, page.total
                self._show_loaded()
        finally:
            self._loading_more = False

    # Filter and order.

    def filter_words(self, last: str) -> list[str]:
        name, colon, values = last.partition(":")
        if colon and name in ("status", "state"):
            begun = last[: len(last) - len(values.rpartition(",")[2])]
            return [f"{begun}{status}" for status in STATUSES]
        return ["status:", "party:", "age:", "dur:", "re:", "mine", "waiting"]

    def filter(self, text: str) -> None:
        """Show the jobs that fit; of a term that is none (yet) it is said what is missing, and the others hold."""
        self._wrong, text = _without_fault(text.strip())
        if text != self.pattern:
            self._pattern = text
            self.changed(EVERYTHING)
        self.repaint_chrome()

    def sort(self, column: str) -> None:
        super().sort(column)
        self.changed(EVERYTHING)

    async def all_rows(self) -> Sequence[JobRow]:
        await self._load_more(_MOST)
        return self.main.items

    def act_list_mark_all(self, *_: str) -> None:
        self.work("marks", self._mark_all)

    async def _mark_all(self) -> None:
        await self._load_more(_MOST)
        super().act_list_mark_all()
        if self._next:
            self.session.say(self.session.text("jobs.marked_most", n=count(len(self.rows))), "warn")

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
        from nodeconsole.screens.runs import open_runs  # noqa: PLC0415

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

    def act_jobs_rerun(self, *_: str) -> None:
        again: SetWrite[JobRow] = SetWrite(
            "rerun",
            self.session.text("action.jobs.rerun"),
            lambda client, job, _: client.rerun(job.job_id),
            _changed,
        )
        if not self.over_marked(again, lambda job: "rerun" in job.actions) and self.main.item is not None:
            ask_rerun(self, self.session, self.main.item)


def _without_fault(text: str) -> tuple[QueryFault | None, str]:
    """The first fault of a filter, and what is left of it without the terms that are at fault."""
    first: QueryFault | None = None
    while text:
        try:
            parse_query(text)
        except QueryFault as fault:
            first = first or fault
            text = text.replace(fault.term, "", 1).strip() if fault.kind is not None else ""
        else:
            break
    return first, text


def _changed(jobs: list[JobRow]) -> Changes:
    return Changes(jobs=frozenset(job.job_id for job in jobs))
