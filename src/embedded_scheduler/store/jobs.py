"""Jobs with their tasks, shares and approvals: rows in, snapshots out. States are set by `engine.transitions` alone."""

from __future__ import annotations

import dataclasses
import itertools
import json
import secrets
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from embedded_scheduler.domain.job import Document, JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState, Outcome, TaskState
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import (
    ApprovalView,
    Call,
    CallState,
    JobSnapshot,
    PeerTraits,
    Share,
    TaskView,
)
from embedded_scheduler.store import outbox
from embedded_scheduler.store.database import Reader, Tx

NODES_APART = "\x1f"
"""Between the nodes in `jobs.searched`: nobody types it."""
FIRST_PAGE = 1 << 62
"""`before` of the first page: larger than any position."""


@dataclass(frozen=True, slots=True)
class JobHead:
    """One job without its tasks: what a list shows. `position` is the key lists are paged by (newest = largest)."""

    job_id: str
    position: int
    flow_id: str
    state: JobState
    outcome: Outcome | None
    reason: str
    coordinator: str
    initiator: str
    trace_id: str
    stop_reason: str
    tasks_total: int
    tasks_done: int
    created_ms: int
    since_ms: int
    started_ms: int | None
    ended_ms: int | None
    state_seq: int
    parties: tuple[str, ...]
    components: tuple[str, ...]
    needs_decision: bool = False


@dataclass(frozen=True, slots=True)
class DecidedJob:
    """A job of one initiator and what this node decided on it."""

    job_id: str
    flow_id: str
    components: tuple[str, ...]
    state: ApprovalState
    decided_ms: int
    decided_by: str


def insert(
    tx: Tx,
    spec: JobSpec,
    *,
    seq: int,
    coordinator: str,
    as_sent: bytes,
    trace_id: str,
    approvals: Iterable[str],
    shares: Iterable[tuple[str, Party]],
) -> None:
    """Store a new job, everything PENDING. `seq` is its creation event; `shares` are those this node keeps track of."""
    summary = {
        "parties": [f"{party.role}:{party.node_id}" for party in spec.parties],
        "components": list(dict.fromkeys(node.component.name for node in spec.flow.nodes)),
    }
    tx.run(
        "jobs.insert",
        job_id=spec.job_id,
        flow_id=spec.flow_id,
        seq=seq,
        coordinator=coordinator,
        initiator=spec.initiator,
        digest=spec.digest,
        document=json.dumps(spec.document, ensure_ascii=True),
        as_sent=as_sent or None,
        trace_id=trace_id,
        tasks_total=len(spec.flow.nodes),
        now_ms=tx.now_ms,
        summary=json.dumps(summary, ensure_ascii=True),
        searched=_searched(spec, summary["components"]),
    )
    for node in spec.flow.nodes:
        tx.run("jobs.insert_task", job_id=spec.job_id, name=node.name, seq=seq, now_ms=tx.now_ms)
    for task_name, party in shares:
        tx.run(
            "jobs.insert_share",
            job_id=spec.job_id,
            task_name=task_name,
            role=party.role,
            idx=party.index,
            node_id=party.node_id,
            seq=seq,
            now_ms=tx.now_ms,
        )
    for node_id in approvals:
        tx.run("jobs.insert_approval", job_id=spec.job_id, node_id=node_id, seq=seq, now_ms=tx.now_ms)


def _searched(spec: JobSpec, components: Iterable[str]) -> str:
    """What filters look at, as `migrations/0007_job_lists.sql` says."""
    nodes = NODES_APART.join(party.node_id for party in spec.parties)
    return "\n".join((spec.job_id, spec.flow_id, *components, NODES_APART + nodes + NODES_APART))


def head(reader: Reader, job_id: str) -> JobHead | None:
    """The job without its tasks, or None; `needs_decision` is not filled here."""
    row = reader.one("jobs.head", job_id=job_id)
    return None if row is None else head_of(row)


def find(reader: Reader, prefix: str) -> str | None:
    """The job id that is `prefix` or the only one starting with it."""
    if reader.one("jobs.head", job_id=prefix) is not None:
        return prefix
    rows = reader.all("jobs.by_prefix", low=prefix, high=prefix + "\x7f")
    return str(rows[0]["job_id"]) if len(rows) == 1 else None


