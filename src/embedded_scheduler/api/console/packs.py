"""`/packs`: component packs, installed by the node itself, so that it works from another machine too."""

from __future__ import annotations

import asyncio
import base64
import binascii

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.pack import InstalledPack, PackOrder
from embedded_scheduler.engine.packs import Installation, PackState, belongs_to
from embedded_scheduler.errors import InvalidRequest, NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.store import components
from embedded_scheduler.store.components import Component
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.console_packs import (
    MOST_FAULTS,
    PackList,
    PackProgress,
    PackRequest,
    PackRow,
    PackVerification,
)

_LONGEST_WAIT_S = 10


def install(app: Quart, console: Console) -> None:
    packs = Packs(console)
    endpoint.route(app, "GET", "/packs", packs.all)
    endpoint.route(app, "POST", "/packs", packs.install)
    endpoint.route(app, "GET", "/packs/<name>/<version>", packs.show)
    endpoint.route(app, "DELETE", "/packs/<name>/<version>", packs.remove)
    endpoint.route(app, "GET", "/packs/<name>/<version>/progress", packs.progress)
    endpoint.route(app, "GET", "/packs/<name>/<version>/verification", packs.verify)


class Packs:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._packs = console.packs
        self._db = console.engine.db

    async def all(self) -> PackList:
        installed, others = await self._packs.all()
        registered = await self._db.read(components.all)
        rows = [_installed(pack, registered) for pack in installed]
        return PackList(packs=[*rows, *map(_coming, others)])

    async def install(self) -> PackRow:
        request = await endpoint.body_message(PackRequest, self._console.depth)
        try:
            archive = await asyncio.to_thread(base64.b64decode, request.archive, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest(say("pack_not_base64")) from None
        for name in ("python", "index_url", "wheels"):
            value = getattr(request, name)
            if not value.isprintable() or value.startswith("-"):
                raise InvalidRequest(say("pack_option", name=name))
        if request.index_url and not request.index_url.startswith(("https://", "http://", "file://")):
            raise InvalidRequest(say("pack_index"))
        order = PackOrder(request.python, request.index_url, request.wheels, endpoint.operator())
        found = await self._packs.install(archive, order)
        if isinstance(found, InstalledPack):
            return _installed(found, await self._db.read(components.all))
        return _coming(found)

    async def show(self, name: str, version: str) -> PackRow:
        installed = await self._packs.find(name, version)
        if installed is not None:
            return _installed(installed, await self._db.read(components.all))
        return _coming(self._installation(name, version))

    async def remove(self, name: str, version: str) -> None:
        await self._packs.remove(name, version, actor=endpoint.operator())

    async def progress(self, name: str, version: str) -> PackProgress:
        """With `wait`, when there is news. `after` is the `next` of the last answer."""
        installation = self._installation(name, version)
        after = endpoint.number_query("after", 0, low=0, high=1 << 30)
        wait = endpoint.number_query("wait", 0, low=0, high=_LONGEST_WAIT_S)
        if wait and len(installation.lines) <= after:
            await installation.change(installation.changes, wait)
        return PackProgress(
            state=installation.state,
            error=installation.error,
            said=said(error=installation.error),
            lines=installation.lines[after:],
            next=len(installation.lines),
            done_bytes=installation.done_bytes,
            total_bytes=installation.total_bytes,
        )

    async def verify(self, name: str, version: str) -> PackVerification:
        found = await self._packs.verify(name, version)
        faults = found.faults[:MOST_FAULTS]
        return PackVerification(ok=not faults, files=found.files, faults=faults, more=len(found.faults) - len(faults))

    def _installation(self, name: str, version: str) -> Installation:
        found = self._packs.installation(name, version)
        if found is None:
            raise NotFound(say("no_pack", pack=shorten(f"{name}/{version}")))
        return found


def _installed(pack: InstalledPack, registered: list[Component]) -> PackRow:
    return PackRow(
        name=pack.id.name,
        version=pack.id.version,
        state=PackState.INSTALLED,
        title=pack.title,
        description=pack.description,
        licence=pack.licence,
        digest=pack.digest,
        python=f"{pack.python} ({pack.python_version})" if pack.python else "",
        image=pack.image,
        bytes=pack.size,
        installed_ms=pack.installed_ms,
        installed_by=pack.installed_by,
        components=[f"{one.provider}/{one.name}/{one.version}" for one in registered if belongs_to(one, pack)],
        actions=["remove"],
    )


def _coming(installation: Installation) -> PackRow:
    description = installation.files.description
    return PackRow(
        name=description.id.name,
        version=description.id.version,
        state=installation.state,
        title=description.title,
        description=description.description,
        licence=description.licence,
        error=installation.error,
        said=said(error=installation.error),
        digest=installation.files.digest,
        installed_by=installation.order.by,
        actions=["remove"],
    )
