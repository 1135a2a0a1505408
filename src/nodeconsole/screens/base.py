"""What every screen has: status line, crumbs, message line, footer, and keys that come from the table of actions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from textual import events
from textual._styles_cache import StylesCache
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import WorkType

from nodeconsole.actions import GLOBAL, Action, KeyMap, Pending, is_for, key_name, plain_key
from nodeconsole.keymap import UserKeys
from nodeconsole.screens import command_line
from nodeconsole.screens.command_line import CommandLine
from nodeconsole.screens.jumping import Jumpable, Jumping, Tabs
from nodeconsole.screens.session import Session
from nodeconsole.screens.strips import Strip, Strips
from nodeconsole.viewmodels.changes import EVERYTHING, NOTHING, Changes
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.node import LinkState, status_line, waiting_total
from nodeconsole.viewmodels.spans import Line, Span, plain
from nodeconsole.viewmodels.tabs import NO_LABELS
from nodeconsole.viewmodels.text import cells, printable
from nodeconsole.viewmodels.tour import tip
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.painted import Painted
from nodeconsole.widgets.prompt import Prompt
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from nodeconsole.viewmodels.palette import Entry

_APPEARS_SECONDS = 3.0
"""Within so long a line to type into is there, or will not come."""


class Console(Protocol):
    """What screens ask of the app beyond what Textual's has."""

    def open_section(self, name: str, *words: str) -> None: ...

    @property
    def theme_names(self) -> tuple[str, ...]: ...

    def known_nodes(self) -> Mapping[str, str]: ...

    def prefer(self, name: str, word: str) -> None: ...

    def use_preset(self, name: str) -> None: ...

    def use_keys(self, keys: UserKeys) -> None: ...

    def copy(self, text: str, what: str) -> None: ...

    def show_equivalents(self, screen: ConsoleScreen) -> None: ...


