"""What all screens share: the node they look at, how things are shown, and what was said last."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol, TypeVar

from nodeconsole.actions import Action, available
from nodeconsole.i18n.catalogue import Catalogue, load
from nodeconsole.keymap import bind
from nodeconsole.own_files import OwnFiles
from nodeconsole.state import Json, State
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import Glyphs
from nodeconsole.viewmodels.node import Link, LinkState, waiting_total
from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Role
from nodeconsole.viewmodels.text import printable
from nodeconsole.viewmodels.tour import Tour, is_learnt

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import NodeStatus
    from nodeconsole.client import NodeClient
    from nodeconsole.screens.held import HeldWrites

T = TypeVar("T")
_FLASH_MS = 8_000
_SAID_KEPT = 500
_COMMANDS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Flash:
    """A message to the operator, gone at `until_ms`."""

    text: str
    role: Role
    until_ms: int


@dataclass(frozen=True, slots=True)
class Said:
    """Something that was said to the operator, and when."""

    at_ms: int
    text: str
    role: Role


class Audience(Protocol):
    """A screen: is told what may look different, and asked to show itself anew."""

    def changed(self, changes: Changes) -> None: ...

    def repaint_chrome(self) -> None: ...

    def retranslate(self) -> None: ...

    def reconnected(self, *, another: bool) -> None: ...


class Session:
    """One console's view of one node. Time comes in through `now_ms` (Unix epoch milliseconds)."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        glyphs: Glyphs,
        now_ms: Callable[[], int],
        zone: tzinfo | None = None,
        sections: Collection[str] = (),
        state: State | None = None,
        files: OwnFiles | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.glyphs = glyphs
        self.now_ms = now_ms
        self.zone = zone
        self.files = files or OwnFiles({})
        self._available = available(sections)
        self._bound = bind(self.files.keys, self._available)
        self.state = state or State()
        """What is remembered beyond this console's end; names of values begin with the screen's: `jobs.filter`."""
        self.place = ""
        """The name of the node's context, if it has one."""
        self.client: NodeClient | None = None
        self.status: NodeStatus | None = None
        self.link = Link(since_ms=now_ms())
        self.data_ms = 0
        """When the node was last heard."""
        self.last_seq = 0
        """The last event that was seen; the stream goes on behind it after a break."""
        self.flash: Flash | None = None
        self.said: deque[Said] = deque(maxlen=_SAID_KEPT)
        """What was said, oldest first."""
        self.alarm: Callable[[int], None] = lambda _: None
        """Is told when more than before waits for a decision."""
        self.hesitation = 0.4
        """Seconds after the first key of a pair until it is shown what may follow."""
        self.masked = False
        """A picture is being made: what is secret is not to be seen."""
        self._read_only = False
        self.history = self.state.recall_texts("commands")
        """Commands typed, oldest first."""
        self.last_done: tuple[Action, tuple[str, ...]] | None = None
        """The last thing done on a screen, with its arguments: what `.` does again."""
        self.held: HeldWrites
        """Set by the app, which runs them."""
        self.tour: Tour | None = None
        """The tour, while it goes on."""
        self._audience: list[Audience] = []

    # How things are shown.

    def display(self) -> Display:
        """For this moment."""
        node = self.status.node_id if self.status else ""
        return Display(self.catalogue, self.glyphs, self.now_ms(), self.zone, node)

    def text(self, key: str, /, **values: object) -> str:
        return self.catalogue.text(key, **values)

    def use_language(self, language: str) -> None:
        self.catalogue = load(language)
        self._retranslate()

    def use_glyphs(self, glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self._retranslate()

    def _retranslate(self) -> None:
        for screen in self._audience:
            screen.retranslate()

    @property
    def actions(self) -> tuple[Action, ...]:
        """What this console can be told to do, with the keys that count now."""
        return self._bound.actions

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the operator's own files: settings, keys that clash or that there are not, aliases."""
        return (*self.files.faults, *(fault for fault in self._bound.faults if fault not in self.files.faults))

    def bind_keys(self) -> None:
        """The operator's keys changed."""
        self._bound = bind(self.files.keys, self._available)
        self._retranslate()

    @property
    def read_only(self) -> bool:
        """This console changes nothing, whatever the node would let it do; the client refuses it too."""
        return self._read_only

    @read_only.setter
    def read_only(self, read_only: bool) -> None:
        self._read_only = read_only
        if self.client is not None:
            self.client.read_only = read_only
        self.repaint_chrome()

    def secret(self, text: str) -> str:
        """What is secret, as it may be shown now."""
        return "*" * len(text) if self.masked else text

    def typed_command(self, line: str) -> None:
        """Keep it for the arrow keys, the same one not twice in a row."""
        if self.history[-1:] != [line]:
            self.history.append(line)
            self.state.remember("commands", [*self.history[-_COMMANDS_KEPT:]])

    # What was done.

    @property
    def uses(self) -> Mapping[str, Json]:
        """How often each action was done with this node, as far as that is counted."""
        return self.state.recall("used", {})

    def did(self, action: Action) -> None:
        """It is about to be done."""
        uses = self.uses
        if not is_learnt(uses, action.id):
            times = uses.get(action.id, 0)
            self.state.remember("used", {**uses, action.id: times + 1 if isinstance(times, int) else 1})
        if self.tour is not None:
            self.tour = self.tour.after(action.id)
            if self.tour is None:
                self.say(self.text("tour.done"), "ok")

    # Who looks.

    def attend(self, screen: Audience) -> None:
        self._audience.append(screen)

    def leave(self, screen: Audience) -> None:
        if screen in self._audience:
            self._audience.remove(screen)

    def publish(self, changes: Changes) -> None:
        """Tell every screen what may look different."""
        for screen in list(self._audience):
            screen.changed(changes)

    def repaint_chrome(self) -> None:
        for screen in list(self._audience):
            screen.repaint_chrome()

    def say(self, text: str, role: Role = "") -> None:
        """Show a message for a while. `text` may hold what came from elsewhere."""
        text = printable(text)
        self.flash = Flash(text, role, self.now_ms() + _FLASH_MS)
        self.said.append(Said(self.now_ms(), text, role))
        self.repaint_chrome()

    @property
    def flashing(self) -> Flash | None:
        """The message that is still to be seen."""
        return self.flash if self.flash is not None and self.flash.until_ms > self.now_ms() else None

    # The node.

    @property
    def online(self) -> bool:
        return self.link.state is LinkState.ONLINE

    def connected(self, status: NodeStatus) -> None:
        """The node answered, for the first time or after a break; `another` database means that all rows are void."""
        first = self.status is None
        another = self.status is not None and (status.node_id != self.status.node_id or status.last_seq < self.last_seq)
        if first or another:
            self.last_seq = status.last_seq
        self.status, self.data_ms = status, self.now_ms()
        self.link = Link(LinkState.ONLINE, self.now_ms())
        for screen in list(self._audience):
            screen.reconnected(another=another)
        self.repaint_chrome()

    def heard(self, status: NodeStatus) -> None:
        """Newer counts."""
        before, after = waiting_total(self.status), waiting_total(status)
        self.status, self.data_ms = status, self.now_ms()
        if after > before:
            self.alarm(after)
        self.repaint_chrome()

    def lost(self, why: str, retry_ms: int) -> None:
        """The node does not answer; the next try is at `retry_ms`."""
        link = self.link
        since = link.since_ms if link.state is LinkState.OFFLINE else self.now_ms()
        attempt = link.attempt + 1 if link.state is LinkState.OFFLINE else 1
        self.link = replace(link, state=LinkState.OFFLINE, since_ms=since, attempt=attempt, retry_ms=retry_ms, why=why)
        self.repaint_chrome()

    def paused(self) -> None:
        """Nobody listens to the node now; it is connected to anew when somebody looks at it again."""
        self.client = None
        self.link = Link(since_ms=self.now_ms())

    async def ask(
        self, request: Callable[[NodeClient], Awaitable[T]], refusals: Mapping[str, str] | None = None
    ) -> T | None:
        """The node's answer; None when there is none, after telling the operator why: in the words of `refusals`, by
        the code of the error, else in the node's own."""
        from nodeconsole.client import ClientClosed, ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        if self.client is None:
            return None
        try:
            answer = await request(self.client)
        except ClientError as error:
            own = (refusals or {}).get(error.code)
            self.say(own or sentence(error.said, error.message, self.display()), "bad")
            return None
        except ClientClosed:
            return None  # the node was left: nobody waits for this any more
        except NodeUnreachable as error:
            self.say(error.message, "bad")
            return None
        self.data_ms = self.now_ms()
        return answer
