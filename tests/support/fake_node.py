"""A node for the console's tests: the console API over a real unix socket, with the same data every time.

1,200 jobs (newest first: two running, one failed, two waiting for a decision), 4 partners of which one fails, a log of
30,000 lines. Runs in a thread of its own, so that tests with their own event loop can use it. What a test changes goes
out as events, as with a real node. Run as a program it serves a socket and keeps things happening:
`python -m tests.support.fake_node SOCKET`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel

from embedded_scheduler.sentences import say
from embedded_scheduler.wire.console import (
    ApprovalRow,
    Asker,
    Changed,
    ColumnRow,
    ComponentRow,
    Cover,
    DatasetRow,
    DataUse,
    DecisionCard,
    DoctorReport,
    EventPage,
    EventRow,
    Finding,
    JobCompatibility,
    JobDetail,
    JobDifference,
    JobPage,
    JobRow,
    LogPage,
    NodeStatus,
    Part,
    PeerRow,
    Precedent,
    Problem,
    ResultRow,
    ShareRow,
    TaskRow,
    TrackRecord,
    TraitRow,
    Waiting,
)
from embedded_scheduler.wire.console_contracts import ContractRow, InvitationReply
from embedded_scheduler.wire.console_grants import GrantDetail, GrantRow, MessageRow
from embedded_scheduler.wire.query import parse_query
from tests.support.job_lists import by_column, job_fits

NOW_MS = 1_795_000_000_000
DAY = 86_400_000
"""The moment all ages are counted from."""
MINUTE = 60_000
HOUR = 60 * MINUTE
LOG_LINES = 30_000
_FLOWS = ("psi-credit-daily", "sgb-train-v12", "woe-binning", "risk-join-2026q4", "loan-score", "样本对齐-日批")
_PREFIX = "/v1/console"


def job_id(number: int) -> str:
    """The id of the job that is `number` places below the newest."""
    return f"job-{hashlib.sha256(str(number).encode()).hexdigest()[:32]}"


def log_line(number: int) -> str:
    """Line `number` of the long log; every 1,000th is an error, one is hostile, some are wide or long."""
    stamp = f"12:{number // 60 % 60:02d}:{number % 60:02d}.{number % 1000:03d}"
    if number % 1000 == 999:
        return f"{stamp} ERROR binning  null ratio 0.021 > 0.02 on column income"
    if number % 1000 == 500:
        return f"{stamp} WARN  link     bob rtt 812 ms (p95 40 ms)"
    if number == LOG_LINES - 5:
        return f"{stamp} INFO  \x1b]0;owned\x07evil \x1b[2Jname \u202eabc\u202c \x07 end"
    if number == LOG_LINES - 4:
        return f"{stamp} INFO  样本对齐 完成 第 {number} 批"
    if number == LOG_LINES - 3:
        return f"{stamp} INFO  long {'0123456789' * 20} end-of-long-line"
    return f"{stamp} INFO  binning  bucket {number} rows={number * 37}"


def _waiting(job: JobRow) -> Waiting | None:
    if job.needs_decision:
        return Waiting(
            blocked_by="alice",
            on="your decision",
            since_ms=job.created_ms,
            actions=["approve", "reject"],
            text="waits for you: approve (A) or reject (X) it",
        )
    if job.state == "RUNNING":
        return Waiting(
            blocked_by="bob",
            on="binning of host.0",
            since_ms=job.created_ms + MINUTE,
            next="poll",
            next_ms=NOW_MS + 3000,
            text="runs: binning at bob since 3m; next poll in 3s",
        )
    return None


def make_job(number: int) -> JobRow:
    """The job `number` places below the newest, as it is at the start."""
    created = NOW_MS - 4 * MINUTE - number * 37 * MINUTE
    state, outcome, reason = _state_of(number)
    mine = number in (3, 4)
    started = created + 2000 if state in ("RUNNING", "FINISHED") else None
    done = {"RUNNING": 1, "FINISHED": 3}.get(state, 0) if outcome != "failed" else 1
    job = JobRow(
        job_id=job_id(number),
        flow_id=_FLOWS[number % len(_FLOWS)],
        state=state,
        outcome=outcome,
        reason=reason,
        initiator="bob" if mine else ("carl" if number % 7 == 5 else "alice"),
        coordinator="bob" if mine else "alice",
        parties=["guest:bob", "host:alice"]
        if mine
        else ["guest:alice", "host:bob", *(["arbiter:carl"] * (number % 3 == 1))],
        components=["psi", "binning", "woe"],
        tasks_done=done,
        tasks_total=3,
        created_ms=created,
        started_ms=started,
        ended_ms=started + (250 + number % 9) * 1000 if started and state == "FINISHED" else None,
        needs_decision=mine,
        actions=["approve", "reject"] if mine else (["stop"] if state in ("RUNNING", "PENDING", "READY") else []),
        cursor=f"{number:08d}",
    )
    job.waiting = _waiting(job)
    return job


def _state_of(number: int) -> tuple[str, str | None, str]:
    if number in (0, 1):
        return "RUNNING", None, ""
    if number == 2:
        return "FINISHED", "failed", "binning (bob) failed: column age has 2 nulls"
    if number in (3, 4) or number % 97 == 60:
        return "PENDING", None, ""
    if number % 23 == 7:
        return "REJECTED", None, "carl: no agreement for this data"
    if number % 31 == 9:
        return "FINISHED", "stopped", "stopped by li"
    return "FINISHED", "succeeded", ""


def make_tasks(job: JobRow) -> list[TaskRow]:
    """Three tasks in a chain, as far as the job has come."""
    tasks = []
    for place, name in enumerate(("psi", "binning", "woe")):
        state = _task_state(job, place)
        started = (
            (job.started_ms or 0) + place * 80_000 if state not in ("PENDING", "READY") and job.started_ms else None
        )
        ended = started + 75_000 if started and state in ("SUCCESS", "FAILED") else None
        shares = [_share(job, place, state, started, ended, party) for party in _parties(job)]
        waiting = Waiting(
            blocked_by="binning" if place == 2 else "psi",
            on="its output",
            since_ms=job.created_ms,
            text="waits for binning.model",
        )
        tasks.append(
            TaskRow(
                name=name,
                task_id=f"task-{job.job_id[4:]}"[:37],
                component=f"vert_{name}",
                provider="nodeconsole",
                version="1.0.2",
                state=state,
                since_ms=job.created_ms,
                started_ms=started,
                ended_ms=ended,
                upstream=[("psi", "binning")[place - 1]] if place else [],
                shares=shares,
                waiting=waiting if state == "PENDING" else None,
                actions=["stop"] if state == "RUNNING" else [],
            )
        )
    return tasks


def _task_state(job: JobRow, place: int) -> str:
    if job.state in ("PENDING", "READY", "REJECTED"):
        return "PENDING"
    if place < job.tasks_done:
        return "SUCCESS"
    if place == job.tasks_done:
        return "RUNNING" if job.state == "RUNNING" else "FAILED"
    return "PENDING"


def _parties(job: JobRow) -> Iterable[tuple[str, int, str]]:
    for party in job.parties:
        role, _, node = party.partition(":")
        yield role, 0, node


def _share(
    job: JobRow, place: int, state: str, started: int | None, ended: int | None, party: tuple[str, int, str]
) -> ShareRow:
    role, index, node = party
    failed = state == "FAILED"
    if failed and node != "bob":
        state = "SUCCESS"
    return ShareRow(
        role=role,
        index=index,
        node_id=node,
        state=state,
        outcome="failed" if failed and node == "bob" else None,
        reason="column age has 2 nulls" if failed and node == "bob" else "",
        since_ms=job.created_ms,
        exit_code=1 if failed and node == "bob" else None,
        attempt_id=f"att-{place}",
        local=node == "alice",
        started_ms=started,
        ended_ms=ended,
    )


def make_detail(job: JobRow) -> JobDetail:
    results = []
    if job.outcome == "succeeded":
        results = [
            ResultRow(
                task="psi",
                party="guest.0",
                output="train_data",
                type="dataset",
                namespace=job.job_id,
                name="train_data",
                size=1_348_211,
                path=f"/home/li/alice/storage/{job.job_id}/train_data.csv",
            )
        ]
    return JobDetail(
        job=job,
        tasks=make_tasks(job),
        approvals=_approvals(job),
        card=_card(job) if job.needs_decision else None,
        spec={
            "flow_id": job.flow_id,
            "dag": {"version": "2.0", "components": []},
            "config": {"initiator": job.initiator},
        },
        results=results,
        warnings=["input psi.train of binning is dataset, its output is table"]
        if job.flow_id == "sgb-train-v12"
        else [],
    )


def _approvals(job: JobRow) -> list[ApprovalRow]:
    rows = []
    for _, _, node in _parties(job):
        state = "APPROVED"
        if job.needs_decision:
            state = "PENDING" if node == "alice" else "APPROVED"
        elif job.state == "REJECTED":
            state = "REJECTED" if node != "alice" else "APPROVED"
        rows.append(
            ApprovalRow(
                node_id=node, state=state, reason=job.reason if state == "REJECTED" else "", since_ms=job.created_ms
            )
        )
    return rows


def _card(job: JobRow) -> DecisionCard:
    problems = ["component vert_woe 1.0.2 is not registered here"] if job.job_id == job_id(4) else []
    return DecisionCard(
        asker=Asker(
            node_id="bob",
            institution="Bank of B",
            fingerprint="3f9a51c07be2d8446a18b2c59e07f3d11c5a8b2e90d4f7c3a6e1b0d9c8f7e6a5",
            contract="APPROVED",
            contract_since_ms=NOW_MS - 40 * DAY,
            certificate_ends_ms=NOW_MS + 214 * DAY,
            signing="required",
        ),
        our_roles=["host.0"],
        parts=[
            Part(
                task="psi",
                provider="nodeconsole",
                name="vert_psi",
                version="1.2.0",
                leaves=[
                    "ids blinded with a fresh Curve25519 key, and the size of the intersection; "
                    "no row that is not shared by both"
                ],
            ),
            Part(
                task="binning",
                name="vert_binning",
                version="1.0.2",
                leaves=["sums per bucket, encrypted for the coordinator"],
            ),
            Part(task="woe", name="vert_woe", version="1.0.2", new=True, known=not problems, leaves=["bucket weights"]),
        ],
        data=[
            DataUse(
                task="psi",
                dataset="node#loans_2026",
                columns=["uid", "age", "income", "city", "zip", "overdue", "street", "phone"],
                named=["uid", "age", "overdue"],
                rows=1_370_000,
                access="permit",
                covered_by=[
                    Cover(grant_id="dataset-1181181181181", node_id="bob", until_ms=NOW_MS + 30 * DAY, times=12, used=3)
                ],
            ),
            DataUse(task="woe", dataset="node#贷款明细", found=False, note="ask bob which table is meant"),
        ],
        problems=problems,
        difference=JobDifference(
            job_id=job.job_id,
            precedent=Precedent(
                other=job_id(11),
                decided_ms=NOW_MS - 6 * DAY,
                decided_by="operator:li",
                changes=[
                    Changed(aspect="component", name="woe", after="vert_woe 1.0.2"),
                    Changed(aspect="column", name="overdue", where="psi host.0", after="overdue"),
                    Changed(aspect="parameter", name="bins", where="binning", before="10", after="64"),
                ],
            ),
            record=TrackRecord(since_ms=NOW_MS - 90 * DAY, approved=4, same_flow=3, last_approved_ms=NOW_MS - 6 * DAY),
        ),
        running=3,
        resources={"cpu": 2, "memory": 4},
    )


PEERS = (
    PeerRow(
        node_id="bob",
        url="https://10.0.3.7:9380",
        profile="seed",
        approval="manual",
        last_ok_ms=NOW_MS - 2000,
        took_ms=12,
        open_jobs=2,
        signing="required",
        contract="APPROVED",
        actions=["change", "test"],
    ),
    PeerRow(
        node_id="carl",
        url="https://carl.example:443/interconn",
        profile="fate",
        approval="auto",
        last_ok_ms=NOW_MS - 48_000,
    ),
    PeerRow(node_id="dave", url="http://10.0.3.9:9380", profile="kuscia", approval="manual"),
    PeerRow(
        node_id="erin",
        url="http://10.0.9.1:9380",
        profile="official-1.2",
        approval="manual",
        last_ok_ms=NOW_MS - 3 * HOUR,
        last_error="connect to 10.0.9.1:9380: connection refused",
        last_error_ms=NOW_MS - 41_000,
        undelivered=3,
        options={"success_code": 200},
    ),
)
WORDS = "zefuda molipe vakonu tisero gupabi lodine"
_KEY = "3f9a51c07be2d84416f0c2a97d5e3b1860fa94d27c8be5310d6f4a82b97ce150"
INVITATION = InvitationReply(
    code="NC1-" + "MZXW6YTBOIFA2DEMRRGAYTMNZQ" * 9,
    id="5f0c1a2b3c4d5e6f",
    address="https://alice.example:9380",
    expires_ms=NOW_MS + 24 * HOUR,
)


def applied_contract() -> ContractRow:
    """A bank that joined with our code and whose words nobody has compared yet."""
    return ContractRow(
        contract_id="contract-7f3711a0c4",
        node_id="dave",
        side="callee",
        state="APPLIED",
        address="https://10.0.3.9:9380",
        institution="第四银行 (Bank of D)",
        auth_type="CERT",
        fingerprint=_KEY,
        certificate_ends_ms=NOW_MS + 300 * 24 * HOUR,
        created_ms=NOW_MS - 7 * MINUTE,
        since_ms=NOW_MS - 7 * MINUTE,
        words=WORDS,
        actions=["confirm", "refuse"],
    )


def approved_contract() -> ContractRow:
    """With bob, who is changing its key."""
    return ContractRow(
        contract_id="contract-b0b0b0b0b0",
        node_id="bob",
        side="applicant",
        state="APPROVED",
        address="https://10.0.3.7:9380",
        institution="Bank of B",
        auth_type="CERT",
        fingerprint=_KEY[::-1],
        previous_fingerprint=_KEY,
        previous_until_ms=NOW_MS + 6 * 24 * HOUR,
        certificate_ends_ms=NOW_MS + 214 * 24 * HOUR,
        compared_by="operator:li",
        created_ms=NOW_MS - 40 * 24 * HOUR,
        since_ms=NOW_MS - 40 * 24 * HOUR,
        actions=["terminate"],
    )


def asked_grant(needed: int = 1) -> GrantDetail:
    """Bob wants the loans; `needed` persons have to agree."""
    return GrantDetail(
        grant=GrantRow(
            grant_id="dataset-1122334455",
            direction="in",
            node_id="bob",
            kind="dataset",
            resource_id="node#loans_2026",
            audit_id="audit-1",
            contract_id="contract-b0b0b0b0b0",
            state="APPLIED",
            approvals=["operator:ann"] if needed > 1 else [],
            approvers_needed=needed,
            created_ms=NOW_MS - 95 * MINUTE,
            since_ms=NOW_MS - 95 * MINUTE,
            actions=["approve", "reject"],
        ),
        body={
            "audit_id": "audit-1",
            "contract_id": "contract-b0b0b0b0b0",
            "dataset_id": "node#loans_2026",
            "times_limit": 12,
            "auth_scope": {"columns": ["uid", "age"]},
        },
        policy=["rule loans-by-day does not fit: it is for carl", "no rule covers it: a person decides"],
    )


def stuck_message() -> MessageRow:
    """What erin has not taken."""
    return MessageRow(
        id=17,
        node_id="erin",
        operation="dataset/audit/apply",
        subject="dataset-99",
        state="sent",
        attempts=4,
        last_error="connect to 10.0.9.1:9380: connection refused",
        created_ms=NOW_MS - HOUR,
        next_ms=NOW_MS + 40_000,
        actions=["resend"],
    )


UNSIGNED = Finding.of(
    "unsigned", "warning", say("unsigned", node="carl"), say("unsigned_fix", profile="fate"), subject="carl"
)
ENDING = Finding(
    check="certificate",
    level="warning",
    text="this node's certificate ends on 2026-11-27, in 9 days",
    fix="nodeconsole identity rotate",
)

COMPONENTS = (
    ComponentRow(
        provider="nodeconsole",
        name="sample_alignment",
        version="1.0.0",
        code="sample-alignment",
        title="样本对齐 (ECDH-PSI)",
        description="Intersects the ids of two parties on Curve25519; neither learns the other's remaining ids.",
        image_url="builtin:sample_alignment",
        roles=["guest", "host"],
        registered_ms=NOW_MS - 9 * HOUR,
    ),
    ComponentRow(
        provider="bank-b",
        name="vert_woe",
        version="1.0.2",
        code="vert-woe",
        title="WOE",
        image_url="registry.bank-b.example/vert_woe:1.0.2",
        roles=["guest", "host"],
        warnings=["penalty.defaultValue is not one of bindingData"],
        registered_ms=NOW_MS - 2 * HOUR,
        runnable=False,
        why_not="images are run by a container runner, and this node has none",
    ),
)
DATASETS = (
    DatasetRow(
        namespace="node",
        name="loans_2026",
        dataset_id="node#loans_2026",
        connector="csv",
        description="loans of 2026",
        columns=[
            ColumnRow(name="uid", type="str"),
            ColumnRow(name="age", type="int"),
            ColumnRow(name="income", type="float"),
        ],
        rows=1_370_000,
        size_bytes=83_111_222,
        fingerprint="sha256:9c41e2",
        registered_ms=NOW_MS - 30 * HOUR,
    ),
)


@dataclass
class _Log:
    """A log being written: the first `seeded` lines are computed, the others were added."""

    seeded: int
    added: list[str] = field(default_factory=list)
    complete: bool = True

    def line(self, number: int) -> str:
        return log_line(number) if number < self.seeded else self.added[number - self.seeded]

    @property
    def total(self) -> int:
        return self.seeded + len(self.added)

    def at_level(self, level: str) -> list[int] | range:
        if level != "error":
            return range(self.total)
        seeded = range(999, self.seeded, 1000)
        return [*seeded, *(self.seeded + i for i, line in enumerate(self.added) if "ERROR" in line)]

    def page(self, level: str, start: int, limit: int) -> LogPage:
        numbers = self.at_level(level)
        first = max(0, len(numbers) + start) if start < 0 else start
        counts = {"debug": self.total, "info": self.total, "error": len(self.at_level("error"))}
        lines = [self.line(number) for number in numbers[first : first + limit]]
        return LogPage(start=first, lines=lines, total=len(numbers), complete=self.complete, counts=counts)


class FakeNode:
    """Serves `socket` between `start` and `stop`, which may be repeated; what it holds outlives both.

    `requests` lists every request line (`GET /jobs?limit=100`), so a test can say what was asked for.
    """

    def __init__(self, socket: Path, jobs: int = 1200) -> None:
        self.socket = socket
        self.jobs = {job.job_id: job for job in map(make_job, range(jobs))}
        self._sorted: list[JobRow] = list(self.jobs.values())
        self.peers = list(PEERS)
        self.events: list[EventRow] = []
        self.requests: list[str] = []
        self.logs: dict[tuple[str, str], _Log] = {}
        self.read_only = False
        self.role = "admin"
        self.components = list(COMPONENTS)
        self.contracts: list[ContractRow] = []
        self.grants: list[GrantDetail] = []
        self.messages: list[MessageRow] = []
        self.warnings: list[Finding] = []
        self.decisions: list[dict[str, Any]] = []
        """What was sent to approve or reject a request."""
        self.fail_next: list[Problem] = []
        """Problems to answer the next writes with."""
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._wake = asyncio.Event()
        self._begin = 5000

    # For tests.

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="fake-node")
        self._thread.start()
        if not ready.wait(10):
            raise TimeoutError("the fake node did not start")

    def stop(self) -> None:
        """As if the process were killed: connections break, the socket is gone."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(self._closing.set)
        thread.join(10)
        self._loop = self._thread = None

    def emit(self, job: str = "", event: str = "job.changed", subject: str = "job") -> None:
        """An event, without any change behind it."""
        with self._lock:
            row = EventRow(
                seq=self._begin + len(self.events) + 1,
                at_ms=NOW_MS,
                subject=subject,
                subject_id=job or subject,
                job_id=job,
                event=event,
                actor="alice",
            )
            self.events.append(row)
        self._notify()

    def change(self, number: int, **values: Any) -> JobRow:
        """Change a job and say so."""
        with self._lock:
            job = self.jobs[job_id(number)]
            for name, value in values.items():
                setattr(job, name, value)
            job.waiting = _waiting(job)
        self.emit(job.job_id)
        return job

    def add_job(self, flow: str, **values: Any) -> JobRow:
        """A new job, newer than all others."""
        with self._lock:
            number = -1 - sum(1 for row in self._sorted if row.cursor.startswith("-"))
            job = make_job(5).model_copy(
                update={
                    "job_id": job_id(number),
                    "flow_id": flow,
                    "created_ms": NOW_MS + number,
                    "cursor": f"-{number}",
                    **values,
                }
            )
            self.jobs[job.job_id] = job
            self._sorted.insert(0, job)
        self.emit(job.job_id, "job.created")
        return job

    def write_log(self, number: int, task: str, lines: Iterable[str], *, complete: bool = False) -> None:
        """Add lines to a log; it is open until `complete`."""
        with self._lock:
            log = self._log(job_id(number), task)
            log.added.extend(lines)
            log.complete = complete
        self._notify()

    def seed_log(self, number: int, task: str, lines: int) -> None:
        """A log that is complete and has so many computed lines."""
        with self._lock:
            self.logs[job_id(number), task] = _Log(lines)

    @property
    def last_seq(self) -> int:
        return self._begin + len(self.events)

    def _notify(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()

    # Serving.

    def _serve(self, ready: threading.Event) -> None:
        asyncio.run(self._run(ready))

    async def _run(self, ready: threading.Event) -> None:
        self._closing, self._wake, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self.socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connection, self.socket)
        self._loop = asyncio.get_running_loop()
        ready.set()
        await self._closing.wait()
        server.close()
        self.socket.unlink(missing_ok=True)
        self._wake_all()
        for writer in list(self._writers):
            writer.transport.abort()
        # The handlers see that their connections are gone, and end.
        await self._idle.wait()
        self._loop = None

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._idle.clear()
        try:
            while not self._closing.is_set():
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                length = next(
                    (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0
                )
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self._answer(writer, method, target, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()
            if not self._writers:
                self._idle.set()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, target: str, body: dict[str, Any]) -> None:
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.removeprefix(_PREFIX).strip("/").split("/")]
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.requests.append(f"{method} {url.path.removeprefix(_PREFIX)}{'?' + url.query if url.query else ''}")
        if path[-1] == "stream":
            await self._stream(writer, path, query)
            return
        with self._lock:
            status, content = self._handle(method, path, query, body)
        data = content.model_dump_json().encode() if isinstance(content, BaseModel) else json.dumps(content).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        writer.write(
            f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data
        )
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, path: list[str], query: dict[str, str]) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        pages: Callable[[], BaseModel | None]
        if path[0] == "events":
            place = [int(query.get("after", 0))]
            pages = lambda: self._events_after(place)  # noqa: E731
        else:
            place = [int(query.get("start", 0))]
            latest = 400 if query.get("latest") else 0
            pages = lambda: self._lines_after(path[1], path[3], query.get("level", "debug"), place, latest)  # noqa: E731
        while not self._closing.is_set():
            woken = self._wake
            with self._lock:
                page = pages()
            if page is not None:
                await self._send(writer, f"data: {page.model_dump_json()}\n\n")
                if isinstance(page, LogPage) and page.complete:
                    await self._send(writer, "event: end\ndata: {}\n\n")
                    break
                if query.get("latest"):
                    await asyncio.sleep(0.1)
                continue
            await woken.wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, text: str) -> None:
        data = text.encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()

    def _events_after(self, place: list[int]) -> EventPage | None:
        events = [event for event in self.events if event.seq > place[0]]
        if not events:
            return None
        place[0] = events[-1].seq
        return EventPage(events=events)

    def _lines_after(self, name: str, task: str, level: str, place: list[int], latest: int) -> LogPage | None:
        log = self._log(name, task)
        page = log.page(level, place[0], 5000)
        if latest and page.total - place[0] > latest:
            page = log.page(level, -latest, latest)
            place[0] = page.start
        if not page.lines and not log.complete:
            return None
        page.complete = page.complete and place[0] + len(page.lines) >= page.total
        place[0] += len(page.lines)
        return page

    def _log(self, name: str, task: str) -> _Log:
        return self.logs.setdefault((name, task), _Log(LOG_LINES if name == job_id(2) else 40))

    def _handle(
        self, method: str, path: list[str], query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, BaseModel | dict[str, Any]]:
        match method, path:
            case "GET", ["status"]:
                return 200, self._status()
            case "GET", ["jobs"]:
                return 200, self._jobs(query)
            case "GET", ["jobs", name]:
                job = self._find(name)
                return (200, make_detail(job)) if job else _problem(404, f"there is no job {name}")
            case "GET", ["jobs", name, "compatibility"]:
                return 200, JobCompatibility(job_id=name, components=[])
            case "POST", ["jobs", name, verb]:
                return self._write(name, verb, body)
            case "GET", ["jobs", name, "tasks", task, "logs"]:
                page = self._log(name, task).page(query.get("level", "debug"), int(query["start"]), int(query["limit"]))
                return 200, page
            case "GET", ["peers"]:
                return 200, {"peers": [row.model_dump() for row in self.peers]}
            case "GET", ["peers", node_id]:
                traits = [TraitRow(name="dialect", value="union"), TraitRow(name="success_code", value=200, own=True)]
                row = next(row for row in self.peers if row.node_id == node_id)
                return 200, row.model_copy(update={"traits": traits}).model_dump()
            case "GET", ["components"]:
                return 200, {"components": [row.model_dump() for row in self.components]}
            case "GET", ["components", provider, name, version]:
                key = (provider, name, version)
                return 200, next(row for row in self.components if (row.provider, row.name, row.version) == key)
            case "GET", ["publications"]:
                return 200, {"publications": []}
            case "GET", ["datasets"]:
                return 200, {"datasets": [row.model_dump() for row in DATASETS]}
            case "GET", ["contracts"]:
                return 200, {"contracts": [row.model_dump() for row in self.contracts]}
            case "GET", ["contracts", name]:
                return 200, next(row for row in self.contracts if row.contract_id == name)
            case "POST", ["contracts", name, verb]:
                return self._write_contract(name, verb, body)
            case "POST", ["invitations"]:
                return 200, INVITATION
            case "GET", ["messages"]:
                wanted = [row for row in self.messages if query.get("to") in (None, row.node_id)]
                return 200, {"messages": [row.model_dump() for row in wanted]}
            case "POST", ["messages", number, "resend"]:
                return 200, next(row for row in self.messages if row.id == int(number))
            case "GET", ["grants"]:
                waiting = [row.grant.model_dump() for row in self.grants if row.grant.state == query.get("state")]
                return 200, {"grants": waiting}
            case "GET", ["grants", name]:
                return 200, next(row for row in self.grants if row.grant.grant_id == name)
            case "POST", ["grants", name, verb]:
                return self._write_grant(name, verb, body)
            case "GET", ["doctor"]:
                return 200, DoctorReport(findings=[Finding(check="store", level="ok", text="the ledger is whole")])
            case _:
                return _problem(404, f"there is no {'/'.join(path)}")

    def _status(self) -> NodeStatus:
        counts = {"PENDING": 0, "READY": 0, "RUNNING": 0, "REJECTED": 0, "FINISHED": 0, "waiting": 0}
        for job in self._sorted:
            counts[job.state] += 1
            counts["waiting"] += job.needs_decision
        return NodeStatus(
            node_id="alice",
            version="0.1.0",
            pid=1,
            started_ms=NOW_MS - HOUR,
            now_ms=NOW_MS,
            home="/home/li/alice",
            listen="127.0.0.1:9380",
            platform="127.0.0.1:9381",
            jobs=counts,
            peers=len(self.peers),
            contracts_waiting=sum("confirm" in row.actions for row in self.contracts),
            grants_waiting=sum(row.grant.state == "APPLIED" for row in self.grants),
            warnings=self.warnings,
            actions=["invite", "join", "register", "submit"] if self.role == "admin" else [],
            last_seq=self.last_seq,
            read_only=self.read_only,
            role=self.role,
        )

    def _jobs(self, query: dict[str, str]) -> JobPage:
        states = set(filter(None, query.get("state", "").split(",")))
        terms = parse_query(query.get("q", ""))
        limit = int(query.get("limit", 50))
        jobs = [
            job
            for job in self._sorted
            if (not states or job.state in states)
            and (query.get("needs_decision") != "1" or job.needs_decision)
            and job_fits(job, terms, node="alice", now_ms=NOW_MS)
        ]
        if by := query.get("sort", ""):
            jobs = by_column(jobs, by, falling=query.get("falling") == "1", now_ms=NOW_MS)
        begin = int(query.get("before", 0))
        rows, more = jobs[begin : begin + limit], len(jobs) > begin + limit
        return JobPage(
            jobs=rows, next=str(begin + limit) if more else None, searched=len(self._sorted), total=len(self._sorted)
        )

    def _find(self, name: str) -> JobRow | None:
        return self.jobs.get(name) or next((job for key, job in self.jobs.items() if key.startswith(name)), None)

    def _write_contract(self, name: str, verb: str, body: dict[str, Any]) -> tuple[int, BaseModel]:
        row = next(row for row in self.contracts if row.contract_id == name)
        if verb == "confirm" and body["words"] != row.words:
            return 422, Problem(title="x", status=422, detail="these are not the words", code="refused")
        row.state = {"confirm": "APPROVED", "refuse": "REJECTED", "terminate": "TERMINATED"}[verb]
        row.actions = ["terminate"] if verb == "confirm" else []
        row.reason = body.get("reason", "")
        self.emit(subject="contract", event=f"contract.{verb}")
        return 200, row

    def _write_grant(self, name: str, verb: str, body: dict[str, Any]) -> tuple[int, BaseModel]:
        row = next(row.grant for row in self.grants if row.grant.grant_id == name)
        self.decisions.append(body)
        row.approvals.append("operator:li")
        if verb == "reject" or len(row.approvals) >= row.approvers_needed:
            row.state = "APPROVED" if verb == "approve" else "REJECTED"
            row.actions = []
        self.emit(subject="grant", event=f"grant.{verb}")
        return 200, row

    def _write(self, name: str, verb: str, body: dict[str, Any]) -> tuple[int, BaseModel]:
        if self.fail_next:
            problem = self.fail_next.pop(0)
            return problem.status, problem
        job = self._find(name)
        if job is None:
            return _problem(404, f"there is no job {name}")
        if verb not in job.actions:
            return _problem(409, f"{name} cannot {verb} any more: it is {job.state}")
        if verb == "approve":
            job.state, job.needs_decision, job.actions = "READY", False, ["stop"]
        elif verb == "reject":
            job.state, job.needs_decision, job.actions, job.reason = "REJECTED", False, [], body["reason"]
        else:
            job.state, job.outcome, job.actions, job.reason = "FINISHED", "stopped", [], body["reason"]
            job.ended_ms = NOW_MS
        job.waiting = _waiting(job)
        self.emit(job.job_id, f"job.{verb}")
        return 200, job


def add_trust(node: FakeNode) -> None:
    """Something of everything that trust is about: an application, a request, warnings, an undelivered message."""
    node.contracts += [applied_contract(), approved_contract()]
    node.grants.append(asked_grant(needed=2))
    node.messages.append(stuck_message())
    node.warnings += [UNSIGNED, ENDING]


def _problem(status: int, detail: str) -> tuple[int, Problem]:
    return status, Problem(
        title="not done", status=status, detail=detail, code="conflict" if status == 409 else "not_found"
    )


def _play(node: FakeNode) -> None:
    """Something happens all the time, for looking at."""
    number = 0
    while True:
        time.sleep(0.5)
        number += 1
        node.write_log(0, "binning", [log_line(number * 10 + i) for i in range(10)])
        if number % 4 == 0:
            node.change(number // 4 % 2, tasks_done=1 + number // 8 % 2)
        if number % 40 == 0:
            node.add_job(f"new-{number}")


if __name__ == "__main__":
    with (
        FakeNode(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1200) as running,
        contextlib.suppress(KeyboardInterrupt),
    ):
        _play(running)
