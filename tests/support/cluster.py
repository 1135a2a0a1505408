"""Several engines in one process, joined by a gateway that calls the other engine's verbs: real rules, real SQLite.

What is replaced is the network (calls go straight to the verb an endpoint would call, with faults on demand) and the
runner (shares end when the test says so). Everything else is what a node runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded_scheduler.clock import Clock, RandomMint, SystemClock
from embedded_scheduler.config import Approval, Limits, Settings, Timing
from embedded_scheduler.domain.failure import read_failure
from embedded_scheduler.domain.lifecycle import JOB
from embedded_scheduler.domain.snapshot import JobSnapshot, PeerTraits
from embedded_scheduler.engine import components, jobs, progress
from embedded_scheduler.engine.bus import Bus
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.delivery import Delivery
from embedded_scheduler.engine.ports import Delivery as Verdict
from embedded_scheduler.engine.ports import Outgoing, Reply
from embedded_scheduler.engine.recovery import recover
from embedded_scheduler.engine.sessions import SessionPolicy
from embedded_scheduler.engine.supervisor import Health, Supervisor
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.errors import ErrorCode, NodeError, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.spi.runner import Exit, LaunchSpec, RunHandle
from embedded_scheduler.storage.local import LocalStorage
from embedded_scheduler.store import jobs as job_store
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Database
from embedded_scheduler.store.logs import LogStore

PROBE: dict[str, Any] = {
    "componentName": "probe",
    "title": "Probe",
    "provider": "nodeconsole",
    "version": "1.0.0",
    "roleList": ["guest", "host", "arbiter"],
    "storageEngine": ["local"],
    "inputParam": [],
    "inputData": [],
    "outputData": [],
    "result": [],
}


def flow(*edges: tuple[str, ...]) -> list[dict[str, Any]]:
    """Components from `(name, producer, …)` tuples; each has one output `out` and reads its producers' ones."""
    return [
        {
            "name": name,
            "componentName": "probe",
            "provider": "nodeconsole",
            "version": "1.0.0",
            "input": [{"key": f"{up}.out", "type": "dataset"} for up in ups],
            "output": [{"key": "out", "type": "dataset"}],
        }
        for name, *ups in edges
    ]


def document(
    *edges: tuple[str, ...],
    roles: Mapping[str, list[str]],
    initiator: str = "alice",
    coordinator: str = "",
    sync_type: str = "poll",
) -> dict[str, Any]:
    """A job document over `probe`."""
    common = {"sync_type": sync_type, **({"coordinator": coordinator} if coordinator else {})}
    return {
        "flow_id": "flow-1",
        "dag": {"version": "2.0", "components": flow(*edges)},
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": initiator},
            "role": dict(roles),
            "job_params": {"common": common},
            "task_params": {},
        },
    }


class HandRunner:
    """A runner whose attempts run until the test ends them, or end at once with what `result` says."""

    name = "hand"

    def __init__(self) -> None:
        self.launches: list[str] = []
        self.terminations: list[str] = []
        self.result: Callable[[str], Exit | None] = lambda _: Exit(0)
        self._exits: dict[str, asyncio.Future[Exit]] = {}

    def accepts(self, image_url: str) -> str:
        return "" if image_url.startswith("builtin:") else f"{image_url} cannot run here"

    def handle(self, spec: LaunchSpec) -> RunHandle:
        return RunHandle(self.name, spec.attempt_id)

    async def launch(self, spec: LaunchSpec) -> None:
        self.launches.append(spec.attempt_id)
        exit_ = self.result(spec.attempt_id)
        if exit_ is not None:
            self.end(spec.attempt_id, exit_)

    def end(self, attempt_id: str, exit_: Exit) -> None:
        future = self._future(attempt_id)
        if not future.done():
            future.set_result(exit_)

    def _future(self, attempt_id: str) -> asyncio.Future[Exit]:
        if attempt_id not in self._exits:
            self._exits[attempt_id] = asyncio.get_running_loop().create_future()
        return self._exits[attempt_id]

    async def wait(self, handle: RunHandle) -> Exit:
        return await asyncio.shield(self._future(handle.attempt_id))

    async def observe(self, handle: RunHandle) -> Exit | None:
        future = self._future(handle.attempt_id)
        return future.result() if future.done() else None

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:
        self.terminations.append(handle.attempt_id)
        self.end(handle.attempt_id, Exit(None, signal=15))

    async def forget(self, handle: RunHandle) -> None:
        self._exits.pop(handle.attempt_id, None)


