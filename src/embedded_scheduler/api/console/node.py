"""`/status` and `/doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.diagnosis import home_findings
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.spi.runner import ContainingRunner
from embedded_scheduler.store import components, jobs, ledger, outbox, peers
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import DoctorReport, Finding, NodeStatus


def install(app: Quart, console: Console) -> None:
    node = NodeFacts(console)
    endpoint.route(app, "GET", "/status", node.status)
    endpoint.route(app, "GET", "/doctor", node.doctor)


class NodeFacts:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def status(self) -> NodeStatus:
        engine = self._engine

        def look(reader: Reader) -> tuple[dict[str, int], int, int]:
            return jobs.counts(reader, engine.node_id), len(peers.all(reader)), ledger.last(reader)[0]

        counts, partners, last_seq = await engine.db.read(look)
        return NodeStatus(
            node_id=engine.node_id,
            version=self._console.version,
            pid=os.getpid(),
            started_ms=self._console.started_ms,
            now_ms=engine.clock.now_ms(),
            home=str(engine.home.path),
            listen=engine.settings.partner.listen,
            platform=engine.settings.platform.listen,
            jobs=counts,
            peers=partners,
            last_seq=last_seq,
        )

    async def doctor(self) -> DoctorReport:
        findings = await asyncio.to_thread(lambda: list(home_findings(self._engine.home)))
        findings += self._containment()
        findings.append(await self._database())
        findings += self._services()
        findings.append(await self._components())
        findings += await self._partners()
        findings.append(self._trust())
        return DoctorReport(findings=findings)

    def _containment(self) -> Iterator[Finding]:
        levels = {"sandbox": "ok", "plain": "warning"}
        for runner in self._engine.runners.values():
            if isinstance(runner, ContainingRunner):
                found = runner.containment()
                level = levels.get(found.level, "error")
                yield Finding(check="containment", level=level, text=found.text, fix=found.advice)

    async def _database(self) -> Finding:
        seq, _ = await self._engine.db.read(ledger.last)
        return Finding(check="database", level="ok", text=f"open, last event {seq}")

    def _services(self) -> Iterator[Finding]:
        for health in self._console.health():
            if health.state is ServiceState.PAUSED:
                text = f"{health.name} crashed {health.crashes} times and starts again: {health.last_error}"
                yield Finding(check="service", level="error", text=text, fix="node.log has the traceback: report it")
            elif health.crashes:
                text = f"{health.name} runs; it crashed {health.crashes} times, last: {health.last_error}"
                yield Finding(check="service", level="warning", text=text, fix="node.log has the traceback: report it")
            else:
                yield Finding(check="service", level="ok", text=f"{health.name} {health.state}")

    async def _components(self) -> Finding:
        rows = await self._engine.db.read(components.all)
        lame = [f"{row.name} {row.version}" for row in rows if self._engine.runner_for(row.image_url) is None]
        if lame:
            text = f"{len(lame)} of {len(rows)} cannot run here: {', '.join(lame[:5])}"
            return Finding(check="components", level="warning", text=text, fix="nodeconsole component list says why")
        return Finding(check="components", level="ok", text=f"{len(rows)} registered, all can run here")

    async def _partners(self) -> list[Finding]:
        rows, waiting = await self._engine.db.read(
            lambda reader: (peers.all(reader), outbox.undelivered_by_target(reader))
        )
        findings = []
        for row in rows:
            contact = self._console.contacts.of(row.node_id)
            undelivered = waiting.get(row.node_id, 0)
            failing = (contact.last_error_ms or 0) > (contact.last_ok_ms or 0)
            if undelivered and failing:
                text = f"{row.node_id}: {undelivered} undelivered; {contact.last_error}"
                fix = f"check that {row.url} can be reached from here; delivery goes on by itself"
                findings.append(Finding(check="partner", level="warning", text=text, fix=fix))
            else:
                findings.append(Finding(check="partner", level="ok", text=f"{row.node_id} at {row.url}"))
        return findings

    def _trust(self) -> Finding:
        if self._engine.settings.platform.trust_loopback:
            text = "platform.trust_loopback: every program of this machine may submit and stop jobs"
            return Finding(check="platform", level="warning", text=text, fix="remove the setting; use platform.token")
        return Finding(check="platform", level="ok", text="asks for the token of platform.token")
