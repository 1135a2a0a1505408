"""What every use case works with. `node.py` builds one per node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.clock import Clock, Mint
from embedded_scheduler.config import Settings
from embedded_scheduler.domain.space import Usage
from embedded_scheduler.engine.admission import MemoryBudget
from embedded_scheduler.engine.bus import Bus
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.credentials import Credentials
from embedded_scheduler.engine.launch_waits import LaunchWaits
from embedded_scheduler.engine.placement import Placement
from embedded_scheduler.engine.ports import Introducer, PartnerDirectory, PartnerGateway
from embedded_scheduler.engine.watchlist import Watchlist
from embedded_scheduler.home import Home
from embedded_scheduler.security.identity import Identity
from embedded_scheduler.spi.connector import Connector
from embedded_scheduler.spi.runner import Runner
from embedded_scheduler.spi.storage import Storage
from embedded_scheduler.store.database import Database
from embedded_scheduler.store.jobs import Copies
from embedded_scheduler.store.logs import LogStore


@dataclass(slots=True)
class Room:
    """What `engine.space` saw last, `at` on the monotonic clock. `stale`: something was removed since."""

    usage: Usage | None = None
    at: float = 0.0
    stale: bool = False
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Engine:
    """The node's parts. Verbs (`engine/jobs.py` …) are functions over it."""

    home: Home
    settings: Settings
    clock: Clock
    mint: Mint
    db: Database
    bus: Bus
    gateway: PartnerGateway
    directory: PartnerDirectory
    runners: Mapping[str, Runner]
    storage: Storage
    connectors: Mapping[str, Connector]
    logs: LogStore
    channel: Channel
    attempt_secret: bytes
    """Key from which the attempts' tokens are derived, so that a launch repeated after a crash has the same token."""
    check_profile: Callable[[str, Mapping[str, Any]], None]
    """Raises `InvalidRequest` when a partner's profile name or its options are not valid."""
    builtin_manifests: Sequence[Mapping[str, Any]] = ()
    credentials: Credentials = field(default_factory=Credentials)
    watchlist: Watchlist = field(default_factory=Watchlist)
    memory: MemoryBudget = field(init=False)
    launch_waits: LaunchWaits = field(default_factory=LaunchWaits)
    copies: Copies = field(default_factory=Copies)
    room: Room = field(default_factory=Room)
    identity: Identity | None = None
    """What this node introduces itself with; None = it makes no contracts. Replaced when the key is rotated."""
    introducer: Introducer | None = None
    on_identity: Callable[[Identity, Identity | None], None] = lambda _now, _before: None
    """Told of a new identity and the one it replaced, which is None once the overlap has ended."""

    def __post_init__(self) -> None:
        self.memory = MemoryBudget(self.settings.limits.memory)

    @property
    def node_id(self) -> str:
        return self.settings.node_id

    def wake(self) -> None:
        """Something was committed that background services may have to act on."""
        self.bus.wakeup("delivery").set()
        self.bus.wakeup("watching").set()

    @property
    def placement(self) -> Placement:
        return Placement(self.runners, self.settings.runners, self.settings.limits, self.memory)
