"""Random jobs on real engines while messages get lost, operators change their minds and nodes crash and come back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.config import Limits, Timing
from embedded_scheduler.domain.lifecycle import JOB, ApprovalState, JobState
from embedded_scheduler.domain.waiting import explain_job
from embedded_scheduler.engine import jobs
from embedded_scheduler.engine.bus import Bus
from embedded_scheduler.errors import NodeError
from embedded_scheduler.spi.runner import Exit
from embedded_scheduler.store import ledger, outbox

QUICK = Timing(
    poll_first=0.05, poll_longest=0.2, retry_first=0.01, retry_longest=0.1, submit_wait=0.05, stop_grace=0.01
)
NODES = ("alice", "bob", "carol")
STEPS = 60


async def _news(bus: Bus, seconds: float) -> None:
    """Until something is committed, or so long."""
    with bus.subscribe() as subscription:
        await subscription.get(seconds)


class Chaos:
    """One random run. Everything random comes from `seed`; when it happens depends on the threads as well."""

    def __init__(self, net: Cluster, seed: int) -> None:
        self.net = net
        self.rng = random.Random(seed)
        self.nodes = NODES[: self.rng.choice((2, 3, 3))]
        self.limits = Limits(concurrent_attempts=self.rng.choice((1, 3, 32)))
        self.submitted = 0

    async def start(self, node_id: str) -> None:
        await self.net.start(node_id, timing=QUICK, limits=self.limits)
        self.net.runners[node_id].result = self._result
        for other in self.nodes:
            self.net.partners[node_id].policy.setdefault(other, self.rng.choice(("auto", "auto", "manual")))

    def _result(self, _: str) -> Exit | None:
        return self.rng.choice((Exit(0), Exit(0), Exit(0), None, None, Exit(1) if self.rng.random() < 0.2 else None))

    async def run(self) -> None:
        for node_id in self.nodes:
            await self.start(node_id)
        self.net.fault = lambda source, message: self.rng.choice(("", "", "", "lost", "unanswered", "twice"))
        deeds = (self.submit, self.submit, self.decide, self.stop_something, self.crash, self.end_attempt, self.wait)
        async with asyncio.TaskGroup() as group:
            for _ in range(STEPS):
                deed = self.rng.choices(deeds, weights=(4, 4, 8, 2, 2, 10, 10))[0]
                if deed == self.submit:
                    group.create_task(self.submit())
                else:
                    await deed()

    def up(self) -> list[str]:
        return [node for node in self.nodes if node in self.net.engines]

    async def submit(self) -> None:
        if self.submitted >= 8 or not self.up():
            return
        self.submitted += 1
        initiator = self.rng.choice(self.up())
        others = [node for node in self.nodes if node != initiator]
        size = self.rng.randint(1, 5)
        edges = [
            (f"t{i}", *(f"t{up}" for up in self.rng.sample(range(i), self.rng.randint(0, min(2, i)))))
            for i in range(size)
        ]
        roles = {"guest": [initiator], "host": self.rng.sample(others, self.rng.randint(1, len(others)))}
        job: dict[str, Any] = document(
            *edges,
            roles=roles,
            initiator=initiator,
            coordinator=self.rng.choice(("", "", *self.nodes)),
            sync_type=self.rng.choice(("poll", "callback")),
        )
        with contextlib.suppress(NodeError):
            await jobs.submit(self.net.engines[initiator], job, actor="platform", trace_id="")

    async def _some_job(self) -> tuple[str, str] | None:
        known = [
            (node, job_id)
            for node in self.up()
            for job_id, state in (await jobs.job_list(self.net.engines[node], None)).items()
            if not JOB.is_terminal(JobState(state))
        ]
        return self.rng.choice(known) if known else None

    async def decide(self) -> None:
        chosen = await self._some_job()
        if chosen is not None:
            approve = self.rng.random() < 0.9
            with contextlib.suppress(NodeError):
                await jobs.decide(
                    self.net.engines[chosen[0]], chosen[1], approve=approve, reason="chance", actor="operator:x"
                )

    async def stop_something(self) -> None:
        chosen = await self._some_job()
        if chosen is not None:
            task = self.rng.choice(("", "t0", "t1"))
            with contextlib.suppress(NodeError):
                await jobs.stop_all(self.net.engines[chosen[0]], chosen[1], task, actor="operator:x")

    async def crash(self) -> None:
        """Stop a node without letting anything end, perhaps leave it away, and start one that is away."""
        away = [node for node in self.nodes if node not in self.net.engines]
        if away:
            await self.start(away[0])
        elif self.rng.random() < 0.7:
            node = self.rng.choice(self.nodes)
            await self.net.stop(node)
            if self.rng.random() < 0.5:
                await self.start(node)

    async def end_attempt(self) -> None:
        runner = self.net.runners[self.rng.choice(self.nodes)]
        if runner.launches:
            runner.end(self.rng.choice(runner.launches), Exit(self.rng.choice((0, 0, 0, 1))))

    async def wait(self) -> None:
        # Not for anything: it moves the next deed to a random moment.
        await asyncio.sleep(self.rng.random() * 0.02)

    async def calm_down(self) -> None:
        """From now on nothing goes wrong, and nobody waits for a person."""
        self.net.fault = lambda source, message: ""
        for node in self.nodes:
            if node not in self.net.engines:
                await self.start(node)
            runner = self.net.runners[node]
            runner.result = lambda _: Exit(0)
            for attempt in runner.launches:
                runner.end(attempt, Exit(0))

    async def settle(self) -> None:
        """Until no job is open anywhere and nothing is left to do; operators approve what they are asked."""
        while any([await self._decide_all(node) for node in self.nodes]):
            await _news(self.net.engines[self.nodes[0]].bus, 0.05)
        for node in self.nodes:
            engine = self.net.engines[node]
            while (
                self.net.watching[node].attempts
                or self.net.delivery[node].under_way
                or await engine.db.read(outbox.undelivered_by_target)
            ):
                await _news(engine.bus, 0.02)

    async def _decide_all(self, node: str) -> bool:
        """Approve what waits for this node; whether jobs are open here."""
        open_jobs = await self._open(node)
        for job_id in open_jobs:
            s = await self.net.view(node, job_id)
            own = s.approvals.get(node)
            if s.state is JobState.PENDING and own is not None and own.state is ApprovalState.PENDING:
                with contextlib.suppress(NodeError):
                    await jobs.decide(self.net.engines[node], job_id, approve=True, reason="", actor="operator:x")
        return bool(open_jobs)

    async def _open(self, node: str) -> list[str]:
        found = await jobs.job_list(self.net.engines[node], None)
        return [job_id for job_id, state in found.items() if not JOB.is_terminal(JobState(state))]

    async def stuck(self) -> str:
        lines = []
        for node in self.nodes:
            for job_id in await self._open(node):
                s = await self.net.view(node, job_id)
                wait = explain_job(s)
                lines.append(f"{node} {job_id[:10]} {s.state} {s.coordinator}: {wait.text if wait else '?'}")
            engine = self.net.engines[node]
            lines.append(f"{node}: waits {await engine.db.read(outbox.undelivered_by_target)}")
            lines.append(f"{node}: runs {sorted(self.net.watching[node].attempts)}")
        return "\n".join(lines)

    async def check(self) -> None:
        verdicts: dict[str, set[tuple[str, str]]] = {}
        for node in self.nodes:
            engine = self.net.engines[node]
            report = await engine.db.read(ledger.verify)
            assert report.ok, report.fault
            launches = self.net.runners[node].launches
            assert len(launches) == len(set(launches)), f"{node} launched an attempt twice"
            assert engine.watchlist.polls == {}
            assert not self.net.delivery[node].under_way
            for job_id in await jobs.job_list(engine, None):
                s = await self.net.view(node, job_id)
                verdicts.setdefault(job_id, set()).add((s.state.value, str(s.outcome)))
                assert all(a.state is not ApprovalState.PENDING for a in s.approvals.values())
        for job_id, said in verdicts.items():
            assert len(said) == 1, f"the nodes do not agree: {said}\n{await self.story(job_id)}"

    async def story(self, job_id: str) -> str:
        """What every node recorded about a job, in one sequence."""
        lines = []
        for node in self.nodes:
            events = await self.net.engines[node].db.read(lambda r: ledger.page(r, job_id=job_id, limit=500))
            lines += [(e.at_ms, f"{node} {e.event} {e.subject_id} by {e.actor}: {e.reason}") for e in events]
        return "\n".join(f"{at % 100_000} {line}" for at, line in sorted(lines))


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_every_job_ends_and_all_nodes_agree(tmp_path: Path, seed: int) -> None:
    net = Cluster(tmp_path)
    chaos = Chaos(net, seed)
    try:
        await chaos.run()
        await chaos.calm_down()
        try:
            async with asyncio.timeout(20):
                await chaos.settle()
        except TimeoutError:
            raise AssertionError(await chaos.stuck()) from None
        await chaos.check()
    finally:
        await net.stop_all()
