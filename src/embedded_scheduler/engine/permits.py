"""Permits at work: issuing them, sending them along with jobs, and checking them when a job is created here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from embedded_scheduler.domain.environment import source_dataset
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.permit import Permit, resource_name
from embedded_scheduler.engine import datasets
from embedded_scheduler.engine.agreements import has_contract
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Outgoing
from embedded_scheduler.errors import InvalidRequest, Refused
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import grants, jobs, permits, publications
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.grants import Grant
from embedded_scheduler.store.outbox import OutboxRow
from embedded_scheduler.store.permits import StoredPermit
from embedded_scheduler.store.receipts import SentMessage

CARRYING = frozenset({"job/create", "job/create_all"})
"""Calls that show permits."""
MOST_SHOWN = 32
MOST_CARRIED = 256
NEEDS_PERMIT = "permit"
_TOKEN = b"permit\n"


def token_of(secret: bytes, grant_id: str) -> str:
    """The token of the permit that an approved request gives: derived, so that a confirmation that is sent again holds
    the same one and no copy of it has to be kept. 43 characters of base64url's alphabet."""
    digest = hmac.new(secret, _TOKEN + grant_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# -- the user's side --------------------------------------------------------------------------------------------------


async def outgoing(engine: Engine, row: OutboxRow | SentMessage) -> Outgoing:
    """A row of the outbox as it is sent: with the permits it shows, and the token of a permit it gives, neither of
    which is stored with it."""
    shown: tuple[Permit, ...] = ()
    if row.operation in CARRYING:
        shown = await engine.db.read(
            lambda reader: to_show(reader, engine.node_id, row.operation, row.target, row.job_id)
        )
    body = _with_token(engine.attempt_secret, row) if row.operation.endswith("/audit/confirm") else row.body
    return Outgoing(row.target, row.operation, body, row.nonce, row.trace_id, shown)


def _with_token(secret: bytes, row: OutboxRow | SentMessage) -> dict[str, Any]:
    permit = row.body.get("resource_permit")
    if not isinstance(permit, dict):
        return row.body
    complete = {"token": token_of(secret, row.key.removesuffix("/confirm")), **permit}
    # The tables give the member as a string for these two.
    as_text = row.operation.split("/", 1)[0] in ("job", "model")
    return {**row.body, "resource_permit": json.dumps(complete) if as_text else complete}


def to_show(reader: Reader, self_node: str, operation: str, target: str, job_id: str) -> tuple[Permit, ...]:
    """The permits that a call shows, the highest level first.

    A participant gets those for its own datasets; the coordinator all that the job needs, since it is the one who
    creates the job at the participants.
    """
    if operation not in CARRYING:
        return ()
    spec = jobs.spec(reader, job_id)
    if spec is None:
        return ()
    holders = {target} if operation == "job/create" else set(spec.nodes) - {self_node}
    own = [permit for node in sorted(holders) for permit in _held(reader, spec, node)]
    carried = [p for p in permits.carried(reader, job_id) if p.resource.partition(":")[0] in holders]
    unique = {permit.token: permit for permit in (*own, *carried)}
    return tuple(sorted(unique.values(), key=_level, reverse=True)[:MOST_SHOWN])


def _held(reader: Reader, spec: JobSpec, node_id: str) -> Iterator[Permit]:
    for dataset_id in _datasets_of(spec, node_id):
        for permit in permits.held(reader, node_id, dataset_id, reader.now_ms):
            yield Permit(resource_name(node_id, dataset_id), str(permit.level), permit.token)


def _datasets_of(spec: JobSpec, node_id: str) -> list[str]:
    """The datasets of one node that a job reads, each once."""
    found = (
        source_dataset(spec, task, party)
        for task in spec.flow.order
        for party in spec.parties_of(task)
        if party.node_id == node_id
    )
    return list(dict.fromkeys(address.dataset_id for address in found if address is not None))


def _level(permit: Permit) -> int:
    return int(permit.level) if permit.level.lstrip("-").isdecimal() and len(permit.level) < 12 else 0


def keep(tx: Tx, self_node: str, spec: JobSpec, shown: Iterable[Permit]) -> None:
    """Keep the permits that came with a job for those participants that issued them."""
    others = set(spec.nodes) - {self_node}
    fitting = (permit for permit in shown if permit.resource.partition(":")[0] in others)
    for _, permit in zip(range(MOST_CARRIED), fitting, strict=False):
        permits.carry(tx, spec.job_id, permit)


# -- the holder's side ------------------------------------------------------------------------------------------------


def check(tx: Tx, self_node: str, spec: JobSpec, callers: Collection[str], shown: Sequence[Permit]) -> None:
    """Let a partner's job use those datasets of ours that need a permit, and count it; `Refused` names the dataset.

    `callers` are the coordinator and the initiator: one of them must be whom the permit was given to. Counted once per
    job, in the transaction that stores it.
    """
    if spec.initiator == self_node:
        return
    for dataset_id in _own_datasets(tx, self_node, spec):
        if _needs_permit(tx, dataset_id):
            valid = _valid(tx, spec.job_id, dataset_id, callers, shown)
            permits.use(tx, valid.grant_id, spec.job_id)


async def permitted(
    engine: Engine, spec: JobSpec, callers: Collection[str], shown: Sequence[Permit]
) -> tuple[str, ...]:
    """Those of our datasets for which a job shows a permit that counts."""
    if not shown:
        return ()

    def look(reader: Reader) -> tuple[str, ...]:
        used = _own_datasets(reader, engine.node_id, spec)
        return tuple(
            dataset_id for dataset_id in used if _is_permitted(reader, spec.job_id, dataset_id, callers, shown)
        )

    return await engine.db.read(look)


def _own_datasets(reader: Reader, self_node: str, spec: JobSpec) -> list[str]:
    own = [party for party in spec.parties if party.node_id == self_node]
    return list(dict.fromkeys(use.dataset_id for use in datasets.uses(reader, spec, own) if use.found))


def _needs_permit(reader: Reader, dataset_id: str) -> bool:
    namespace, _, name = dataset_id.partition("#")
    published = publications.get(reader, namespace, name)
    return published is not None and published.access == NEEDS_PERMIT


def _is_permitted(
    reader: Reader, job_id: str, dataset_id: str, callers: Collection[str], shown: Sequence[Permit]
) -> bool:
    try:
        _valid(reader, job_id, dataset_id, callers, shown)
    except Refused:
        return False
    return True


def _valid(
    reader: Reader, job_id: str, dataset_id: str, callers: Collection[str], shown: Sequence[Permit]
) -> StoredPermit:
    """The first of the shown permits that counts for a dataset; `Refused` says what is wrong with the others."""
    faults = []
    for permit in shown:
        stored = permits.issued(reader, permit.token)
        if stored is None or stored.resource_id != dataset_id or stored.resource_type != "DATASET":
            continue
        fault = _fault(reader, stored, job_id, callers)
        if not fault:
            return stored
        faults.append(fault)
    why = faults[0] if faults else say("permit_none")
    raise Refused(say("permit_needed", dataset=shorten(dataset_id), why=why))


def _fault(reader: Reader, permit: StoredPermit, job_id: str, callers: Collection[str]) -> Words:
    """Why a permit does not count, as a sentence about it; empty = it does."""
    if permit.request_node_id not in callers:
        return say("permit_of_other")
    if permit.grant_state != AgreementState.APPROVED:
        return say("permit_revoked")
    if not has_contract(reader, permit.request_node_id):
        return say("permit_contract_ended", node=permit.request_node_id)
    if permit.time_limit_ms is not None and reader.now_ms >= permit.time_limit_ms:
        return say("permit_expired")
    spent = permit.times_limit is not None and permit.used >= permit.times_limit
    if spent and job_id not in {use.job_id for use in permits.uses(reader, permit.grant_id)}:
        return say("permit_used", count=permit.times_limit or 0)
    return ""


# -- jobs approved before they come -----------------------------------------------------------------------------------


def decided_before(reader: Reader, spec: JobSpec, coordinator: str) -> Words:
    """Why a job is approved at once because its request was (job/audit/apply), or empty. `Refused` when it was not.

    Only the very job that was looked at: another flow or configuration under its id is decided anew.
    """
    for grant in grants.of_resource(reader, "job", spec.job_id):
        if grant.direction != "in" or grant.node_id not in (coordinator, spec.initiator):
            continue
        if not is_request_for(grant, spec):
            continue
        if grant.state is AgreementState.APPROVED:
            who = grant.decided_by.removeprefix("operator:")
            return say("approved_before", who=who, grant=grant.grant_id)
        if grant.state is AgreementState.REJECTED:
            raise Refused(grant.reason or say("refused_when_asked"))
    return ""


def is_request_for(grant: Grant, spec: JobSpec) -> bool:
    """Whether what was asked for is this job, to the last parameter."""
    body = grant.body
    document = {"flow_id": body.get("flow_id"), "dag": body.get("dag"), "config": body.get("conf")}
    try:
        return parse_job(spec.job_id, document).digest == spec.digest
    except InvalidRequest:
        return False
