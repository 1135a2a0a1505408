"""How every change reaches a job, and what follows from it outside the database."""

from __future__ import annotations

from collections.abc import Callable

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import JOB
from embedded_scheduler.domain.session import session_id
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.transitions import Cause, Reaction, Scene, advance
from embedded_scheduler.errors import NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.store import jobs
from embedded_scheduler.store.database import Reader, Tx


def scene(engine: Engine) -> Scene:
    return Scene(
        self_node=engine.node_id,
        traits=engine.directory.traits,
        mint=engine.mint,
        copies=engine.copies,
    )


async def react(engine: Engine, job_id: str, cause: Cause, reaction: Reaction | None) -> JobSnapshot:
    """Apply a reaction to a job in one transaction and wake whoever has to act on what followed."""
    here = scene(engine)
    return await commit(engine, lambda tx: advance(tx, here, job_id, cause, reaction))


async def commit(engine: Engine, work: Callable[[Tx], JobSnapshot]) -> JobSnapshot:
    """A transaction that leaves a job as `work` returns it, and what follows from that outside the database.

    The services hear of it even when the caller is gone by then (a partner that hung up on its own request).
    """
    snapshot = await engine.db.write(work, committed=lambda after: announce(engine, after))
    await close_ended(engine, snapshot)
    return snapshot


async def settle(engine: Engine, snapshot: JobSnapshot) -> None:
    """After a commit: let the services know, and close the channel of a job that is over."""
    announce(engine, snapshot)
    await close_ended(engine, snapshot)


def announce(engine: Engine, snapshot: JobSnapshot) -> None:
    """Let the services know what was committed."""
    if engine.watchlist.update(snapshot, engine.clock.monotonic(), engine.settings.timing.poll_first):
        engine.bus.wakeup("watching").set()
    engine.bus.wakeup("delivery").set()
    engine.bus.settled(snapshot.spec.job_id)


async def close_ended(engine: Engine, snapshot: JobSnapshot) -> None:
    """Close the channel sessions of a job that is over."""
    if JOB.is_terminal(snapshot.state):
        for session in sessions(engine, snapshot):
            await engine.channel.close_session(session)


def sessions(engine: Engine, snapshot: JobSnapshot) -> set[str]:
    """Every channel session this job can have had on this node."""
    return {
        session_id(snapshot.spec, task.name, task.task_id, snapshot.coordinator, engine.directory.session_need)
        for task in snapshot.tasks.values()
        if task.task_id
    }


async def view(engine: Engine, job_id: str) -> JobSnapshot:
    """The job as it is; `NotFound` when this node does not know it."""
    found = await engine.db.read(lambda reader: snapshot_of(engine, reader, job_id))
    if found is None:
        raise NotFound(say("job_unknown", job=shorten(job_id)))
    return found


def snapshot_of(engine: Engine, reader: Reader, job_id: str) -> JobSnapshot | None:
    """As `view`, within a transaction."""
    return jobs.snapshot(reader, job_id, self_node=engine.node_id, traits=engine.directory.traits, copies=engine.copies)
