"""`nodeconsole demo`: two real nodes on this machine, a real private set intersection, and the check of its result."""

from __future__ import annotations

import argparse
import asyncio
import csv
import importlib.resources
import itertools
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from embedded_scheduler.wire.console import DatasetRequest, JobDetail, PeerRequest, ResultRow
from embedded_scheduler.wire.console_contracts import ContractRow
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.output import Output
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable
from nodeconsole.kept_demo import MARK, end_kept
from nodeconsole.node_process import NodeFailure, NodeProcess, free_addresses

TASK = "psi_0"
OUTPUT = "train_data"
NAMESPACE = "demo"
DATASET = "breast_cancer"
ID_COLUMN = "id"
RECORDS = 569
"""Records of the whole table; every one is on at least one side."""

_TWO_PARTIES = ("guest", "host")
_OVER = ("FINISHED", "REJECTED")
_PLATFORM = "/v1/platform/schedule/job"
_SUCCESS = (0, 200)

T = TypeVar("T")
OnDeath = Callable[[NodeProcess], Awaitable[None]]


class DemoFailure(Exception):
    """The demo did not come to its result; the message says at which step and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with a header, as text. `path` is where it was read."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> list[str]:
        """The id column, in the order of the rows."""
        position = self.header.index(ID_COLUMN)
        return [row[position] for row in self.rows]

    @property
    def records(self) -> list[dict[str, str]]:
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def read_table(path: Path) -> Table:
    """`DemoFailure` if it cannot be read or has no id column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise DemoFailure(f"{path} cannot be read: {error}") from None
    if ID_COLUMN not in header:
        raise DemoFailure(f"{path} has no column {ID_COLUMN}")
    return Table(path, tuple(header), tuple(tuple(row) for row in rows))


