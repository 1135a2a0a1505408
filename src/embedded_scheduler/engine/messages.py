"""Messages of the management layer to partners: rows of the outbox that belong to no job.

`queue` one in the transaction that decided it; `Delivery` sends it until the partner answers, across restarts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Reply
from embedded_scheduler.sentences import Words
from embedded_scheduler.store import ledger, outbox
from embedded_scheduler.store.database import Tx
from embedded_scheduler.store.outbox import OutboxRow

_LOG = logging.getLogger(__name__)

NO_JOB = ""
SETTLED = ("rotation",)
"""Names of the wake-ups that are set after every answer; each has one service that waits for it."""


def queue(
    tx: Tx,
    engine: Engine,
    *,
    node_id: str,
    operation: str,
    body: Mapping[str, Any],
    key: str,
    trace_id: str = "",
) -> bool:
    """Send `operation` (such as `dataset/audit/apply`) to a partner once this transaction is committed.

    Messages of one kind (the operation's first word) reach a partner in order. `key` is unique on this node: False and
    nothing queued when there was a message with it before. Call `engine.wake()` after the commit.
    """
    return outbox.add(
        tx,
        job_id=NO_JOB,
        lane=f"{node_id}//{operation.split('/', 1)[0]}",
        kind="call",
        target=node_id,
        operation=operation,
        key=key,
        body=body,
        nonce=engine.mint.nonce(),
        trace_id=trace_id,
        next_ms=tx.now_ms,
    )


async def settle(engine: Engine, row: OutboxRow, reply: Reply, *, came_back: bool, next_ms: int) -> None:
    """Record how a try ended: taken, refused, or to be tried again at `next_ms`."""

    def work(tx: Tx) -> None:
        if came_back:
            outbox.revive(tx, row.target)
        if reply.delivery is Delivery.FAILED:
            outbox.retry(tx, row.id, reply.error, next_ms)
            return
        taken = reply.delivery is Delivery.OK
        if not (outbox.acknowledge(tx, row.id) if taken else outbox.refuse(tx, row.id, reply.error)):
            return
        if not taken:
            _LOG.warning("%s: %s", row.operation, reply.error)
            ledger.append(
                tx,
                subject="message",
                subject_id=row.key,
                event="message.refused",
                actor=f"peer:{row.target}",
                reason=reply.error,
                trace_id=row.trace_id,
                data={"operation": row.operation},
            )

    await engine.db.write(work)
    for name in SETTLED:
        engine.bus.wakeup(name).set()


async def put_off(engine: Engine, row: OutboxRow, error: Words, next_ms: int) -> None:
    """A try failed on this side."""
    await engine.db.write(lambda tx: outbox.retry(tx, row.id, error, next_ms))
