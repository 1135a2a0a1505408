"""One node: its parts put together, started and stopped. Listeners and signals are `server.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from quart import Quart

from embedded_scheduler import plugins
from embedded_scheduler.api.authentication import PartnerAuthenticator
from embedded_scheduler.api.console import linktest as console_linktest
from embedded_scheduler.api.console.app import create_app as create_console_app
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.api.console.streams import Streams
from embedded_scheduler.api.courier import Courier
from embedded_scheduler.api.family import InboxAnswers
from embedded_scheduler.api.interconn import channel as partner_channel
from embedded_scheduler.api.interconn import node as partner_node
from embedded_scheduler.api.interconn import probe
from embedded_scheduler.api.interconn import resources as partner_resources
from embedded_scheduler.api.interconn import schedule as partner_schedule
from embedded_scheduler.api.limits import PartnerGate, guard
from embedded_scheduler.api.platform import channel as component_channel
from embedded_scheduler.api.platform import schedule as platform_schedule
from embedded_scheduler.clock import DAY_MS, Clock, Mint, RandomMint, SystemClock
from embedded_scheduler.config import Settings
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine import components, contracts, jobs, logs, secrets, tokens
from embedded_scheduler.engine.assembly import Assemblies
from embedded_scheduler.engine.bus import Bus
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.contacts import Contacts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.delivery import Delivery
from embedded_scheduler.engine.expiry import Expiry
from embedded_scheduler.engine.greetings import Greetings
from embedded_scheduler.engine.linktest import LinkTests
from embedded_scheduler.engine.open_applications import OpenApplications
from embedded_scheduler.engine.packs import Packs
from embedded_scheduler.engine.recovery import recover
from embedded_scheduler.engine.resources import ResourceSource, ResourceWatch
from embedded_scheduler.engine.retention import Retention
from embedded_scheduler.engine.rotation import Rotation
from embedded_scheduler.engine.sessions import SessionPolicy
from embedded_scheduler.engine.space import SpaceWatch
from embedded_scheduler.engine.supervisor import Service, Supervisor
from embedded_scheduler.engine.termination import ContractWatch
from embedded_scheduler.engine.tokens import TokenUses
from embedded_scheduler.engine.upkeep import RunnerUpkeep
from embedded_scheduler.engine.watchdog import Watchdog
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.errors import Conflict, NotFound
from embedded_scheduler.home import Home
from embedded_scheduler.packs.workshop import Workshop
from embedded_scheduler.peers.channel import HttpForwarder, channel_clients
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Directory
from embedded_scheduler.peers.gateway import HttpGateway
from embedded_scheduler.peers.introductions import Introductions
from embedded_scheduler.peers.linktest import LinkTester
from embedded_scheduler.peers.profiles import check_profile
from embedded_scheduler.peers.renewal import Renewal
from embedded_scheduler.security.identity import Identity, load_old
from embedded_scheduler.security.operators import Operators
from embedded_scheduler.security.secrets import create_secret, read_secret
from embedded_scheduler.security.tls import ServerTls
from embedded_scheduler.showcase.exhibit import Exhibit
from embedded_scheduler.spi.runner import Runner
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Database, Tx
from embedded_scheduler.store.logs import LogStore
from embedded_scheduler.wire.bfia.signature import Signer

_UPKEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Links:
    """The ways from this node to its partners."""

    gateway: HttpGateway
    contacts: Contacts
    forwarding: Clients


class Node:
    """`start` once, `stop` once. The applications exist between the two.

    With `exhibit` the node is one to look at: its clock, its partners and the components that ran are stand-ins.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        identity: Identity,
        *,
        tls: ServerTls | None = None,
        clock: Clock | None = None,
        mint: Mint | None = None,
        exhibit: Exhibit | None = None,
    ) -> None:
        self.home = home
        self.settings = settings
        self.identity = identity
        self.signer = Signer(identity.key)
        self._tls = tls
        self._exhibit = exhibit
        self._clock = clock or (exhibit.clock if exhibit else SystemClock())
        self._mint = mint or RandomMint()
        self._cleanup = contextlib.AsyncExitStack()
        self._streams: Streams | None = None
        self._channel: Channel | None = None
        self._assemblies = Assemblies()
        self.engine: Engine
        self.partner_app: Quart
        self.platform_app: Quart
        self.console_app: Quart

    async def start(self) -> None:
        """Open everything, take up what ran before, start the services. Raises `NodeError` and leaves nothing open."""
        async with contextlib.AsyncExitStack() as opened:
            started_ms = self._clock.now_ms()
            db, bus = await self._open_database(opened)
            directory = Directory()
            await directory.refresh(db)
            self._gate = PartnerGate(self.settings.limits, self._clock, directory)
            links = self._open_links(opened, directory)
            renewal = self._renewal(links, directory, db)
            channel = self._new_channel(links, directory, db)
            await asyncio.to_thread(channel.open)
            engine = self._new_engine(links, directory, db, bus, channel)
            engine.on_identity = partial(self._take_up, links.gateway, renewal)
            engine.on_identity(self.identity, await asyncio.to_thread(load_old, self.identity))
            await components.ensure_builtin(engine)
            await tokens.start(engine)
            watching = Watching(engine)
            await recover(engine, watching)
            watchdog, resources = Watchdog(engine, watching), self._resources()
            packs = Packs(engine, Workshop(self.home.packs, self._clock))
            services = [*self._services(engine, watching, links.contacts, renewal), watchdog, resources, packs]
            supervisor = Supervisor(services, clock=self._clock)
            streams = Streams(bus)
            console = Console(
                engine,
                streams,
                links.contacts,
                program_version(),
                started_ms,
                supervisor.health,
                self._operators(),
                watchdog,
                resources,
                packs,
                refusals=self._gate.refusals,
                exhibit=self._exhibit is not None,
                courier=Courier(engine, partner_resources.family, directory, self.signer, InboxAnswers(db)),
            )
            self._build_apps(engine, directory, console)
            await supervisor.start()
            opened.push_async_callback(supervisor.stop)
            self.engine, self._streams, self._channel = engine, streams, channel
            self._cleanup = opened.pop_all()

    async def _open_database(self, opened: contextlib.AsyncExitStack) -> tuple[Database, Bus]:
        db = await Database.open(self.home.database, clock=self._clock, backups=self.home.backups)
        opened.push_async_callback(db.close)
        await db.write(self._record_start)
        bus = Bus((await db.read(ledger.last))[0])
        db.on_commit = bus.publish
        return db, bus

    def _open_links(self, opened: contextlib.AsyncExitStack, directory: Directory) -> _Links:
        route = self._route()
        gateway = HttpGateway(
            self.settings.node_id, directory, self._clock, self.settings, signer=self.signer, route=route
        )
        contacts = Contacts(self._exhibit.partners if self._exhibit else gateway, self._clock)
        opened.push_async_callback(contacts.close)
        forwarding = channel_clients(route)
        opened.push_async_callback(forwarding.close)
        return _Links(gateway, contacts, forwarding)

    def _renewal(self, links: _Links, directory: Directory, db: Database) -> Renewal:
        return Renewal(
            self._tls,
            directory,
            (links.gateway.clients, links.forwarding),
            self._route,
            home=self.home,
            settings=self.settings,
            database=db,
            clock=self._clock,
        )

    def _new_channel(self, links: _Links, directory: Directory, db: Database) -> Channel:
        return Channel(
            root=self.home.channel,
            limits=self.settings.limits,
            clock=self._clock,
            mint=self._mint,
            node_id=self.settings.node_id,
            policy=SessionPolicy(db, directory),
            forwarder=HttpForwarder(links.forwarding, directory, links.gateway.exchange),
            inst_id=self.settings.inst_id,
        )

    def _new_engine(self, links: _Links, directory: Directory, db: Database, bus: Bus, channel: Channel) -> Engine:
        keys = secrets.keys_of(self.home, self.settings)
        return Engine(
            home=self.home,
            settings=self.settings,
            clock=self._clock,
            mint=self._mint,
            db=db,
            bus=bus,
            gateway=links.contacts,
            directory=directory,
            runners=self._runners(),
            storage=plugins.storage(self.home, self.settings, partial(secrets.reveal, db, keys)),
            connectors=plugins.connectors(self.home, self.settings),
            logs=LogStore(self.home.logs),
            channel=channel,
            attempt_secret=attempt_secret(self.home, self._mint),
            check_profile=check_profile,
            builtin_manifests=plugins.builtin_manifests(),
            identity=self.identity,
            introducer=Introductions(links.gateway),
        )

    def _runners(self) -> dict[str, Runner]:
        found = plugins.runners(self.home, self.settings)
        return {self._exhibit.runner.name: self._exhibit.runner, **found} if self._exhibit else found

    def _take_up(self, gateway: HttpGateway, renewal: Renewal, now: Identity, before: Identity | None) -> None:
        """Sign and show what `now` says from here on; `before` still signs announcements while the overlap lasts."""
        self.identity = now
        self.signer.renew(now.key)
        gateway.announcer = (now.certificate, Signer(before.key)) if before is not None else None
        renewal.look()

    def _services(self, engine: Engine, watching: Watching, contacts: Contacts, renewal: Renewal) -> list[Service]:
        return [
            watching,
            Delivery(engine, watching),
            Retention(engine),
            SpaceWatch(engine),
            Expiry(engine),
            OpenApplications(engine),
            Rotation(engine),
            Greetings(engine, contacts),
            ContractWatch(engine),
            TokenUses(engine),
            _ChannelUpkeep(engine),
            renewal,
            self._assemblies,
            RunnerUpkeep(engine),
        ]

    def _resources(self) -> ResourceSource:
        return self._exhibit.machine if self._exhibit else ResourceWatch(self.home.path, self._clock)

    def _operators(self) -> Operators:
        named = self.settings.operators
        return Operators({Role.ADMIN: named.admin, Role.APPROVER: named.approver, Role.VIEWER: named.viewer})

    def _route(self) -> Route:
        partner = self.settings.partner
        return Route(self.identity.pair, partner.proxy, Path(partner.ca_file) if partner.ca_file else None)

    def refuse_streams(self) -> None:
        """Let every call that waits for something return, so that the listeners can be closed in order."""
        if self._streams is not None:
            self._streams.close()
        if self._channel is not None:
            self._channel.shut_down()

    async def stop(self) -> None:
        """Stop the services and close everything. Components that run are left alone."""
        self.refuse_streams()
        await self._cleanup.aclose()

    def _record_start(self, tx: Tx) -> None:
        ledger.append(
            tx,
            subject="node",
            subject_id=self.settings.node_id,
            event="node.started",
            actor="node",
            data={"version": program_version()},
        )

    def _build_apps(self, engine: Engine, directory: Directory, console: Console) -> None:
        self.partner_app = self._new_partner_app(engine, directory)
        self.platform_app = Quart("embedded_scheduler.platform", static_folder=None)
        verbs = platform_schedule.Verbs(jobs=jobs, components=components, logs=logs)
        platform_schedule.register(
            self.platform_app, engine, verbs=verbs, database=engine.db, credentials=engine.credentials
        )
        trust = self.settings.platform.trust_loopback
        component_channel.register(self.platform_app, engine.channel, trust_loopback=trust)
        self.console_app = create_console_app(console)
        self._build_link_tests(engine)

    def _new_partner_app(self, engine: Engine, directory: Directory) -> Quart:
        app = Quart("embedded_scheduler.interconn", static_folder=None)
        gate, signer, db = self._gate, self.signer, engine.db
        partner_schedule.register(app, engine, jobs=jobs, partners=directory, signer=signer, database=db, gate=gate)
        partner_resources.register(app, engine, partners=directory, database=db, signer=signer, gate=gate)
        partner_node.register(
            app, engine, contracts=contracts, partners=directory, database=db, signer=signer, gate=gate
        )
        mutual = self.settings.partner.tls == "mutual"
        authenticator = PartnerAuthenticator(
            self.settings.node_id, directory, clock=self._clock, signer=signer, mutual=mutual
        )
        partner_channel.register(app, engine.channel, self._assemblies, authenticator, gate=gate)
        guard(app, gate)
        return app

    def _build_link_tests(self, engine: Engine) -> None:
        tests = LinkTests(engine)
        tester = LinkTester(self.settings.node_id, self.settings.partner, self._clock, self._route)
        probe.mount(self.partner_app, tests, self._clock, tester.look_back)
        console_linktest.install(self.console_app, tests, tester, depth=self.settings.limits.json_depth)


class _ChannelUpkeep:
    """Drops messages whose job never came, and forgets sessions that ended long ago."""

    name = "channel upkeep"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        while True:
            await self._engine.channel.sweep()
            kept_ms = self._engine.settings.retention.messages_days * DAY_MS
            self._engine.channel.forget_closed(self._engine.clock.now_ms() - kept_ms)
            await asyncio.sleep(_UPKEEP_SECONDS)


def attempt_secret(home: Home, mint: Mint) -> bytes:
    """The key in `<home>/attempt.key` (0600), created when it is missing."""
    path = home.path / "attempt.key"
    try:
        return read_secret(path).encode()
    except NotFound:
        with contextlib.suppress(Conflict):
            create_secret(path, mint.token())
        return read_secret(path).encode()


def program_version() -> str:
    """Of the installed distribution, or of the source tree when it is not installed."""
    try:
        return version("nodeconsole")
    except PackageNotFoundError:
        return "0.1.0"
