"""Asks partners with a contract something small now and then: a signed answer shows that both sides can be heard."""

from __future__ import annotations

import asyncio

from embedded_scheduler.engine.contacts import Contacts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Outgoing
from embedded_scheduler.store import contracts
from embedded_scheduler.store.database import Reader

EVERY_SECONDS = 60.0
QUIET_MS = 240_000
"""Partners that answered within this time are left alone."""
AT_ONCE = 8


class Greetings:
    """The service. What it learns stands in `Contacts`, where every call's outcome goes."""

    name = "greetings"

    def __init__(self, engine: Engine, contacts: Contacts) -> None:
        self._engine = engine
        self._contacts = contacts

    async def run(self) -> None:
        while True:
            await self.greet_quiet()
            await asyncio.sleep(EVERY_SECONDS)

    async def greet_quiet(self) -> None:
        """One round: everybody with a contract who has not been heard of lately."""
        before = self._engine.clock.now_ms() - QUIET_MS
        agreed = await self._engine.db.read(_agreed)
        quiet = [item for item in agreed.items() if (self._contacts.of(item[0]).last_ok_ms or 0) < before]
        places = asyncio.Semaphore(AT_ONCE)

        async def greet(node_id: str, contract_id: str) -> None:
            async with places:
                await self._contacts.call(self._question(node_id, contract_id))

        await asyncio.gather(*(greet(node_id, contract_id) for node_id, contract_id in quiet))

    def _question(self, node_id: str, contract_id: str) -> Outgoing:
        body = {"contract_id": contract_id, "page_num": 1, "page_size": 1}
        mint = self._engine.mint
        return Outgoing(node_id, "dataset/pub/list", body, mint.nonce(), mint.nonce())


def _agreed(reader: Reader) -> dict[str, str]:
    """Partners with a contract in force, and its id."""
    found: dict[str, str] = {}
    for row in contracts.all(reader):
        if row.counts_at(reader.now_ms):
            found.setdefault(row.node_id, row.contract_id)
    return found
