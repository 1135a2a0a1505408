"""`/datasets`, `/components`, `/peers`: what this node has and whom it knows."""

from __future__ import annotations

from collections import Counter

from quart import Quart

from embedded_scheduler.api.console import endpoint, views
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.engine import compatibility, providers
from embedded_scheduler.engine import components as component_verbs
from embedded_scheduler.engine import datasets as dataset_verbs
from embedded_scheduler.engine import peers as peer_verbs
from embedded_scheduler.errors import NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import DescribedConnector
from embedded_scheduler.store import components, contracts, datasets, jobs, outbox, peers
from embedded_scheduler.store.components import Component
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.peers import Peer
from embedded_scheduler.wire.console import (
    ChoiceList,
    ChoiceRow,
    ComponentCheck,
    ComponentList,
    ComponentRequest,
    ComponentRow,
    ComponentState,
    ConnectorList,
    ConnectorRow,
    DatasetList,
    DatasetRequest,
    DatasetRow,
    DatasetUsage,
    PartnerComponentList,
    PartnerComponentRow,
    PeerList,
    PeerRequest,
    PeerRow,
    TraitRow,
    said,
)

_DEFAULT_NAMESPACE = "default"
_MOST_USES = 300
"""Of the newest jobs so many are looked at for who reads a dataset."""
_MOST_JOBS = 2000
"""Open jobs that are looked at to say how many each partner shares."""


def install(app: Quart, console: Console) -> None:
    data = Datasets(console)
    endpoint.route(app, "GET", "/datasets", data.all)
    endpoint.route(app, "POST", "/datasets", data.add)
    endpoint.route(app, "GET", "/datasets/<namespace>/<name>", data.show)
    endpoint.route(app, "DELETE", "/datasets/<namespace>/<name>", data.remove)
    endpoint.route(app, "POST", "/datasets/<namespace>/<name>/rescan", data.rescan)
    endpoint.route(app, "GET", "/datasets/<namespace>/<name>/usage", data.usage)
    endpoint.route(app, "GET", "/connectors", data.connectors)
    programs = Components(console)
    endpoint.route(app, "GET", "/components", programs.all)
    endpoint.route(app, "POST", "/components", programs.register)
    endpoint.route(app, "GET", "/components/<provider>/<name>/<version>", programs.show)
    endpoint.route(app, "DELETE", "/components/<provider>/<name>/<version>", programs.remove)
    endpoint.route(app, "POST", "/components/check", programs.check)
    endpoint.route(app, "POST", "/components/<provider>/<name>/<version>/enable", programs.enable)
    endpoint.route(app, "POST", "/components/<provider>/<name>/<version>/disable", programs.disable)
    endpoint.route(app, "GET", "/providers/<name>", programs.choices)
    endpoint.route(app, "GET", "/peers/<node_id>/components", programs.of_partner)
    partners = Peers(console)
    endpoint.route(app, "GET", "/peers", partners.all)
    endpoint.route(app, "POST", "/peers", partners.add)
    endpoint.route(app, "GET", "/peers/<node_id>", partners.show)
    endpoint.route(app, "DELETE", "/peers/<node_id>", partners.remove)


class Datasets:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> DatasetList:
        rows = await self._engine.db.read(datasets.all)
        return DatasetList(datasets=[views.dataset_row(row) for row in rows])

    async def add(self) -> DatasetRow:
        request = await endpoint.body_message(DatasetRequest, self._console.depth)
        row = await dataset_verbs.register(
            self._engine,
            request.name,
            request.namespace or _DEFAULT_NAMESPACE,
            request.connector,
            request.options,
            request.description,
            actor=endpoint.operator(),
        )
        return views.dataset_row(row)

    async def show(self, namespace: str, name: str) -> DatasetRow:
        row = await self._engine.db.read(lambda reader: datasets.get(reader, namespace, name))
        if row is None:
            raise NotFound(say("no_dataset", dataset=shorten(f"{namespace}#{name}")))
        return views.dataset_row(row)

    async def remove(self, namespace: str, name: str) -> None:
        await dataset_verbs.remove(self._engine, namespace, name, actor=endpoint.operator())

    async def rescan(self, namespace: str, name: str) -> DatasetRow:
        row = await dataset_verbs.rescan(self._engine, namespace, name, actor=endpoint.operator())
        return views.dataset_row(row)

    async def usage(self, namespace: str, name: str) -> DatasetUsage:
        """Among the newest jobs."""
        dataset_id, self_node = f"{namespace}#{name}", self._engine.node_id

        def look(reader: Reader) -> DatasetUsage:
            heads = jobs.page(reader, self_node=self_node, limit=_MOST_USES)
            found = list(dataset_verbs.jobs_reading(reader, self_node, dataset_id, heads))
            return DatasetUsage(
                jobs=[
                    views.dataset_job(head, task, jobs.approval_of(reader, head.job_id, self_node))
                    for head, task in found
                ],
                looked_at=len(heads),
                complete=len(heads) < _MOST_USES,
            )

        return await self._engine.db.read(look)

    async def connectors(self) -> ConnectorList:
        rows = await self._engine.db.read(datasets.all)
        used = Counter(row.connector for row in rows)
        known = sorted(self._engine.connectors.items())
        return ConnectorList(
            connectors=[
                ConnectorRow(
                    name=name,
                    options=dict(one.options_schema) if isinstance(one, DescribedConnector) else {},
                    datasets=used[name],
                )
                for name, one in known
            ]
        )


