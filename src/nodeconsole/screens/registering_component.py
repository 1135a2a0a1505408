"""Registering components: one from a file or as pasted, all of a bundle, one again under another address."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Field, note
from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from algorithm_components.sdk.forms.selfdesc import form_of_component
from nodeconsole.bundles import BundleError, Described, is_bundle, parts, read
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import put_question, question_facts
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.editing import TextScreen
from nodeconsole.screens.form import FormScreen, Purpose
from nodeconsole.screens.providers import RUNNERS, choices_of
from nodeconsole.screens.saving import load
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.components import grouped, identity
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentCheck, ComponentRow
    from nodeconsole.client import NodeClient

_IMAGE, _RUNNER = "image URL", "the runner"
"""The fields beside the parameters; no parameter has a space in its name."""
_MOST_SHOWN = 12
"""Components that fit into a question at 80x24."""


def start_registering(screen: ConsoleScreen, session: Session, path: str) -> None:
    """From a file; without a path from what is pasted."""
    if path:
        place = Path(path).expanduser()
        take_in = _from_bundle if is_bundle(place) else _from_file
        screen.run_worker(take_in(screen, session, place), group="register", exclusive=True)
        return

    def take(text: str | None) -> None:
        if text is not None and text.strip():
            screen.run_worker(_from_text(screen, session, text, ""), group="register", exclusive=True)

    screen.app.push_screen(TextScreen(session, session.text("components.paste"), ""), take)


def register_again(screen: ConsoleScreen, session: Session, row: ComponentRow) -> None:
    """With the description that is registered, which can be given another address."""

    async def describe() -> None:
        found = await session.ask(lambda client: client.component(row.provider, row.name, row.version))
        if found is not None:
            await _open_form(screen, session, found.manifest, (), found.image_url)

    screen.run_worker(describe(), group="register", exclusive=True)


async def _from_file(screen: ConsoleScreen, session: Session, path: Path) -> None:
    text = await load(session, path)
    if text is not None:
        await _from_text(screen, session, text, str(path))


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
    runner = Field(
        name=_RUNNER,
        title=session.text("components.runner"),
        description=session.text("components.runner_help"),
        default=checked.component.runner,
        provider=RUNNERS,
    )
    said = (
        *(note(f"mended_{what}") for what in mended),
        *spec.notes,
        *(note("node", text=warning) for warning in grouped(checked.component.warnings)),
    )
    form = Form(replace(spec, fields=(image, runner, *spec.fields), notes=said))
    row = checked.component

    async def submit(values: dict[str, Any]) -> bool:
        address, runner = (str(values.get(name) or "").strip() for name in (_IMAGE, _RUNNER))
        await _ask_register(screen, session, manifest, address, runner)
        return False

    purpose = Purpose(
        session.text("components.registering", name=printable(f"{row.name} {row.version}"), by=printable(row.provider)),
        session.text("action.components.register"),
        submit,
        choices=partial(choices_of, session),
        needed=frozenset({_IMAGE}),
        draft=f"component/{identity(row)}",
    )
    screen.app.push_screen(FormScreen(session, form, purpose))


async def _ask_register(
    screen: ConsoleScreen, session: Session, manifest: Mapping[str, Any], address: str, runner: str
) -> None:
    """The node looks at it whole, then the operator is asked. `runner` empty = by the node's rules."""
    checked = await session.ask(lambda client: client.check_component(address, manifest, runner))
    if checked is None:
        return
    text, row = session.text, checked.component
    facts = [
        (text("components.identity"), printable(identity(row))),
        (text("components.image"), printable(address)),
        (text("components.runner"), printable(runner) or text("runner.by_rules")),
        (text("components.here"), _what_it_does(checked, session)),
        (text("components.digest"), row.digest[:16]),
        (text("components.warnings"), str(len(row.warnings))),
    ]
    question = Question(text("components.ask_register"), question_facts(facts), (), text("action.components.register"))
    form_screen = screen.app.screen

    async def send(client: NodeClient, _: dict[str, str]) -> ComponentRow:
        return await client.register_component(address, manifest, runner)

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
