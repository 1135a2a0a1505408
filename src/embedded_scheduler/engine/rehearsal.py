"""What would become of a job that is not submitted yet: the checks of its creation, and what partners say they have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.policy import Action
from embedded_scheduler.engine import creation, trials
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.errors import NodeError, Unavailable

_JOB_ID = "rehearsal"
_ASKING_SECONDS = 3.0
_MOST_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class PartnerComponent:
    """One component that a partner says it has."""

    code: str
    version: str
    provider: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`problems`: it would be refused, or could not run here; `warnings`: what may turn out wrong later."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    coordinator: str = ""


async def rehearse(engine: Engine, document: Mapping[str, Any]) -> Rehearsal:
    """Check a job as its submission would, without storing, counting or sending it. Partners are asked what components
    they have, where their protocol has a question for that."""
    try:
        spec, coordinator = await creation.plan(engine, _JOB_ID, document)
        ruling, problems = await trials.try_document(engine, spec.document, text=None, coordinator=coordinator)
    except NodeError as error:
        return Rehearsal((error.message,))
    refused = (ruling.note,) if ruling.action is Action.REFUSE else ()
    partners = [node for node in spec.nodes if node != engine.node_id]
    said = await asyncio.gather(*(_missing(engine, spec, node) for node in partners))
    warnings = (*spec.flow.warnings, *(sentence for found in said for sentence in found))
    return Rehearsal((*problems, *refused), warnings, coordinator)


async def partner_components(engine: Engine, node_id: str) -> list[PartnerComponent]:
    """What a partner says it has, asked now (management layer §4.1). `Unavailable` says why it cannot be known."""
    contract = await engine.db.read(lambda reader: contract_with(reader, node_id))
    body = {"contract_id": contract.contract_id, "page_num": 1, "page_size": -1}
    call = Outgoing(node_id, "component/list", body, engine.mint.nonce(), engine.mint.nonce())
    try:
        async with asyncio.timeout(_ASKING_SECONDS):
            reply = await engine.gateway.call(call)
    except TimeoutError:
        raise Unavailable(f"{node_id} did not answer component/list within {_ASKING_SECONDS:g} s") from None
    if reply.delivery is not Delivery.OK:
        raise Unavailable(reply.error)
    records = reply.data.get("records")
    if not isinstance(records, list):
        raise Unavailable(f"{node_id} answered component/list unreadably")
    return [
        PartnerComponent(_text(record, "code"), _text(record, "version"), _text(record, "developer"))
        for record in records[:_MOST_RECORDS]
        if isinstance(record, Mapping)
    ]


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


async def _missing(engine: Engine, spec: JobSpec, node_id: str) -> list[str]:
    """Sentences about components that a partner would need and does not list."""
    try:
        listed = await partner_components(engine, node_id)
    except NodeError as error:
        return [f"what {node_id} has is not known: {error.message}"]
    return [
        f"{name}: {node_id} lists no component {' '.join(filter(None, (ref.provider, ref.name, ref.version)))}"
        for name in spec.flow.order
        if any(party.node_id == node_id for party in spec.parties_of(name))
        and not _lists(listed, ref := spec.flow.node(name).component)
    ]


def _lists(listed: Sequence[PartnerComponent], ref: ComponentRef) -> bool:
    return any(
        one.code in (ref.code, ref.name)
        and one.version in ("", ref.version or one.version)
        and (not ref.provider or one.provider in ("", ref.provider))
        for one in listed
    )
