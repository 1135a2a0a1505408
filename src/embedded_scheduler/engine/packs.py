"""Component packs: installed one after the other by a service, registered, checked, removed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from enum import StrEnum

from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.pack import InstalledPack, PackAddress, PackFiles, PackId, PackOrder, pack_id, pack_of
from embedded_scheduler.engine import components
from embedded_scheduler.engine.bus import Wakeup
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import PackWorkshop
from embedded_scheduler.errors import Conflict, NodeError, NotFound
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import attempts, ledger
from embedded_scheduler.store import components as component_store
from embedded_scheduler.store.components import Component
from embedded_scheduler.store.database import Reader, Tx

_LOG = logging.getLogger(__name__)

_MOST_LINES = 4000
_MOST_WAITING = 8
_NOTED_WITHIN_MS = 3_600_000
"""The ledger's entry follows the installation; registering the components takes no time."""


class PackState(StrEnum):
    WAITING = "waiting"
    INSTALLING = "installing"
    INSTALLED = "installed"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (PackState.INSTALLED, PackState.FAILED)


@dataclass(slots=True)
class Installation:
    """One that was asked for since the node started; an `engine.ports.PackReport`. `done_bytes` of `total_bytes`: of
    the file that is being downloaded."""

    files: PackFiles
    order: PackOrder
    state: PackState = PackState.WAITING
    error: Words = ""
    lines: list[str] = field(default_factory=list)
    done_bytes: int = 0
    total_bytes: int = 0
    changes: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> PackId:
        return self.files.description.id

    def line(self, text: str) -> None:
        if len(self.lines) < _MOST_LINES:
            self.lines.append(text)
        self.done_bytes = self.total_bytes = 0
        self._tell()

    def progress(self, done: int, total: int) -> None:
        self.done_bytes, self.total_bytes = done, total
        self._tell()

    def enter(self, state: PackState, error: Words = "") -> None:
        self.state, self.error = state, error
        if state.is_over:
            self.files = self.files.without_content()
        self._tell()

    async def change(self, seen: int, timeout_seconds: float) -> None:
        """Return when there is news since the change `seen`, or after a while."""
        if self.changes != seen or self.state.is_over:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _tell(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Verification:
    files: int
    faults: list[str]


class Packs:
    """The service, and what is asked of it. One installation at a time, in the order in which they were asked for."""

    name = "packs"

    def __init__(self, engine: Engine, workshop: PackWorkshop) -> None:
        self._engine = engine
        self._workshop = workshop
        self._wakeup = Wakeup()
        self._installations: dict[PackId, Installation] = {}

    async def run(self) -> None:
        left = await asyncio.to_thread(self._workshop.sweep)
        if left:
            _LOG.warning("an installation of a pack was interrupted; what it left was removed (%s)", ", ".join(left))
        while True:
            waiting = [one for one in self._installations.values() if one.state is PackState.WAITING]
            if not waiting:
                await self._wakeup.wait()
                continue
            await self._install(waiting[0])

    # What is asked of it

    async def install(self, archive: bytes, order: PackOrder) -> Installation | InstalledPack:
        """Begin to install a pack, or what is there already if it is the same one.

        `Conflict` if another pack of this name and version is there, if somebody else registered one of its components,
        or if too much waits.
        """
        files = await asyncio.to_thread(self._workshop.read, archive)
        wanted = files.description.id
        there = await asyncio.to_thread(self._workshop.find, wanted)
        if there is not None:
            if there.digest == files.digest:
                # A node that was killed may have built it and gone no further.
                await self._register(there, files)
                return there
            raise Conflict(say("pack_differs", pack=str(wanted), there=there.digest[:12], digest=files.digest[:12]))
        running = self._installations.get(wanted)
        if running is not None and not running.state.is_over:
            if running.files.digest != files.digest:
                raise Conflict(say("pack_other_installing", pack=str(wanted)))
            return running
        await self._engine.db.read(lambda reader: _require_free(reader, files))
        if sum(not one.state.is_over for one in self._installations.values()) >= _MOST_WAITING:
            raise Conflict(say("packs_waiting", count=_MOST_WAITING))
        # A repeated one goes to the end.
        self._installations.pop(wanted, None)
        self._installations[wanted] = Installation(files, order)
        self._wakeup.set()
        return self._installations[wanted]

    async def all(self) -> tuple[list[InstalledPack], list[Installation]]:
        """What is installed, and what is being installed or failed to since the node started."""
        there = await asyncio.to_thread(self._workshop.all)
        known = {pack.id for pack in there}
        return there, [one for one in self._installations.values() if one.id not in known]

    async def find(self, name: str, version: str) -> InstalledPack | None:
        return await asyncio.to_thread(self._workshop.find, pack_id(name, version))

    def installation(self, name: str, version: str) -> Installation | None:
        return self._installations.get(pack_id(name, version))

    async def verify(self, name: str, version: str) -> Verification:
        """Compare every installed file with what was noted then, and the note with the ledger."""
        wanted = pack_id(name, version)
        pack = await self._require(wanted)
        files, faults = await asyncio.to_thread(self._workshop.verify, wanted)
        noted = await self._engine.db.read(lambda reader: _noted(reader, pack))
        if noted is None:
            faults.insert(0, "the ledger knows nothing of this installation")
        elif noted != await asyncio.to_thread(self._workshop.files_digest, wanted):
            faults.insert(0, "the list of its files is not the one that the ledger notes")
        return Verification(files, faults)

    async def remove(self, name: str, version: str, *, actor: str) -> None:
        """Forget its components and remove it; one that is being installed is stopped instead.

        `Conflict` while one of its components runs, or will be launched.
        """
        wanted = pack_id(name, version)
        installation = self._installations.get(wanted)
        if installation is not None and not installation.state.is_over:
            self._stop(installation)
            return
        if installation is not None and installation.state is PackState.FAILED:
            del self._installations[wanted]
            if await asyncio.to_thread(self._workshop.find, wanted) is None:
                return
        pack = await self._require(wanted)
        await self._engine.db.write(lambda tx: _forget(tx, pack, actor))
        self._installations.pop(wanted, None)
        await asyncio.to_thread(self._workshop.remove, wanted)

    async def _require(self, wanted: PackId) -> InstalledPack:
        pack = await asyncio.to_thread(self._workshop.find, wanted)
        if pack is None:
            raise NotFound(say("pack_not_installed", pack=str(wanted)))
        return pack

    # Installing

    def _stop(self, installation: Installation) -> None:
        if installation.state is PackState.WAITING:
            installation.enter(PackState.FAILED, say("installation_stopped"))
        else:
            self._workshop.stop()

    async def _install(self, installation: Installation) -> None:
        installation.enter(PackState.INSTALLING)
        try:
            await self._build(installation)
        except NodeError as error:
            await self._failed(installation, error.words)
        except OSError as error:
            await self._failed(
                installation, say("about", name=str(error.filename or "packs"), what=str(error.strerror or error))
            )
        except Exception as error:  # noqa: BLE001 - the packs that wait are to have their turn, whatever this one does
            _LOG.exception("pack %s cannot be installed", installation.id)
            await self._failed(installation, say("own_error", kind=type(error).__name__))
        else:
            installation.line("installed")
            installation.enter(PackState.INSTALLED)

    async def _build(self, installation: Installation) -> None:
        pack = await self._workshop.build(installation.files, installation.order, installation)
        try:
            await self._register(pack, installation.files)
        except Exception:
            await asyncio.to_thread(self._workshop.remove, pack.id)
            raise

    async def _register(self, pack: InstalledPack, files: PackFiles) -> None:
        def note(tx: Tx) -> None:
            _require_free(tx, files)
            if _noted(tx, pack) is not None:
                return
            data = {"digest": pack.digest, "files_digest": pack.files_digest, "python": pack.python_version}
            _record(tx, pack.id, "pack.installed", pack.installed_by, data=data)

        await self._engine.db.write(note)
        for name in pack.components:
            address = pack.image or str(PackAddress(pack.id, name))
            await components.register(self._engine, address, files.manifests[name], actor=pack.installed_by)

    async def _failed(self, installation: Installation, why: Words) -> None:
        def note(tx: Tx) -> None:
            _record(tx, installation.id, "pack.failed", installation.order.by, reason=why)

        try:
            await self._engine.db.write(note)
        except NodeError as error:
            _LOG.error("the ledger cannot note that pack %s was not installed: %s", installation.id, error)
        installation.line(f"failed: {why}")
        installation.enter(PackState.FAILED, why)


def belongs_to(component: Component, pack: InstalledPack) -> bool:
    """Whether a registration is of this pack, by its address."""
    if pack.image:
        return component.image_url == pack.image
    return pack_of(component.image_url) == str(pack.id)


def _require_free(reader: Reader, files: PackFiles) -> None:
    """`Conflict` if a component of the pack is somebody else's: a built-in one, or registered by another address.
    Other versions of the same pack are not somebody else."""
    wanted = files.description
    for name in wanted.components:
        found = component_store.get(reader, *parse_manifest(files.manifests[name]).identity)
        if found is None or found.image_url == wanted.image:
            continue
        if pack_of(found.image_url).partition("/")[0] != wanted.id.name:
            identity = f"{found.provider}/{found.name}/{found.version}"
            raise Conflict(say("pack_component_taken", component=identity, address=found.image_url))


def _forget(tx: Tx, pack: InstalledPack, actor: str) -> None:
    using = [one.attempt_id for one in attempts.unfinished(tx) if one.handle.get("pack") == str(pack.id)]
    if using:
        raise Conflict(say("pack_in_use", pack=str(pack.id), count=len(using), attempt=using[0]))
    for one in [one for one in component_store.all(tx) if belongs_to(one, pack)]:
        components.forget(tx, one, actor)
    _record(tx, pack.id, "pack.removed", actor)


def _record(
    tx: Tx, pack: PackId, event: str, actor: str, *, reason: str = "", data: dict[str, str] | None = None
) -> None:
    ledger.append(tx, subject="pack", subject_id=str(pack), event=event, actor=actor, reason=reason, data=data)


def _noted(reader: Reader, pack: InstalledPack) -> str | None:
    """The digest of the list of files in the ledger."""
    wanted = ledger.Wanted(
        subject=str(pack.id),
        event="pack.installed",
        since_ms=pack.installed_ms,
        until_ms=pack.installed_ms + _NOTED_WITHIN_MS,
    )
    before: int | None = ledger.FAR
    while before is not None:
        records, before = ledger.newest(reader, wanted, before=before, limit=1)
        if records:
            return str(records[0].data.get("files_digest", ""))
    return None
