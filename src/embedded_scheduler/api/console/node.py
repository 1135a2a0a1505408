"""`/status` and `/doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from quart import Quart

from embedded_scheduler.addresses import Address, parse_address
from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.diagnosis import certificate_findings, home_findings
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine.credentials import IMPORTED
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.spi.runner import ContainingRunner
from embedded_scheduler.store import components, contracts, grants, invitations, jobs, ledger, outbox, peers, tokens
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.peers import Peer
from embedded_scheduler.wire.console import DoctorReport, Finding, NodeStatus

_SOON_MS = 14 * DAY_MS
_MINUTE_MS = 60_000


def install(app: Quart, console: Console) -> None:
    node = NodeFacts(console)
    endpoint.route(app, "GET", "/status", node.status)
    endpoint.route(app, "GET", "/doctor", node.doctor)


class NodeFacts:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine
        self._certificates_seen: tuple[object, list[Finding]] = (None, [])

    async def status(self) -> NodeStatus:
        engine = self._engine
        caller = endpoint.caller()

        def look(reader: Reader) -> tuple[dict[str, int], list[Peer], list[Contract], int, int]:
            counts = jobs.counts(reader, engine.node_id)
            waiting = grants.open_count(reader)
            return counts, peers.all(reader), contracts.all(reader), waiting, ledger.last(reader)[0]

        counts, partners, agreed, requests, last_seq = await engine.db.read(look)
        return NodeStatus(
            node_id=engine.node_id,
            version=self._console.version,
            pid=os.getpid(),
            started_ms=self._console.started_ms,
            now_ms=engine.clock.now_ms(),
            home=str(engine.home.path),
            exhibit=self._console.exhibit,
            listen=engine.settings.partner.listen,
            platform=engine.settings.platform.listen,
            jobs=counts,
            contracts_waiting=sum(row.state is AgreementState.APPLIED and not row.compared_by for row in agreed),
            grants_waiting=requests,
            warnings=await self._standing(partners, agreed),
            actions=["invite", "join", "register", "submit"],
            peers=len(partners),
            last_seq=last_seq,
            read_only=caller.role is Role.VIEWER,
            operator=caller.name,
            role=str(caller.role or ""),
        )

    async def _standing(self, partners: Iterable[Peer], agreed: list[Contract]) -> list[Finding]:
        """What an operator should not have to ask for; the same sentences as in `doctor`."""
        findings = [*_unsigned(partners), *self._plain_http(partners), *await self._certificates_lately(agreed)]
        findings += [*self._containment(), self._platform()]
        return [finding for finding in findings if finding.level != "ok"]

    async def _certificates_lately(self, agreed: list[Contract]) -> list[Finding]:
        """As of this minute: the status is asked for several times a second, and certificates end by days."""
        known = (self._engine.clock.now_ms() // _MINUTE_MS, [(row.contract_id, row.state) for row in agreed])
        if self._certificates_seen[0] != known:
            self._certificates_seen = (known, await self._certificates(agreed))
        return self._certificates_seen[1]

    async def doctor(self) -> DoctorReport:
        findings = await asyncio.to_thread(lambda: list(home_findings(self._engine.home)))
        findings += self._containment()
        findings.append(await self._database())
        findings += self._services()
        findings.append(await self._components())
        partners, agreed = await self._engine.db.read(lambda reader: (peers.all(reader), contracts.all(reader)))
        findings += await self._certificates(agreed)
        findings += _unsigned(partners)
        findings += self._plain_http(partners)
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

    def _plain_http(self, partners: Iterable[Peer]) -> Iterator[Finding]:
        """TLS is missing where others than this machine can listen in."""
        partner = self._engine.settings.partner
        if partner.tls == "off" and not parse_address(partner.listen, "partner.listen").is_loopback:
            text = f"partners reach this node by plain HTTP at {partner.listen}: whoever is on the way reads everything"
            fix = 'set partner.tls = "mutual" in node.toml, or listen on 127.0.0.1 behind something that ends TLS'
            yield Finding(check="plain_http", level="warning", text=text, fix=fix, subject=partner.listen)
        for row in partners:
            url = urlsplit(row.url)
            if url.scheme == "http" and not Address(url.hostname or "", 0).is_loopback:
                text = f"{row.node_id} is called by plain HTTP at {row.url}: whoever is on the way reads everything"
                fix = f"ask {row.node_id} for an https address, then nodeconsole peer add {row.node_id} URL"
                yield Finding(check="plain_http", level="warning", text=text, fix=fix, subject=row.node_id)

    async def _certificates(self, agreed: list[Contract]) -> list[Finding]:
        engine = self._engine
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
        """Who asks to be trusted, and codes that somebody tried in vain."""
        month_ms = self._engine.clock.now_ms() - 30 * DAY_MS
        waiting, codes = await self._engine.db.read(
            lambda reader: (contracts.open_applications(reader), invitations.since(reader, month_ms))
        )
        findings = []
        for contract in waiting:
            text = f"{contract.node_id} at {contract.address} asks to become a partner, or waits for the words"
            fix = f"nodeconsole peer show {contract.node_id}; then peer confirm or peer refuse"
            findings.append(Finding(check="contract", level="warning", text=text, fix=fix))
        for code in codes:
            if code.wrong:
                text = f"{code.wrong} applications were refused for invitation {code.id}: a wrong proof, or it was over"
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
            days = (token.expires_ms - now_ms) // DAY_MS
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


def _unsigned(partners: Iterable[Peer]) -> Iterator[Finding]:
    """Who is believed without a signature."""
    for row in partners:
        if row.signing == "off":
            text = f"{row.node_id} is believed without a signature: whoever reaches this node can speak in its name"
            fix = f"make a contract (nodeconsole peer invite) unless it cannot sign (profile {row.profile})"
            yield Finding(check="unsigned", level="warning", text=text, fix=fix, subject=row.node_id)
