"""A new key for this node, without losing a partner.

1. The new key and certificate are made beside the present ones.
2. Every partner with a contract is told by `node/update`, signed with the present key, again until it answers.
   From then on it accepts both keys until its overlap ends.
3. When all have acknowledged (or an operator forces it) the node switches, for signatures and TLS at once.
4. The key before stays as `signing.key.old` for the overlap: it signs what partners that were away have to be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.engine import messages
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import identity_of, introduction, own_address
from embedded_scheduler.errors import Conflict, NodeError
from embedded_scheduler.security import identity as files
from embedded_scheduler.security.identity import Identity, certificate_facts
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts, ledger, outbox
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx

_LOG = logging.getLogger(__name__)

WAKEUP = "rotation"
UPDATE = "node/update"
_EVERY = 3600.0
_ROTATED = "identity.rotated"
_CLOCK_MS = 60_000
"""By so much the clock may have been set back between the switch and its record."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Fingerprints, empty when there is none; `waiting_for` are partners that do not know the newest key."""

    next_fingerprint: str
    waiting_for: Sequence[str]
    previous_fingerprint: str


async def standing(engine: Engine) -> Standing:
    identity = identity_of(engine)
    following = await asyncio.to_thread(files.load_next, identity)
    before = await asyncio.to_thread(files.load_old, identity)
    waiting = await engine.db.read(lambda reader: _waiting(reader, following))
    return Standing(
        following.fingerprint if following else "", waiting, before.fingerprint if before is not None else ""
    )


async def rotate(engine: Engine, *, force: bool, actor: str) -> None:
    """Begin a rotation, or go on with the one under way; `force` switches although partners have not answered."""
    identity = identity_of(engine)
    if await asyncio.to_thread(files.load_next, identity) is None:
        await _check_announced(engine)
        institution = engine.settings.inst_name
        await asyncio.to_thread(files.prepare_next, identity, engine.node_id, institution)
    await _announce(engine, actor)
    await _switch_if_known(engine, force=force, actor=actor)


async def import_certificate(engine: Engine, pem: str, *, actor: str) -> None:
    """Use a certificate that a CA made for the present key, once the partners know it."""
    identity = identity_of(engine)
    if await asyncio.to_thread(files.load_next, identity) is not None:
        raise Conflict(say("rotation_under_way"))
    await _check_announced(engine)
    await asyncio.to_thread(files.prepare_certificate, identity, pem)
    await _announce(engine, actor)
    await _switch_if_known(engine, force=False, actor=actor)


async def _check_announced(engine: Engine) -> None:
    """A partner that misses two keys could not be told of the second."""
    waiting = await engine.db.read(lambda reader: _waiting(reader, None))
    if waiting:
        raise Conflict(say("rotation_not_reached", nodes=", ".join(waiting)))


async def _announce(engine: Engine, actor: str) -> None:
    following = await asyncio.to_thread(files.load_next, identity_of(engine))
    assert following is not None
    about = introduction(engine.settings, own_address(engine.settings))

    def work(tx: Tx) -> None:
        fresh = False
        for contract in _partners(tx):
            if contract.side == "manual":
                continue
            body = {
                "contract_id": contract.contract_id,
                **about.particulars(),
                "auth_type": CERT,
                "auth_credential": following.certificate,
            }
            key = _key(contract.contract_id, following)
            tries = [row for row in outbox.for_job(tx, messages.NO_JOB) if row.key.startswith(key)]
            if any(row.state in ("waiting", "acknowledged") for row in tries):
                continue
            key = f"{key}/{len(tries)}"
            fresh |= messages.queue(tx, engine, node_id=contract.node_id, operation=UPDATE, body=body, key=key)
        if fresh:
            ledger.append(
                tx,
                subject="identity",
                subject_id=engine.node_id,
                event="identity.announced",
                actor=actor,
                data={"before": identity_of(engine).fingerprint, "after": following.fingerprint},
            )

    await engine.db.write(work)
    engine.wake()