def psi_job(flow_id: str, role: Mapping[str, str]) -> dict[str, Any]:
    """The job document: `role` maps guest, host and perhaps arbiter to node ids; an arbiter coordinates."""
    own = {TASK: {"namespace": NAMESPACE, "name": DATASET, "id": ID_COLUMN}}
    arbiter = role.get("arbiter")
    return {
        "flow_id": flow_id,
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": TASK,
                    "componentName": "sample_alignment",
                    "provider": "nodeconsole",
                    "version": "1.0.0",
                    "input": [],
                    "output": [{"key": OUTPUT, "type": "dataset"}, {"key": "report", "type": "report"}],
                }
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": role["guest"]},
            "role": {name: [node_id] for name, node_id in role.items()},
            "job_params": {"common": {"coordinator": arbiter} if arbiter else {}},
            "task_params": {"common": {}, "guest": {"0": own}, "host": {"0": own}},
        },
    }


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two data holders had and got. `problems` is empty when its result is right."""

    role: str
    node_id: str
    rows: int
    intersection: int
    result: Path
    report: Path | None
    log: Path
    problems: tuple[str, ...]


@dataclass(slots=True)
class Verdict:
    """`expected` is the size of the plain join; `steps` are seconds per step in order."""

    job_id: str
    expected: int
    sides: list[Side]
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        return [problem for side in self.sides for problem in side.problems]

    @property
    def right(self) -> bool:
        return not self.problems


async def fail_on_death(node: NodeProcess) -> None:
    """What the demo does when one of its nodes ends by itself."""
    raise DemoFailure(f"node {node.node_id} {node.last_words()}")


class Demo:
    """One run of the demo below `directory`. Use `run()`, or its steps one after the other, then `close()`.

    Everything it asks a node can be asked again, so a node may be killed and started again at any moment: `on_death`
    is awaited whenever a node is found dead, and the step goes on when it returns. `within` is the time limit in
    seconds of everything that waits for nodes; None = no limit (a person decides). `allow_exec`: programs that the
    nodes may start besides.
    """

    def __init__(
        self,
        directory: Path,
        *,
        parties: int = 2,
        command: Sequence[str] | None = None,
        allow_exec: Sequence[Path] = (),
        within: float | None = 110.0,
        on_death: OnDeath = fail_on_death,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.directory = directory
        self.roles = (*_TWO_PARTIES, "arbiter")[:parties]
        addresses = iter(free_addresses(2 * len(self.roles)))
        self.nodes = {
            role: NodeProcess(role, directory / role, listen=next(addresses), platform=next(addresses), command=command)
            for role in self.roles
        }
        self.flow_id = f"demo-{secrets.token_hex(8)}"
        self.environment: dict[str, dict[str, str]] = {}
        """Per role: what is added to the environment of the node's first start."""
        self.steps: dict[str, float] = {}
        self._allow_exec = [str(path.absolute()) for path in allow_exec]
        self._within = within
        self._on_death = on_death
        self._progress = progress
        self._clients: dict[str, NodeClient] = {}
        self._codes: dict[tuple[str, str], str] = {}

    async def run(self, decide: Callable[[Demo, str], Awaitable[None]] | None = None) -> Verdict:
        """All steps. `decide` replaces the host operator's approval; it gets the demo and the job's id."""
        await self._timed("create the nodes", self.create())
        await self._timed("start the nodes", self.start())
        await self._timed("register data and partners", self.register())
        job_id = await self._timed("submit at the guest", self.submit())
        await self._timed("approve at the host", decide(self, job_id) if decide else self.approve(job_id))
        await self._timed("run to the end", self.finished(job_id))
        verdict = await self._timed("compare with the plain join", self.check(job_id))
        verdict.steps = dict(self.steps)
        return verdict

    async def _timed(self, name: str, step: Awaitable[T]) -> T:
        self._progress(name)
        began = time.monotonic()
        result = await step
        self.steps[name] = time.monotonic() - began
        return result

    # The steps.

    async def create(self) -> None:
        """Homes, settings and the two data files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / MARK).touch()
        settings = f"components.allow_exec = {json.dumps(self._allow_exec)}" if self._allow_exec else ""
        await asyncio.gather(*(node.create(settings) for node in self.nodes.values()))
        for role in _TWO_PARTIES:
            content = importlib.resources.files("nodeconsole").joinpath("demo_data", f"{role}.csv").read_bytes()
            self.data_file(role).write_bytes(content)

    async def start(self) -> None:
        self._clients = {role: node.client() for role, node in self.nodes.items()}
        await asyncio.gather(*(self._start(role) for role in self.roles))

    async def _start(self, role: str) -> None:
        node = self.nodes[role]
        try:
            await node.start(environment=self.environment.get(role))
        except NodeFailure:
            # It may have been killed before it was ready; whether that is a failure is for `on_death` to say.
            if node.running:
                raise
            await self._on_death(node)

    async def register(self) -> None:
        """Data and partners, as the operators of the nodes would; registering again changes nothing."""
        for role in _TWO_PARTIES:
            await self._register_data(role)
        for inviting, applying in itertools.combinations(self.roles, 2):
            await self._introduce(inviting, applying)

    async def _register_data(self, role: str) -> None:
        request = DatasetRequest(
            namespace=NAMESPACE,
            name=DATASET,
            connector="csv",
            options={"path": str(self.data_file(role))},
            description="Breast Cancer Wisconsin (Diagnostic), one party's part",
        )
        await self._eventually(f"registering the data of the {role}", lambda c: c.add_dataset(request), role)

    async def _introduce(self, inviting: str, applying: str) -> None:
        """Two operators: one invites, the other joins, each compares the six words that the other reads out."""
        contract_id = (await self._join(inviting, applying)).contract_id
        for role, partner in ((inviting, applying), (applying, inviting)):
            await self._confirm(role, partner, contract_id)
        for role, partner in ((inviting, applying), (applying, inviting)):
            await self._set_approval(role, partner)

    async def _join(self, inviting: str, applying: str) -> ContractRow:
        async def attempt(client: NodeClient) -> ContractRow:
            # The same code as before, if the answer was lost: it leads to the same contract.
            pair = (inviting, applying)
            if pair not in self._codes:
                self._codes[pair] = (await self._clients[inviting].invite(hours=1)).code
            return await client.join(self._codes[pair])

        return await self._eventually(f"joining the {inviting} from the {applying}", attempt, applying)

    async def _confirm(self, role: str, partner: str, contract_id: str) -> None:
        async def attempt(client: NodeClient) -> ContractRow | None:
            row = await client.contract(contract_id)
            if row.state == "APPLIED" and not row.compared_by:
                read_out = (await self._clients[partner].contract(contract_id)).words
                row = await client.confirm_contract(contract_id, read_out)
            if row.state in ("REJECTED", "TERMINATED"):
                raise DemoFailure(f"the contract between {role} and {partner} is {row.state}: {row.reason}")
            # At the node that applied, the partner's decision may still be on its way.
            return row if row.state == "APPROVED" else None

        await self._eventually(f"comparing the words of {role} and {partner}", attempt, role)

    async def _set_approval(self, role: str, partner: str) -> None:
        # Only the host has an operator to ask: its decision is what the demo is about.
        approval = "manual" if role == "host" else "auto"
        request = PeerRequest(
            node_id=partner, url=self.nodes[partner].url, profile="seed", approval=approval, signing="required"
        )
        await self._eventually(f"what the {role} lets the {partner} do", lambda c: c.add_peer(request), role)

    async def submit(self) -> str:
        """Submit through the guest's platform interface and return the job's id.

        A lost answer leaves open whether the job exists, so the guest is asked for the jobs of this flow first.
        """
        guest = self.nodes["guest"]
        document = psi_job(self.flow_id, {role: role for role in self.roles})

        async def attempt(_client: NodeClient) -> str | None:
            timeout = httpx.Timeout(45.0, connect=5.0)
            headers = await guest.platform_headers()
            async with httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http:
                known = await http.get(
                    f"{guest.platform_url}{_PLATFORM}/query_job_list", params={"flow_id": self.flow_id}
                )
                jobs = _data(known).get("job_list") or {}
                if jobs:
                    return str(next(iter(jobs)))
                created = await http.post(f"{guest.platform_url}{_PLATFORM}/create_all", json=document)
                return str(_data(created)["job_id"])

        return await self._eventually("submitting the job", attempt, "guest")

    async def asked(self, job_id: str) -> JobDetail:
        """Wait until the host's operator is asked (or the job is past that) and return the job as the host sees it."""

        async def attempt(client: NodeClient) -> JobDetail | None:
            detail = await client.job(job_id)
            return detail if detail.job.needs_decision or detail.job.state != "PENDING" else None

        return await self._eventually("the job's arrival at the host", attempt, "host", missing_is_early=True)

    async def approve(self, job_id: str) -> None:
        """The host's operator approves; done when the host has recorded a decision."""
        await self.asked(job_id)

        async def attempt(client: NodeClient) -> JobDetail | None:
            detail = await client.job(job_id)
            if detail.job.needs_decision:
                if detail.card is not None and detail.card.problems:
                    raise DemoFailure(f"the host cannot approve: {'; '.join(detail.card.problems)}")
                await client.approve(job_id, "the demo's operator agrees")
                detail = await client.job(job_id)
            return None if detail.job.needs_decision else detail

        await self._eventually("the approval at the host", attempt, "host")

    async def finished(self, job_id: str) -> dict[str, JobDetail]:
        """Wait until every node says that the job is over; per role, the job as that node sees it."""
        details = {}
        for role in self.roles:
            details[role] = await self._eventually(
                f"the end of the job at the {role}", lambda client: _over(client, job_id), role
            )
        for role, detail in details.items():
            if detail.job.state != "FINISHED" or detail.job.outcome != "succeeded":
                why = detail.job.reason or "; ".join(share.reason for task in detail.tasks for share in task.shares)
                raise DemoFailure(f"at the {role} the job is {detail.job.state} ({detail.job.outcome}): {why}")
        return details

    async def check(self, job_id: str) -> Verdict:
        """Read both results and compare them with the plain join of the two files."""
        given = {role: read_table(self.data_file(role)) for role in _TWO_PARTIES}
        common = set(given["guest"].ids) & set(given["host"].ids)
        sides = []
        order: list[str] | None = None
        for role in _TWO_PARTIES:
            detail = await self._eventually("reading the result", lambda client: client.job(job_id), role)
            side, found = _side(self.nodes[role], role, detail, given[role], common)
            if order is not None and order != found.ids:
                problem = "the two results list the ids in different orders"
                side = _with_problem(side, problem)
            order = found.ids
            sides.append(side)
        return Verdict(job_id=job_id, expected=len(common), sides=sides)

    def data_file(self, role: str) -> Path:
        """The party's CSV file, outside its node's home as an operator's own file would be."""
        return self.directory / f"{role}.csv"

    async def close(self, *, keep: bool = False) -> None:
        """End nodes and components, whatever state they are in; `keep` leaves the nodes running."""
        for client in self._clients.values():
            await client.close()
        if keep:
            return
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        for node in self.nodes.values():
            node.end_components()

    async def _eventually(
        self,
        what: str,
        attempt: Callable[[NodeClient], Awaitable[T | None]],
        role: str,
        *,
        missing_is_early: bool = False,
    ) -> T:
        """The first answer that is not None. A node that is down or busy is asked again until the limit is reached."""
        loop = asyncio.get_running_loop()
        limit = None if self._within is None else loop.time() + self._within
        pause, last = 0.02, "it has not happened yet"
        while limit is None or loop.time() < limit:
            for node in self.nodes.values():
                if not node.running:
                    await self._on_death(node)
            try:
                result = await attempt(self._clients[role])
                if result is not None:
                    return result
            except (NodeUnreachable, httpx.TransportError) as error:
                last = str(error) or type(error).__name__
            except ClientError as error:
                if error.status < 500 and not (missing_is_early and error.status == 404):
                    raise DemoFailure(f"{what}: {error.message}") from None
                last = error.message
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        raise DemoFailure(f"{what} took more than {self._within:g} seconds: {last}")


