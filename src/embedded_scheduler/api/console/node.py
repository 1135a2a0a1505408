"""`/status` and `/doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.diagnosis import certificate_findings, home_findings
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine.credentials import IMPORTED
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.spi.runner import ContainingRunner
from embedded_scheduler.store import components, contracts, invitations, jobs, ledger, outbox, peers, tokens
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import DoctorReport, Finding, NodeStatus

_DAY_MS = 86_400_000
_SOON_MS = 14 * _DAY_MS


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
        caller = endpoint.caller()

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
            read_only=caller.role is Role.VIEWER,
            operator=caller.name,
            role=str(caller.role or ""),
        )

    async def doctor(self) -> DoctorReport:
        findings = await asyncio.to_thread(lambda: list(home_findings(self._engine.home)))
        findings += self._containment()
        findings.append(await self._database())
        findings += self._services()
        findings.append(await self._components())
        findings += await self._certificates()
        findings += await self._partners()
        findings += await self._contracts()
        findings.append(self._platform())
        findings += await self._tokens()
        findings += self._operators()
        findings.append(self._refusals())
        return DoctorReport(findings=findings)

    def _containment(self) -> Iterator[Finding]:
        levels = {"sandbox": "ok", "plain": "warning"}
        for runner in self._engine.runners.values():
            if isinstance(runner, ContainingRunner):
                found = runner.containment()
                level = levels.get(found.level, "error")
                yield Finding(check="containment", level=level, text=found.text, fix=found.advice)

    def _refusals(self) -> Finding:
        found = self._console.refusals()
        text = f"since the start, refused {found.strangers} requests of strangers, {found.unproven} without proof"
        if not found.beyond_limit:
            return Finding(check="limits", level="ok", text=f"{text}, none beyond a partner's limits")
        several = ", ".join(f"{count} of {node_id}" for node_id, count in sorted(found.beyond_limit.items())[:5])
        fix = "ask that partner what it sends; if it has to be so much, raise limits.partner_… in node.toml"
        return Finding(check="limits", level="warning", text=f"{text}, beyond their limits {several}", fix=fix)

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

    async def _certificates(self) -> list[Finding]:
        engine = self._engine
        agreed = await engine.db.read(contracts.all)
        return await asyncio.to_thread(
            lambda: list(certificate_findings(engine.home, engine.settings, agreed, engine.clock.now_ms()))
        )

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

    async def _contracts(self) -> list[Finding]:
        """Who is believed without a signature, who asks to be trusted, and codes that somebody tried in vain."""
        month_ms = self._engine.clock.now_ms() - 30 * 86_400_000
        rows, waiting, codes = await self._engine.db.read(
            lambda reader: (
                peers.all(reader),
                contracts.open_applications(reader),
                invitations.since(reader, month_ms),
            )
        )
        findings = []
        for row in rows:
            if row.signing == "off":
                text = f"{row.node_id} is believed without a signature: whoever reaches this node can speak in its name"
                fix = f"make a contract (nodeconsole peer invite) unless it cannot sign (profile {row.profile})"
                findings.append(Finding(check="unsigned", level="warning", text=text, fix=fix))
        for contract in waiting:
            text = f"{contract.node_id} at {contract.address} asks to become a partner, or waits for the words"
            fix = f"nodeconsole peer show {contract.node_id}; then peer confirm or peer refuse"
            findings.append(Finding(check="contract", level="warning", text=text, fix=fix))
        for code in codes:
            if code.wrong:
                text = f"{code.wrong} applications with a wrong proof came for invitation {code.id}"
                fix = "somebody tries codes or changes what the partner sends: compare the words with care"
                findings.append(Finding(check="invitation", level="warning", text=text, fix=fix))
        return findings

    def _platform(self) -> Finding:
        if self._engine.settings.platform.trust_loopback:
            text = "platform.trust_loopback: every program of this machine may submit and stop jobs"
            fix = "remove the setting; `nodeconsole token create NAME` for each program"
            return Finding(check="platform", level="warning", text=text, fix=fix)
        return Finding(check="platform", level="ok", text="asks its callers for a token")

    async def _tokens(self) -> list[Finding]:
        now_ms = self._engine.clock.now_ms()
        counting = [token for token in await self._engine.db.read(tokens.all) if token.revoked_ms is None]
        ending = [t for t in counting if t.expires_ms is not None and t.expires_ms - now_ms < _SOON_MS]
        findings = []
        for token in ending:
            assert token.expires_ms is not None
            days = (token.expires_ms - now_ms) // _DAY_MS
            when = f"expires in {days} days" if token.expires_ms > now_ms else "has expired"
            fix = f"`nodeconsole token revoke {token.name}`, then `nodeconsole token create {token.name}`"
            findings.append(Finding(check="token", level="warning", text=f"{token.name} {when}", fix=fix))
        if any(token.token_id == IMPORTED for token in counting):
            text = f"the file {IMPORTED} of an older version still opens everything at the platform listener"
            fix = (
                f"give each program a token of its own, then `nodeconsole token revoke {IMPORTED}` and remove the file"
            )
            findings.append(Finding(check="token", level="warning", text=text, fix=fix))
        if not findings:
            names = ", ".join(token.name for token in counting) or "none: no program of the platform may call"
            findings.append(Finding(check="token", level="ok", text=names))
        return findings

    def _operators(self) -> Iterator[Finding]:
        named = {role: sorted(names) for role, names in self._console.operators.members.items() if names}
        text = "; ".join(f"{role}: {', '.join(names)}" for role, names in named.items())
        own = "the node's user and root are administrators"
        yield Finding(check="operators", level="ok", text=f"{own}; {text}" if text else f"{own}, nobody else")
        needed = self._engine.settings.approval
        most = max(needed.job_approvers, needed.dataset_approvers, needed.contract_approvers)
        if most > 1 and not (named.get(Role.APPROVER) or named.get(Role.ADMIN)):
            text = f"approvals need {most} persons, and no other user has a role"
            fix = "name them in operators.approver and set operators.socket in node.toml"
            yield Finding(check="operators", level="warning", text=text, fix=fix)
