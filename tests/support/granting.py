"""Two nodes with contracts, one of which has a dataset that the other may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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

QUICK = "timing.poll_first = 0.2\ntiming.retry_first = 0.05\ntiming.call_timeout = 5.0\n"
DATASET = "default#people"


@dataclass(frozen=True, slots=True)
class Pair:
    """`alice` asks, `bob` holds the dataset `default#people`."""

    nodes: dict[str, Hosted]
    alice: NodeClient
    bob: NodeClient

    async def publish(self, **changes: Any) -> None:
        await self.bob.publish("default", "people", PublicationRequest(**changes))

    async def ask(self, **members: Any) -> str:
        """Alice asks for the dataset; the id of the request at bob, once it is there."""
        asked = await self.alice.request_grant(
            GrantRequest(kind="dataset", node_id="bob", resource_id=DATASET, members=members)
        )
        return (await arrived(self.bob, asked)).grant_id

    async def granted(self, **terms: Any) -> tuple[str, str]:
        """Alice asks, bob approves; the ids of the request at alice and at bob, once alice has the permit."""
        asked = await self.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=DATASET))
        there = await arrived(self.bob, asked)
        await self.bob.approve_grant(there.grant_id, **terms)
        await in_state(self.alice, asked.grant_id, "APPROVED")
        return asked.grant_id, there.grant_id


async def arrived(client: NodeClient, asked: GrantRow) -> GrantRow:
    """The partner's side of a request."""

    async def look() -> GrantRow | None:
        page = await client.grants(direction="in")
        return next((row for row in page.grants if row.audit_id == asked.audit_id), None)

    return await eventually(look, what=f"request {asked.grant_id} arrives", within=10)


async def in_state(client: NodeClient, grant_id: str, state: str) -> GrantRow:
    async def look() -> GrantRow | None:
        row = (await client.grant(grant_id)).grant
        return row if row.state == state else None

    return await eventually(look, what=f"{grant_id} is {state}", within=10)


def using_dataset(dataset_id: str = DATASET, *, seconds: float = 0.0) -> dict[str, Any]:
    """A job of alice in which bob's part reads a dataset."""
    document = probe_job({"guest": "alice", "host": "bob"}, fan(1), parameters={"probe_0": {"sleep": seconds}})
    document["config"]["task_params"]["host"]["0"]["probe_0"] = {"dataset_id": dataset_id}
    return document


@asynccontextmanager
async def pair(directory: Path, *, signing: str = "required", tls: str = "mutual", settings: str = QUICK) -> (
    AsyncIterator[Pair]
):
    source = directory / "people.csv"
    source.write_text("id,age,income\n1,40,1.5\n2,50,2.5\n")
    async with AsyncExitStack() as stack:
        nodes = await stack.enter_async_context(
            trusted_nodes(directory, "alice", "bob", signing=signing, tls=tls, settings=settings)
        )
        alice = await stack.enter_async_context(nodes["alice"].client())
        bob = await stack.enter_async_context(nodes["bob"].client())
        await bob.add_dataset(
            DatasetRequest(name="people", namespace="default", connector="csv", options={"path": str(source)})
        )
        yield Pair(nodes, alice, bob)
