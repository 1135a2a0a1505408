"""The components of this node: what runs here, what each of them needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import FormSpec
from algorithm_components.sdk.forms.selfdesc import form_of_component
from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import at_once, put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.document import RecordScreen
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.providers import choices_of
from nodeconsole.screens.registering_component import register_again, start_registering
from nodeconsole.screens.saving import save
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.components import (
    component_cells,
    component_columns,
    component_facts,
    component_lines,
    identity,
    state_span,
)
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow, PartnerComponentRow
    from nodeconsole.client import NodeClient

COMPONENTS = Kind(
    Listing(
        "components",
        identity,
        component_columns,
        component_cells,
        problem=lambda row: not row.runnable or bool(row.warnings),
        facts=component_facts,
        document=as_document,
        title=lambda row: str(row.name),
    ),
    frozenset({"component"}),
    lambda client: client.components(),
)


class ActsOnComponents(ConsoleScreen):
    """What the list and the page of one component can both do."""

    @property
    def component(self) -> ComponentRow | None:
        """The one it is done to."""
        raise NotImplementedError

    def offered(self) -> Sequence[str]:
        """`new` = the node takes in further ones, `switch` = enable or disable this one."""
        status, row = self.session.status, self.component
        offered = ["new"] if status is not None and "register" in status.actions else []
        if row is not None:
            offered += row.actions
            if {"enable", "disable"} & set(row.actions):
                offered.append("switch")
        return offered

    def act_components_register(self, *words: str) -> None:
        if words:
            start_registering(self, self.session, " ".join(words))
        else:
            self.open_prompt("register", self.session.text("components.ask_path"))

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "register":
            start_registering(self, self.session, text.strip())
        elif kind == "export":
            self.act_components_export(*text.split())

    def act_components_again(self) -> None:
        if self.component is not None:
            register_again(self, self.session, self.component)

    def act_components_switch(self) -> None:
        if self.component is not None:
            switch(self, self.session, self.component)

    def act_components_unregister(self) -> None:
        if self.component is not None:
            ask_unregister(self, self.session, self.component)

    def act_components_export(self, *words: str) -> None:
        row = self.component
        if row is None:
            return
        if words:
            path = Path(" ".join(words)).expanduser()
            self.work("file", _export, self.session, row, path)
        else:
            self.open_prompt("export", self.session.text("components.ask_export"), f"{row.name}-{row.version}.json")


# Textual takes the styles of the first base.
class ComponentsScreen(InventoryScreen, ActsOnComponents):
    SCOPES: ClassVar[tuple[str, ...]] = ("components", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session, COMPONENTS)

    @property
    def component(self) -> ComponentRow | None:
        found: ComponentRow | None = self.main.item
        return found

    def prompt_entered(self, kind: str, text: str) -> None:
        super().prompt_entered(kind, text)
        ActsOnComponents.prompt_entered(self, kind, text)

    def act_list_open(self, *_: str) -> None:
        if self.component is not None:
            self.app.push_screen(ComponentScreen(self.session, self.component, self.rows))


class ComponentScreen(Moves, ActsOnComponents):
    """One component: ports, parameters, what its description has wrong, who registered it, and who else has it."""

    SCOPES: ClassVar[tuple[str, ...]] = ("component", "components", "move", GLOBAL)

    def __init__(self, session: Session, row: ComponentRow, listed: Sequence[ComponentRow]) -> None:
        super().__init__(session)
        self._row = row
        self._listed = listed
        self._spec = FormSpec(row.title)
        self._elsewhere: dict[str, Sequence[PartnerComponentRow] | None] = {}

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="component")

    @property
    def main(self) -> Sheet:
        return self.query_one("#component", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        title = Span(f" {self.session.text('components.heading')} > ", "dim")
        return (title, Span(printable(identity(self._row)), "accent")), (
            state_span(self._row, self.session.display()),
            Span(" "),
        )

    def why(self) -> Line:
        return (Span(printable(self._row.why_not), "bad"),)

    @property
    def component(self) -> ComponentRow:
        return self._row

    def repaint_body(self) -> None:
        row, display = self._row, self.session.display()
        others = [
            one.version
            for one in self._listed
            if (one.provider, one.name) == (row.provider, row.name) and one.version != row.version
        ]
        width = max(20, self.main.view_width - 2)
        lines = component_lines(row, self._spec, others, self._elsewhere, display, width)
        self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if self._loaded and not changes.everything and "component" not in changes.subjects:
            return True
        row = self._row
        found = await self.session.ask(lambda client: client.component(row.provider, row.name, row.version))
        if found is None:
            return False
        self._row, self._spec = found, form_of_component(found.manifest)
        self._loaded = True
        self.retranslate()
        if not self._elsewhere:
            self.work("partners", self._ask_partners)
        return True

    async def _ask_partners(self) -> None:
        """Those with a contract: others have no business with what is asked."""
        peers = await self.session.ask(lambda client: client.peers())
        for peer in peers or ():
            if peer.contract == "APPROVED":
                self._elsewhere[peer.node_id] = await self._asked(peer.node_id)
                self.retranslate()

    async def _asked(self, node_id: str) -> Sequence[PartnerComponentRow] | None:
        from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        try:
            return await self.session.client.partner_components(node_id) if self.session.client else None
        except (ClientError, NodeUnreachable):
            return None

    def act_component_form(self) -> None:
        """The form that its parameters make, to try out."""

        purpose = Purpose(
            f"{self._row.name} {self._row.version}",
            self.session.text("action.form.submit"),
            None,
            choices=partial(choices_of, self.session),
        )
        self.app.push_screen(FormScreen(self.session, Form(self._spec), purpose))

    def act_component_manifest(self) -> None:
        title = f"{printable(identity(self._row))} > {self.session.text('components.manifest')}"
        self.app.push_screen(RecordScreen(self.session, title, self._row.manifest))


# What is done to one.


def switch(screen: ConsoleScreen, session: Session, row: ComponentRow) -> None:
    """Disable it, or enable it again."""
    enabled = not row.enabled
    what = session.text("components.do_enable" if enabled else "components.do_disable", name=printable(row.name))

    def done(changed: ComponentRow) -> None:
        key = "components.enabled_now" if changed.enabled else "components.disabled_now"
        session.say(session.text(key, name=identity(changed)), "ok")
        screen.changed(EVERYTHING)

    at_once(
        screen,
        session,
        what,
        lambda client: client.set_component_enabled(row.provider, row.name, row.version, enabled=enabled),
        done,
    )


def ask_unregister(screen: ConsoleScreen, session: Session, row: ComponentRow) -> None:
    text = session.text
    facts = [
        (text("components.identity"), printable(identity(row))),
        (text("components.image"), printable(row.image_url)),
    ]
    question = Question(
        text("components.ask_unregister"),
        question_facts(facts),
        (typed_id(session, identity(row)),),
        text("action.components.unregister"),
        typed_confirmation=True,
    )

    async def send(client: NodeClient, _: dict[str, str]) -> bool:
        await client.remove_component(row.provider, row.name, row.version)
        return True

    def done(_: bool) -> None:  # noqa: FBT001 - the answer
        session.say(text("components.unregistered", name=identity(row)), "ok")
        session.publish(Changes(subjects=frozenset({"component"})))
        if isinstance(screen, ComponentScreen) and screen.is_attached and screen.app.screen is screen:
            screen.app.pop_screen()

    put_question(screen, session, question, send, done)


async def _export(session: Session, row: ComponentRow, path: Path) -> None:
    found = await session.ask(lambda client: client.component(row.provider, row.name, row.version))
    if found is None:
        return
    text = json.dumps(found.manifest, ensure_ascii=False, indent=2) + "\n"
    await save(session, path, text)
