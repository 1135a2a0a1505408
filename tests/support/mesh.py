"""Several real nodes whose links go through faulty proxies, and what the mesh tests ask of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from embedded_scheduler.wire.console import JobDetail, PeerRequest
from nodeconsole.client import NodeClient
from nodeconsole.node_process import NodeProcess
from tests.support.faulty_proxy import FaultyProxy
from tests.support.nodes import QUICK, eventually, running_nodes

OVER = frozenset({"FINISHED", "REJECTED"})


class Mesh:
    """`nodes` by name; `links[a, b]` is the proxy through which a calls b; `clients` are open."""

    def __init__(
        self,
        nodes: Mapping[str, NodeProcess],
        links: Mapping[tuple[str, str], FaultyProxy],
        clients: Mapping[str, NodeClient],
    ) -> None:
        self.nodes = nodes
        self.links = links
        self.clients = clients

    async def introduce(self, *, approval: str) -> None:
        """Every node learns every other one's address, which is that of the link to it."""
        for here, client in self.clients.items():
            for there in self.nodes:
                if there != here:
                    url = self.links[here, there].url
                    await client.add_peer(
                        PeerRequest(node_id=there, url=url, profile="seed", approval=approval, signing="off")
                    )

    def partition(self, one: str, other: str, *, cut: bool) -> None:
        """Cut or heal both directions between two nodes."""
        for link in ((one, other), (other, one)):
            self.links[link].partitioned = cut

    async def submit(self, at: str, document: Mapping[str, Any]) -> str:
        reply = await self.clients[at].submit(document)
        return reply.job_id

    async def decided(self, at: str, job_id: str, *, approve: bool = True) -> None:
        """Wait until the node's operator is asked, and decide."""

        async def asked() -> bool:
            return (await self.clients[at].job(job_id)).job.needs_decision

        await eventually(asked, what=f"{job_id} asks the operator of {at}")
        if approve:
            await self.clients[at].approve(job_id, "agreed")
        else:
            await self.clients[at].reject(job_id, "not with this data")

    async def over(self, job_id: str, *, at: Sequence[str] = (), within: float = 60.0) -> dict[str, JobDetail]:
        """Wait until the job is over at the given nodes (default: all of them)."""

        async def ended(name: str) -> JobDetail:
            async def attempt() -> JobDetail | None:
                detail = await self.clients[name].job(job_id)
                return detail if detail.job.state in OVER else None

            return await eventually(attempt, what=f"{job_id} over at {name}", within=within)

        return {name: await ended(name) for name in at or self.nodes}

    async def agreement(self, job_id: str, *, within: float = 60.0) -> tuple[str, str | None]:
        """State and outcome of a job that is over; every node must say the same, and no ledger may be broken."""
        details = await self.over(job_id, within=within)
        said = {name: (detail.job.state, detail.job.outcome) for name, detail in details.items()}
        assert len(set(said.values())) == 1, f"the nodes disagree about {job_id}: {said}"
        for name, client in self.clients.items():
            report = await client.ledger_verify()
            assert report.ok, f"the ledger of {name} is broken: {report.fault}"
        return next(iter(said.values()))


@asynccontextmanager
async def mesh(directory: Path, *names: str, approval: str = "auto", settings: str = QUICK) -> AsyncIterator[Mesh]:
    """Started nodes that know one another through fair links."""
    async with AsyncExitStack() as stack:
        nodes = await stack.enter_async_context(running_nodes(directory, *names, settings=settings))
        pairs = [(here, there) for here in names for there in names if here != there]
        links = {pair: await stack.enter_async_context(FaultyProxy(nodes[pair[1]].listen)) for pair in pairs}
        clients = {name: await stack.enter_async_context(node.client()) for name, node in nodes.items()}
        made = Mesh(nodes, links, clients)
        await made.introduce(approval=approval)
        yield made


async def gather_agreements(net: Mesh, job_ids: Sequence[str], *, within: float) -> list[tuple[str, str | None]]:
    """What all nodes agree on, per job."""
    return list(await asyncio.gather(*(net.agreement(job_id, within=within) for job_id in job_ids)))