async def _over(client: NodeClient, job_id: str) -> JobDetail | None:
    detail = await client.job(job_id)
    return detail if detail.job.state in _OVER else None


def _data(response: httpx.Response) -> dict[str, Any]:
    """The data object of a platform answer; a refusal is a `ClientError`, an unreadable answer a transport error."""
    try:
        answer = response.json()
        code, data = int(answer["code"]), answer.get("data") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise httpx.RemoteProtocolError(f"the platform interface answered {response.status_code}") from None
    if code not in _SUCCESS:
        raise ClientError(str(answer.get("msg")), code)
    return dict(data)


def _side(node: NodeProcess, role: str, detail: JobDetail, given: Table, common: set[str]) -> tuple[Side, Table]:
    results = {result.output: result for result in detail.results if result.task == TASK}
    stored = _path_of(results, OUTPUT, role)
    found = read_table(stored)
    report = results.get("report")
    side = Side(
        role=role,
        node_id=node.node_id,
        rows=len(given.rows),
        intersection=len(found.rows),
        result=stored,
        report=Path(report.path) if report is not None and report.path else None,
        log=_log_of(node, detail, role),
        problems=tuple(_faults(role, given, found, common)),
    )
    return side, found


def _with_problem(side: Side, problem: str) -> Side:
    return Side(
        side.role,
        side.node_id,
        side.rows,
        side.intersection,
        side.result,
        side.report,
        side.log,
        (*side.problems, problem),
    )


