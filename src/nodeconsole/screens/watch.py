"""One node that the console looks at: where it is, what is heard of it, and where one was when one left it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from nodeconsole.remote.dial import Dial, LinkFailure, to_stderr
from nodeconsole.remote.target import Place
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import NOTHING, Changes, changes_of
from nodeconsole.viewmodels.visits import Visits

if TYPE_CHECKING:
    from nodeconsole.client import Link, NodeClient

_GATHER_SECONDS = 0.25
"""Events are gathered for so long before anything is asked for or painted: at most four times a second."""
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)


class Watch:
    """`begun` is an ssh session to the place that is open already. `number` tells the modes of several nodes apart."""

    def __init__(
        self,
        app: App[Any],
        place: Place,
        session: Session,
        section: str,
        *,
        number: int = 0,
        begun: tuple[Dial, bytes] | None = None,
    ) -> None:
        self.place = place
        self.session = session
        self.visits = Visits(section)
        self._app = app
        self._number = number
        self._begun = begun
        self._link: Link | None = None
        self._changes: Changes = NOTHING
        self._gathering = False
        self._retry_now = asyncio.Event()

    def mode(self, section: str) -> str:
        """The name of this node's section among the modes of the app."""
        return f"{section}@{self._number}" if self._number else section

    def start(self) -> None:
        """Hear this node from now on, and no other."""
        self._app.run_worker(self._run(), group="node", exclusive=True)

    def leave(self) -> None:
        """Another node is looked at: this one is not heard meanwhile. What is behind the last event comes later."""
        self.session.paused()

    def refresh(self) -> None:
        """Newer counts; or, while the node is away, the next try at once."""
        if self.session.online:
            self._app.run_worker(self._refresh_status(), group="status", exclusive=True)
        elif self._link is not None and self._link.asks:
            self._let_ssh_ask(self._link)
        else:
            self._retry_now.set()

    async def _run(self) -> None:
        """For as long as the app runs or until another node is chosen; after a break, go on behind the last event."""
        from nodeconsole.client import ClientError, NodeClient, NodeUnreachable  # noqa: PLC0415

        session = self.session
        async with NodeClient(self._way(), read_only=session.read_only) as client:
            session.client = client
            attempt = 0
            while True:
                why = session.text("node.ended")
                try:
                    session.connected(await client.status())
                    attempt = 0
                    await self._hear(client)
                except (ClientError, NodeUnreachable) as error:
                    why = error.message
                pause = _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)]
                attempt += 1
                await self._pause(why, pause)

    def _way(self) -> Path | Link:
        from nodeconsole.client import Link  # noqa: PLC0415

        where, begun = self.place.where, self._begun
        self._begun = None
        if isinstance(where, Path):
            return where
        self._link = Link(where, first=begun)
        return self._link

    async def _hear(self, client: NodeClient) -> None:
        async for page in client.events(after=self.session.last_seq):
            if not page.events:
                continue
            self.session.last_seq = max(self.session.last_seq, page.events[-1].seq)
            self._changes |= changes_of(page.events)
            if not self._gathering:
                self._gathering = True
                self._app.set_timer(_GATHER_SECONDS, self._publish)

    async def _pause(self, why: str, seconds: float) -> None:
        """Wait for the next try, or for `r`."""
        session = self.session
        if self._link is not None and self._link.asks:
            why = f"{session.text('node.ssh_asks')} {why}"
        session.lost(why, session.now_ms() + int(seconds * 1000))
        self._retry_now.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._retry_now.wait()
        except TimeoutError:
            return

    def _publish(self) -> None:
        self._gathering = False
        changes, self._changes = self._changes, NOTHING
        self.session.publish(changes)
        self._app.run_worker(self._refresh_status(), group="status", exclusive=True)

    async def _refresh_status(self) -> None:
        status = await self.session.ask(lambda client: client.status())
        if status is not None:
            self.session.heard(status)

    def _let_ssh_ask(self, link: Link) -> None:
        """Give the terminal to ssh, which wants a password or an answer about the host's key, and take it back."""
        dial: Dial | None = None
        try:
            with self._app.suspend():
                dial = Dial(link.target, interactive=True, relay=to_stderr)
                link.give(dial, dial.wait())
        except LinkFailure as failure:
            self.session.say(failure.message, "bad")
        except KeyboardInterrupt:
            if dial is not None:
                dial.abandon()
        self._retry_now.set()