def digest(reader: Reader, job_id: str) -> str | None:
    row = reader.one("jobs.head", job_id=job_id)
    return None if row is None else str(row["digest"])


def spec(reader: Reader, job_id: str) -> JobSpec | None:
    row = reader.one("jobs.head", job_id=job_id)
    return None if row is None else _spec(job_id, row["digest"], row["document"])


def task_by_id(reader: Reader, task_id: str) -> tuple[str, str] | None:
    """(job id, task name) of a network-wide task id."""
    row = reader.one("jobs.task_by_id", task_id=task_id)
    return None if row is None else (row["job_id"], row["name"])


def page(
    reader: Reader,
    *,
    self_node: str,
    before: int = FIRST_PAGE,
    limit: int = 50,
    states: Sequence[JobState] = (),
    flow_id: str | None = None,
    needs_decision: bool = False,
    matches: Callable[[JobHead], bool] | None = None,
) -> list[JobHead]:
    """Newest first, by key: the cost does not grow with the number of jobs, except for `matches`, which scans."""
    found: list[JobHead] = []
    while len(found) < limit:
        rows = _page_rows(
            reader, self_node, before, max(limit, 200) if matches else limit, states, flow_id, needs_decision
        )
        if not rows:
            break
        heads = [head_of(row) for row in rows]
        found += [h for h in heads if matches is None or matches(h)]
        before = heads[-1].position
        if matches is None:
            break
    return found[:limit]


def _page_rows(
    reader: Reader,
    self_node: str,
    before: int,
    limit: int,
    states: Sequence[JobState],
    flow_id: str | None,
    needs_decision: bool,  # noqa: FBT001
) -> list[sqlite3.Row]:
    common: dict[str, Any] = {"self": self_node, "before": before, "limit": limit}
    if needs_decision:
        return reader.all("jobs.page_needing_decision", **common)
    if flow_id is not None:
        return reader.all("jobs.page_by_flow", flow_id=flow_id, **common)
    if states:
        rows = [row for state in states for row in reader.all("jobs.page_by_state", state=state.value, **common)]
        return sorted(rows, key=lambda row: -row["position"])[:limit]
    return reader.all("jobs.page", **common)


def decided_here(reader: Reader, self_node: str, initiator: str, *, before: int, limit: int) -> list[DecidedJob]:
    """Jobs of one initiator that came before position `before`, newest first, with this node's approval of each."""
    rows = reader.all("jobs.decided_here", self=self_node, initiator=initiator, before=before, limit=limit)
    return [
        DecidedJob(
            job_id=row["job_id"],
            flow_id=row["flow_id"],
            components=tuple(json.loads(row["summary"])["components"]),
            state=ApprovalState(row["state"]),
            decided_ms=row["since_ms"],
            decided_by=row["decided_by"],
        )
        for row in rows
    ]


def open_jobs(reader: Reader) -> list[str]:
    """Ids of every job that is not over, oldest first within a state."""
    states = (JobState.PENDING, JobState.READY, JobState.RUNNING)
    return [row["job_id"] for state in states for row in reader.all("jobs.open", state=state.value)]


def approval_of(reader: Reader, job_id: str, node_id: str) -> str:
    """State of one node's approval; empty = it has none to give."""
    row = reader.one("jobs.approval_of", job_id=job_id, node_id=node_id)
    return "" if row is None else str(row["state"])


def open_by_node(reader: Reader, most: int) -> dict[str, int]:
    """How many jobs that are not over each node takes part in; counts no further than `most` jobs."""
    found: dict[str, int] = {}
    for row in reader.all("jobs.open_people", most=most):
        parties = json.loads(row["summary"])["parties"]
        for node in {row["initiator"], row["coordinator"], *(party.split(":", 1)[1] for party in parties)}:
            found[node] = found.get(node, 0) + 1
    return found


def counts(reader: Reader, self_node: str) -> dict[str, int]:
    """Jobs per state, and `waiting`: those that need this node's decision."""
    found = {row["state"]: int(row["number"]) for row in reader.all("jobs.counts")}
    waiting = reader.one("jobs.waiting_here", self=self_node)
    found["waiting"] = int(waiting["number"]) if waiting else 0
    return found


