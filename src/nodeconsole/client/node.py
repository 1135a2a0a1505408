"""The client of a node's console API, over its unix socket or over the link to another machine."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from nodeconsole.client.administration import AdministrationCalls
from nodeconsole.client.components import ComponentCalls
from nodeconsole.client.connection import Connection
from nodeconsole.client.data import DataCalls
from nodeconsole.client.grants import GrantCalls
from nodeconsole.client.jobs import JobCalls
from nodeconsole.client.link import Link
from nodeconsole.client.logs import LogCalls
from nodeconsole.client.packs import PackCalls
from nodeconsole.client.partners import PartnerCalls
from nodeconsole.client.pulse import PulseCalls


class NodeClient(
    JobCalls,
    LogCalls,
    PulseCalls,
    DataCalls,
    ComponentCalls,
    PackCalls,
    PartnerCalls,
    GrantCalls,
    AdministrationCalls,
):
    """Typed calls on one node. An async context manager; one instance serves any number of concurrent calls.

    Every method raises `ClientError` when the node says no and `NodeUnreachable` when it does not answer (its
    `ClientClosed` when this client was closed).
    """

    def __init__(self, where: Path | Link, *, read_only: bool = False) -> None:
        """`where`: the socket of a node of this machine, or the link to one of another, closed with the client."""
        super().__init__(Connection(where), read_only=read_only)

    async def __aenter__(self) -> Self:
        self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, for good: calls under way and later ones raise `ClientClosed`."""
        await self._connection.close()
