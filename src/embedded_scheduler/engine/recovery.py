"""Start-up: what ran when the node went away is taken up again."""

from __future__ import annotations

import logging

from embedded_scheduler.domain.lifecycle import JOB
from embedded_scheduler.engine import progress
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import attempts
from embedded_scheduler.store import jobs as job_store

_LOG = logging.getLogger(__name__)

BATCH = 50
"""Jobs looked at in one transaction."""


async def recover(engine: Engine, watching: Watching) -> None:
    """Re-adopt running attempts, let the planner look at every open job, rebuild what is asked of partners.

    Effects that were not carried out need nothing: they are still in the outbox.
    """
    for attempt in await engine.db.read(attempts.running):
        watching.adopt(attempt)
    open_ids = await engine.db.read(job_store.open_jobs)
    for begin in range(0, len(open_ids), BATCH):
        await _take_up(engine, open_ids[begin : begin + BATCH])
    if open_ids:
        _LOG.info("took up %d open jobs", len(open_ids))
    engine.wake()


async def _take_up(engine: Engine, job_ids: list[str]) -> None:
    here = progress.scene(engine)
    try:
        found = await engine.db.write(lambda tx: [advance(tx, here, job_id, Cause("node")) for job_id in job_ids])
    except StoreError:
        raise
    except Exception:  # noqa: BLE001 (whatever is wrong with one job)
        if len(job_ids) > 1:
            for job_id in job_ids:
                await _take_up(engine, [job_id])
            return
        # It rests as it is; the node and its other jobs do not.
        _LOG.exception("job %s cannot be taken up", job_ids[0])
        return
    for snapshot in found:
        engine.watchlist.update(snapshot, engine.clock.monotonic(), engine.settings.timing.retry_first)
        if JOB.is_terminal(snapshot.state):
            await progress.settle(engine, snapshot)