class Components:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> ComponentList:
        rows = await self._engine.db.read(components.all)
        return ComponentList(components=[self._row(row) for row in rows])

    async def register(self) -> ComponentRow:
        request = await endpoint.body_message(ComponentRequest, self._console.depth)
        row = await component_verbs.register(
            self._engine,
            request.imageUrl,
            request.component_info,
            actor=endpoint.operator(),
            runner=request.runner,
        )
        return self._row(row)

    async def show(self, provider: str, name: str, version: str) -> ComponentRow:
        row = await self._engine.db.read(lambda reader: components.get(reader, provider, name, version))
        if row is None:
            raise NotFound(say("no_component", component=shorten(f"{provider}/{name}/{version}")))
        shown = self._row(row)
        shown.manifest = row.manifest
        return shown

    async def remove(self, provider: str, name: str, version: str) -> None:
        await component_verbs.remove(self._engine, provider, name, version, actor=endpoint.operator())

    async def check(self) -> ComponentCheck:
        """Register, but for storing it."""
        request = await endpoint.body_message(ComponentRequest, self._console.depth)
        found = await component_verbs.inspect(
            self._engine,
            request.imageUrl,
            request.component_info,
            actor=endpoint.operator(),
            runner=request.runner,
        )
        return ComponentCheck(
            component=self._row(found.component),
            replaces=found.before is not None and not found.unchanged,
            unchanged=found.unchanged,
        )

    async def enable(self, provider: str, name: str, version: str) -> ComponentRow:
        return await self._set_enabled(provider, name, version, enabled=True)

    async def disable(self, provider: str, name: str, version: str) -> ComponentRow:
        return await self._set_enabled(provider, name, version, enabled=False)

    async def _set_enabled(self, provider: str, name: str, version: str, *, enabled: bool) -> ComponentRow:
        request = await endpoint.body_message(ComponentState, self._console.depth)
        row = await component_verbs.set_enabled(
            self._engine,
            provider,
            name,
            version,
            enabled=enabled,
            reason=request.reason,
            actor=endpoint.operator(),
        )
        return self._row(row)

    async def choices(self, name: str) -> ChoiceList:
        """The query is what stands in the form."""
        offers = await providers.choices(self._engine, name, endpoint.query_texts())
        return ChoiceList(choices=[ChoiceRow(value=offer.value, label=offer.label) for offer in offers])

    async def of_partner(self, node_id: str) -> PartnerComponentList:
        """Asked now; nothing of it is kept."""
        found = await compatibility.partner_components(self._engine, node_id)
        return PartnerComponentList(
            components=[PartnerComponentRow(code=one.code, version=one.version, provider=one.provider) for one in found]
        )

    def _row(self, component: Component) -> ComponentRow:
        """Without the self-description, which may be long."""
        why_not = component_verbs.refusal(component, self._engine.placement) if component.image_url else ""
        return views.component_row(component, parse_manifest(component.manifest), why_not)


class Peers:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> PeerList:
        return PeerList(peers=await self._engine.db.read(self._rows))

    async def add(self) -> PeerRow:
        request = await endpoint.body_message(PeerRequest, self._console.depth)
        await peer_verbs.add(
            self._engine,
            request.node_id,
            request.url,
            request.profile,
            request.approval,
            request.options,
            actor=endpoint.operator(),
            signing=request.signing,
            tls=request.tls,
        )
        return await self.show(request.node_id)

    async def show(self, node_id: str) -> PeerRow:
        rows = await self._engine.db.read(self._rows)
        row = next((row for row in rows if row.node_id == node_id), None)
        if row is None:
            raise NotFound(say("not_a_partner", node=shorten(node_id)))
        traits = self._engine.directory.described(node_id)
        row.traits = [
            TraitRow(name=name, value=value, own=name in row.options) for name, value in sorted(traits.items())
        ]
        return row

    async def remove(self, node_id: str) -> None:
        await peer_verbs.remove(self._engine, node_id, actor=endpoint.operator())

    def _rows(self, reader: Reader) -> list[PeerRow]:
        waiting, agreed = outbox.undelivered_by_target(reader), contracts.standing(reader)
        shared = jobs.open_by_node(reader, _MOST_JOBS)
        return [
            self._row(
                row, waiting.get(row.node_id, 0), agreed.get(row.node_id, ""), open_jobs=shared.get(row.node_id, 0)
            )
            for row in peers.all(reader)
        ]

    def _row(self, peer: Peer, undelivered: int, contract: str, *, open_jobs: int) -> PeerRow:
        contact = self._console.contacts.of(peer.node_id)
        return PeerRow(
            node_id=peer.node_id,
            url=peer.url,
            profile=peer.profile,
            approval=peer.approval,
            options=peer.options,
            registered_ms=peer.registered_ms,
            last_ok_ms=contact.last_ok_ms,
            last_error=str(contact.last_error),
            said=said(last_error=contact.last_error),
            last_error_ms=contact.last_error_ms,
            took_ms=contact.took_ms,
            undelivered=undelivered,
            contract=contract,
            signing=peer.signing,
            tls=peer.tls,
            open_jobs=open_jobs,
            actions=["change", "test", *([] if contract == AgreementState.APPROVED else ["remove"])],
        )
