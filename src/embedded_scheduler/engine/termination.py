"""What ends with a contract: from the moment it is over, nothing goes on that is shared with that partner.

Its requests are refused by whoever checks them (its keys no longer count); here its jobs are stopped, what waits to be
sent to it is dropped, and the channel sessions of those jobs are closed. For the other parties of such a job it ends
like any stopped job: the coordinator tells them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision, DropCall, RecordVerdict, RequestStop
from embedded_scheduler.domain.lifecycle import JOB, AgreementState, Outcome
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot
from embedded_scheduler.engine import progress
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.errors import NodeError
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import contracts, peers
from embedded_scheduler.store import jobs as job_store
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx

_LOG = logging.getLogger(__name__)

EVERY = 60.0


async def stop_shared(engine: Engine, node_id: str, reason: Words, actor: str) -> list[str]:
    """Stop all open jobs that `node_id` has a part in, with outcome stopped; returns their ids.

    Call it after the contract's end was committed and the directory read again, so that nothing new comes in between.
    `reason` is a sentence that the parties read. What cannot be stopped is logged, and stopped by the next sweep of
    `ContractWatch`. Again is harmless.
    """
    shared = await engine.db.read(lambda reader: _shared_jobs(reader, node_id))
    stopped = []
    for job_id in shared:
        try:
            await _stop(engine, job_id, node_id, Cause(actor), reason)
            stopped.append(job_id)
        except NodeError as error:
            _LOG.error("job %s cannot be stopped at the end of the contract with %s: %s", job_id, node_id, error)
    return stopped


def _shared_jobs(reader: Reader, node_id: str) -> list[str]:
    heads = [job_store.head(reader, job_id) for job_id in job_store.open_jobs(reader)]
    return [head.job_id for head in heads if head is not None and _takes_part(head, node_id)]


def _takes_part(head: job_store.JobHead, node_id: str) -> bool:
    nodes = {party.split(":", 1)[1] for party in head.parties}
    return node_id in nodes or node_id in (head.coordinator, head.initiator)


async def _stop(engine: Engine, job_id: str, node_id: str, cause: Cause, reason: Words) -> None:
    here = progress.scene(engine)

    def work(tx: Tx) -> JobSnapshot:
        advance(tx, here, job_id, cause, lambda s: _end(s, node_id, reason))
        # The stop itself may have added calls to the partner, which would be refused there.
        return advance(tx, here, job_id, cause, lambda s: _drop_calls(s, node_id))

    snapshot = await progress.commit(engine, work)
    for session in progress.sessions(engine, snapshot):
        await engine.channel.close_session(session)


def _end(s: JobSnapshot, node_id: str, reason: Words) -> Sequence[Decision]:
    if JOB.is_terminal(s.state):
        return []
    if node_id != s.coordinator:
        return reactions.ask_coordinator_to_stop(s, "", reason)
    # Nobody is left whose word could be had: this node closes its part by itself.
    stop: list[Decision] = [] if s.stop_reason else [RequestStop(reason)]
    return stop if s.verdict_final else [RecordVerdict(s.verdict_state, Outcome.STOPPED, reason, final=True), *stop]


def _drop_calls(s: JobSnapshot, node_id: str) -> Sequence[Decision]:
    waiting = (call for call in s.calls.values() if call.state is CallState.WAITING)
    return [DropCall(call.key) for call in waiting if call.node_id == node_id]


class ContractWatch:
    """The service that notices contracts which expired, and finishes what the end of a contract left undone.

    It looks at partners whose signature is required: the others work without a contract, by the operator's word.
    """

    name = "ended contracts"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY)

    async def sweep(self) -> list[str]:
        """One look; returns the jobs that were stopped."""
        now_ms = self._engine.clock.now_ms()
        ended = await self._engine.db.read(lambda reader: _without_contract(reader, now_ms))
        stopped = []
        for node_id, reason in ended.items():
            jobs_ = await stop_shared(self._engine, node_id, reason, "node")
            if jobs_:
                _LOG.warning("%s: %d jobs were stopped", reason, len(jobs_))
            stopped += jobs_
        return stopped


def _without_contract(reader: Reader, now_ms: int) -> dict[str, Words]:
    """Partners that had a contract and have none now, and why."""
    strict = {peer.node_id for peer in peers.all(reader) if peer.signing == "required"}
    by_node: dict[str, list[Contract]] = {}
    for contract in contracts.all(reader):
        if contract.node_id in strict:
            by_node.setdefault(contract.node_id, []).append(contract)
    return {
        node_id: reason
        for node_id, known in by_node.items()
        if (reason := _why_over(node_id, known, now_ms)) is not None
    }


def _why_over(node_id: str, known: list[Contract], now_ms: int) -> Words | None:
    if any(contract.counts_at(now_ms) for contract in known):
        return None
    if any(contract.state is AgreementState.APPROVED for contract in known):
        return say("contract_expired", node=node_id)
    ended = any(contract.state is AgreementState.TERMINATED for contract in known)
    return say("contract_was_terminated", node=node_id) if ended else None
