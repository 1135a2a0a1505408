"""Two nodes with contracts, one of which has datasets that the other may ask for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_scheduler.wire.console import DatasetRequest
from embedded_scheduler.wire.console_grants import GrantRequest, GrantRow, PublicationRequest
from nodeconsole.client import NodeClient
from tests.support.hosted import Hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import fan, probe_job
from tests.support.trust import trusted_nodes

QUICK = "timing.poll_first = 0.2\ntiming.retry_first = 0.05\ntiming.call_timeout = 5.0\ntiming.stop_grace = 0.5\n"
ROWS = "id,age,income\n1,40,1.5\n2,50,2.5\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """`alice` asks, `bob` holds a dataset that nothing was done with yet."""

    nodes: dict[str, Hosted]
    alice: NodeClient
    bob: NodeClient
    name: str

    @property
    def dataset(self) -> str:
        return f"default#{self.name}"

    async def publish(self, **changes: Any) -> None:
        await self.bob.publish("default", self.name, PublicationRequest(**changes))

    async def ask(self, **members: Any) -> tuple[str, str]:
        """Alice asks for the dataset; the ids of the request at alice and at bob, once it is there."""
        return await self.ask_for("dataset", self.dataset, members)

    async def ask_for(self, kind: str, resource_id: str, members: dict[str, Any]) -> tuple[str, str]:
        asked = await self.alice.request_grant(
            GrantRequest(kind=kind, node_id="bob", resource_id=resource_id, members=members)
        )
        return asked.grant_id, (await arrived(self.bob, asked)).grant_id

    async def granted(self, **terms: Any) -> tuple[str, str]:
        """Alice asks, bob approves; the ids of the request at alice and at bob, once alice has the permit."""
        ours, theirs = await self.ask()
        await self.bob.approve_grant(theirs, **terms)
        await in_state(self.alice, ours, "APPROVED")
        return ours, theirs

    def job(self, *, seconds: float = 0.0) -> dict[str, Any]:
        """A job of alice in which bob's part reads the dataset."""
        document = probe_job({"guest": "alice", "host": "bob"}, fan(1), parameters={"probe_0": {"sleep": seconds}})
        document["config"]["task_params"]["host"]["0"]["probe_0"] = {"dataset_id": self.dataset}
        return document


async def arrived(client: NodeClient, asked: GrantRow) -> GrantRow:
    """The partner's side of a request."""

    async def look() -> GrantRow | None:
        page = await client.grants(direction="in")
        return next((row for row in page.grants if row.audit_id == asked.audit_id), None)

    return await eventually(look, what=f"request {asked.grant_id} arrives", within=10, pause=0.02)


async def in_state(client: NodeClient, grant_id: str, state: str) -> GrantRow:
    """The request, once it is in this state."""

    async def look() -> GrantRow | None:
        row = (await client.grant(grant_id)).grant
        return row if row.state == state else None

    return await eventually(look, what=f"{grant_id} is {state}", within=10, pause=0.02)


@contextmanager
def running_pair(directory: Path, *, settings: str = QUICK) -> Iterator[dict[str, Hosted]]:
    """The nodes for a whole module of tests: they run in threads of their own."""
    with asyncio.Runner() as runner:
        opening = trusted_nodes(directory, "alice", "bob", settings=settings)
        nodes = runner.run(opening.__aenter__())
        try:
            yield nodes
        finally:
            runner.run(opening.__aexit__(None, None, None))


@asynccontextmanager
async def fresh(nodes: dict[str, Hosted], directory: Path) -> AsyncIterator[Pair]:
    """Clients of the running nodes, and a dataset of bob's that no other test knows."""
    name = f"people-{secrets.token_hex(4)}"
    source = directory / f"{name}.csv"
    source.write_text(ROWS)
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(nodes["alice"].client())
        bob = await stack.enter_async_context(nodes["bob"].client())
        await bob.add_dataset(
            DatasetRequest(name=name, namespace="default", connector="csv", options={"path": str(source)})
        )
        yield Pair(nodes, alice, bob, name)