def _key(contract_id: str, following: Identity) -> str:
    return f"{UPDATE}/{contract_id}/{certificate_facts(following.certificate).digest[:16]}"


def _partners(reader: Reader) -> list[Contract]:
    return [row for row in contracts.all(reader) if row.state is AgreementState.APPROVED]


def _waiting(reader: Reader, following: Identity | None) -> list[str]:
    """Partners that do not know a key yet: of the rotation under way (`following`), or the present one of the last.

    One that refused to hear of it does not know it, and one whose contract was made by hand is told by its operator.
    """
    if following is None:
        return sorted({row.target for row in outbox.waiting_messages(reader) if row.operation == UPDATE})
    told = {row.key.rsplit("/", 1)[0] for row in outbox.for_job(reader, messages.NO_JOB) if row.state == "acknowledged"}
    return sorted(row.node_id for row in _partners(reader) if _key(row.contract_id, following) not in told)


async def _switch_if_known(engine: Engine, *, force: bool, actor: str) -> None:
    identity = identity_of(engine)
    following = await asyncio.to_thread(files.load_next, identity)
    if following is None:
        return
    waiting = await engine.db.read(lambda reader: _waiting(reader, following))
    if waiting and not force:
        return
    now = await asyncio.to_thread(files.put_next_into_use, identity)
    engine.identity = now
    engine.on_identity(now, await asyncio.to_thread(files.load_old, now))
    _LOG.warning("this node's key is now %s, before it was %s", now.fingerprint, identity.fingerprint)
    await engine.db.write(lambda tx: _record(tx, engine.node_id, identity, now, waiting, actor))


def _record(tx: Tx, node_id: str, before: Identity, after: Identity, not_told: Sequence[str], actor: str) -> None:
    ledger.append(
        tx,
        subject="identity",
        subject_id=node_id,
        event=_ROTATED,
        actor=actor,
        data={"before": before.fingerprint, "after": after.fingerprint, "not_told": list(not_told)},
    )


def _is_recorded(reader: Reader, identity: Identity, since_ms: int) -> bool:
    wanted = ledger.Wanted(event=_ROTATED, since_ms=since_ms)
    before: int | None = ledger.FAR
    while before is not None:
        records, before = ledger.newest(reader, wanted, before=before, limit=1)
        if any(record.data.get("after") == identity.fingerprint for record in records):
            return True
    return False


class Rotation:
    """The service: switches when the last partner knows the new key, and drops the old one when the overlap is over."""

    name = "rotation"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        wakeup = self._engine.bus.wakeup(WAKEUP)
        await self._make_up_for_record()
        while True:
            try:
                await _switch_if_known(self._engine, force=False, actor="node")
                await asyncio.to_thread(self._drop_old)
            except NodeError as error:
                _LOG.error("the rotation of the key cannot go on: %s", error)
            await wakeup.wait(_EVERY)

    async def _make_up_for_record(self) -> None:
        """The switch is one of files, its record one of the database: a node may have been killed in between."""
        engine = self._engine
        identity = identity_of(engine)
        before = await asyncio.to_thread(files.load_old, identity)
        if before is None or before.fingerprint == identity.fingerprint:
            return
        since_ms = files.switched_ms(identity) - _CLOCK_MS
        if not await engine.db.read(lambda reader: _is_recorded(reader, identity, since_ms)):
            await engine.db.write(lambda tx: _record(tx, engine.node_id, before, identity, _waiting(tx, None), "node"))

    def _drop_old(self) -> None:
        engine = self._engine
        identity = identity_of(engine)
        switched_ms = files.switched_ms(identity)
        if switched_ms and engine.clock.now_ms() - switched_ms > engine.settings.identity.overlap_days * DAY_MS:
            files.drop_old(identity)
            engine.on_identity(identity, None)