def open_count(reader: Reader) -> int:
    """How many jobs are not over; what is over costs nothing here."""
    row = reader.one("jobs.open_count")
    return 0 if row is None else int(row["number"])


def open_count_of(reader: Reader, node_id: str, most: int) -> int:
    """How many jobs that a node started or drives are not over; counts no further than `most`."""
    row = reader.one("jobs.open_count_of", node_id=node_id, most=most)
    return 0 if row is None else int(row["number"])


def states(reader: Reader, flow_id: str | None) -> dict[str, str]:
    """Job id → state, of one flow or of all."""
    if flow_id is None:
        return {row["job_id"]: row["state"] for row in reader.all("jobs.states")}
    return {row["job_id"]: row["state"] for row in reader.all("jobs.states_of_flow", flow_id=flow_id)}


def task_states(reader: Reader, job_id: str) -> dict[str, str]:
    """Task → state, or CANCELLED for one that will not start any more."""
    return {
        row["name"]: "CANCELLED" if row["cancelled"] and row["state"] in ("PENDING", "READY") else row["state"]
        for row in reader.all("jobs.tasks", job_id=job_id)
    }


class Copies:
    """Snapshots of the jobs used last, so that a small step in a large job does not read the whole job again.

    A copy counts only while the job's row carries the version it was made for. Versions are random: those of a
    transaction that was rolled back never come again. The last few of a job are held, because readers see what is
    committed while the writer is ahead of them. Used on the database's threads.
    """

    PER_JOB = 16

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._copies: OrderedDict[str, dict[int, JobSnapshot]] = OrderedDict()
        self._revisions = itertools.count(1)

    def current(self, reader: Reader, job_id: str) -> JobSnapshot | None:
        """The copy, if it is what the reader would see."""
        if job_id not in self._copies:
            return None
        version = _version(reader, job_id)
        with self._lock:
            return self._copies.get(job_id, {}).get(version)

    def keep(self, job_id: str, version: int, snapshot: JobSnapshot) -> None:
        """Hold a copy that was just read."""
        with self._lock:
            held = self._copies.setdefault(job_id, {})
            held[version] = snapshot
            while len(held) > self.PER_JOB:
                del held[next(iter(held))]
            self._copies.move_to_end(job_id)
            while len(self._copies) > self._size:
                self._copies.popitem(last=False)

    def replace(self, tx: Tx, snapshot: JobSnapshot) -> JobSnapshot:
        """The job was changed to what `snapshot` shows, and nothing more follows; returns that with its revision."""
        version = secrets.randbits(62)
        tx.run("jobs.set_version", job_id=snapshot.spec.job_id, version=version)
        revised = dataclasses.replace(
            snapshot,
            revision=next(self._revisions),
            follows=snapshot.revision,
            news=snapshot.touched if snapshot.revision else None,
            touched={},
        )
        self.keep(snapshot.spec.job_id, version, revised)
        return revised

    def clear(self) -> None:
        """Something outside the jobs' rows changed (a partner's profile)."""
        with self._lock:
            self._copies.clear()


def snapshot(
    reader: Reader, job_id: str, *, self_node: str, traits: Callable[[str], PeerTraits], copies: Copies | None = None
) -> JobSnapshot | None:
    """The job as the rules see it, or None when it is not known here."""
    if copies is not None and (held := copies.current(reader, job_id)) is not None:
        return held
    row = reader.one("jobs.head", job_id=job_id)
    if row is None:
        return None
    spec = _spec(job_id, row["digest"], row["document"])
    effects = outbox.for_job(reader, job_id)
    launched = {e.key for e in effects if e.kind != "call"}
    shares: dict[str, list[Share]] = {}
    for share in reader.all("jobs.shares", job_id=job_id):
        shares.setdefault(share["task_name"], []).append(_share(share, launched))
    tasks = {t["name"]: t for t in reader.all("jobs.tasks", job_id=job_id)}
    nodes = {*spec.nodes, row["coordinator"], row["initiator"]}
    task_views = {name: _task(tasks[name], tuple(shares.get(name, ()))) for name in spec.flow.order}
    found = JobSnapshot(
        self_node=self_node,
        coordinator=row["coordinator"],
        spec=spec,
        state=JobState(row["state"]),
        since_ms=row["since_ms"],
        outcome=_outcome(row["outcome"]),
        reason=row["reason"],
        stop_reason=row["stop_reason"],
        tasks=task_views,
        approvals={a["node_id"]: _approval(a) for a in reader.all("jobs.approvals", job_id=job_id)},
        calls={e.key: _call(e) for e in effects if e.kind == "call"},
        peers={node: traits(node) for node in nodes if node != self_node},
        verdict_state=JobState(row["verdict_state"]) if row["verdict_state"] else None,
        verdict_outcome=_outcome(row["verdict_outcome"]),
        verdict_reason=row["verdict_reason"],
        verdict_final=bool(row["verdict_final"]),
        may_have_failed=any(task.state is TaskState.FAILED for task in task_views.values()),
    )
    if copies is not None:
        copies.keep(job_id, _version(reader, job_id), found)
    return found


