"""One job, in six ways: graph, tasks, timeline, events, results, specification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.widget import Widget

from nodeconsole.actions import GLOBAL, Action
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.decisions import ask_rerun, ask_stop
from nodeconsole.screens.job_tabs.events import EventsTab
from nodeconsole.screens.job_tabs.graph import GraphTab
from nodeconsole.screens.job_tabs.results import ResultsTab
from nodeconsole.screens.job_tabs.spec import SpecTab
from nodeconsole.screens.job_tabs.tab import JobTab
from nodeconsole.screens.job_tabs.tasks import TasksTab
from nodeconsole.screens.job_tabs.timeline import TimelineTab
from nodeconsole.screens.jumping import Jumpable
from nodeconsole.screens.movement import Movable, Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.job import head_lines, party_key, task_why
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.tabs import TabWord, tab_line
from nodeconsole.viewmodels.text import short_id
from nodeconsole.widgets.bar import Bar

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventPage, EventRow, JobDetail, TaskRow, Waiting
    from nodeconsole.client import NodeClient

_EVENT_PAGE = 1000
_ROOMY = 100


class JobScreen(Moves, ConsoleScreen):
    """`task` is chosen at first, or else the most interesting one; with `logs`, its log opens at once."""

    SCOPES: ClassVar[tuple[str, ...]] = ("job_graph", "job", "move", GLOBAL)
    DEFAULT_CSS = """
    JobScreen .tab { height: 1fr; }
    JobScreen #graph-body { height: 1fr; }
    JobScreen #graph { width: 3fr; }
    JobScreen #graph-side { width: 2fr; max-width: 60; padding: 0 0 0 2; }
    JobScreen #tasks, JobScreen #results { height: auto; min-height: 4; max-height: 60%; }
    JobScreen #tasks-panel, JobScreen #results-panel { height: 1fr; }
    """

    def __init__(self, session: Session, job_id: str, *, task: str = "", logs: bool = False) -> None:
        super().__init__(session)
        self._job_id = job_id
        self._detail: JobDetail | None = None
        self._open_logs = logs
        self.events: list[EventRow] = []
        """What happened to the job, as far as it was asked for, oldest first."""
        self.chosen = task
        """The task that all tabs are about."""
        tabs = (GraphTab, TasksTab, TimelineTab, EventsTab, ResultsTab, SpecTab)
        self._tabs: tuple[JobTab, ...] = tuple(kind(self) for kind in tabs)
        self._tab = self._tabs[0]

    def body(self) -> Iterable[Widget]:
        yield Bar(id="head")
        yield Bar(id="reason")
        for tab in self._tabs:
            box = Vertical(*tab.widgets(), id=f"tab-{tab.name}", classes="tab")
            box.display = tab is self._tab
            yield box

    @property
    def main(self) -> Movable:
        return self._tab.main

    @property
    def detail(self) -> JobDetail | None:
        return self._detail

    @property
    def chosen_task(self) -> TaskRow | None:
        """The chosen task."""
        tasks = self._detail.tasks if self._detail else []
        return next((task for task in tasks if task.name == self.chosen), None)

    def handler(self, action: Action) -> Callable[..., None] | None:
        found: Callable[..., None] | None = getattr(self._tab, action.handler, None)
        return found or super().handler(action)

    # What is seen.

    @property
    def subject(self) -> str:
        return self._job_id

    def waits(self) -> Iterable[Waiting | None]:
        detail = self._detail
        return () if detail is None else (detail.job.waiting, *(task.waiting for task in detail.tasks))

    def crumbs(self) -> tuple[Line, Line]:
        # The name matters more than where one came from.
        above = f" {self.session.text('jobs.heading')} > " if self.size.width >= _ROOMY else " "
        left = [Span(above, "dim"), Span(short_id(self._job_id), "accent")]
        if self._detail is not None:
            left.append(Span(f"  {job_name(self._detail.job)}"))
        tabs = [TabWord(tab.name, self.session.text(f"job.tab.{tab.name}")) for tab in self._tabs]
        return tuple(left), (*tab_line(tabs, self._tab.name, self.tab_labels), Span(" "))

    def why(self) -> Line:
        display = self.session.display()
        line = self._tab.why()
        task = self.chosen_task
        if line is not None or task is None:
            return line or ()
        return task_why(task, display)

    def offered(self) -> Sequence[str]:
        if self._detail is None:
            return ()
        task = self.chosen_task
        return [*self._detail.job.actions, *(task.actions if task else ()), *self._tab.offered()]

    def repaint_body(self) -> None:
        detail = self._detail
        if detail is None:
            return
        display = self.session.display()
        cut = display.glyphs.cut
        head, reason = head_lines(detail, display)
        self.bar("head").show(head, (Span(f"{self._tab.note()} ", "dim"),), cut=cut)
        self.bar("reason").show(reason, cut=cut)
        self.bar("reason").display = bool(reason)
        self._tab.show(detail)

    # Loading.

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self._job_id not in changes.jobs:
            return True
        detail = await self.session.ask(lambda client: client.job(self._job_id))
        if detail is None:
            return False
        first = self._detail is None
        self._detail = detail
        self._job_id = detail.job.job_id
        if first:
            self.chosen = self.chosen or _interesting_task(detail)
            self._tasks_tab.whole_job = bool(detail.approvals) and not any(task.started_ms for task in detail.tasks)
        if not await self._tab.load():
            return False
        self.retranslate()
        if first:
            self._tab.choose(self.chosen)
        if self._open_logs:
            self._open_logs = False
            self.act_job_logs()
        return True

    async def load_events(self) -> bool:
        """What happened since the last event that is here."""

        async def further(client: NodeClient) -> EventPage:
            after = self.events[-1].seq if self.events else 0
            return await client.event_page(after, limit=_EVENT_PAGE, job_id=self._job_id)

        while True:
            page = await self.session.ask(further)
            if page is None:
                return False
            self.events = [*self.events, *page.events]
            if page.next is None:
                return True

    # Tabs.

    @property
    def _tasks_tab(self) -> TasksTab:
        return next(tab for tab in self._tabs if isinstance(tab, TasksTab))

    @property
    def scopes(self) -> tuple[str, ...]:
        return (self._tab.scope, *self.SCOPES[1:])

    def task_names(self) -> Sequence[str]:
        return [task.name for task in self._detail.tasks] if self._detail else []

    def tab_names(self) -> Sequence[str]:
        return [tab.name for tab in self._tabs if tab is not self._tab]

    def jumpables(self) -> Iterable[Jumpable]:
        yield from super().jumpables()
        if isinstance(self._tab, Jumpable):
            yield self._tab

    def open_tab(self, name: str) -> None:
        """Show the job in another way."""
        before, self._tab = self._tab, next(tab for tab in self._tabs if tab.name == name)
        self.query_one(f"#tab-{before.name}").display = False
        self.query_one(f"#tab-{name}").display = True
        self._tab.choose(self.chosen)
        # The widgets have a size after the layout only.
        self.call_after_refresh(self._tab_opened)

    def _tab_opened(self) -> None:
        self.retranslate()
        self._tab.choose(self.chosen)
        if self._detail is not None:
            self.work("tab", self._load_tab)

    async def _load_tab(self) -> None:
        tab = self._tab
        if await tab.load() and tab is self._tab:
            self.retranslate()
            tab.choose(self.chosen)

    def _step_tab(self, step: int) -> None:
        self.open_tab(self._tabs[(self._tabs.index(self._tab) + step) % len(self._tabs)].name)

    def act_job_tab_next(self) -> None:
        self._step_tab(1)

    def act_job_tab_before(self) -> None:
        self._step_tab(-1)

    def act_job_graph(self) -> None:
        self.open_tab("graph")

    def act_job_tasks(self) -> None:
        self.open_tab("tasks")

    def act_job_timeline(self) -> None:
        self.open_tab("timeline")

    def act_job_events(self) -> None:
        self.open_tab("events")

    def act_job_results(self) -> None:
        self.open_tab("results")

    def act_job_spec(self, *_: str) -> None:
        self.open_tab("spec")

    def act_job_about(self) -> None:
        """What there is to say about the whole job, and back to the task."""
        tasks = self._tasks_tab
        tasks.whole_job = self._tab is not tasks or not tasks.whole_job
        if self._tab is tasks:
            self.retranslate()
        else:
            self.open_tab(tasks.name)

    def open_lines(self, title: str, lines: Sequence[Line]) -> None:
        """Something to read over the whole window."""
        from nodeconsole.screens.document import DocumentScreen  # noqa: PLC0415 - loaded when it is asked for

        self.app.push_screen(DocumentScreen(self.session, title, [(Span(" "), *line) for line in lines]))

    def open_record(self, title: str, document: object) -> None:
        from nodeconsole.screens.document import RecordScreen  # noqa: PLC0415

        self.app.push_screen(RecordScreen(self.session, title, document))

    # The chosen task.

    def task_chosen(self, name: str) -> None:
        """The cursor of a tab is on another task."""
        self.chosen = name
        self.retranslate()

    def on_graph_view_moved(self) -> None:
        self.task_chosen(getattr(self._tab.main, "key", "") or self.chosen)

    def on_virtual_table_moved(self) -> None:
        if isinstance(self._tab, TasksTab) and self._tab.table.key:
            self.task_chosen(self._tab.table.key)
        else:
            self.retranslate()
            self.work("tab", self._load_tab)

    def on_graph_view_opened(self) -> None:
        self.act_job_task()

    def on_virtual_table_opened(self) -> None:
        self._tab.opened()

    def problem_task(self, step: int) -> bool:
        tasks = self._detail.tasks if self._detail else []
        names = [task.name for task in tasks]
        failed = [place for place, task in enumerate(tasks) if task.state == "FAILED"]
        if not failed:
            return False
        here = names.index(self.chosen) if self.chosen in names else -1
        ahead = [place for place in failed if (place > here if step > 0 else place < here)]
        self._tab.choose(names[(ahead or failed)[0 if step > 0 else -1]])
        return True

    def act_list_problem(self) -> None:
        self._problem(1)

    def act_list_problem_before(self) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        if not self._tab.problem(step):
            self.session.say(self.session.text("message.no_problem"), "dim")

    def act_job_find(self) -> None:
        self.open_prompt("find", "/")

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "find" and text:
            self._tab.find(text)
        elif kind == "save" and text:
            self._tab.save(text)

    # Actions.

    def act_job_task(self) -> None:
        from nodeconsole.screens.task import TaskScreen  # noqa: PLC0415 - loaded when it is asked for

        if self.chosen:
            self.app.push_screen(TaskScreen(self.session, self._job_id, self.chosen))

    def act_job_runs(self, *names: str) -> None:
        from nodeconsole.screens.runs import open_runs  # noqa: PLC0415

        if names or self._detail is not None:
            open_runs(self, self.session, names[0] if names else self._detail.job.flow_id if self._detail else "")

    def act_job_logs(self, *names: str) -> None:
        from nodeconsole.screens.log import LogScreen  # noqa: PLC0415 - loaded when it is asked for

        if names and names[0] not in self.task_names():
            self.session.say(self.session.text("message.no_task", name=names[0]), "warn")
            return
        if names:
            self.task_chosen(names[0])
        task = self.chosen_task
        if task is not None:
            local = [party_key(share) for share in task.shares if share.local]
            self.app.push_screen(LogScreen(self.session, self._job_id, task.name, local))

    def _open_card(self) -> None:
        from nodeconsole.screens.card import CardScreen  # noqa: PLC0415

        self.app.push_screen(CardScreen(self.session, self._job_id))

    def act_job_approve(self, *_: str) -> None:
        self._open_card()

    def act_job_reject(self, *_: str) -> None:
        self._open_card()

    def act_job_rerun(self, *_: str) -> None:
        if self._detail is not None:
            ask_rerun(self, self.session, self._detail.job)

    def act_job_stop(self, *arguments: str) -> None:
        """The task under the cursor if it can be stopped by itself and is named or running; else the job."""
        if self._detail is None:
            return
        if arguments and arguments[0] not in self.task_names():
            self.session.say(self.session.text("message.no_task", name=arguments[0]), "warn")
            return
        task = self.chosen_task
        stoppable = task.name if task is not None and "stop" in task.actions else ""
        ask_stop(self, self.session, self._detail.job, arguments[0] if arguments else stoppable)


def _interesting_task(detail: JobDetail) -> str:
    """The one that failed, else runs, else ran last, else the first."""
    failed = [task for task in detail.tasks if task.state == "FAILED"]
    running = [task for task in detail.tasks if task.state == "RUNNING"]
    started = sorted((task for task in detail.tasks if task.started_ms), key=lambda task: -(task.started_ms or 0))
    return next((tasks[0].name for tasks in (failed, running, started, detail.tasks) if tasks), "")