@dataclass
class Partners:
    """A directory and a gateway in one: every engine of the cluster is a partner of the others."""

    node_id: str
    cluster: Cluster
    policy: dict[str, str] = field(default_factory=dict)
    peer_traits: dict[str, PeerTraits] = field(default_factory=dict)

    def knows(self, node_id: str) -> bool:
        return node_id in self.cluster.partners or node_id in self.cluster.strangers

    def traits(self, node_id: str) -> PeerTraits:
        return self.peer_traits.get(node_id, PeerTraits())

    def decides_at_create(self, node_id: str) -> bool:
        return not self.traits(node_id).approval_channel

    def approval(self, node_id: str) -> str:
        return self.policy.get(node_id, "auto")

    async def refresh(self, db: Database) -> None:
        return None

    def described(self, node_id: str) -> dict[str, object]:
        return {}

    def session_need(self, node_id: str) -> str:
        return ""

    async def call(self, message: Outgoing) -> Reply:
        return await self.cluster.carry(self.node_id, message)

    async def close(self) -> None:
        return None


class NoForwarder:
    async def invoke(self, *args: object, **kwargs: object) -> tuple[str, str]:
        raise Unavailable("no channel in this test")


Fault = Callable[[str, Outgoing], str]
"""What happens to a call: `""` nothing, `lost`: never arrives, `unanswered`: its answer is lost, `twice`: doubled."""


class Cluster:
    """Engines by node id. `strangers` answer calls through a function instead of an engine (other vendors' nodes).

    `clock` counts for engines that are started afterwards.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engines: dict[str, Engine] = {}
        self.runners: dict[str, HandRunner] = {}
        self.partners: dict[str, Partners] = {}
        self.strangers: dict[str, Callable[[Outgoing], Reply | Awaitable[Reply]]] = {}
        self.fault: Fault = lambda source, message: ""
        self.sent: list[tuple[str, Outgoing]] = []
        self.clock: Clock = SystemClock()
        self.watching: dict[str, Watching] = {}
        self.delivery: dict[str, Delivery] = {}
        self._supervisors: dict[str, Supervisor] = {}

    async def start(self, node_id: str, **sections: Any) -> Engine:
        """Start a node, or start it again on what it left."""
        home = Home(self.root / node_id)
        home.path.mkdir(exist_ok=True)
        timing = Timing(poll_first=0.05, poll_longest=0.2, retry_first=0.01, retry_longest=0.1, submit_wait=2.0)
        settings = Settings(node_id=node_id, **{"timing": timing, **sections})
        clock, mint = self.clock, RandomMint()
        db = await Database.open(home.database, clock=clock)
        partners = self.partners.setdefault(node_id, Partners(node_id, self))
        runner = self.runners.setdefault(node_id, HandRunner())
        last_seq, _ = await db.read(ledger.last)
        bus = Bus(last_seq)
        db.on_commit = bus.publish
        channel = Channel(
            root=home.channel,
            limits=settings.limits,
            clock=clock,
            mint=mint,
            node_id=node_id,
            policy=SessionPolicy(db, partners),
            forwarder=NoForwarder(),  # type: ignore[arg-type]
        )
        channel.open()
        engine = Engine(
            home=home,
            settings=settings,
            clock=clock,
            mint=mint,
            db=db,
            bus=bus,
            gateway=partners,
            directory=partners,
            runners={"hand": runner},
            storage=LocalStorage(home.storage),
            connectors={},
            logs=LogStore(home.logs),
            channel=channel,
            attempt_secret=b"secret",
            check_profile=lambda profile, options: None,
        )
        self.engines[node_id] = engine
        await components.register(engine, "builtin:probe", PROBE, actor="node")
        watching = Watching(engine)
        await recover(engine, watching)
        delivery = Delivery(engine, watching)
        self.watching[node_id], self.delivery[node_id] = watching, delivery
        supervisor = Supervisor([watching, delivery])
        await supervisor.start()
        self._supervisors[node_id] = supervisor
        return engine

    def health(self, node_id: str) -> tuple[Health, ...]:
        """Of the node's services."""
        return self._supervisors[node_id].health()

    async def stop(self, node_id: str) -> None:
        await self._supervisors.pop(node_id).stop()
        engine = self.engines.pop(node_id)
        del self.watching[node_id], self.delivery[node_id]
        engine.channel.shut_down()
        await engine.db.close()

    async def stop_all(self) -> None:
        for node_id in list(self._supervisors):
            await self.stop(node_id)

    async def carry(self, source: str, message: Outgoing) -> Reply:
        """One call over the simulated network."""
        self.sent.append((source, message))
        fate = self.fault(source, message)
        if fate == "lost":
            return Reply(Verdict.FAILED, {}, "no answer")
        reply = await self._answer(source, message)
        if fate == "twice":
            reply = await self._answer(source, message)
        return Reply(Verdict.FAILED, {}, "the answer was lost") if fate == "unanswered" else reply

    async def _answer(self, source: str, message: Outgoing) -> Reply:
        if message.node_id in self.strangers:
            reply = self.strangers[message.node_id](message)
            return reply if isinstance(reply, Reply) else await reply
        engine = self.engines.get(message.node_id)
        if engine is None:
            return Reply(Verdict.FAILED, {}, f"{message.node_id} is down")
        try:
            data = await _VERBS[message.operation](engine, source, message.body)
        except NodeError as error:
            if error.code is ErrorCode.UNAVAILABLE:
                return Reply(Verdict.FAILED, {}, error.message)
            ended = message.operation == "job/stop" and error.code is ErrorCode.NOT_FOUND
            return Reply(Verdict.OK if ended else Verdict.REFUSED, {}, error.message)
        return Reply(Verdict.OK, data)

    async def view(self, node_id: str, job_id: str) -> JobSnapshot:
        return await progress.view(self.engines[node_id], job_id)

    async def until(self, node_id: str, job_id: str, wanted: Callable[[JobSnapshot], bool]) -> JobSnapshot:
        """The job at a node once `wanted` holds; fails after ten seconds with what it was like then."""
        engine = self.engines[node_id]
        with engine.bus.job(job_id) as changed:
            try:
                async with asyncio.timeout(10):
                    while True:
                        found = await engine.db.read(
                            lambda r: job_store.snapshot(r, job_id, self_node=node_id, traits=engine.directory.traits)
                        )
                        if found is not None and wanted(found):
                            return found
                        await changed.wait(0.05)
            except TimeoutError:
                raise AssertionError(f"{node_id}: {found}") from None

    async def over(self, node_id: str, job_id: str) -> JobSnapshot:
        return await self.until(node_id, job_id, lambda s: JOB.is_terminal(s.state))


