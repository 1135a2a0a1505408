"""Runs the node's background services: the only place that creates tasks.

A service that crashes is logged with its traceback and started again after a growing pause, so one bad row or one
odd answer never silences a part of the node for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from embedded_scheduler.clock import Clock, SystemClock
from embedded_scheduler.sentences import say

_LOG = logging.getLogger(__name__)

_STEADY_SECONDS = 60.0
"""A service that ran this long before it crashed starts over with the shortest pause."""


class Service(Protocol):
    """Background work. `run` works until it is cancelled; returning means there is nothing left to do."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


class ServiceState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """Crashed, waiting to be started again."""
    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Health:
    """What `doctor` shows of one service. `since_ms` is when it entered the state."""

    name: str
    state: ServiceState
    since_ms: int
    crashes: int
    last_error: str


class Supervisor:
    """Starts services in order, restarts what crashes, stops in reverse order."""

    def __init__(
        self,
        services: Iterable[Service],
        *,
        clock: Clock | None = None,
        first_pause: float = 0.5,
        longest_pause: float = 30.0,
        stop_patience: float = 10.0,
    ) -> None:
        """Seconds. `stop_patience` bounds the wait for one service that does not heed its cancellation."""
        self._clock = clock or SystemClock()
        self._services = tuple(services)
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._stop_patience = stop_patience
        self._tasks: list[tuple[Service, asyncio.Task[None]]] = []
        self._health: dict[str, Health] = {}

    async def start(self) -> None:
        """Start every service. Raises RuntimeError when two share a name or it was started before."""
        names = [service.name for service in self._services]
        if len(set(names)) != len(names):
            raise RuntimeError(f"two services share a name: {sorted(names)}")
        if self._tasks:
            raise RuntimeError("the supervisor was started before")
        for service in self._services:
            self._note(service, ServiceState.RUNNING)
            task = asyncio.create_task(self._keep(service), name=f"service:{service.name}")
            self._tasks.append((service, task))
        # Every service gets its first step before the node says that it is up.
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Cancel and await the services, last started first. Calling it again does nothing."""
        while self._tasks:
            service, task = self._tasks.pop()
            task.cancel()
            _, unfinished = await asyncio.wait({task}, timeout=self._stop_patience)
            if unfinished:
                _LOG.error("service %s did not stop within %.0f s", service.name, self._stop_patience)
            self._note(service, ServiceState.STOPPED)

    def health(self) -> tuple[Health, ...]:
        """The present facts, in start order."""
        return tuple(self._health[service.name] for service in self._services if service.name in self._health)

    async def _keep(self, service: Service) -> None:
        pause = self._first_pause
        while True:
            began = self._clock.monotonic()
            try:
                await service.run()
            except Exception as error:  # noqa: BLE001 - the supervisor is where a crash of any kind ends
                if self._clock.monotonic() - began >= _STEADY_SECONDS:
                    pause = self._first_pause
                _LOG.exception("service %s crashed; next start in %.1f s", service.name, pause)
                self._note(service, ServiceState.PAUSED, error=say("about", name=type(error).__name__, what=str(error)))
            else:
                self._note(service, ServiceState.FINISHED)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._longest_pause)
            self._note(service, ServiceState.RUNNING)

    def _note(self, service: Service, state: ServiceState, *, error: str = "") -> None:
        before = self._health.get(service.name)
        self._health[service.name] = Health(
            name=service.name,
            state=state,
            since_ms=self._clock.now_ms(),
            crashes=(before.crashes if before else 0) + (1 if error else 0),
            last_error=error or (before.last_error if before else ""),
        )
