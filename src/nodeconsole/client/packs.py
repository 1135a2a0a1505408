"""Component packs."""

from __future__ import annotations

import base64

from embedded_scheduler.wire.console_packs import PackProgress, PackRequest, PackRow, PackVerification
from nodeconsole.client.calls import Calls, path_of

_WAIT_S = 10


class PackCalls(Calls):
    async def packs(self) -> list[PackRow]:
        return await self._list(PackRow, "/packs", "packs")

    async def install_pack(self, archive: bytes, *, python: str = "", index_url: str = "", wheels: str = "") -> PackRow:
        """Begin; `pack_progress` tells how it goes. A pack that is installed already is answered with at once."""
        content = base64.b64encode(archive).decode()
        request = PackRequest(archive=content, python=python, index_url=index_url, wheels=wheels)
        return await self._send(PackRow, "POST", "/packs", request.model_dump(), patient=True)

    async def pack(self, name: str, version: str) -> PackRow:
        return await self._get(PackRow, path_of("packs", name, version))

    async def pack_progress(self, name: str, version: str, after: int) -> PackProgress:
        """The lines after so many; answers when there is news, or after ten seconds."""
        query = {"after": after, "wait": _WAIT_S}
        return await self._get(PackProgress, path_of("packs", name, version, "progress"), query, patient=True)

    async def verify_pack(self, name: str, version: str) -> PackVerification:
        """Reads every file of it."""
        return await self._get(PackVerification, path_of("packs", name, version, "verification"), patient=True)

    async def remove_pack(self, name: str, version: str) -> None:
        """Also ends an installation that is under way."""
        await self._delete(path_of("packs", name, version))
