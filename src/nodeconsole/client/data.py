"""Datasets: the own ones, what is published of them, and those of partners."""

from __future__ import annotations

from embedded_scheduler.wire.console import ConnectorRow, DatasetRequest, DatasetRow, DatasetUsage
from embedded_scheduler.wire.console_grants import PartnerDatasetRow, PublicationRequest, PublicationRow
from nodeconsole.client.calls import Calls, path_of


class DataCalls(Calls):
    async def datasets(self) -> list[DatasetRow]:
        return await self._list(DatasetRow, "/datasets", "datasets")

    async def dataset(self, namespace: str, name: str) -> DatasetRow:
        return await self._get(DatasetRow, path_of("datasets", namespace, name))

    async def add_dataset(self, request: DatasetRequest) -> DatasetRow:
        """Reads the whole source once on the node, so it may take a while."""
        return await self._send(DatasetRow, "POST", "/datasets", request.model_dump(), patient=True)

    async def rescan_dataset(self, namespace: str, name: str) -> DatasetRow:
        """Reads the whole source again on the node, so it may take a while."""
        return await self._send(DatasetRow, "POST", path_of("datasets", namespace, name, "rescan"), {}, patient=True)

    async def dataset_usage(self, namespace: str, name: str) -> DatasetUsage:
        """Which of the newest jobs read it here."""
        return await self._get(DatasetUsage, path_of("datasets", namespace, name, "usage"))

    async def connectors(self) -> list[ConnectorRow]:
        return await self._list(ConnectorRow, "/connectors", "connectors")

    async def remove_dataset(self, namespace: str, name: str) -> None:
        await self._delete(path_of("datasets", namespace, name))

    async def publications(self) -> list[PublicationRow]:
        return await self._list(PublicationRow, "/publications", "publications")

    async def publish(self, namespace: str, name: str, request: PublicationRequest) -> PublicationRow:
        return await self._send(PublicationRow, "PUT", path_of("publications", namespace, name), request.model_dump())

    async def unpublish(self, namespace: str, name: str) -> None:
        await self._delete(path_of("publications", namespace, name))

    async def partner_datasets(self, node_id: str) -> list[PartnerDatasetRow]:
        """What a partner shows this node, asked now."""
        return await self._list(PartnerDatasetRow, path_of("peers", node_id, "datasets"), "datasets")
