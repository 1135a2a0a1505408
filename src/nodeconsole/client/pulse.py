"""How the node is: its events and its ledger, counts, resources, what needs a person."""

from __future__ import annotations

from collections.abc import Mapping

from embedded_scheduler.wire.console import DoctorReport, EventPage, LedgerReport, NodeStatus
from embedded_scheduler.wire.console_pulse import AttentionList, LedgerPage, Overview, ResourceReport, Statistics
from embedded_scheduler.wire.console_space import SpaceReport
from nodeconsole.client.calls import Calls
from nodeconsole.client.stream import ByteStream, PageStream


class PulseCalls(Calls):
    async def status(self) -> NodeStatus:
        return await self._get(NodeStatus, "/status")

    def events(self, after: int = 0) -> PageStream[EventPage]:
        """Every event after `after`, old ones first, then as they happen; ends only when the node stops."""
        return self._pages(EventPage, "/events/stream", {"after": after})

    async def event_page(self, after: int = 0, *, limit: int = 200, job_id: str | None = None) -> EventPage:
        return await self._get(EventPage, "/events", {"after": after, "limit": limit, "job_id": job_id})

    async def doctor(self) -> DoctorReport:
        return await self._get(DoctorReport, "/doctor", patient=True)

    async def space(self, *, limit: int = 20) -> SpaceReport:
        """What the node stores, as of some seconds ago; so many of the largest jobs and datasets."""
        return await self._get(SpaceReport, "/space", {"limit": limit}, patient=True)

    async def statistics(self, *, hours: int = 24) -> Statistics:
        """Counted at most every few seconds, however often it is asked."""
        return await self._get(Statistics, "/statistics", {"hours": hours})

    async def overview(self, *, hours: int = 24) -> Overview:
        """What the home screen shows."""
        return await self._get(Overview, "/overview", {"hours": hours})

    async def resources(self, *, after: int = 0) -> ResourceReport:
        """Samples younger than `after` (epoch ms). Asking keeps the node sampling for some seconds: ask only while
        somebody looks."""
        return await self._get(ResourceReport, "/resources", {"after": after})

    async def attention(self) -> AttentionList:
        """What needs a person, the most urgent first."""
        return await self._get(AttentionList, "/attention")

    async def ledger(
        self, *, before: int | None = None, limit: int = 200, filters: Mapping[str, str | int] | None = None
    ) -> LedgerPage:
        """Newest first. `filters`: actor, subject, event, partner, job_id, since_ms, until_ms."""
        return await self._get(LedgerPage, "/ledger", {"before": before, "limit": limit, **(filters or {})})

    async def ledger_verify(self) -> LedgerReport:
        """Reads the whole ledger on the node, so it may take a while."""
        return await self._get(LedgerReport, "/ledger/verify", patient=True)

    def ledger_export(self) -> ByteStream:
        """The ledger as NDJSON, in pieces of any size."""
        return self._stream("/ledger/export", {})
