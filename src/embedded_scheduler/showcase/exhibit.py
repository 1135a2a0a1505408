"""What takes the place of the world outside while a shown node is served: partners that answer, components that run.

Nothing here computes or sends anything. A component that was running goes on running until it is told to stop; one that
is launched ends well after a few seconds. Partners take what they are told, but for those that cannot be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.clock import Clock, SystemClock
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.engine.compatibility import DIGEST
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.showcase.catalogue import PARTNERS, manifests
from embedded_scheduler.showcase.machine import StagedMachine
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, RunHandle
from embedded_scheduler.store.components import digest_of

SCHEME = "exhibit:"
RUNNER = "exhibit"
RUN_SECONDS = 8.0
"""How long a component that is launched while the node is shown seems to compute."""
UNREACHABLE = "cannot connect to {node}: connection refused"


class StillClock:
    """A clock that shows one moment, for pictures and tests; pauses still take their time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._running = SystemClock()

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._running.monotonic()


def _distance_ms(node_id: str) -> int:
    """Each partner seems to be somewhere else."""
    return 8 + 7 * (sum(node_id.encode()) % 12)


class StagedPartners:
    """A `PartnerGateway` behind which nobody is."""

    def __init__(self, silent: Collection[str]) -> None:
        self._silent = frozenset(silent)
        self._fresh: dict[str, float] = {}

    async def call(self, message: Outgoing) -> Reply:
        if message.node_id in self._silent:
            return Reply(Delivery.FAILED, {}, UNREACHABLE.format(node=message.node_id))
        return Reply(Delivery.OK, self._answer(message), took_ms=_distance_ms(message.node_id))

    def _answer(self, message: Outgoing) -> Mapping[str, Any]:
        task_id = str(message.body.get("task_id") or "")
        if message.operation == "task/start":
            self._fresh[task_id] = asyncio.get_running_loop().time()
        if message.operation.startswith("component/"):
            return _components(message.body)
        return {"status": self._status(task_id)} if message.operation == "task/poll" else {}

    def _status(self, task_id: str) -> str:
        """Tasks of the history run for ever; those that were started since end like the component here."""
        began = self._fresh.get(task_id)
        over = began is not None and asyncio.get_running_loop().time() - began > RUN_SECONDS
        return "SUCCESS" if over else "RUNNING"

    async def close(self) -> None:
        """There is nothing to close."""


def _components(question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every partner has what is registered here: a page of it, or the one that is asked for."""
    known = {parse_manifest(manifest).code: manifest for manifest in manifests()}
    records = [
        {"code": code, "version": manifest["version"], "developer": manifest["provider"]}
        for code, manifest in known.items()
    ]
    asked = known.get(str(question.get("code") or ""))
    if asked is None:
        return {"records": records, "total": len(records)}
    return {"status": "ENABLED", "extension": {DIGEST: digest_of(asked)}}


class StagedRunner:
    """A `Runner` whose components only seem to run."""

    name = RUNNER

    def __init__(self) -> None:
        self._fresh: dict[str, LaunchSpec] = {}
        self._stopped: dict[str, asyncio.Event] = {}
        self._exits: dict[str, Exit] = {}

    def accepts(self, image_url: str) -> str:
        return "" if image_url.startswith(SCHEME) else f"the demo starts only {SCHEME} components"

    def handle(self, spec: LaunchSpec) -> RunHandle:
        return RunHandle(self.name, spec.attempt_id)

    async def launch(self, spec: LaunchSpec) -> None:
        self._fresh[spec.attempt_id] = spec
        await asyncio.to_thread(_say, spec, "INFO the demo computes nothing: this component only seems to run")

    async def wait(self, handle: RunHandle) -> Exit:
        spec = self._fresh.get(handle.attempt_id)
        try:
            async with asyncio.timeout(RUN_SECONDS if spec is not None else None):
                await self._stop_of(handle).wait()
        except TimeoutError:
            exit_ = Exit(0)
        else:
            exit_ = Exit(None, signal=15)
        if spec is not None:
            ending = "exit code 0" if exit_.ok else "ended by SIGTERM"
            await asyncio.to_thread(_say, spec, "INFO done", f"{END_OF_LOG}, {ending}")
        self._exits[handle.attempt_id] = exit_
        return exit_

    async def observe(self, handle: RunHandle) -> Exit | None:
        return self._exits.get(handle.attempt_id)

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:  # noqa: ARG002 (it ends at once)
        self._stop_of(handle).set()

    async def forget(self, handle: RunHandle) -> None:
        """It left nothing."""

    def _stop_of(self, handle: RunHandle) -> asyncio.Event:
        return self._stopped.setdefault(handle.attempt_id, asyncio.Event())


def _say(spec: LaunchSpec, *lines: str) -> None:
    with spec.log_path.open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """The stand-ins for one run of a shown node."""

    clock: Clock = field(default_factory=SystemClock)
    partners: StagedPartners = field(
        default_factory=lambda: StagedPartners({facts.node_id for facts in PARTNERS if not facts.answers})
    )
    runner: StagedRunner = field(default_factory=StagedRunner)

    @property
    def machine(self) -> StagedMachine:
        return StagedMachine(self.clock)
