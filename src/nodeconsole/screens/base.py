"""What every screen has: status line, crumbs, message line, footer, and keys that come from the table of actions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual._styles_cache import StylesCache
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkType

from nodeconsole.actions import GLOBAL, Action, KeyMap, is_for
from nodeconsole.screens import command_line
from nodeconsole.screens.chrome import Chrome
from nodeconsole.screens.command_line import CommandLine
from nodeconsole.screens.jumping import Jumpable, Jumping, Tabs
from nodeconsole.screens.keyboard import Keyboard, Typed
from nodeconsole.screens.session import Session
from nodeconsole.screens.strips import Strip, Strips
from nodeconsole.viewmodels.changes import EVERYTHING, NOTHING, Changes
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.tabs import NO_LABELS
from nodeconsole.viewmodels.waiting import overdue
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.line import Line as TypedLine
from nodeconsole.widgets.painted import Painted
from nodeconsole.widgets.prompt import Prompt
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Waiting
    from nodeconsole.screens.console import Console
    from nodeconsole.viewmodels.palette import Entry

_ASKED_AGAIN_MS = 5_000
"""Between two questions how the next try went."""


class ConsoleScreen(Screen[None]):
    """Subclasses give `body`, `crumbs`, `reload` and methods `act_<action id>`.

    `reload(changes)` runs in one worker at a time; changes that arrive meanwhile are gathered for the next round, and
    a screen that is covered waits until it is seen again.
    """

    SCOPES: ClassVar[tuple[str, ...]] = (GLOBAL,)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ConsoleScreen { background: $background; color: $foreground; layout: vertical; layers: base above; }
    ConsoleScreen > #above { display: none; layer: above; dock: bottom; margin: 0 0 2 0; }
    ConsoleScreen > #line { height: 1; overflow: hidden; }
    ConsoleScreen > #tour { display: none; background: $ground-bar; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._keymap = KeyMap(self.SCOPES, session.actions)
        self._keymap_of = (self.SCOPES, session.actions)
        self._pending: Changes = NOTHING
        self._reloading = False
        self._asked_ms = 0
        self._loaded = False
        self._prompt: Prompt | None = None
        """The line that is typed into now; one that was ended is no more, though it may still be there."""
        self.command_line = CommandLine(self)
        self.strips = Strips(self)
        self.jumping = Jumping(self)
        self.tab_labels = NO_LABELS
        """Letters that stand before tabs, while one jumps."""
        self._keyboard = Keyboard(self)
        self._chrome = Chrome(self)

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

    def waits(self) -> Iterable[Waiting | None]:
        """What it shows of why the job that is its subject waits."""
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
        """One step back within this screen (a filter, marks, a pane); False when there is nothing to take back."""
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
        self.strips.end()
        self.jumping.end()

    def on_resize(self) -> None:
        self.jumping.end()
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
            with self._unless_closing():
                await task(*given, **named)

        # Not the coroutine itself: one that is replaced before it began would never be awaited.
        starter: WorkType[None] = run
        self.run_worker(starter, group=group, exclusive=True)

    async def _reload_pending(self) -> None:
        try:
            with self._unless_closing():
                while self._pending and self._seen:
                    changes, self._pending = self._pending, NOTHING
                    if await self.reload(changes):
                        self._loaded = True
        finally:
            self._reloading = False
        self.repaint_chrome()

    @contextmanager
    def _unless_closing(self) -> Iterator[None]:
        """An answer may come while the screen is taken down, whose widgets go first."""
        try:
            yield
        except NoMatches:
            if self._whole:
                raise

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
        self._ask_again()
        self.retranslate()

    def _ask_again(self) -> None:
        """What was to be tried again by itself by now has been, which is no event: how did it go?"""
        now_ms = self.session.now_ms()
        due = self._whole and self.session.online and now_ms - self._asked_ms > _ASKED_AGAIN_MS
        if due and overdue(self.waits(), now_ms):
            self._asked_ms = now_ms
            self.changed(Changes(jobs=frozenset({self.subject})))

    def repaint_chrome(self) -> None:
        if self._whole:
            self._chrome.paint()

    def bar(self, name: str) -> Bar:
        """One of its lines."""
        return self.query_one(f"#{name}", Bar)

    # Keys and commands.

    def possible(self, action: Action) -> bool:
        """Whether the node offers it now; what only looks is always possible."""
        if not action.writes:
            return True
        return self.session.online and not self.session.read_only and action.offered in self.offered()

    def expect_typing(self) -> None:
        """A line to type into is about to appear: what is typed before it is there belongs into it."""
        self._keyboard.expect_line()

    def route(self, typed: Typed) -> None:
        """What was typed while this screen is on top, in the order in which it was."""
        self._keyboard.route(typed)

    @property
    def typing(self) -> bool:
        """Something that was typed has still to be taken."""
        return self.is_running and self._keyboard.busy

    def on_descendant_focus(self) -> None:
        self._keyboard.give_ahead()

    def on_key(self, event: events.Key) -> None:
        self._keyboard.take(event)

    def on_paste(self, event: events.Paste) -> None:
        self._keyboard.take(event)

    def line_ended(self, line: TypedLine) -> None:
        """What its end meant has been done, and it has no longer the focus: what was typed behind it comes now."""
        self._keyboard.follow(line)

    def grabs(self, key: str) -> bool:  # noqa: ARG002 - for a screen that asked for a key
        """Whether the key, of whatever meaning, was taken as one that was asked for."""
        return False

    def offer(self, strip: Strip) -> None:
        """Let the next key choose."""
        self.strips.offer(strip)
        self.repaint_chrome()

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
    def prompt_kind(self) -> str:
        """What the line is for that one types into; empty = there is none."""
        return self._prompt.kind if self._prompt is not None else ""

    def open_prompt(
        self, kind: str, label: str, value: str = "", words: Sequence[str] = (), *, begun: bool = False
    ) -> None:
        if self._prompt is not None:
            return
        self.expect_typing()
        self._prompt = Prompt(kind, label, value, words, begun=begun)
        # It pushes the message out of their line, and nothing else on the screen moves.
        self.mount(self._prompt, before=self.bar("flash"))

    def fill_prompt(self, text: str) -> None:
        """Replace what was typed."""
        if self._prompt is not None:
            self._prompt.fill(text)

    def close_prompt(self) -> None:
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            prompt.remove()
        self.command_line.close()
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
        if self.prompt_kind != message.kind:
            return
        if message.kind == command_line.KIND:
            self.command_line.typed(message.text)
        else:
            self.prompt_typed(message.kind, message.text)

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        ended = self._prompt
        self.close_prompt()
        if message.kind == command_line.KIND:
            self.command_line.run(message.text)
        else:
            self.prompt_entered(message.kind, message.text)
        if ended is not None:
            self.line_ended(ended.line)

    def cancel_prompt(self) -> None:
        """Esc was pressed while typing."""
        ended = self._prompt
        self.close_prompt()
        if ended is not None:
            self.prompt_cancelled(ended.kind)
            self.line_ended(ended.line)

    # What every screen can do.

    def act_app_command(self, begun: str = "") -> None:
        self.command_line.open(begun)

    def act_app_back(self, *_: str) -> None:
        """One step: what this screen takes back, then the screen; never out of the console."""
        if not self.unwind() and len(self.app.screen_stack) > 1:
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

    def act_app_jump(self, *_: str) -> None:
        if not self.jumping.begin():
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
