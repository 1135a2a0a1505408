"""The demo, step by step, as the operators of its nodes would go."""

from __future__ import annotations

import asyncio
import importlib.resources
import itertools
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from embedded_scheduler.wire.console import DatasetRequest, JobDetail, PeerRequest
from embedded_scheduler.wire.console_contracts import ContractRow
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable
from nodeconsole.demo.failure import DemoFailure
from nodeconsole.demo.job import DATASET, NAMESPACE, psi_job
from nodeconsole.demo.kept import MARK
from nodeconsole.demo.verdict import Verdict, judge, read_table
from nodeconsole.node_process import NodeFailure, NodeProcess, free_addresses

DATA_HOLDERS = ("guest", "host")

_OVER = ("FINISHED", "REJECTED")
_PLATFORM = "/v1/platform/schedule/job"
_SUCCESS = (0, 200)

T = TypeVar("T")
OnDeath = Callable[[NodeProcess], Awaitable[None]]


async def fail_on_death(node: NodeProcess) -> None:
    """What the demo does when one of its nodes ends by itself."""
    raise DemoFailure(f"node {node.node_id} {node.last_words()}")


class Demo:
    """One run of the demo below `directory`. Use `run()`, or its steps one after the other, then `close()`.

    Everything it asks a node can be asked again, so a node may be killed and started again at any moment: `on_death`
    is awaited whenever a node is found dead, and the step goes on when it returns. `within` is the time limit in
    seconds of everything that waits for nodes; None = no limit (a person decides). `allow_exec`: programs that the
    nodes may start besides.
    """

    def __init__(
        self,
        directory: Path,
        *,
        parties: int = 2,
        command: Sequence[str] | None = None,
        allow_exec: Sequence[Path] = (),
        within: float | None = 110.0,
        on_death: OnDeath = fail_on_death,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.directory = directory
        self.roles = (*DATA_HOLDERS, "arbiter")[:parties]
        addresses = iter(free_addresses(2 * len(self.roles)))
        self.nodes = {
            role: NodeProcess(role, directory / role, listen=next(addresses), platform=next(addresses), command=command)
            for role in self.roles
        }
        self.flow_id = f"demo-{secrets.token_hex(8)}"
        self.environment: dict[str, dict[str, str]] = {}
        """Per role: what is added to the environment of the node's first start."""
        self.steps: dict[str, float] = {}
        self._allow_exec = [str(path.absolute()) for path in allow_exec]
        self._within = within
        self._on_death = on_death
        self._progress = progress
        self._clients: dict[str, NodeClient] = {}
        self._codes: dict[tuple[str, str], str] = {}

    async def run(self, decide: Callable[[Demo, str], Awaitable[None]] | None = None) -> Verdict:
        """All steps. `decide` replaces the host operator's approval; it gets the demo and the job's id."""
        await self._timed("create the nodes", self.create())
        await self._timed("start the nodes", self.start())
        await self._timed("register data and partners", self.register())
        job_id = await self._timed("submit at the guest", self.submit())
        await self._timed("approve at the host", decide(self, job_id) if decide else self.approve(job_id))
        await self._timed("run to the end", self.finished(job_id))
        verdict = await self._timed("compare with the plain join", self.check(job_id))
        verdict.steps = dict(self.steps)
        return verdict

    async def _timed(self, name: str, step: Awaitable[T]) -> T:
        self._progress(name)
        began = time.monotonic()
        result = await step
        self.steps[name] = time.monotonic() - began
        return result

    # The steps.

    async def create(self) -> None:
        """Homes, settings and the two data files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / MARK).touch()
        settings = f"components.allow_exec = {json.dumps(self._allow_exec)}" if self._allow_exec else ""
        await asyncio.gather(*(node.create(settings) for node in self.nodes.values()))
        for role in DATA_HOLDERS:
            content = importlib.resources.files("nodeconsole").joinpath("demo_data", f"{role}.csv").read_bytes()
            self.data_file(role).write_bytes(content)

    async def start(self) -> None:
        self._clients = {role: node.client() for role, node in self.nodes.items()}
        await asyncio.gather(*(self._start(role) for role in self.roles))

    async def _start(self, role: str) -> None:
        node = self.nodes[role]
        try:
            await node.start(environment=self.environment.get(role))
        except NodeFailure:
            # It may have been killed before it was ready; whether that is a failure is for `on_death` to say.
            if node.running:
                raise
            await self._on_death(node)

    async def register(self) -> None:
        """Data and partners, as the operators of the nodes would; registering again changes nothing."""
        for role in DATA_HOLDERS:
            await self._register_data(role)
        for inviting, applying in itertools.combinations(self.roles, 2):
            await self._introduce(inviting, applying)

    async def _register_data(self, role: str) -> None:
        request = DatasetRequest(
            namespace=NAMESPACE,
            name=DATASET,
            connector="csv",
            options={"path": str(self.data_file(role))},
            description="Breast Cancer Wisconsin (Diagnostic), one party's part",
        )
        await self._eventually(f"registering the data of the {role}", lambda c: c.add_dataset(request), role)

    async def _introduce(self, inviting: str, applying: str) -> None:
        """Two operators: one invites, the other joins, each compares the six words that the other reads out."""
        contract_id = (await self._join(inviting, applying)).contract_id
        for role, partner in ((inviting, applying), (applying, inviting)):
            await self._confirm(role, partner, contract_id)
        for role, partner in ((inviting, applying), (applying, inviting)):
            await self._set_approval(role, partner)

    async def _join(self, inviting: str, applying: str) -> ContractRow:
        async def attempt(client: NodeClient) -> ContractRow:
            # The same code as before, if the answer was lost: it leads to the same contract.
            pair = (inviting, applying)
            if pair not in self._codes:
                self._codes[pair] = (await self._clients[inviting].invite(hours=1)).code
            return await client.join(self._codes[pair])

        return await self._eventually(f"joining the {inviting} from the {applying}", attempt, applying)

    async def _confirm(self, role: str, partner: str, contract_id: str) -> None:
        async def attempt(client: NodeClient) -> ContractRow | None:
            row = await client.contract(contract_id)
            if row.state == "APPLIED" and not row.compared_by:
                read_out = (await self._clients[partner].contract(contract_id)).words
                row = await client.confirm_contract(contract_id, read_out)
            if row.state in ("REJECTED", "TERMINATED"):
                raise DemoFailure(f"the contract between {role} and {partner} is {row.state}: {row.reason}")
            # At the node that applied, the partner's decision may still be on its way.
            return row if row.state == "APPROVED" else None

        await self._eventually(f"comparing the words of {role} and {partner}", attempt, role)

    async def _set_approval(self, role: str, partner: str) -> None:
        # Only the host has an operator to ask: its decision is what the demo is about.
        approval = "manual" if role == "host" else "auto"
        request = PeerRequest(
            node_id=partner, url=self.nodes[partner].url, profile="seed", approval=approval, signing="required"
        )
        await self._eventually(f"what the {role} lets the {partner} do", lambda c: c.add_peer(request), role)

    async def submit(self) -> str:
        """Submit through the guest's platform interface and return the job's id.

        A lost answer leaves open whether the job exists, so the guest is asked for the jobs of this flow first.
        """
        guest = self.nodes["guest"]
        document = psi_job(self.flow_id, {role: role for role in self.roles})

        async def attempt(_client: NodeClient) -> str | None:
            timeout = httpx.Timeout(45.0, connect=5.0)
            headers = await guest.platform_headers()
            async with httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http:
                known = await http.get(
                    f"{guest.platform_url}{_PLATFORM}/query_job_list", params={"flow_id": self.flow_id}
                )
                jobs = _data(known).get("job_list") or {}
                if jobs:
                    return str(next(iter(jobs)))
                created = await http.post(f"{guest.platform_url}{_PLATFORM}/create_all", json=document)
                return str(_data(created)["job_id"])

        return await self._eventually("submitting the job", attempt, "guest")

    async def asked(self, job_id: str) -> JobDetail:
        """Wait until the host's operator is asked (or the job is past that) and return the job as the host sees it."""

        async def attempt(client: NodeClient) -> JobDetail | None:
            detail = await client.job(job_id)
            return detail if detail.job.needs_decision or detail.job.state != "PENDING" else None

        return await self._eventually("the job's arrival at the host", attempt, "host", missing_is_early=True)

    async def approve(self, job_id: str) -> None:
        """The host's operator approves; done when the host has recorded a decision."""
        await self.asked(job_id)

        async def attempt(client: NodeClient) -> JobDetail | None:
            detail = await client.job(job_id)
            if detail.job.needs_decision:
                if detail.card is not None and detail.card.problems:
                    raise DemoFailure(f"the host cannot approve: {'; '.join(detail.card.problems)}")
                await client.approve(job_id, "the demo's operator agrees")
                detail = await client.job(job_id)
            return None if detail.job.needs_decision else detail

        await self._eventually("the approval at the host", attempt, "host")

    async def finished(self, job_id: str) -> dict[str, JobDetail]:
        """Wait until every node says that the job is over; per role, the job as that node sees it."""
        details = {}
        for role in self.roles:
            details[role] = await self._eventually(
                f"the end of the job at the {role}", lambda client: _over(client, job_id), role
            )
        for role, detail in details.items():
            if detail.job.state != "FINISHED" or detail.job.outcome != "succeeded":
                why = detail.job.reason or "; ".join(share.reason for task in detail.tasks for share in task.shares)
                raise DemoFailure(f"at the {role} the job is {detail.job.state} ({detail.job.outcome}): {why}")
        return details

    async def check(self, job_id: str) -> Verdict:
        """Read both results and compare them with the plain join of the two files."""
        details = {
            role: await self._eventually("reading the result", lambda client: client.job(job_id), role)
            for role in DATA_HOLDERS
        }
        return judge(job_id, self.nodes, details, {role: read_table(self.data_file(role)) for role in DATA_HOLDERS})

    def data_file(self, role: str) -> Path:
        """The party's CSV file, outside its node's home as an operator's own file would be."""
        return self.directory / f"{role}.csv"

    async def close(self, *, keep: bool = False) -> None:
        """End nodes and components, whatever state they are in; `keep` leaves the nodes running."""
        for client in self._clients.values():
            await client.close()
        if keep:
            return
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        for node in self.nodes.values():
            node.end_components()

    async def _eventually(
        self,
        what: str,
        attempt: Callable[[NodeClient], Awaitable[T | None]],
        role: str,
        *,
        missing_is_early: bool = False,
    ) -> T:
        """The first answer that is not None. A node that is down or busy is asked again until the limit is reached."""
        loop = asyncio.get_running_loop()
        limit = None if self._within is None else loop.time() + self._within
        pause, last = 0.02, "it has not happened yet"
        while limit is None or loop.time() < limit:
            for node in self.nodes.values():
                if not node.running:
                    await self._on_death(node)
            try:
                result = await attempt(self._clients[role])
                if result is not None:
                    return result
            except (NodeUnreachable, httpx.TransportError) as error:
                last = str(error) or type(error).__name__
            except ClientError as error:
                if error.status < 500 and not (missing_is_early and error.status == 404):
                    raise DemoFailure(f"{what}: {error.message}") from None
                last = error.message
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        raise DemoFailure(f"{what} took more than {self._within:g} seconds: {last}")


async def _over(client: NodeClient, job_id: str) -> JobDetail | None:
    detail = await client.job(job_id)
    return detail if detail.job.state in _OVER else None


def _data(response: httpx.Response) -> dict[str, Any]:
    """The data object of a platform answer; a refusal is a `ClientError`, an unreadable answer a transport error."""
    try:
        answer = response.json()
        code, data = int(answer["code"]), answer.get("data") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise httpx.RemoteProtocolError(f"the platform interface answered {response.status_code}") from None
    if code not in _SUCCESS:
        raise ClientError(str(answer.get("msg")), code)
    return dict(data)
