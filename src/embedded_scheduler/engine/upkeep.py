"""Lets runners remove what no attempt needs any more, such as containers that were left when the node was away."""

from __future__ import annotations

import asyncio
import logging

from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NodeError
from embedded_scheduler.spi.runner import TidyRunner
from embedded_scheduler.store import attempts

_LOG = logging.getLogger(__name__)

EVERY = 300.0


class RunnerUpkeep:
    """The service."""

    name = "runner upkeep"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY)

    async def sweep(self) -> None:
        """One pass over all runners; one that cannot tidy now is asked again at the next."""
        for runner in self._engine.runners.values():
            if not isinstance(runner, TidyRunner):
                continue
            said = ""
            try:
                await runner.tidy(self._is_over)
            except (NodeError, OSError) as error:
                said = str(error)
                if said != self._said.get(runner.name):
                    _LOG.warning("runner %s cannot tidy up: %s", runner.name, error)
            self._said[runner.name] = said

    async def _is_over(self, attempt_id: str) -> bool:
        # Stored before it is launched: one that is not there belongs to nothing that this node remembers.
        found = await self._engine.db.read(lambda reader: attempts.get(reader, attempt_id))
        return found is None or found.ended_ms is not None
