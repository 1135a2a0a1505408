"""The decision card of a job: who asks and how that is known, what runs, which of our data, what is new about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from embedded_scheduler.domain.comparison import named_columns
from embedded_scheduler.domain.environment import source_dataset
from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.resemblance import resembles
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine import components, creation, precedents
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.precedents import Precedent as Compared
from embedded_scheduler.engine.precedents import Record
from embedded_scheduler.security.identity import certificate_facts
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import contracts, datasets, grants, jobs, peers, permits, publications
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import (
    Asker,
    Changed,
    Cover,
    DataUse,
    DecisionCard,
    JobDifference,
    Part,
    Precedent,
    TrackRecord,
    said,
)

_MOST_CHANGES = 200


async def card(engine: Engine, s: JobSnapshot) -> DecisionCard:
    """The card of a job that waits for this node's decision."""
    problems = await creation.own_problems(engine, s.spec)
    return await engine.db.read(lambda reader: _card(reader, s, problems))


def difference(spec: JobSpec, compared: Compared | None, record: Record) -> JobDifference:
    return JobDifference(
        job_id=spec.job_id,
        precedent=_precedent(compared) if compared is not None else None,
        record=TrackRecord(
            since_ms=record.since_ms,
            approved=record.approved,
            rejected=record.rejected,
            same_flow=record.same_flow,
            last_approved_ms=record.last_approved_ms,
            complete=record.complete,
        ),
    )


def _precedent(compared: Compared) -> Precedent:
    changes = [
        Changed(aspect=one.aspect.value, name=one.name, where=one.where, before=one.before, after=one.after)
        for one in compared.differences[:_MOST_CHANGES]
    ]
    return Precedent(
        other=compared.spec.job_id,
        decided_ms=compared.decided_ms,
        decided_by=compared.decided_by,
        changes=changes,
        more=len(compared.differences) - len(changes),
    )


def _card(reader: Reader, s: JobSnapshot, problems: list[Words]) -> DecisionCard:
    spec, own = s.spec, [party for party in s.spec.parties if party.node_id == s.self_node]
    compared, record = precedents.of_job(reader, s.self_node, spec)
    driver = s.coordinator if s.coordinator not in (spec.initiator, s.self_node) else ""
    return DecisionCard(
        asker=_asker(reader, s.self_node, spec.initiator),
        coordinator=_asker(reader, s.self_node, driver) if driver else None,
        our_roles=[party.key for party in own],
        parts=_parts(reader, spec, own, compared),
        data=_data_uses(reader, spec, own, {s.coordinator, spec.initiator}),
        problems=list(map(str, problems)),
        said=said(problems=problems),
        difference=difference(spec, compared, record),
        running=jobs.open_count(reader),
        resources=_resources(spec, own),
    )


def _asker(reader: Reader, self_node: str, node_id: str) -> Asker:
    """What this node can prove about another one; about itself there is nothing to prove."""
    if node_id == self_node:
        return Asker(node_id=node_id)
    peer, agreed = peers.get(reader, node_id), _that_counts(contracts.of_node(reader, node_id))
    others = [self_node, *(row.node_id for row in peers.all(reader))]
    shown = Asker(
        node_id=node_id,
        signing=peer.signing if peer is not None else "",
        resembles=resembles(node_id, (other for other in others if other != node_id)),
    )
    if agreed is not None:
        shown.institution = agreed.institution
        shown.fingerprint = agreed.fingerprint
        shown.contract = agreed.state.value
        shown.contract_since_ms = agreed.since_ms
        if agreed.auth_type == CERT:
            shown.certificate_ends_ms = certificate_facts(agreed.auth_credential).not_after_ms
    return shown


def _that_counts(rows: Sequence[Contract]) -> Contract | None:
    """The contract in force, else the newest."""
    in_force = [row for row in rows if row.state is AgreementState.APPROVED]
    return max(in_force or rows, key=lambda row: row.created_ms, default=None)


def _parts(reader: Reader, spec: JobSpec, own: Sequence[Party], compared: Compared | None) -> list[Part]:
    before = {_identity(node.component) for node in compared.spec.flow.nodes} if compared is not None else None
    parts = []
    for name in spec.flow.order:
        ref = spec.flow.node(name).component
        leaves = components.disclosures(reader, ref)
        ours = any(party in own for party in spec.parties_of(name))
        shown = (leaves or []) if ours else []
        parts.append(
            Part(
                task=name,
                provider=ref.provider,
                name=ref.name or ref.code,
                version=ref.version,
                ours=ours,
                known=leaves is not None,
                new=before is not None and _identity(ref) not in before,
                leaves=list(map(str, shown)),
                said=said(leaves=shown),
            )
        )
    return parts


def _identity(ref: ComponentRef) -> tuple[str, str]:
    """Partners may leave the provider out; a component is the same by name and version."""
    return ref.name or ref.code, ref.version


def _data_uses(reader: Reader, spec: JobSpec, own: Collection[Party], callers: Collection[str]) -> list[DataUse]:
    uses = []
    for name in spec.flow.order:
        for party in spec.parties_of(name):
            address = source_dataset(spec, name, party) if party in own else None
            if address is None:
                continue
            dataset = datasets.get(reader, address.namespace, address.name)
            columns = [column.name for column in dataset.columns] if dataset else []
            published = publications.get(reader, address.namespace, address.name)
            note: Words = dataset.description if dataset else say("dataset_not_here")
            uses.append(
                DataUse(
                    task=name,
                    dataset=address.dataset_id,
                    columns=columns,
                    named=list(named_columns(spec, name, party, columns)),
                    rows=dataset.rows if dataset else None,
                    found=dataset is not None,
                    note=note,
                    said=said(note=note),
                    access=published.access if published is not None else "",
                    covered_by=_covers(reader, address.dataset_id, spec.job_id, callers),
                )
            )
    return uses


def _covers(reader: Reader, dataset_id: str, job_id: str, callers: Collection[str]) -> list[Cover]:
    """The grants in force of a dataset for whoever asks for the job."""
    found = []
    for grant in grants.of_resource(reader, "dataset", dataset_id):
        if grant.direction != "in" or grant.state is not AgreementState.APPROVED or grant.node_id not in callers:
            continue
        permit = permits.get(reader, grant.grant_id)
        if permit is None or (permit.time_limit_ms is not None and permit.time_limit_ms <= reader.now_ms):
            continue
        found.append(
            Cover(
                grant_id=grant.grant_id,
                node_id=grant.node_id,
                until_ms=permit.time_limit_ms,
                times=permit.times_limit,
                used=permit.used,
                counted=any(use.job_id == job_id for use in permits.uses(reader, grant.grant_id)),
            )
        )
    return found


def _resources(spec: JobSpec, own: Sequence[Party]) -> dict[str, float]:
    """The largest demand of our parties, per kind; -1 (no limit) asks for nothing."""
    asked: dict[str, float] = {}
    for party in own:
        for kind, value in spec.resources(party).items():
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                asked[kind] = max(asked.get(kind, 0.0), float(value))
    return asked
