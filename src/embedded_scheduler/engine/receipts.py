"""What became of what this node sent: queued, sent, stored by the partner, opened by a person there, decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import AgreementState, ApprovalState
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.messages import queue
from embedded_scheduler.errors import Conflict, NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts, grants, jobs, peers, receipts
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.grants import KINDS, Grant
from embedded_scheduler.store.receipts import DECIDED, OPENED, SentMessage

OPERATION = "message/receipt"
_TELLING_PROFILE = "seed"
"""Other implementations do not know the message."""
_CREATES = frozenset({"job/create", "job/create_all"})
_STORED = "stored"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message and how far it has come; `opened_ms` when somebody at the partner first looked at it."""

    message: SentMessage
    subject: str
    opened_ms: int | None

    @property
    def state(self) -> str:
        return self.message.state


async def listing(engine: Engine, *, node_id: str = "", limit: int = 200) -> list[Receipt]:
    """What was sent to partners (to one), newest first."""

    def look(reader: Reader) -> list[Receipt]:
        return [_receipt(reader, row) for row in receipts.messages(reader, node_id=node_id, limit=limit)]

    return await engine.db.read(look)


async def show(engine: Engine, message_id: int) -> Receipt:
    def look(reader: Reader) -> Receipt:
        return _receipt(reader, get(reader, message_id))

    return await engine.db.read(look)


async def of_grant(engine: Engine, grant: Grant) -> list[Receipt]:
    """The messages about one request, in the order in which they were sent."""

    def look(reader: Reader) -> list[Receipt]:
        keys = (f"{grant.grant_id}/{verb}" for verb in ("apply", "confirm", "terminate"))
        found = (receipts.by_key(reader, key) for key in keys)
        return [_receipt(reader, row) for row in found if row is not None]

    return await engine.db.read(look)


async def resend(engine: Engine, message_id: int) -> Receipt:
    """Send a message now: one that waits for its next try, or one that was refused."""

    def work(tx: Tx) -> None:
        found = get(tx, message_id)
        if not receipts.resend(tx, message_id):
            raise Conflict(say("message_settled", message=message_id, state=found.state))

    await engine.db.write(work)
    engine.wake()
    return await show(engine, message_id)


def get(reader: Reader, message_id: int) -> SentMessage:
    found = receipts.message(reader, message_id)
    if found is None:
        raise NotFound(say("message_unknown", message=message_id))
    return found


def _receipt(reader: Reader, row: SentMessage) -> Receipt:
    subject = row.job_id or _subject(row)
    opened_ms = receipts.noted_ms(reader, row.node_id, _noted_key(row), OPENED)
    state = row.state
    if state == _STORED and _is_decided(reader, row):
        state = DECIDED
    elif state == _STORED and opened_ms is not None:
        state = OPENED
    return Receipt(replace(row, state=state), subject, opened_ms)


def _subject(row: SentMessage) -> str:
    named = row.key.rsplit("/", 1)[0]
    return named if row.operation.split("/", 1)[0] in KINDS else str(row.body.get("contract_id") or named)


def _noted_key(row: SentMessage) -> str:
    return f"job/{row.job_id}" if row.job_id else row.key


def _is_decided(reader: Reader, row: SentMessage) -> bool:
    """Whether the partner has decided about what the message asks."""
    if row.operation in _CREATES:
        found = reader.one("receipts.approval", job_id=row.job_id, node_id=row.node_id)
        return found is not None and found["state"] != ApprovalState.PENDING
    if row.operation.endswith("/audit/apply"):
        grant = grants.get(reader, row.key.removesuffix("/apply"))
        return grant is not None and grant.state is not AgreementState.APPLIED
    if row.operation == "node/contract/apply":
        contract = contracts.get(reader, str(row.body.get("contract_id")))
        return contract is not None and contract.state is not AgreementState.APPLIED
    return False


# -- telling that somebody looked -------------------------------------------------------------------------------------


async def opened(engine: Engine, grant: Grant) -> None:
    """Somebody looks at a partner's request: tell the partner, once, while it waits for a decision."""
    if grant.direction == "in" and grant.state is AgreementState.APPLIED:
        body = {"kind": grant.kind, "audit_id": grant.audit_id, "state": "OPENED"}
        await _tell(engine, grant.node_id, f"{grant.grant_id}/opened", body)


async def job_opened(engine: Engine, job: JobSnapshot) -> None:
    """The same for a job that waits for this node's decision."""
    if job.coordinator != engine.node_id:
        body = {"job_id": job.spec.job_id, "state": "OPENED"}
        await _tell(engine, job.coordinator, f"{job.spec.job_id}/opened", body)


async def _tell(engine: Engine, node_id: str, key: str, body: dict[str, str]) -> None:
    if not engine.settings.approval.send_opened:
        return

    def known(reader: Reader) -> bool:
        return receipts.by_key(reader, key) is not None

    if await engine.db.read(known):
        return

    def work(tx: Tx) -> bool:
        peer = peers.get(tx, node_id)
        if peer is None or peer.profile != _TELLING_PROFILE:
            return False
        return queue(tx, engine, node_id=node_id, operation=OPERATION, body=body, key=key)

    if await engine.db.write(work):
        engine.wake()


async def told(engine: Engine, source: str, *, kind: str, audit_id: str, job_id: str) -> None:
    """A partner tells that somebody there looked at a request or job of this node. `NotFound` for what it never got."""

    def work(tx: Tx) -> None:
        key = _told_key(tx, source, kind, audit_id, job_id)
        if not key:
            raise NotFound(say("nothing_sent", node=shorten(source)))
        receipts.note(tx, source, key, OPENED)

    await engine.db.write(work)


def _told_key(reader: Reader, source: str, kind: str, audit_id: str, job_id: str) -> str:
    if job_id:
        head = jobs.head(reader, job_id)
        nodes = {party.split(":", 1)[1] for party in head.parties} if head is not None else set()
        return f"job/{job_id}" if source in nodes else ""
    for each in KINDS:
        if each == kind:
            grant = grants.find(reader, "out", source, each, audit_id)
            return f"{grant.grant_id}/apply" if grant is not None else ""
    return ""