def _path_of(results: Mapping[str, ResultRow], output: str, role: str) -> Path:
    result = results.get(output)
    if result is None or not result.path:
        raise DemoFailure(f"the {role} has no result {output}; it has {', '.join(sorted(results)) or 'none'}")
    return Path(result.path)


def _log_of(node: NodeProcess, detail: JobDetail, role: str) -> Path:
    attempts = [
        share.attempt_id
        for task in detail.tasks
        if task.name == TASK
        for share in task.shares
        if share.local and share.role == role
    ]
    directory = node.home.logs / detail.job.job_id
    return directory / f"{attempts[0]}.log" if attempts and attempts[0] else directory


def _faults(role: str, given: Table, found: Table, common: set[str]) -> list[str]:
    """What is wrong with a result: it must hold exactly the party's own records of the ids on both sides, unchanged."""
    faults = []
    ids = found.ids
    if len(ids) != len(set(ids)):
        faults.append(f"the {role}'s result lists ids more than once")
    if set(ids) != common:
        lacking, surplus = len(common - set(ids)), len(set(ids) - common)
        faults.append(f"the {role}'s result lacks {lacking} ids of the intersection and has {surplus} others")
    own = {record[ID_COLUMN]: record for record in given.records}
    changed = [
        record[ID_COLUMN] for record in found.records if not record.items() <= own.get(record[ID_COLUMN], {}).items()
    ]
    if changed:
        faults.append(f"the {role}'s result has {len(changed)} records that are not as in its file, first {changed[0]}")
    if set(found.header) != set(given.header):
        faults.append(f"the {role}'s result does not have the columns of its file")
    return faults


# The command.


def run(args: argparse.Namespace) -> int:
    """`nodeconsole demo`; the exit code is 0 only if both results are right."""
    out = Output(as_json=args.json)
    try:
        if args.end:
            return asyncio.run(_end(args, out))
        return asyncio.run(_command(args, out))
    except (DemoFailure, NodeFailure) as error:
        out.note(f"nodeconsole demo: {error}")
        return Exit.FAILED
    except KeyboardInterrupt:
        out.end_progress()
        return Exit.INTERRUPTED
    except asyncio.CancelledError:
        out.end_progress()
        return 128 + signal.SIGTERM


async def _command(args: argparse.Namespace, out: Output) -> int:
    directory = _directory(args, out)
    demo = Demo(
        directory,
        parties=args.parties,
        allow_exec=[Path(path) for path in args.allow_exec],
        within=None if args.interactive else 110.0,
        progress=lambda step: out.progress(f"{step} ..."),
    )
    async with _ended(demo) as keep:
        verdict = await demo.run(partial(_attach, out) if args.interactive else None)
        if out.as_json:
            out.document(_as_json(verdict, demo, keep=args.keep))
        else:
            _print(verdict, demo, out, keep=args.keep)
        out.flush()
        keep.append(args.keep)
    return Exit.OK if verdict.right else Exit.FAILED


