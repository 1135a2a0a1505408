"""Runs components that are container images, by Docker or Podman on this machine.

Each attempt has a keeper (`keeper.py`) that outlives the node and keeps its run directory (`kept.py`). Should the
keeper be killed, the next look at the attempt starts another, which takes up the container as it is. Names of
containers derive from attempts, so whatever is repeated after a crash finds the container that is there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import MIB, ContainerSection
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.runners.attempt import ORDER_FILE, replace_file
from embedded_scheduler.runners.confinement import HOST_NETWORK, NO_NETWORK, OWN_LOGS, Confinement, container_name
from embedded_scheduler.runners.engine_api import EngineApi, EngineFacts, EngineGoneError, EngineRefusalError
from embedded_scheduler.runners.image_supply import ALWAYS
from embedded_scheduler.runners.images import ImageReference, Pins, parse_reference, require_allowed
from embedded_scheduler.runners.keeper import PLAN_FILE, STOP_FILE, Plan, program_of
from embedded_scheduler.runners.kept import KeptRunner, require_space, send
from embedded_scheduler.runners.processes import cpu_below
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.runners.starting import Starter
from embedded_scheduler.sentences import Words, say, together
from embedded_scheduler.spi.runner import END_OF_LOG, Containment, Diagnosis, Exit, LaunchSpec, RunHandle

_LOG = logging.getLogger(__name__)

_PLACES = ("/run/podman/podman.sock", "/var/run/docker.sock")
_OTHER_SCHEMES = ("builtin:", "exec:", "pack:")
_END_PATIENCE_S = 30.0
_MOST_RESUMPTIONS = 5
_HOME_LABEL, _ATTEMPT_LABEL = "nodeconsole.home", "nodeconsole.attempt"


class ContainerRunner(KeptRunner):
    """`spi.runner.Runner` over containers of one engine.

    `runs` is the directory that holds one directory per attempt, `images` where it is kept what tags meant. `node_id`
    and `home` tell this node's containers from those of others on the same engine.
    """

    name: ClassVar[str] = "container"

    def __init__(
        self,
        runs: Path,
        settings: ContainerSection,
        *,
        node_id: str,
        home: Path,
        images: Path,
        reserve_bytes: int = 64 * MIB,
        python: str = sys.executable,
    ) -> None:
        super().__init__(runs)
        self._settings = settings
        self._node_id = node_id
        self._home = home.absolute()
        self._pins = Pins(images)
        self._reserve_bytes = reserve_bytes
        self._starter = Starter(python, frozen=bool(getattr(sys, "frozen", False)))
        self._facts: EngineFacts | None = None
        self._resumed: dict[str, int] = {}

    def accepts(self, image_url: str) -> Words:
        try:
            self._admitted(image_url)
            self._socket()
        except (Refused, Unavailable) as refusal:
            return refusal.words
        return ""

    def away(self, image_url: str) -> bool:
        try:
            self._admitted(image_url)
        except Refused:
            return False
        return not self._find()[0]

    def secrets_for(self, image_url: str) -> Sequence[str]:
        name = self._settings.credentials.get(self._admitted(image_url).registry)
        return [name] if name else []

    def containment(self) -> Containment | None:
        if not self._settings.allow:
            return None
        return self._confinement(self._facts or EngineFacts("", "", memory=True)).containment()

    async def diagnose(self) -> Diagnosis | None:
        if not self._settings.allow:
            return None
        path, fault = self._find()
        if not path:
            return fault
        try:
            facts = await self._engine_facts(fresh=True)
        except Unavailable as silence:
            return Diagnosis("error", silence.words, say("engine_silent_fix"))
        missing = [say("limit_memory")] * (not facts.memory) + [say("limit_cores")] * (not facts.cpu)
        if missing:
            text = say("engine_limits", engine=str(facts), path=path, what=tuple(missing))
            return Diagnosis("warning", text, say("engine_limits_fix"))
        return Diagnosis("ok", say("engine_found", engine=str(facts), path=path))

    def cpu_seconds(self, handles: Sequence[RunHandle]) -> Mapping[str, float]:
        found = {handle.attempt_id: program_of(self._run(handle.attempt_id).path) for handle in handles}
        return cpu_below({attempt_id: pid for attempt_id, pid in found.items() if pid is not None})

    async def launch(self, spec: LaunchSpec) -> None:
        """Start the attempt unless it was started before; bringing its image is part of the attempt.

        `Refused`: can never start here. `Unavailable`: the engine does not answer, the machine is short of something.
        """
        run = self._run(spec.attempt_id)
        reference = self._admitted(spec.image_url)
        login = self._login(spec, reference)
        if run.held() or run.exit() is not None:
            return
        try:
            confinement = self._confinement(await self._engine_facts())
        except Unavailable as silence:
            raise Unavailable(together((silence.words, say("engine_silent_fix")))) from None
        routes = confinement.routes(spec)
        plan = self._plan(spec, reference, confinement, [(each.host, each.port, each.target) for each in routes])

        def prepare(run: RunDirectory) -> None:
            require_space(spec, self._runs, self._reserve_bytes)
            (run.path / OWN_LOGS).mkdir(mode=0o700, exist_ok=True)
            body = confinement.body(spec, routes, run.hold(spec.reads), self._labels(spec.attempt_id))
            replace_file(str(run.path / PLAN_FILE), plan.encode())
            replace_file(str(run.path / ORDER_FILE), json.dumps({"body": body, "login": login}).encode())

        async def begin(log: int, lock: int) -> int:
            return self._starter.keeper(run.path, log, lock)

        await self._start(spec, prepare, begin)

    async def forget(self, handle: RunHandle) -> None:
        await super().forget(handle)
        self._resumed.pop(handle.attempt_id, None)

    async def tidy(self, is_over: Callable[[str], Awaitable[bool]]) -> None:
        """Remove containers of attempts that are over, and images that nobody used for long."""
        if not self._settings.allow:
            return
        api = EngineApi(self._socket())
        try:
            for container, labels in await asyncio.to_thread(api.containers, f"{_HOME_LABEL}={self._home_label}"):
                attempt_id = labels.get(_ATTEMPT_LABEL, "")
                if await self._is_over(attempt_id, is_over):
                    await asyncio.to_thread(api.remove, container)
                    _LOG.info("removed a container that attempt %s had left", attempt_id)
            if self._settings.keep_images_days:
                await asyncio.to_thread(self._remove_images, api)
        except (EngineGoneError, EngineRefusalError) as fault:
            raise Unavailable(fault.words) from None

    async def _is_over(self, attempt_id: str, is_over: Callable[[str], Awaitable[bool]]) -> bool:
        try:
            run = self._run(attempt_id)
        except Refused:
            # Somebody else's, under a label of ours.
            return False
        return not run.held() and await is_over(attempt_id)

    # Starting

    def _admitted(self, image_url: str) -> ImageReference:
        if image_url.startswith(_OTHER_SCHEMES):
            raise Refused(say("no_image", image=image_url))
        reference = parse_reference(image_url)
        require_allowed(reference, self._settings.allow)
        return reference

    def _socket(self) -> str:
        path, fault = self._find()
        if fault is not None:
            raise Unavailable(together((fault.text, fault.advice)))
        return path

    def _find(self) -> tuple[str, Diagnosis | None]:
        """Where the engine listens, or why it cannot be used. Looks at files only."""
        user = f"/run/user/{os.geteuid()}"
        usual = (f"{user}/podman/podman.sock", f"{user}/docker.sock", *_PLACES)
        places = (self._settings.socket,) if self._settings.socket else usual
        for place in places:
            if os.access(place, os.R_OK | os.W_OK):
                return place, None
        if there := next(filter(os.path.exists, places), None):
            return "", Diagnosis("error", say("engine_closed", path=there), say("engine_closed_fix"))
        return "", Diagnosis("error", say("engine_missing", places=places), say("engine_missing_fix"))

    async def _engine_facts(self, *, fresh: bool = False) -> EngineFacts:
        path = self._socket()
        try:
            self._facts = await asyncio.to_thread(EngineApi(path).facts, fresh=fresh)
        except EngineGoneError as gone:
            raise Unavailable(say("engine_silent", path=path, why=gone.reason)) from None
        except EngineRefusalError as refusal:
            raise Unavailable(say("engine_silent", path=path, why=refusal.words)) from None
        return self._facts

    def _confinement(self, facts: EngineFacts) -> Confinement:
        return Confinement(facts, HOST_NETWORK if self._settings.network == "host" else NO_NETWORK)

    def _login(self, spec: LaunchSpec, reference: ImageReference) -> dict[str, str] | None:
        name = self._settings.credentials.get(reference.registry)
        if name is None:
            return None
        user, separator, password = spec.secrets.get(name, "").partition(":")
        if not separator:
            raise Refused(say("registry_secret", secret=name, registry=reference.registry))
        return {"username": user, "password": password.strip(), "serveraddress": reference.registry}

    def _plan(
        self,
        spec: LaunchSpec,
        reference: ImageReference,
        confinement: Confinement,
        routes: list[tuple[str, int, str]],
    ) -> Plan:
        renewed = self._settings.pull == ALWAYS and not reference.digest
        pinned = "" if renewed or reference.digest else self._pins.content(reference)
        return Plan(
            engine=self._socket(),
            podman=confinement.facts.version if confinement.facts.is_podman else "",
            container=container_name(self._node_id, self._home, spec.attempt_id),
            log=str(spec.log_path.absolute()),
            end_of_log=END_OF_LOG,
            image=str(reference),
            content=pinned or str(reference),
            repository=reference.name,
            pull=self._settings.pull,
            pin=str(self._pins.path(reference)),
            routes=routes,
            memory_bytes=spec.limits.memory_bytes or 0,
            patience_s=self._settings.engine_patience,
            output_bytes=spec.limits.disk_bytes or 0,
        )

    @property
    def _home_label(self) -> str:
        return container_name(self._node_id, self._home, "")

    def _labels(self, attempt_id: str) -> dict[str, str]:
        return {_HOME_LABEL: self._home_label, _ATTEMPT_LABEL: attempt_id, "nodeconsole.node": self._node_id}

    # Following

    async def _lost(self, identity: Identity, run: RunDirectory) -> Exit | None:
        """Have the container kept again: what ran goes on, and how it ended is known to the engine."""
        attempt_id = run.path.name
        times = self._resumed.get(attempt_id, 0)
        if times >= _MOST_RESUMPTIONS or not (run.path / PLAN_FILE).exists():
            return await super()._lost(identity, run)
        lock = run.acquire()
        if lock is None:
            return None
        try:
            if (ending := run.exit()) is not None:
                return ending

            async def begin(log: int, lock: int) -> int:
                return self._starter.keeper(run.path, log, lock)

            await self._hand_over(attempt_id, identity.log, lock, begin)
            self._resumed[attempt_id] = times + 1
        finally:
            os.close(lock)
        return None

    async def _end(self, identity: Identity, run: RunDirectory, grace_seconds: float) -> None:
        # The keeper does it, by way of the engine. The file is for one that starts at this moment.
        replace_file(str(run.path / STOP_FILE), str(grace_seconds).encode())
        if identity.alive:
            send(identity.pid, identity.session, signal.SIGTERM)
        if not await self._gone(run, grace_seconds + _END_PATIENCE_S):
            raise Unavailable(say("container_stays", attempt=run.path.name))

    # Tidying

    def _remove_images(self, api: EngineApi) -> None:
        before = time.time() - self._settings.keep_images_days * DAY_MS / 1000
        for content in self._pins.unused_since(before):
            if api.image(content) is not None and api.remove_image(content):
                _LOG.info("removed the image %s, which nobody used for long", content)