def _status(data: Any) -> dict[str, Any]:
    return {
        "job_status": data.job_status,
        "status": dict(data.tasks),
        **({"outcome": data.outcome} if data.outcome else {}),
        "reason": data.reason,
    }


Verb = Callable[[Engine, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]


async def _create_all(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.create_all(engine, body["job_id"], body, source=source, trace_id="t")
    return {}


async def _create(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": await jobs.create(engine, body["job_id"], body, source=source, trace_id="t")}


async def _start(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.start(engine, body["job_id"], source=source)
    return {}


async def _start_task(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.start_task(engine, body["job_id"], body["task_id"], body["task_name"], source=source)
    return {}


async def _stop(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.stop(engine, body["job_id"], body.get("task_name", ""), source=source)
    return {}


async def _stop_all(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.stop_all(engine, body["job_id"], body.get("task_name", ""), actor=f"peer:{source}", source=source)
    return {}


async def _status_all(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return _status(await jobs.status_all(engine, body["job_id"], source=source))


async def _poll(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    status, failure = await jobs.poll(engine, body["task_id"], body["role"], source=source)
    return {"status": status} | ({"failure": failure.document} if failure else {})


async def _callback(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    failure = read_failure(body.get("failure"))
    await jobs.callback(engine, body["task_id"], body["status"], body["role"], source=source, failure=failure)
    return {}


async def _confirm(engine: Engine, source: str, body: Mapping[str, Any]) -> dict[str, Any]:
    await jobs.audit_confirm(engine, body["job_id"], approved=body["status"] == "READY", source=source)
    return {}


_VERBS: dict[str, Verb] = {
    "job/create_all": _create_all,
    "job/create": _create,
    "job/start": _start,
    "task/start": _start_task,
    "job/stop": _stop,
    "job/stop_all": _stop_all,
    "job/status_all": _status_all,
    "task/poll": _poll,
    "task/callback": _callback,
    "job/audit_confirm": _confirm,
}


@contextlib.asynccontextmanager
async def cluster(root: Path, *node_ids: str) -> AsyncIterator[Cluster]:
    """A running cluster of the named nodes."""
    found = Cluster(root)
    try:
        for node_id in node_ids:
            await found.start(node_id)
        yield found
    finally:
        await found.stop_all()


__all__ = ["PROBE", "Approval", "Cluster", "HandRunner", "Limits", "cluster", "document"]