async def _end(args: argparse.Namespace, out: Output) -> int:
    directory = Path(args.home)
    if not args.home_given or not (directory / MARK).exists():
        raise DemoFailure("name the demo whose nodes are to end: --end --home DIR")
    ended = await end_kept(directory)
    if out.as_json:
        out.document({"ended": ended})
    else:
        out.line(f"ended: {', '.join(ended)}" if ended else "no node of this demo was running")
    return Exit.OK


@asynccontextmanager
async def _ended(demo: Demo) -> AsyncIterator[list[bool]]:
    """End the demo's processes on every way out, SIGTERM included; the caller may append True to keep the nodes."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    keep: list[bool] = []
    try:
        yield keep
    finally:
        await demo.close(keep=any(keep))
        loop.remove_signal_handler(signal.SIGTERM)


def _directory(args: argparse.Namespace, out: Output) -> Path:
    """Where the demo lives: `--home` if typed (an earlier demo there is replaced), else a new temporary directory."""
    if not args.home_given:
        return Path(tempfile.mkdtemp(prefix="nodeconsole-demo-"))
    directory = Path(args.home)
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise DemoFailure(f"{directory} is not empty and holds no earlier demo: name another directory")
        if not args.yes and not _agrees(f"Remove the earlier demo in {directory}? [y/N] ", out):
            raise DemoFailure(f"an earlier demo lies in {directory}: add --yes to replace it")
        shutil.rmtree(directory)
    return directory


def _agrees(question: str, out: Output) -> bool:
    if not (out.interactive and sys.stdin.isatty()):
        return False
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _attach(out: Output, demo: Demo, job_id: str) -> None:
    """Open the host's console for the person, and go on when the host's decision is recorded."""
    await demo.asked(job_id)
    host = demo.nodes["host"]
    out.note(
        f"The host's console opens now. Job {job_id} waits there for your decision: look at it, approve it, "
        "watch its log, and leave with Ctrl+Q."
    )
    console = await asyncio.create_subprocess_exec(*host.command_line("attach"))
    try:
        code = await console.wait()
    finally:
        if console.returncode is None:
            console.terminate()
            await console.wait()
    if code != 0:
        raise DemoFailure(f"the console ended with {code}")
    detail = await demo.asked(job_id)
    if detail.job.needs_decision:
        raise DemoFailure(f"nothing was decided about job {job_id}")


def _print(verdict: Verdict, demo: Demo, out: Output, *, keep: bool) -> None:
    parties = "two parties" if len(demo.roles) == len(_TWO_PARTIES) else "two parties and a coordinating arbiter"
    out.line(f"Private set intersection between {parties}, job {verdict.job_id}")
    out.line()
    rows = [
        (side.role, str(side.rows), str(side.intersection), "right" if not side.problems else "WRONG")
        for side in verdict.sides
    ]
    out.table(("PARTY", "ROWS", "INTERSECTION", "RESULT"), rows, empty="")
    out.line(f"Plain join of the two files: {verdict.expected} of {RECORDS} records are on both sides.")
    for problem in verdict.problems:
        out.line(f"WRONG: {problem}")
    out.line()
    out.table(("STEP", "SECONDS"), [(step, f"{took:.2f}") for step, took in verdict.steps.items()], empty="")
    out.line()
    for side in verdict.sides:
        out.line(f"{side.role}: result {side.result}")
        out.line(f"{' ' * len(side.role)}  log    {side.log}")
    out.line()
    if not keep:
        out.line(f"Everything lies in {demo.directory}; remove it when you have looked.")
        return
    out.line("The nodes go on running. Look at them with")
    for node in demo.nodes.values():
        out.line(f"  nodeconsole attach --home {node.home.path}")
    out.line(f"and end them with `nodeconsole demo --end --home {demo.directory}`.")


def _as_json(verdict: Verdict, demo: Demo, *, keep: bool) -> dict[str, Any]:
    return {
        "right": verdict.right,
        "job_id": verdict.job_id,
        "expected": verdict.expected,
        "problems": verdict.problems,
        "sides": [
            {
                "role": side.role,
                "node_id": side.node_id,
                "rows": side.rows,
                "intersection": side.intersection,
                "result": str(side.result),
                "log": str(side.log),
            }
            for side in verdict.sides
        ],
        "seconds": {step: round(took, 3) for step, took in verdict.steps.items()},
        "directory": str(demo.directory),
        "nodes": [
            {"node_id": node.node_id, "home": str(node.home.path), "pid": node.pid if keep else None}
            for node in demo.nodes.values()
        ],
    }