def _version(reader: Reader, job_id: str) -> int:
    row = reader.one("jobs.version", job_id=job_id)
    return 0 if row is None else int(row["version"])


def launch_key(task_name: str, party: Party) -> str:
    """Outbox key of the order to launch a share; its existence is what `Share.launched` means."""
    return f"launch:{task_name}:{party.key}"


def terminate_key(task_name: str, party: Party) -> str:
    return f"terminate:{task_name}:{party.key}"


@lru_cache(maxsize=512)
def _parsed(job_id: str, digest_: str, document: str) -> JobSpec:  # noqa: ARG001 (the digest is the cheap part of the key)
    parsed: Document = json.loads(document)
    return parse_job(job_id, parsed)


def _spec(job_id: str, digest_: str, document: str) -> JobSpec:
    return _parsed(job_id, digest_, document)


def head_of(row: sqlite3.Row) -> JobHead:
    """From a whole row of `jobs`, perhaps with `needs_decision`."""
    summary = json.loads(row["summary"])
    return JobHead(
        job_id=row["job_id"],
        position=row["position"],
        flow_id=row["flow_id"],
        state=JobState(row["state"]),
        outcome=_outcome(row["outcome"]),
        reason=row["reason"],
        coordinator=row["coordinator"],
        initiator=row["initiator"],
        trace_id=row["trace_id"],
        stop_reason=row["stop_reason"],
        tasks_total=row["tasks_total"],
        tasks_done=row["tasks_done"],
        created_ms=row["created_ms"],
        since_ms=row["since_ms"],
        started_ms=row["started_ms"],
        ended_ms=row["ended_ms"],
        state_seq=row["state_seq"],
        parties=tuple(summary["parties"]),
        components=tuple(summary["components"]),
        needs_decision="needs_decision" in row.keys() and bool(row["needs_decision"]),  # noqa: SIM118 (a Row has no __contains__)
    )


def _outcome(value: str | None) -> Outcome | None:
    return Outcome(value) if value else None


def _task(row: sqlite3.Row, shares: tuple[Share, ...]) -> TaskView:
    return TaskView(
        name=row["name"],
        task_id=row["task_id"],
        state=TaskState(row["state"]),
        cancelled=bool(row["cancelled"]),
        since_ms=row["since_ms"],
        shares=shares,
    )


def _share(row: sqlite3.Row, effects: set[str]) -> Share:
    party = Party(role=row["role"], index=row["idx"], node_id=row["node_id"])
    return Share(
        party=party,
        state=TaskState(row["state"]),
        outcome=_outcome(row["outcome"]),
        reason=row["reason"],
        since_ms=row["since_ms"],
        launched=launch_key(row["task_name"], party) in effects,
        terminating=terminate_key(row["task_name"], party) in effects,
    )


def _approval(row: sqlite3.Row) -> ApprovalView:
    return ApprovalView(row["node_id"], ApprovalState(row["state"]), row["reason"], row["since_ms"])


def _call(effect: outbox.OutboxRow) -> Call:
    return Call(
        key=effect.key,
        node_id=effect.target,
        operation=effect.operation,
        state=CallState(effect.state),
        attempts=effect.attempts,
        since_ms=effect.created_ms,
        next_ms=effect.next_ms,
        last_error=effect.last_error,
    )
