"""Keeps TLS up to date while connections are open: with the contracts, with our certificate's files, and with dates."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from embedded_scheduler.clock import DAY_MS, Clock
from embedded_scheduler.config import Settings
from embedded_scheduler.diagnosis import certificate_findings
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.home import Home
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Directory
from embedded_scheduler.security.tls import ServerTls
from embedded_scheduler.store import contracts
from embedded_scheduler.store.database import Database

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Renewal:
    """`engine.supervisor.Service`. Certificate files are looked at every few seconds, dates once a day."""

    name = "certificates"

    def __init__(
        self,
        tls: ServerTls | None,
        directory: Directory,
        clients: Sequence[Clients],
        route: Callable[[], Route],
        *,
        home: Home,
        settings: Settings,
        database: Database,
        clock: Clock,
    ) -> None:
        """`tls` is the partner listener's, None for plain HTTP; `route` tells the present way out of this node."""
        self._tls = tls
        self._directory = directory
        self._clients = clients
        self._route = route
        self._home = home
        self._settings = settings
        self._database = database
        self._clock = clock
        self._seen = self._stamps()
        self._warned_day = -1
        directory.on_refresh = self.follow_contracts
        self.follow_contracts()

    def follow_contracts(self) -> None:
        """Let in the certificates of the contracts as they are now, and no others."""
        if self._tls is None:
            return
        try:
            self._tls.renew(self._directory.handshakes)
        except InvalidRequest as error:
            _LOG.error("TLS goes on as it was: %s", error.message)

    async def run(self) -> None:
        while True:
            self.look()
            await self.warn()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Take up certificate files that were replaced; until they can be used, those of before stay in force."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            if self._tls is not None:
                self._tls.renew()
            for clients in self._clients:
                clients.renew(self._route())
        except InvalidRequest as error:
            # Key and certificate are replaced one after the other: the next look finds both.
            _LOG.warning("the new certificate is not used yet: %s", error.message)
            return
        self._seen = stamps
        _LOG.info("TLS uses the certificate files as they are now")

    async def warn(self) -> None:
        """Say once a day what ends soon."""
        day = self._clock.now_ms() // DAY_MS
        if day == self._warned_day:
            return
        self._warned_day = day
        agreed = await self._database.read(contracts.all)
        found = await asyncio.to_thread(
            lambda: list(certificate_findings(self._home, self._settings, agreed, self._clock.now_ms()))
        )
        for finding in found:
            if finding.level != "ok":
                _LOG.warning("%s: %s", finding.text, finding.fix)

    def _stamps(self) -> tuple[object, ...]:
        own = self._route().pair
        pairs = (self._tls.pair if self._tls is not None else None, own)
        return tuple(pair.stamp() for pair in pairs if pair is not None)
