"""The components of this node: what runs here, what each of them needs, and taking one in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice, Field, FormSpec, note
from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from algorithm_components.sdk.forms.selfdesc import form_of_component
from nodeconsole.actions import GLOBAL
from nodeconsole.bundles import LARGEST_FILE, BundleError, Described, is_bundle, parts, read
from nodeconsole.places import write_new
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import at_once, put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.document import RecordScreen
from nodeconsole.screens.editing import TextScreen
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.providers import choices_of
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.components import (
    component_cells,
    component_columns,
    component_facts,
    component_lines,
    grouped,
    identity,
    state_span,
)
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentCheck, ComponentRow, PartnerComponentRow
    from nodeconsole.client import NodeClient

_IMAGE = "image URL"
"""The field beside the parameters; no parameter has a space in its name."""
_MOST_SHOWN = 12
"""Components that fit into a question at 80x24."""

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
            self.run_worker(_export(self.session, row, path), group="file", exclusive=True)
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
            self.run_worker(self._ask_partners(), group="partners", exclusive=True)
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
            choices=_choices(self.session),
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
    try:
        await asyncio.to_thread(write_new, path, text)
    except FileExistsError:
        session.say(session.text("save.exists", path=path), "warn")
    except OSError as error:
        session.say(session.text("save.failed", path=path, why=error.strerror), "bad")
    else:
        session.say(session.text("components.exported", path=path), "ok")


# Taking one in.


def start_registering(screen: ConsoleScreen, session: Session, path: str) -> None:
    """From a file; without a path from what is pasted."""
    if path:
        place = Path(path).expanduser()
        load = _from_bundle if is_bundle(place) else _from_file
        screen.run_worker(load(screen, session, place), group="register", exclusive=True)
        return

    def take(text: str | None) -> None:
        if text is not None and text.strip():
            screen.run_worker(_from_text(screen, session, text, ""), group="register", exclusive=True)

    screen.app.push_screen(TextScreen(session, session.text("components.paste"), ""), take)


def register_again(screen: ConsoleScreen, session: Session, row: ComponentRow) -> None:
    """With the description that is registered, which can be given another address."""

    async def load() -> None:
        found = await session.ask(lambda client: client.component(row.provider, row.name, row.version))
        if found is not None:
            await _open_form(screen, session, found.manifest, (), found.image_url)

    screen.run_worker(load(), group="register", exclusive=True)


async def _from_file(screen: ConsoleScreen, session: Session, path: Path) -> None:
    try:
        text = await asyncio.to_thread(_read, path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        session.say(session.text("components.unreadable", what=path, why=why), "bad")
        return
    await _from_text(screen, session, text, str(path))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE).decode("utf-8-sig")


async def _from_text(screen: ConsoleScreen, session: Session, text: str, path: str) -> None:
    try:
        manifest, mended = parse_object(text)
    except Unreadable as error:
        what = path or session.text("components.pasted")
        session.say(session.text("components.unreadable", what=what, why=error), "bad")
        return
    description, address = parts(manifest)
    await _open_form(screen, session, description, mended, address)


async def _from_bundle(screen: ConsoleScreen, session: Session, path: Path) -> None:
    """All of a folder or an archive, after one question that says of each what would become of it."""
    try:
        found = await asyncio.to_thread(read, path)
    except BundleError as error:
        session.say(session.text("components.unreadable", what=path, why=error), "bad")
        return
    text = session.text
    facts: list[tuple[str, str]] = []
    good: list[Described] = []
    for one in found.described:
        named = printable(
            "/".join(str(one.manifest.get(key) or "") for key in ("provider", "componentName", "version"))
        )
        checked = await session.ask(partial(_checked, one)) if one.image_url else None
        if checked is not None:
            good.append(one)
        facts.append((named, _in_short(checked, session)))
    facts += [(printable(file), text("components.no_description")) for file, _ in found.skipped]
    if not good:
        session.say(text("components.unreadable", what=path, why=text("components.cannot_take")), "bad")
        return
    shown = facts[:_MOST_SHOWN]
    if len(facts) > len(shown):
        shown.append(("..", text("components.more", n=len(facts) - len(shown))))
    question = Question(
        text("components.ask_bundle", n=len(good)), question_facts(shown), (), text("action.components.register")
    )

    async def send(client: NodeClient, _: dict[str, str]) -> int:
        for one in good:
            await client.register_component(one.image_url, dict(one.manifest))
        return len(good)

    def done(number: int) -> None:
        session.say(text("components.bundle_registered", n=number), "ok")
        session.publish(Changes(subjects=frozenset({"component"})))

    put_question(screen, session, question, send, done)


def _in_short(checked: ComponentCheck | None, session: Session) -> str:
    if checked is None:
        return session.text("components.cannot_take")
    key = "same" if checked.unchanged else "replaces" if checked.replaces else "is_new"
    said = session.text(f"components.{key}")
    return f"{said}  ({session.text('components.cannot')})" if checked.component.why_not else said


async def _checked(one: Described, client: NodeClient) -> ComponentCheck:
    return await client.check_component(one.image_url, one.manifest)


async def _open_form(
    screen: ConsoleScreen, session: Session, manifest: Mapping[str, Any], mended: Sequence[str], address: str
) -> None:
    """Show what the description makes of a form, once the node says that it could be registered at all."""
    checked = await session.ask(lambda client: client.check_component("", manifest))
    if checked is None:
        return
    spec = form_of_component(manifest)
    image = Field(
        name=_IMAGE,
        title=session.text("components.image"),
        description=session.text("components.image_help"),
        required=True,
        default=address,
        type_name="url",
    )
    said = (
        *(note(f"mended_{what}") for what in mended),
        *spec.notes,
        *(note("node", text=warning) for warning in grouped(checked.component.warnings)),
    )
    form = Form(replace(spec, fields=(image, *spec.fields), notes=said))
    row = checked.component

    async def submit(values: dict[str, Any]) -> bool:
        await _ask_register(screen, session, manifest, str(values.get(_IMAGE) or "").strip())
        return False

    purpose = Purpose(
        session.text("components.registering", name=printable(f"{row.name} {row.version}"), by=printable(row.provider)),
        session.text("action.components.register"),
        submit,
        choices=_choices(session),
        needed=frozenset({_IMAGE}),
        draft=f"component/{identity(row)}",
    )
    screen.app.push_screen(FormScreen(session, form, purpose))


async def _ask_register(screen: ConsoleScreen, session: Session, manifest: Mapping[str, Any], address: str) -> None:
    """The node looks at it whole, then the operator is asked."""
    checked = await session.ask(lambda client: client.check_component(address, manifest))
    if checked is None:
        return
    text, row = session.text, checked.component
    facts = [
        (text("components.identity"), printable(identity(row))),
        (text("components.image"), printable(address)),
        (text("components.here"), _what_it_does(checked, session)),
        (text("components.digest"), row.digest[:16]),
        (text("components.warnings"), str(len(row.warnings))),
    ]
    question = Question(text("components.ask_register"), question_facts(facts), (), text("action.components.register"))
    form_screen = screen.app.screen

    async def send(client: NodeClient, _: dict[str, str]) -> ComponentRow:
        return await client.register_component(address, manifest)

    def done(registered: ComponentRow) -> None:
        session.say(text("components.registered_now", name=identity(registered)), "ok")
        session.publish(Changes(subjects=frozenset({"component"})))
        if form_screen.is_attached and screen.app.screen is form_screen:
            screen.app.pop_screen()

    put_question(screen, session, question, send, done)


def _what_it_does(checked: ComponentCheck, session: Session) -> str:
    if checked.unchanged:
        return session.text("components.same")
    key = "components.replaces" if checked.replaces else "components.is_new"
    cannot = printable(checked.component.why_not)
    return " ".join(filter(None, (session.text(key), cannot)))


def _choices(session: Session) -> Any:
    async def choices(name: str, filled: Mapping[str, str]) -> Sequence[Choice] | str:
        return await choices_of(session, name, filled)

    return choices
