"""A node that does not answer while a command waits for something there."""

from __future__ import annotations

import time

from nodeconsole.cli.output import Output
from nodeconsole.client import NodeUnreachable

RETRY_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0


class Outage:
    """It is said once, and borne with for a while: `--wait` and `--follow` outlive a restart of the node."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._since: float | None = None

    def goes_on(self, error: NodeUnreachable) -> None:
        """Raises `error` when it has lasted too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._out.note(f"{error.message}; trying again")
        elif now - self._since > _PATIENCE_SECONDS:
            raise error

    def is_over(self) -> None:
        self._since = None
