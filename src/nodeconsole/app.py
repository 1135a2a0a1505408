"""The terminal app: one node at a time, seen through its socket. It never ends by itself, whatever the node does."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import tzinfo
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.filter import NoColor
from textual.screen import Screen

from nodeconsole import theming
from nodeconsole.actions import GLOBAL, Action, KeyMap
from nodeconsole.conveniences import Conveniences
from nodeconsole.i18n.catalogue import LANGUAGES, default_language, load
from nodeconsole.own_files import OwnFiles
from nodeconsole.places import state_directory
from nodeconsole.remote.target import Place
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.held import HeldWrites
from nodeconsole.screens.keyboard import Typed
from nodeconsole.screens.session import Session
from nodeconsole.screens.watch import Watch
from nodeconsole.state import State
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.glyphs import GLYPH_SETS, Glyphs, default_glyphs, measured_glyphs
from nodeconsole.viewmodels.node import waiting_total
from nodeconsole.viewmodels.tour import Tour

if TYPE_CHECKING:
    from textual.driver import Driver

    from nodeconsole.remote.dial import Dial

SECTIONS: Mapping[str, str] = {
    "pulse": "nodeconsole.screens.pulse:PulseScreen",
    "jobs": "nodeconsole.screens.jobs:JobsScreen",
    "logs": "nodeconsole.screens.logs:LogsScreen",
    "approvals": "nodeconsole.screens.approvals:ApprovalsScreen",
    "components": "nodeconsole.screens.components:ComponentsScreen",
    "data": "nodeconsole.screens.data:DataScreen",
    "peers": "nodeconsole.screens.peers:PeersScreen",
    "audit": "nodeconsole.screens.audit:AuditScreen",
    "doctor": "nodeconsole.screens.doctor:DoctorScreen",
    "statistics": "nodeconsole.screens.statistics:StatisticsScreen",
    "space": "nodeconsole.screens.space:SpaceScreen",
    "settings": "nodeconsole.screens.settings:SettingsScreen",
    "notifications": "nodeconsole.screens.notifications:NotificationsScreen",
    "warnings": "nodeconsole.screens.standing:WarningsScreen",
    "policy": "nodeconsole.screens.administration:PolicyScreen",
    "tokens": "nodeconsole.screens.administration:TokensScreen",
    "secrets": "nodeconsole.screens.administration:SecretsScreen",
    "identity": "nodeconsole.screens.identity:IdentityScreen",
}
"""A mode per section, and what makes its screen from the session: module and name, imported when it is first opened.
A section that is not here is not offered anywhere (`Action.section`); the first one is where a new console begins."""

_SETTLED_SECONDS = 1.0
_ALWAYS = ("app.quit", "app.interrupt", "app.redraw")


def _first_section(state: State) -> str:
    section = state.recall("section", "")
    return section if section in SECTIONS else next(iter(SECTIONS))


class NodeConsoleApp(Conveniences, inherit_bindings=False):
    """`where`: the node to look at first; `begun` is an ssh session to it that is open already.

    `now_ms` (Unix epoch milliseconds) and `zone` are given by tests that need them to stand still.

    `language`, `theme` and `glyphs` go before the environment (`NODECONSOLE_LANG`, `NODECONSOLE_THEME`,
    `NODECONSOLE_GLYPHS`), then what was chosen last with this node, the operator's settings, the locale. `section` is
    where it begins, else where it was left. `clean`: nothing is remembered from or for another start. Confirmed writes
    can be taken back for `undo_seconds` (None: as the settings say). `tour`: it begins with the tour. `settled` is
    called once, when everything that starting needs has been loaded.
    """

    TITLE = "nodeconsole"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = []

    def __init__(
        self,
        where: Path | Place,
        *,
        begun: tuple[Dial, bytes] | None = None,
        language: str | None = None,
        theme: str | None = None,
        glyphs: str | None = None,
        now_ms: Callable[[], int] | None = None,
        zone: tzinfo | None = None,
        environ: Mapping[str, str] | None = None,
        undo_seconds: float | None = None,
        read_only: bool = False,
        clean: bool = False,
        section: str = "",
        tour: bool = False,
        settled: Callable[[], None] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        place = Place(where) if isinstance(where, Path) else where
        self.environ = environ
        self._files = files = OwnFiles(environ)
        self.state_directory = state_directory(environ)
        self._clean = clean
        state = self._state_of(place)
        self._shelf = theming.Shelf(theming.theme_directories(environ))
        self._faults = (*self._shelf.faults, *((state.fault,) if state.fault else ()))
        # Textual reads it once, when it makes its stacks.
        self.DEFAULT_MODE = section or _first_section(state)  # type: ignore[misc]
        super().__init__()
        if self.no_color:
            # Textual would send shades of grey, which are colours too.
            self._filters[:] = [NoColor()]
        self.animation_level = "basic" if files.preferences.motion else "none"
        glyphs = glyphs or environ.get("NODECONSOLE_GLYPHS") or state.recall("glyphs", "") or files.preferences.glyphs
        language = language or (default_language(environ) if environ.get("NODECONSOLE_LANG") else "")
        language = language or state.recall("language", "") or files.preferences.language
        self._glyphs_by_default = glyphs not in GLYPH_SETS
        self._chosen_glyphs: Glyphs = GLYPH_SETS.get(glyphs) or default_glyphs(environ)
        self._catalogue = load(language if language in LANGUAGES else default_language(environ))
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._zone = zone
        self._undo_seconds = files.preferences.undo if undo_seconds is None else undo_seconds
        self._read_only = read_only
        self._leaving = False
        self._typed_at: list[ConsoleScreen] = []
        """Screens that keys were handed to and may not have reached, oldest first."""
        self._settled = settled
        self._asked_themes = (theme or "", environ.get("NODECONSOLE_THEME", ""))
        self._watches: dict[str, Watch] = {}
        self._watch = self._new_watch(place, state, self.DEFAULT_MODE, begun)
        self._watches[str(place.where)] = self._watch
        self.session.tour = Tour() if tour else None
        self._register_themes()
        self._use_theme(self._theme_of(self._watch))

    def get_driver_class(self) -> type[Driver]:
        if os.environ.get("TEXTUAL_DRIVER"):
            return super().get_driver_class()
        from nodeconsole.terminal import ConsoleDriver  # noqa: PLC0415

        return ConsoleDriver

    def terminal_lost(self, code: int) -> None:
        """End, without a question: whoever could answer it is gone. What is held back is dropped, as if taken back."""
        self.exit(return_code=code)

    def terminal_draws(self, cells: int) -> None:
        """The terminal has shown how wide it draws a character of ambiguous width: the locale can be wrong about it."""
        measured = measured_glyphs(cells, self._chosen_glyphs)
        if self._glyphs_by_default and measured is not self._chosen_glyphs:
            self._chosen_glyphs = measured
            self.session.use_glyphs(measured)

    def _make_section(self, maker: str, session: Session) -> Screen[None]:
        module, _, name = maker.partition(":")
        screen: Screen[None] = getattr(import_module(module), name)(session)
        return screen

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.act_app_redraw())
        self._ticking = self.set_interval(self.session.files.preferences.refresh, self._tick)
        for fault in (*self._faults, *self.session.faults):
            self.session.say(fault, "warn")
        # The frame is painted before the client's libraries are loaded.
        self.call_after_refresh(self._start_watching)

    def _start_watching(self) -> None:
        self._watch.start()
        if self._settled is not None:
            self.set_timer(_SETTLED_SECONDS, self._settled)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            # By the screen that earlier keys have still to pass: they may lead to another, and this one follows them.
            self._typed_at = [screen for screen in self._typed_at if screen.typing]
            screen = self._typed_at[0] if self._typed_at else self.screen
            if isinstance(screen, ConsoleScreen):
                self.app_focus = True
                self._type_at(screen, event)
                return
        await super().on_event(event)

    def _type_at(self, screen: ConsoleScreen, typed: Typed) -> None:
        if screen not in self._typed_at:
            self._typed_at.append(screen)
        screen.route(typed)

    def pass_on(self, typed: Typed) -> None:
        """To the screen that is on top now: what was typed at another that has led to it."""
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            self._type_at(screen, typed)
        else:
            (screen.focused or screen)._forward_event(typed)

    def on_key(self, event: events.Key) -> None:
        """Keys that must work above every question too."""
        if not isinstance(self.screen, ConsoleScreen):
            action = KeyMap((GLOBAL,), self.session.actions).resolve((event.key,))
            if isinstance(action, Action) and action.id in _ALWAYS:
                getattr(self, action.handler)()

    def tick_every(self, seconds: int) -> None:
        self._ticking.stop()
        self._ticking = self.set_interval(seconds, self._tick)

    def _start_write(self, write: Coroutine[Any, Any, None]) -> None:
        self.run_worker(write, group="writes")

    def _tick(self) -> None:
        """Also below a question: its background shows how old things are."""
        if any(watch.session.state.unsaved for watch in self._watches.values()):
            self.run_worker(self._save_state(), group="state", exclusive=True)
        self._read_own_files()
        if self._shelf.refresh():
            self._take_up_themes()
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                screen.tick()
                return

    def _read_own_files(self) -> None:
        """Again, when the operator has changed one with an editor."""
        changed = self.session.files.poll()
        if "keymap.toml" in changed:
            self.session.bind_keys()
        if changed:
            self.session.say(self.session.text("message.files_read", names=" ".join(sorted(changed))), "dim")
            for fault in self.session.faults:
                self.session.say(fault, "warn")

    async def _save_state(self) -> None:
        try:
            for watch in self._watches.values():
                await asyncio.to_thread(watch.session.state.save)
        except OSError as error:
            self.session.say(self.session.text("message.state_unsaved", error=error), "warn")

    async def on_unmount(self) -> None:
        # They have been cancelled, and close what they opened: after the app nobody waits for them.
        await asyncio.gather(*(worker.wait() for worker in self.workers), return_exceptions=True)
        with suppress(OSError):
            for watch in self._watches.values():
                watch.session.state.save()

    # The nodes.

    @property
    def session(self) -> Session:
        """Of the node that is looked at now."""
        return self._watch.session

    def _state_of(self, place: Place) -> State:
        return State.of_node(None if self._clean else self.state_directory, str(place.where))

    def _new_watch(self, place: Place, state: State, section: str, begun: tuple[Dial, bytes] | None = None) -> Watch:
        session = Session(
            catalogue=self._catalogue,
            glyphs=self._chosen_glyphs,
            now_ms=self._now_ms,
            zone=self._zone,
            sections=SECTIONS,
            state=state,
            files=self._files,
        )
        session.held = HeldWrites(session, self._start_write, seconds=self._undo_seconds)
        session.alarm = self.attention
        session.read_only = self._read_only or place.read_only
        session.place = place.name
        watch = Watch(self, place, session, section, number=len(self._watches), begun=begun)
        for name, maker in SECTIONS.items():
            self.add_mode(watch.mode(name), partial(self._make_section, maker, session))
        return watch

    def look_at(self, place: Place) -> None:
        """Another node, as it was left when it was looked at before. Nothing of the one before is lost."""
        before, key = self._watch, str(place.where)
        if key == str(before.place.where):
            return
        if before.session.held:
            self.session.say(self.session.text("undo.before_another"), "warn")
            return
        before.leave()
        if key not in self._watches:
            state = self._state_of(place)
            self._watches[key] = self._new_watch(place, state, _first_section(state))
        self._watch = watch = self._watches[key]
        watch.session.use_language(before.session.catalogue.language)
        watch.session.use_glyphs(self._chosen_glyphs)
        self._use_theme(self._theme_of(watch))
        self.switch_mode(watch.mode(watch.visits.here))
        watch.start()

    def _theme_of(self, watch: Watch) -> str:
        """What the context says, what was asked for, what was chosen last with this node, what the settings say."""
        chosen = (watch.place.theme, *self._asked_themes, watch.session.state.recall("theme", ""))
        names = (*chosen, self._files.preferences.theme)
        return next((name for name in names if name in self._shelf.themes), theming.DEFAULT)

    # Actions that belong to no screen.

    def act_app_refresh(self, *_: str) -> None:
        if self.session.online and isinstance(self.screen, ConsoleScreen):
            self.screen.changed(Changes(everything=True))
        self._watch.refresh()

    def act_app_undo(self, *_: str) -> None:
        what = self.session.held.take_back()
        key = "undo.taken_back" if what else "undo.nothing"
        self.session.say(self.session.text(key, what=what), "ok" if what else "dim")

    def act_app_read_only(self, *words: str) -> None:
        session = self.session
        if words and words not in (("off",), ("no",), ("on",)):
            session.say(session.text("message.no_read_only", word=" ".join(words)), "warn")
            return
        wanted = words not in (("off",), ("no",))
        if not wanted and session.status is not None and session.status.read_only:
            role = session.text(f"role.{session.status.role}")
            session.say(session.text("message.read_only_role", role=role), "warn")
            return
        if not wanted and self._watch.place.read_only:
            session.say(session.text("message.read_only_context", name=session.place), "warn")
            return
        session.read_only = wanted
        session.say(session.text("message.read_only_on" if wanted else "message.read_only_off"), "ok")

    def act_app_quit(self, *_: str) -> None:
        """Leave. What is still held back is said first; leaving all the same does it."""
        held = self.session.held
        if not held:
            self.exit()
        elif self._leaving:
            self.run_worker(self._leave_after_writes(), group="leave", exclusive=True)
        else:
            self._leaving = True
            self.set_timer(held.seconds, self._stay)
            self.session.say(self.session.text("undo.leaving"), "warn")

    def act_app_interrupt(self, *_: str) -> None:
        self.session.say(self.session.text("message.leave"), "dim")

    def _stay(self) -> None:
        self._leaving = False

    async def _leave_after_writes(self) -> None:
        """What came of them is printed when the terminal is the shell's again."""
        before = len(self.session.said)
        await self.session.held.flush()
        said = list(self.session.said)[before:]
        self.exit(message="\n".join(one.text for one in said))

    def open_section(self, name: str, *words: str) -> None:
        """To the top of a section; `words` are what was typed behind its name."""
        self._watch.visits.go(name)
        self.session.state.remember("section", name)
        self.switch_mode(self._watch.mode(name))
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if words and isinstance(self.screen, ConsoleScreen):
            self.screen.opened_with(*words)

    def _return_to(self, section: str | None) -> None:
        """To a section as it was left."""
        if section is None:
            self.session.say(self.session.text("message.no_history"), "dim")
        else:
            self.session.state.remember("section", section)
            self.switch_mode(self._watch.mode(section))

    def act_history_back(self, *_: str) -> None:
        self._return_to(self._watch.visits.back())

    def act_history_forward(self, *_: str) -> None:
        self._return_to(self._watch.visits.forward())

    def act_history_last(self, *_: str) -> None:
        self._return_to(self._watch.visits.last())

    def act_app_banner(self, *_: str) -> None:
        """To what the message line and the top line point at."""
        if not self.session.online:
            self.act_app_refresh()
        elif waiting_total(self.session.status):
            self.open_section("approvals")
        elif self.session.status is not None and self.session.status.warnings:
            self.open_section("warnings")
        else:
            self.session.say(self.session.text("message.no_banner"), "dim")

    def act_app_redraw(self, *_: str) -> None:
        self.refresh(repaint=True, layout=True)
        self.screen.refresh(layout=True)

    def act_go_compose(self, *words: str) -> None:
        from nodeconsole.screens.composing import open_composer  # noqa: PLC0415

        path = Path(" ".join(words)).expanduser() if words else None
        self.run_worker(open_composer(self, self.session, path), group="compose", exclusive=True)

    def act_go_job(self, *names: str) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415

        if names:
            self.push_screen(JobScreen(self.session, names[0]))
        else:
            self.session.say(self.session.text("message.which_job"), "warn")

    def act_go_runs(self, *names: str) -> None:
        from nodeconsole.screens.runs import RunsScreen  # noqa: PLC0415

        if names:
            self.push_screen(RunsScreen(self.session, names[0]))
        else:
            self.session.say(self.session.text("message.which_flow"), "warn")

    def show_equivalents(self, screen: ConsoleScreen) -> None:
        from nodeconsole.screens.equivalents import equivalents_screen  # noqa: PLC0415 - loaded when it is asked for

        self.push_screen(equivalents_screen(screen, self._watch.place.where))

    def act_app_node(self, *names: str) -> None:
        """Another node: the one that is named, or the one that is chosen from a list; also while this one is away."""
        from nodeconsole.remote.contexts import ContextsFault, contexts_file, find_place, read_contexts  # noqa: PLC0415
        from nodeconsole.remote.target import BadTarget  # noqa: PLC0415

        try:
            contexts = read_contexts(contexts_file(self.environ))
            if names:
                self.look_at(find_place(" ".join(names), contexts))
                return
        except (BadTarget, ContextsFault) as error:
            self.session.say(str(error), "warn")
            return
        from nodeconsole.screens.nodes import NodesScreen  # noqa: PLC0415

        seen = [watch.place for watch in self._watches.values()]
        self.push_screen(NodesScreen(self.session, contexts, seen, self._watch.place), self._node_chosen)

    def known_nodes(self) -> Mapping[str, str]:
        """Where the named nodes are; none when their file cannot be read, which `:node` says."""
        from nodeconsole.remote.contexts import ContextsFault, contexts_file, read_contexts  # noqa: PLC0415

        try:
            named = read_contexts(contexts_file(self.environ)).named
        except ContextsFault:
            return {}
        return {name: context.node for name, context in named.items()}

    def _node_chosen(self, name: str | None) -> None:
        if name is not None:
            self.act_app_node(name)

    def act_app_tour(self, *_: str) -> None:
        self.session.tour = Tour()
        self.session.repaint_chrome()
