"""Putting a job together: components, what they read, who takes part, what is given; checked, and submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Container
from textual.widget import Widget

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice
from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.compositions import forget_draft, fresh, keep_draft, read_composition, write_job
from nodeconsole.screens.confirm import put_question, question_facts
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.document import RecordScreen
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.providers import RUNNERS, choices_of
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.composer import rows
from nodeconsole.viewmodels.composer.catalogue import Program, compatible, find, program_of
from nodeconsole.viewmodels.composer.composition import NAME, Composition, Document, Party
from nodeconsole.viewmodels.composer.problems import form_of_party, problems
from nodeconsole.viewmodels.composer.rows import Row, Situation
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.graph import GraphView
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobCheck, SubmitReply
    from nodeconsole.client import NodeClient

_ROLES = ("guest", "host", "arbiter")
_BESIDE_FROM = 100


class ComposeScreen(Moves, ConsoleScreen):
    """`path`: the file that the composition is from."""

    SCOPES: ClassVar[tuple[str, ...]] = ("compose", "move", GLOBAL)
    DEFAULT_CSS = """
    ComposeScreen #compose-body { height: 1fr; layout: vertical; }
    ComposeScreen #compose-rows { height: 1fr; }
    ComposeScreen #compose-graph { height: 6; border-top: solid $panel; }
    ComposeScreen #compose-body.-beside { layout: horizontal; }
    ComposeScreen #compose-body.-beside #compose-rows { width: 3fr; }
    ComposeScreen #compose-body.-beside #compose-graph { width: 2fr; height: 1fr; border-top: none;
        border-left: solid $panel; }
    ComposeScreen #compose-said { height: auto; max-height: 5; border-top: solid $panel; }
    """

    def __init__(self, session: Session, composition: Composition, path: Path | None = None) -> None:
        super().__init__(session)
        self.composition = composition
        self._path = path
        self._programs: dict[str, Program] = {}
        self._known_nodes: tuple[str, ...] = ()
        self._situation = Situation(composition, {}, (), "")
        self._checked: JobCheck | None = None
        self._renaming = ""
        self._left: dict[str, tuple[Document, Form]] = {}
        """Forms that were left with Esc, by row, and the document that they were about."""

    # Layout.

    def body(self) -> Iterable[Widget]:
        with Container(id="compose-body"):
            yield VirtualTable[Row](lambda row: row.key, self._cells, id="compose-rows")
            yield GraphView(id="compose-graph")
        yield Sheet(id="compose-said")

    @property
    def main(self) -> VirtualTable[Row]:
        return self.query_one("#compose-rows", VirtualTable)

    def _cells(self, row: Row) -> Line:
        return rows.row_cells(row, self._situation, self.session.display())

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        name = self._path.name if self._path is not None else self.composition.flow_id or text("compose.new")
        changed = f" {text('compose.changed')}" if self.composition.is_changed else ""
        left = (Span(f" {text('compose.heading')} > ", "dim"), Span(printable(name), "accent"), Span(changed, "warn"))
        return left, ()

    def why(self) -> Line:
        found = len(self._situation.problems)
        if found:
            return (Span(self.session.text("compose.n_problems", n=found), "bad"),)
        if self._checked is None:
            return (Span(self.session.text("compose.ready"), "ok"),)
        wrong = len(self._checked.problems)
        key = "compose.checked_problems" if wrong else "compose.checked"
        return (Span(self.session.text(key, n=wrong), "bad" if wrong else "ok"),)

    def offered(self) -> Sequence[str]:
        return self.session.status.actions if self.session.status is not None else ()

    def repaint_body(self) -> None:
        display = self.session.display()
        body = self.query_one("#compose-body", Container)
        body.set_class(self.size.width >= _BESIDE_FROM, "-beside")
        self.main.set_columns(rows.columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        self.main.show(rows.all_rows(self._situation, display))
        layout, faces = rows.graph(self.composition, display)
        graph = self.query_one("#compose-graph", GraphView)
        graph.show(layout, faces, display.glyphs.lines, empty=display.text("compose.no_graph"))
        self._follow_cursor()
        self._repaint_said()

    def _repaint_said(self) -> None:
        sheet = self.query_one("#compose-said", Sheet)
        display = self.session.display()
        width = max(20, self.size.width - 4)
        lines = rows.problem_lines(self._situation, display, width)
        if not lines and self._checked is not None:
            lines = rows.said_lines(self._checked, display, width)
        sheet.display = bool(lines)
        sheet.styles.height = min(5, len(lines) + 1)
        sheet.show([(Span(" "), *line) for line in lines])

    def on_virtual_table_moved(self) -> None:
        self._follow_cursor()
        self.repaint_chrome()

    def _follow_cursor(self) -> None:
        row = self.main.item
        if row is not None and row.task:
            self.query_one("#compose-graph", GraphView).go(row.task)

    def on_virtual_table_opened(self) -> None:
        self.act_compose_open()

    def on_graph_view_moved(self, message: GraphView.Moved) -> None:
        message.stop()

    # What is known around it.

    async def reload(self, changes: Changes) -> bool:
        if self._loaded and not changes.everything and not {"component", "peer"} & changes.subjects:
            return True
        listed = await self.session.ask(lambda client: client.components())
        peers = await self.session.ask(lambda client: client.peers())
        if listed is None or peers is None:
            return False
        # Disabled ones are not offered, but what uses them already is to say so.
        self._programs = {program.key: program for program in map(program_of, listed)}
        own = self.session.status.node_id if self.session.status is not None else ""
        self._known_nodes = (own, *(peer.node_id for peer in peers))
        self._loaded = True
        await self._describe()
        return True

    async def _describe(self) -> None:
        """Ask for the descriptions of the components that are used and not known yet; then look at it anew."""
        for program in {one.key: one for one in self._used().values()}.values():
            if program.form is not None:
                continue
            row = await self.session.ask(
                lambda client, one=program: client.component(one.provider, one.name, one.version)  # type: ignore[misc]
            )
            if row is not None:
                self._programs[program.key] = program_of(row)
        self._judge()

    def _used(self) -> dict[str, Program]:
        """The program of each task, as far as it is registered."""
        found = {}
        for task in self.composition.tasks:
            program = find(self._programs.values(), task.provider, task.component, task.version)
            if program is not None:
                found[task.name] = program
        return found

    def _judge(self) -> None:
        used = self._used()
        own = self._known_nodes[0] if self._known_nodes else ""
        found = problems(self.composition, used, own) if self._loaded else []
        self._situation = Situation(self.composition, used, found, own)
        self.retranslate()

    def _edited(self) -> None:
        self._checked = None
        keep_draft(self.session, self.composition)
        self._judge()
        self.work("describe", self._describe)

    # Editing.

    def act_compose_open(self) -> None:
        row = self.main.item
        if row is None:
            return
        match row.kind:
            case "flow":
                self.open_prompt("flow", self.session.text("compose.ask_flow"), self.composition.flow_id)
            case "party" if row.party is not None:
                self._choose_node(row.party)
            case "task":
                self.act_compose_rename()
            case "input":
                self._choose_source(row)
            case "given":
                self._fill(row)
            case _:
                return

    def act_compose_rename(self) -> None:
        row = self.main.item
        if row is not None and row.task:
            self._renaming = row.task
            self.open_prompt("rename", self.session.text("compose.ask_name"), row.task)

    def prompt_entered(self, kind: str, text: str) -> None:
        text = text.strip()
        if kind == "flow":
            self.composition.set_flow(text)
            self._edited()
        elif kind == "rename":
            self._rename(text)
        elif kind == "save":
            self.act_compose_save(text)
        elif kind == "load":
            self.act_compose_load(text)

    def _rename(self, name: str) -> None:
        taken = {task.name for task in self.composition.tasks} - {self._renaming}
        if not NAME.fullmatch(name) or name in taken:
            self.session.say(self.session.text("compose.bad_name", name=name), "warn")
            return
        self.composition.rename_task(self._renaming, name)
        self._edited()
        self._go("task", name)

    def _go(self, kind: str, task: str) -> None:
        self.main.move_to_key(f"{kind}/{task}//-1")

    def act_compose_add(self) -> None:
        usable = [program for program in self._programs.values() if not program.why_not]
        choices = [Choice(one.key, f"{one.title or one.name} {one.version}") for one in usable]

        def take(chosen: list[str] | None) -> None:
            if chosen:
                name = self.composition.add_task(self._programs[chosen[0]])
                self._edited()
                self._go("task", name)

        self._choose(self.session.text("compose.which_component"), choices, "", take)

    def _choose(self, title: str, choices: Sequence[Choice], now: str, take: Any) -> None:
        self.app.push_screen(ChoiceScreen(self.session, title, choices, [now]), take)

    def _choose_source(self, row: Row) -> None:
        """Outputs of a fitting kind, of tasks that do not read from this one."""
        program = self._situation.programs.get(row.task)
        formal = program.inputs[row.place].type if program is not None else row.note
        later = self.composition.downstream_of(row.task)
        sources = [
            Choice(source, type_name and f"{source}  {type_name}")
            for source, type_name in self.composition.sources.items()
            if source.split(".", 1)[0] not in later and compatible(type_name, formal)
        ]
        nothing = Choice("", self.session.text("compose.own_data" if row.place == 0 else "compose.nothing"))

        def take(chosen: list[str] | None) -> None:
            if chosen is not None:
                self.composition.wire(row.task, program, row.place, chosen[0])
                self._edited()

        title = self.session.text("compose.which_source", input=row.port, type=formal)
        self._choose(title, [nothing, *sources], row.value, take)

    def act_compose_party(self) -> None:
        known = [role for program in self._programs.values() for role in program.roles]
        roles = [Choice(role) for role in dict.fromkeys((*_ROLES, *known))]

        def take(chosen: list[str] | None) -> None:
            if chosen:
                self._choose_new_node(chosen[0])

        self._choose(self.session.text("compose.which_role"), roles, "", take)

    def _choose_new_node(self, role: str) -> None:
        def take(chosen: list[str] | None) -> None:
            if chosen:
                self.composition.add_party(role, chosen[0], self._used())
                self._edited()

        self._choose(self.session.text("compose.which_node", role=role), list(map(Choice, self._known_nodes)), "", take)

    def _choose_node(self, party: Party) -> None:
        def take(chosen: list[str] | None) -> None:
            if chosen:
                self.composition.set_party(party, chosen[0])
                self._edited()

        title = self.session.text("compose.which_node", role=party.role)
        self._choose(title, list(map(Choice, self._known_nodes)), party.node_id, take)

    def act_compose_remove(self) -> None:
        row = self.main.item
        if row is None:
            return
        match row.kind:
            case "party" if row.party is not None:
                self.composition.remove_party(row.party)
            case "task":
                self.composition.remove_task(row.task)
            case "input":
                self.composition.wire(row.task, self._situation.programs.get(row.task), row.place, "")
            case "given" if row.party is not None:
                self.composition.set_taking_part(row.task, row.party, takes_part=False)
            case "given":
                self.composition.set_parameters(row.task, None, {})
            case _:
                return
        self._edited()
        self.session.say(self.session.text("compose.removed"), "dim")

    def act_compose_toggle(self) -> None:
        row = self.main.item
        if row is None or row.kind != "given" or row.party is None:
            self.act_move_page_down()
            return
        taking_part = row.party in self.composition.parties_of(row.task)
        self.composition.set_taking_part(row.task, row.party, takes_part=not taking_part)
        self._edited()

    def act_compose_runner(self) -> None:
        """Of one part of this node, or of all; what others' parts are run by is their matter."""
        row = self.main.item
        if row is None or row.party is None or row.kind not in ("party", "given"):
            self.session.say(self.session.text("compose.runner_where"), "warn")
        elif row.party.node_id != self._situation.node_id:
            self.session.say(self.session.text("compose.runner_of_others", node=row.party.node_id), "warn")
        else:
            self.work("runner", self._choose_runner, row, row.party)

    async def _choose_runner(self, row: Row, party: Party) -> None:
        runners = await choices_of(self.session, RUNNERS, {})
        if isinstance(runners, str):
            self.session.say(runners, "bad")
            return

        def take(chosen: list[str] | None) -> None:
            if chosen is not None:
                self.composition.set_runner(row.task, party, chosen[0])
                self._edited()

        composition = self.composition
        now = composition.runner(row.task, party) if row.task else composition.runner_of_all(party)
        by_rules = Choice("", self.session.text("runner.by_rules"))
        title = self.session.text("compose.which_runner", what=row.task or self.session.text("compose.all_own"))
        self._choose(title, [by_rules, *runners], now, take)

    def _fill(self, row: Row) -> None:
        program = self._situation.programs.get(row.task)
        if program is None:
            self.session.say(self.session.text("compose.not_registered"), "warn")
            return
        document, left = self._left.pop(row.key, (None, None))
        form = left if left is not None and document is self.composition.document else None
        form = form or form_of_party(self.composition, self.composition.task(row.task), program, row.party)
        before = form.draft()

        def leave() -> None:
            # Esc keeps nothing, but what was typed is there again when one comes back.
            if form.draft() != before and row.key not in kept:
                self._left[row.key] = (self.composition.document, form)
                self.session.say(self.session.text("compose.left"), "warn")

        kept: set[str] = set()

        async def keep(values: dict[str, Any]) -> bool:
            kept.add(row.key)
            self.composition.set_parameters(row.task, row.party, values)
            self._edited()
            return True

        async def choices(name: str, filled: Mapping[str, str]) -> Sequence[Choice] | str:
            return await choices_of(self.session, name, filled, node_id=row.party.node_id if row.party else "")

        who = f"{row.party.key} {row.party.node_id}" if row.party is not None else self.session.text("compose.all")
        purpose = Purpose(
            f"{row.task} > {who}", self.session.text("compose.keep"), keep, choices=choices, on_leave=leave
        )
        self.app.push_screen(FormScreen(self.session, form, purpose))

    def act_app_undo(self, *_: str) -> None:
        self._stepped(done=self.composition.undo())

    def act_compose_redo(self) -> None:
        self._stepped(done=self.composition.redo())

    def _stepped(self, *, done: bool) -> None:
        if done:
            self._edited()
        else:
            self.session.say(self.session.text("compose.no_step"), "dim")

    def act_compose_fresh(self) -> None:
        """Begin anew."""
        self.composition, self._path = fresh(self.session), None
        self._edited()

    def act_list_problem(self) -> None:
        self._to_problem(1)

    def act_list_problem_before(self) -> None:
        self._to_problem(-1)

    def _to_problem(self, step: int) -> None:
        shown = self.main.items
        wrong = {row.key for one in self._situation.problems if (row := rows.row_of(one, shown)) is not None}
        if not self.main.find(lambda row: row.key in wrong, step):
            self.session.say(self.session.text("compose.no_problem"), "ok")

    def act_compose_document(self) -> None:
        self.app.push_screen(
            RecordScreen(self.session, self.session.text("compose.heading"), self.composition.document)
        )

    # Files.

    def act_compose_save(self, *words: str) -> None:
        if not words or not words[0]:
            suggestion = str(self._path or f"{self.composition.flow_id or 'job'}.json")
            self.open_prompt("save", self.session.text("compose.ask_path"), suggestion)
            return
        self.work("file", self._save, Path(" ".join(words)).expanduser())

    async def _save(self, path: Path) -> None:
        try:
            await asyncio.to_thread(write_job, path, self.composition.text(), replace=path == self._path)
        except FileExistsError:
            self.session.say(self.session.text("saving.exists", path=path), "warn")
        except OSError as error:
            self.session.say(self.session.text("saving.failed", path=path, why=error.strerror), "bad")
        else:
            self._path = path
            self.session.say(self.session.text("saving.done", path=path), "ok")

    def act_compose_load(self, *words: str) -> None:
        if not words or not words[0]:
            self.open_prompt("load", self.session.text("compose.ask_load"), str(self._path or ""))
            return
        self.work("file", self._load, Path(" ".join(words)).expanduser())

    async def _load(self, path: Path) -> None:
        composition = await read_composition(self.session, path)
        if composition is not None:
            self.composition, self._path = composition, path
            self._edited()

    # Checking and submitting.

    def act_compose_check(self) -> None:
        self.work("check", self._check)

    async def _check(self) -> bool:
        """Whether nothing is wrong: by what is known here, then by the node, which asks the partners."""
        if self._situation.problems:
            self._to_problem(1)
            self.session.say(self.session.text("compose.n_problems", n=len(self._situation.problems)), "bad")
            return False
        document = self.composition.document
        self.session.say(self.session.text("compose.checking"), "dim")
        checked = await self.session.ask(lambda client: client.check_job(document))
        if checked is None or document is not self.composition.document:
            return False
        self._checked = checked
        self.session.flash = None
        self.retranslate()
        return not checked.problems

    def act_compose_submit(self, *_: str) -> None:
        self.work("check", self._submit)

    async def _submit(self) -> None:
        if not await self._check() or self._checked is None:
            return
        session, text, document = self.session, self.session.text, self.composition.document
        parties = "  ".join(f"{party.key} {party.node_id}" for party in self.composition.parties)
        facts = [
            (text("compose.flow"), printable(self.composition.flow_id) or "-"),
            (text("compose.parties"), printable(parties)),
            (text("compose.tasks"), printable(" ".join(task.name for task in self.composition.tasks))),
            (text("compose.driven_by"), printable(self._checked.coordinator)),
        ]
        facts += [(text("compose.warning"), printable(warning)) for warning in self._checked.warnings[:5]]
        question = Question(text("compose.ask_submit"), question_facts(facts), (), text("action.compose.submit"))

        async def send(client: NodeClient, _: dict[str, str]) -> SubmitReply:
            return await client.submit(document)

        put_question(self, session, question, send, self._submitted)

    def _submitted(self, reply: SubmitReply) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is needed

        forget_draft(self.session)
        self.session.say(self.session.text("compose.submitted", job=reply.job_id), "ok")
        if self.is_attached and self.app.screen is self:
            self.app.switch_screen(JobScreen(self.session, reply.job_id))