class ConsoleScreen(Screen[None]):
    """Subclasses give `body`, `crumbs`, `reload` and methods `act_<action id>`.

    `reload(changes)` runs in one worker at a time; changes that arrive meanwhile are gathered for the next round, and
    a screen that is covered waits until it is seen again.
    """

    SCOPES: ClassVar[tuple[str, ...]] = (GLOBAL,)
    PANES: ClassVar[tuple[str, ...]] = ()
    """Ids of the widgets between which Tab moves and which `z` enlarges; such a screen has the scope `panes`."""
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ConsoleScreen { background: $background; color: $foreground; layout: vertical; layers: base above; }
    ConsoleScreen > #above { display: none; layer: above; dock: bottom; margin: 0 0 2 0; }
    ConsoleScreen > #line { height: 1; overflow: hidden; }
    ConsoleScreen > #tour { display: none; background: $ground-bar; }
    ConsoleScreen .zoomed { height: 1fr; max-height: 100%; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._keymap = KeyMap(self.SCOPES, session.actions)
        self._keymap_of = (self.SCOPES, session.actions)
        self._pending: Changes = NOTHING
        self._reloading = False
        self._command = CommandLine(self)
        self._ahead: list[events.Key] | None = None
        self._ahead_timer: Timer | None = None
        self._loaded = False
        self._strips = Strips(self)
        self._jumping = Jumping(self)
        self.tab_labels = NO_LABELS
        """Letters that stand before tabs, while one jumps."""
        self._pane = 0
        self._zoomed = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that apply now; a screen with tabs gives its tab's first."""
        return self.SCOPES

    @property
    def keymap(self) -> KeyMap:
        """What keys mean here and now: the operator may bind others at any time."""
        wanted = (self.scopes, self.session.actions)
        if wanted != self._keymap_of:
            self._keymap_of, self._keymap = wanted, KeyMap(*wanted)
        return self._keymap

    @property
    def console(self) -> Console:
        """The app."""
        return cast("Console", self.app)

    # Layout.

    def compose(self) -> ComposeResult:
        yield Bar(id="status", ground="bar")
        yield Bar(id="crumbs")
        yield from self.body()
        yield Sheet(id="tour")
        yield Bar(id="why")
        with Vertical(id="line"):
            yield Bar(id="flash")
        yield Bar(id="footer", ground="bar")
        yield Sheet(id="above")

    def body(self) -> Iterable[Widget]:
        """The widgets between crumbs and message lines."""
        raise NotImplementedError

    def crumbs(self) -> tuple[Line, Line]:
        """Where one is, and on the right what part of it is seen."""
        raise NotImplementedError

    def why(self) -> Line:
        """The line about what is under the cursor."""
        return ()

    def chips(self) -> Line:
        """At the right end of the message line: what else is the case on this screen."""
        return ()

    def offered(self) -> Sequence[str]:
        """What the node offers for the object under the cursor."""
        return ()

    def opened_with(self, *words: str) -> None:
        """What was typed behind the name of this section: `:jobs FILTER`."""

    def tab_names(self) -> Sequence[str]:
        """The tabs that are not shown now, for a screen that has some; `open_tab` goes to one."""
        return ()

    def open_tab(self, name: str) -> None:
        """Show another of its tabs."""

    def jumpables(self) -> Iterable[Jumpable]:
        """Where one can jump to, in reading order."""
        yield Tabs(self)
        for widget in self.query(Painted):
            if isinstance(widget, Jumpable) and widget.is_on_screen:
                yield widget

    def task_names(self) -> Sequence[str]:
        """The tasks that a command of this screen can be about."""
        return ()

    @property
    def subject(self) -> str:
        """The id of what is shown or under the cursor, for the command line that does the same; empty = of no one."""
        return ""

    def unwind(self) -> bool:
        """One step back within this screen (a filter, marks); False when there is nothing to take back."""
        return False

    def repaint_body(self) -> None:
        """Show the data again (another language, other signs, another moment)."""

    async def reload(self, changes: Changes) -> bool:  # noqa: ARG002 - for screens that show the node's things
        """Ask the node for what `changes` names and show it; False when it did not answer."""
        return True

    # Life.

    def on_mount(self) -> None:
        self.session.attend(self)
        self.retranslate()
        if self.session.online:
            self.changed(EVERYTHING)

    def on_unmount(self) -> None:
        self.session.leave(self)
        # Textual 8 puts widgets' caches of painted lines into a cache of its own, as keys: it would keep a thousand of
        # them, with every line, long after their widgets are gone.
        StylesCache.get_inner_outer.cache_clear()

    def on_screen_resume(self) -> None:
        self.retranslate()
        self._start_reload()

    def on_screen_suspend(self) -> None:
        self._strips.end()
        self._jumping.end()

    def on_resize(self) -> None:
        self._jumping.end()
        self.call_after_refresh(self.retranslate)

    @property
    def has_data(self) -> bool:
        """It has shown the node's answer at least once."""
        return self._loaded

    def reconnected(self, *, another: bool) -> None:
        """The node is back. What happened meanwhile comes as events, so only a screen without data reads it all."""
        if another or not self._loaded:
            self.changed(EVERYTHING)

    def changed(self, changes: Changes) -> None:
        self._pending |= changes
        self._start_reload()

    def _start_reload(self) -> None:
        if self._pending and not self._reloading and self.is_attached and self._seen:
            self._reloading = True
            self.run_worker(self._reload_pending(), group="reload", exit_on_error=True)

    @property
    def _seen(self) -> bool:
        """On top, or under a dialog only."""
        top = self.app.screen
        return top is self or (top.is_modal and len(self.app.screen_stack) > 1 and self.app.screen_stack[-2] is self)

    def work(self, group: str, task: Callable[..., Coroutine[Any, Any, object]], *given: Any, **named: Any) -> None:
        """Do it in the background; what is under way in the same group ends."""

        async def run() -> None:
            await task(*given, **named)

        # Not the coroutine itself: one that is replaced before it began would never be awaited.
        starter: WorkType[None] = run
        self.run_worker(starter, group=group, exclusive=True)

    async def _reload_pending(self) -> None:
        try:
            while self._pending and self._seen:
                changes, self._pending = self._pending, NOTHING
                if await self.reload(changes):
                    self._loaded = True
        finally:
            self._reloading = False
        self.repaint_chrome()

    # Chrome.

    @property
    def _whole(self) -> bool:
        """Its widgets are there: while a screen is taken down they go before it does, and a reload may still end."""
        return self.display and self.is_attached and self.is_mounted and any(w.id == "footer" for w in self.children)

    def retranslate(self) -> None:
        if self._whole:
            self.repaint_body()
            self.repaint_chrome()

    def tick(self) -> None:
        """Called once a second: ages move on. Sends nothing when no text changes."""
        self.retranslate()

    def repaint_chrome(self) -> None:
        if not self._whole:
            return
        session, display = self.session, self.session.display()
        cut = display.glyphs.cut
        left, right = status_line(
            session.status, session.link, session.data_ms, display, read_only=session.read_only, place=session.place
        )
        self._bar("status").show(left, right, cut=cut)
        self._bar("crumbs").show(*self.crumbs(), cut=cut)
        self._bar("why").show((Span(" "), *self.why()), cut=cut)
        message = (Span(" "), *self._message())
        lines = self._strips.lines(self.size.width - 2)
        if lines:
            message = (Span(" "), *lines[-1])
        kind, width = self._prompt_kind, self.size.width - 2
        typing = self._command.lines(width) if kind == command_line.KIND else self.prompt_lines(kind, width)
        self._show_above(typing if kind else lines[:-1])
        aside = (*self.chips(), *self._held())
        self._bar("flash").show(message, aside or self._tip(message, display), cut=cut)
        self._show_tour(display)
        self._bar("footer").show(self._footer(), cut=cut)
        offline = session.link.state is LinkState.OFFLINE
        for widget in self.query(Painted):
            if not isinstance(widget, Bar):
                widget.stale = offline

    def _bar(self, name: str) -> Bar:
        return self.query_one(f"#{name}", Bar)

    def _message(self) -> Line:
        session = self.session
        if self._jumping.active:
            return self._jumping.line()
        if session.flashing is not None:
            return (Span(session.flashing.text, session.flashing.role),)
        if session.held:
            return session.held.line()
        if session.link.state is LinkState.OFFLINE:
            return (Span(f"{printable(session.link.why)}", "warn"),)
        waiting = waiting_total(session.status)
        if waiting:
            return (Span(session.text("node.needs_you", n=waiting), "wait"),)
        warnings = len(session.status.warnings) if session.status else 0
        return (Span(session.text("node.warned", n=warnings), "warn"),) if warnings else ()

    def _held(self) -> Line:
        """What is held back, in short where something else is said."""
        return self.session.held.line(short=True) if self.session.flashing is not None or self._strips.shown else ()

    def _tip(self, message: Line, display: Display) -> Line:
        """Where there is room for it, and nothing waits for its key."""
        waits = self._strips.shown or self._jumping.active
        found = tip(self.keymap, self.session.uses, display) if not waits else ()
        return found if cells(plain(message)) + cells(plain(found)) + 2 <= self.size.width else ()

    def _show_above(self, lines: Sequence[Line]) -> None:
        """Lines of a strip that do not fit into the message line, over what is above it."""
        above = self.query_one("#above", Sheet)
        above.display = bool(lines)
        above.styles.height = len(lines)
        above.show([(Span(" "), *line) for line in lines])

    def _show_tour(self, display: Display) -> None:
        mark = self.query_one("#tour", Sheet)
        tour = self.session.tour
        lines = tour.lines(self.session.actions, display, self.size.width) if tour is not None else ()
        if bool(lines) != mark.display or len(lines) != len(mark.lines):
            mark.display = bool(lines)
            mark.styles.height = len(lines)
        mark.show(lines)

    def _footer(self) -> Line:
        spans: list[Span] = []
        for action in self.keymap.footer():
            possible = self.possible(action)
            key = key_name(self.keymap.keys_of(action)[0])
            spans.append(Span(f" {key}", "key" if possible else "dim"))
            spans.append(Span(f" {self.session.text(f'action.{action.id}')} ", "" if possible else "dim"))
        return tuple(spans)

    # Keys and commands.

    def possible(self, action: Action) -> bool:
        """Whether the node offers it now; what only looks is always possible."""
        if not action.writes:
            return True
        return self.session.online and not self.session.read_only and action.offered in self.offered()

    def expect_typing(self) -> None:
        """A line to type into is about to appear: what is typed before it is there belongs into it."""
        self._give_ahead()
        self._ahead = []
        self._ahead_timer = self.set_timer(_APPEARS_SECONDS, self._give_ahead)

    def on_descendant_focus(self) -> None:
        self._give_ahead()

    def _give_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if self._ahead_timer is not None:
            self._ahead_timer.stop()
            self._ahead_timer = None
        for key in ahead or ():
            # As the app hands it on. What a screen sends ends at the screen: Enter would find no binding of the line.
            (self.focused or self)._forward_event(events.Key(key.key, key.character).set_sender(self.app))

    async def on_key(self, event: events.Key) -> None:
        if self._ahead is not None:
            self._ahead.append(event)
            event.stop()
            event.prevent_default()
            return
        if isinstance(self.focused, Input):
            self._key_while_typing(event)
            return
        name = event.character if event.is_printable and event.character and event.key != "space" else event.key
        if self._jumping.active:
            self._jumping.take(plain_key(name))
            event.stop()
            event.prevent_default()
            self.repaint_chrome()
            return
        if event.key == "escape" and self.session.tour is not None and not self._strips.offered:
            self.session.tour = None
            event.stop()
            self.session.say(self.session.text("tour.left"), "dim")
            return
        if self._strips.offered:
            self._strips.take(name)
            event.stop()
            event.prevent_default()
            self.repaint_chrome()
            return
        before = self._strips.typed
        self._strips.end()
        meaning = self.keymap.resolve((*before, name))
        if meaning is Pending.MORE:
            self._strips.wait_for_second(name)
        elif isinstance(meaning, Action):
            self.perform(meaning)
        elif not before:
            return
        event.stop()
        event.prevent_default()
        self.repaint_chrome()

    def offer(self, strip: Strip) -> None:
        """Let the next key choose."""
        self._strips.offer(strip)
        self.repaint_chrome()

    def _key_while_typing(self, event: events.Key) -> None:
        if event.key == "escape":
            kind = self._prompt_kind
            self.close_prompt()
            self.prompt_cancelled(kind)
        elif event.key in ("up", "down") and self._prompt_kind == command_line.KIND:
            self._command.recall(-1 if event.key == "up" else 1)
        elif event.key in ("tab", "shift+tab"):
            step = 1 if event.key == "tab" else -1
            if self._prompt_kind == command_line.KIND:
                self._command.tab(step)
            else:
                self.prompt_tab(self._prompt_kind, step)
        else:
            return
        event.stop()
        event.prevent_default()

    def perform(self, action: Action, *arguments: str) -> None:
        """Do it, or say why it cannot be done."""
        if not self.possible(action):
            self.session.say(self._refusal(action), "warn")
            return
        if action.scope not in ("move", GLOBAL):
            self.session.last_done = (action, arguments)
        self.session.did(action)
        if action.section:
            self.console.open_section(action.section, *arguments)
            return
        handler = self.handler(action)
        if handler is not None:
            handler(*arguments)

    def handler(self, action: Action) -> Callable[..., None] | None:
        """What does it: a method of this screen, else one of the app."""
        found: Callable[..., None] | None = getattr(self, action.handler, None)
        return found or getattr(self.app, action.handler, None)

    def _refusal(self, action: Action) -> str:
        status = self.session.status
        what = self.session.text(f"action.{action.id}")
        if not self.session.online:
            return self.session.text("message.offline", action=what)
        if self.session.read_only:
            return self.session.text("message.read_only", action=what)
        if status is not None and not is_for(status.role, action.offered):
            role = self.session.text(f"role.{status.role}")
            return self.session.text("message.not_your_role", action=what, role=role)
        return self.session.text("message.not_offered", action=what)

    # The prompt.

    @property
    def _prompt_kind(self) -> str:
        # Not `query_one`, which would keep every prompt that ever was in its cache.
        return next((prompt.kind for prompt in self.query(Prompt)), "")

    def open_prompt(
        self, kind: str, label: str, value: str = "", words: Sequence[str] = (), *, begun: bool = False
    ) -> None:
        if self._prompt_kind:
            return
        self.expect_typing()
        # It pushes the message out of their line, and nothing else on the screen moves.
        self.mount(Prompt(kind, label, value, words, begun=begun), before=self._bar("flash"))

    def close_prompt(self) -> None:
        for prompt in self.query(Prompt):
            prompt.remove()
        self._command.close()
        self.set_focus(None)
        self.repaint_chrome()

    def prompt_typed(self, kind: str, text: str) -> None:
        """While typing."""

    def prompt_tab(self, kind: str, step: int) -> None:
        """Tab or shift+Tab was pressed: what is typed may be completed."""

    def prompt_lines(self, kind: str, width: int) -> tuple[Line, ...]:  # noqa: ARG002 - of one that has nothing to say
        """What to say above the line while one types."""
        return ()

    def prompt_entered(self, kind: str, text: str) -> None:
        """Enter was pressed."""

    def prompt_cancelled(self, kind: str) -> None:
        """Esc was pressed."""

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        if self._prompt_kind != message.kind:
            return
        if message.kind == command_line.KIND:
            self._command.typed(message.text)
        else:
            self.prompt_typed(message.kind, message.text)

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        self.close_prompt()
        if message.kind == command_line.KIND:
            self._command.run(message.text)
        else:
            self.prompt_entered(message.kind, message.text)

    # What every screen can do.

    def act_app_command(self, begun: str = "") -> None:
        self._command.open(begun)

    def act_app_back(self, *_: str) -> None:
        """One step: what this screen takes back, then the enlarged pane, then the screen; never out of the console."""
        if self.unwind():
            return
        if self._zoomed:
            self.act_pane_zoom()
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def act_app_repeat(self, *_: str) -> None:
        done = self.session.last_done
        if done is None:
            self.session.say(self.session.text("message.nothing_to_repeat"), "dim")
        elif done[0] not in self.keymap.actions:
            what = self.session.text(f"action.{done[0].id}")
            self.session.say(self.session.text("message.not_here", action=what), "warn")
        else:
            self.perform(done[0], *done[1])

    # Panes.

    @property
    def panes(self) -> tuple[str, ...]:
        """Those that there is room for."""
        return self.PANES

    @property
    def pane(self) -> str:
        """The id of the chosen pane."""
        return self.panes[self._pane]

    def pane_chosen(self) -> None:
        """Another pane has the keys."""

    def act_pane_next(self, *_: str) -> None:
        self._choose_pane(1)

    def act_pane_before(self, *_: str) -> None:
        self._choose_pane(-1)

    def _choose_pane(self, step: int) -> None:
        self._pane = (self._pane + step) % len(self.panes)
        if self._zoomed:
            self._show_panes()
        self.pane_chosen()
        self.call_after_refresh(self.retranslate)

    def act_pane_zoom(self, *_: str) -> None:
        self._zoomed = not self._zoomed
        self._show_panes()
        self.call_after_refresh(self.retranslate)

    def _show_panes(self) -> None:
        """All of them, or the chosen one over the whole height."""
        for name in self.PANES:
            pane = self.query_one(f"#{name}")
            pane.display = not self._zoomed or name == self.pane
            pane.set_class(self._zoomed and name == self.pane, "zoomed")

    def act_app_jump(self, *_: str) -> None:
        if not self._jumping.begin():
            self.session.say(self.session.text("jump.nowhere"), "dim")

    def act_app_help(self, *_: str) -> None:
        from nodeconsole.screens.help import HelpScreen  # noqa: PLC0415 - loaded when it is asked for

        self.app.push_screen(HelpScreen(self.session, self.keymap))

    def act_app_equivalents(self, *_: str) -> None:
        self.console.show_equivalents(self)

    def act_app_palette(self, *_: str) -> None:
        from nodeconsole.screens.palette import PaletteScreen  # noqa: PLC0415

        self.app.push_screen(PaletteScreen(self.session, self.keymap, self.possible), self._chosen)

    def _chosen(self, entry: Entry | None) -> None:
        from nodeconsole.screens.opening import page_of  # noqa: PLC0415

        if entry is None:
            return
        if not isinstance(entry.thing, Action):
            self.app.push_screen(page_of(entry, self.session))
        elif entry.thing.wants_argument and entry.thing.command:
            self.act_app_command(f"{entry.thing.command[0]} ")
        else:
            self.perform(entry.thing)
