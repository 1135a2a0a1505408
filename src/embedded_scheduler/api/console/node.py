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
from embedded_scheduler.diagnosis import certificate_findings, disk_finding, home_findings, quota_finding
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.domain.space import Usage
from embedded_scheduler.engine.credentials import IMPORTED
from embedded_scheduler.engine.space import fresh
from embedded_scheduler.engine.space import jobs as space_of_jobs
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.errors import NodeError
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import ContainingRunner, DiagnosedRunner
from embedded_scheduler.spi.storage import RemoteStorage
from embedded_scheduler.store import components, contracts, grants, invitations, jobs, ledger, outbox, peers, tokens
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.peers import Peer
from embedded_scheduler.wire.console import DoctorReport, Finding, NodeStatus

_SOON_MS = 14 * DAY_MS
_SOON_REMOVED_DAYS = 7
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
        findings += [*self._containment(), self._platform(), *await self._space()]
        return [finding for finding in findings if finding.level != "ok"]

    async def _certificates_lately(self, agreed: list[Contract]) -> list[Finding]:
        """As of this minute: the status is asked for several times a second, and certificates end by days."""
        known = (self._engine.clock.now_ms() // _MINUTE_MS, [(row.contract_id, row.state) for row in agreed])
        if self._certificates_seen[0] != known:
            self._certificates_seen = (known, await self._certificates(agreed))
        return self._certificates_seen[1]

    async def _space(self) -> list[Finding]:
        """As seen last: the status is asked for several times a second. A disk that is only tight is for `doctor`."""
        engine = self._engine
        disk = await asyncio.to_thread(disk_finding, engine.home, engine.settings)
        usage = engine.room.usage
        found = [quota_finding(usage, engine.settings)] if usage is not None else []
        return [*found, *((disk,) if disk.level == "error" else ())]

    async def _due(self, usage: Usage) -> list[Finding]:
        """Results that nobody kept and that go soon."""
        by = await space_of_jobs(self._engine, usage)
        latest_ms = self._engine.clock.now_ms() + _SOON_REMOVED_DAYS * DAY_MS
        soon = sum(job.files.objects > 0 and (job.removal_ms or latest_ms) < latest_ms for job in by)
        if not soon:
            return []
        text = say("results_due", count=soon, days=_SOON_REMOVED_DAYS)
        return [Finding.of("retention", "ok", text, say("results_due_fix"))]

    async def doctor(self) -> DoctorReport:
        engine = self._engine
        findings = await asyncio.to_thread(lambda: list(home_findings(engine.home, engine.settings)))
        usage = await fresh(engine)
        findings += [quota_finding(usage, engine.settings), *await self._due(usage)]
        findings += [*self._containment(), *await self._runners()]
        findings.append(await self._storage())
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
                if found is not None:
                    level = levels.get(found.level, "error")
                    yield Finding.of("containment", level, found.text, found.advice)

    async def _runners(self) -> list[Finding]:
        diagnosed = [runner for runner in self._engine.runners.values() if isinstance(runner, DiagnosedRunner)]
        found = [(runner.name, await runner.diagnose()) for runner in diagnosed]
        return [
            Finding.of("runner", each.level, each.text, each.advice, subject=name)
            for name, each in found
            if each is not None
        ]

    def _refusals(self) -> Finding:
        found = self._console.refusals()
        strangers, unproven = found.strangers, found.unproven
        if not found.beyond_limit:
            return Finding.of("limits", "ok", say("refused", strangers=strangers, unproven=unproven))
        several = tuple(say("refused_of", count=n, node=node_id) for node_id, n in sorted(found.beyond_limit.items()))
        text = say("refused_beyond", strangers=strangers, unproven=unproven, several=several)
        return Finding.of("limits", "warning", text, say("refused_beyond_fix"))

    async def _storage(self) -> Finding:
        storage = self._engine.storage
        if not isinstance(storage, RemoteStorage):
            return Finding.of("storage", "ok", say("storage_local"))
        try:
            await storage.check()
        except NodeError as error:
            text = say("storage_fault", where=storage.described, error=error.message)
            return Finding.of("storage", "error", text, say("storage_fault_fix"))
        return Finding.of("storage", "ok", say("storage_ok", where=storage.described))

    async def _database(self) -> Finding:
        seq, _ = await self._engine.db.read(ledger.last)
        return Finding.of("database", "ok", say("database_open", seq=seq))

    def _services(self) -> Iterator[Finding]:
        for health in self._console.health():
            if not health.crashes and health.state is not ServiceState.PAUSED:
                yield Finding.of("service", "ok", say(f"service_{health.state}", name=health.name))
                continue
            paused = health.state is ServiceState.PAUSED
            code, level = ("service_paused", "error") if paused else ("service_crashed", "warning")
            text = say(code, name=health.name, crashes=health.crashes, error=health.last_error)
            yield Finding.of("service", level, text, say("service_fix"))

    async def _components(self) -> Finding:
        rows = await self._engine.db.read(components.all)
        lame = [f"{row.name} {row.version}" for row in rows if self._engine.placement.refusal(row)]
        if lame:
            text = say("components_lame", lame=len(lame), count=len(rows), names=tuple(lame))
            return Finding.of("components", "warning", text, say("components_lame_fix"))
        return Finding.of("components", "ok", say("components_ok", count=len(rows)))

    def _plain_http(self, partners: Iterable[Peer]) -> Iterator[Finding]:
        """TLS is missing where others than this machine can listen in."""
        partner = self._engine.settings.partner
        if partner.tls == "off" and not parse_address(partner.listen, "partner.listen").is_loopback:
            text = say("plain_here", address=partner.listen)
            yield Finding.of("plain_http", "warning", text, say("plain_here_fix"), subject=partner.listen)
        for row in partners:
            url = urlsplit(row.url)
            if url.scheme == "http" and not Address(url.hostname or "", 0).is_loopback:
                text = say("plain_there", node=row.node_id, address=row.url)
                fix = say("plain_there_fix", node=row.node_id)
                yield Finding.of("plain_http", "warning", text, fix, subject=row.node_id)

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
                text = say("partner_failing", node=row.node_id, count=undelivered, error=contact.last_error)
                findings.append(
                    Finding.of("partner", "warning", text, say("partner_failing_fix", address=row.url), row.node_id)
                )
            else:
                text = say("partner_ok", node=row.node_id, address=row.url)
                findings.append(Finding.of("partner", "ok", text, subject=row.node_id))
        return findings

    async def _contracts(self) -> list[Finding]:
        """Who asks to be trusted, and codes that somebody tried in vain."""
        month_ms = self._engine.clock.now_ms() - 30 * DAY_MS
        waiting, codes = await self._engine.db.read(
            lambda reader: (contracts.open_applications(reader), invitations.since(reader, month_ms))
        )
        findings = []
        for contract in waiting:
            text = say("application", node=contract.node_id, address=contract.address)
            fix = say("application_fix", node=contract.node_id)
            findings.append(Finding.of("contract", "warning", text, fix, contract.node_id))
        for code in codes:
            if code.wrong:
                text = say("invitation_wrong", count=code.wrong, id=code.id)
                findings.append(Finding.of("invitation", "warning", text, say("invitation_wrong_fix")))
        return findings

    def _platform(self) -> Finding:
        if self._engine.settings.platform.trust_loopback:
            return Finding.of("platform", "warning", say("platform_open"), say("platform_open_fix"))
        return Finding.of("platform", "ok", say("platform_ok"))

    async def _tokens(self) -> list[Finding]:
        now_ms = self._engine.clock.now_ms()
        counting = [token for token in await self._engine.db.read(tokens.all) if token.revoked_ms is None]
        ending = [t for t in counting if t.expires_ms is not None and t.expires_ms - now_ms < _SOON_MS]
        findings = []
        for token in ending:
            assert token.expires_ms is not None
            days = (token.expires_ms - now_ms) // DAY_MS
            name, over = token.name, token.expires_ms <= now_ms
            text = say("token_over", name=name) if over else say("token_ends", name=name, days=days)
            findings.append(Finding.of("token", "warning", text, say("token_fix", name=name)))
        if any(token.token_id == IMPORTED for token in counting):
            text, fix = say("token_old", name=IMPORTED), say("token_old_fix", name=IMPORTED)
            findings.append(Finding.of("token", "warning", text, fix))
        if not findings:
            names = tuple(token.name for token in counting)
            findings.append(Finding.of("token", "ok", say("token_ok", names=names) if names else say("token_none")))
        return findings

    def _operators(self) -> Iterator[Finding]:
        named = {role: sorted(names) for role, names in self._console.operators.members.items() if names}
        roles = tuple(say("operators_role", role=str(role), names=tuple(names)) for role, names in named.items())
        yield Finding.of("operators", "ok", say("operators_named", roles=roles) if roles else say("operators"))
        needed = self._engine.settings.approval
        most = max(needed.job_approvers, needed.dataset_approvers, needed.contract_approvers)
        if most > 1 and not (named.get(Role.APPROVER) or named.get(Role.ADMIN)):
            yield Finding.of("operators", "warning", say("operators_few", count=most), say("operators_few_fix"))


def _unsigned(partners: Iterable[Peer]) -> Iterator[Finding]:
    """Who is believed without a signature."""
    for row in partners:
        if row.signing == "off":
            text, fix = say("unsigned", node=row.node_id), say("unsigned_fix", profile=row.profile)
            yield Finding.of("unsigned", "warning", text, fix, subject=row.node_id)
