"""What can go wrong when the console talks to its node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Said


class ClientError(Exception):
    """The node answered with a problem. `message` is for a person; `code` is the node's stable error code; `said` is
    the message as a sentence of the node, where it is one."""

    def __init__(self, message: str, status: int = 500, code: str = "internal", said: Said | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.said = said


class NodeUnreachable(Exception):
    """Nothing answers on the node's socket, or the connection broke. `message` says how to start the node."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientClosed(NodeUnreachable):
    """The client was closed here, before the call or during it: whoever closed it wants no answer any more."""

    def __init__(self) -> None:
        super().__init__("the connection to the node was closed by this program")
