"""What the engine needs from the edges, as protocols; `node.py` plugs the real ones in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from embedded_scheduler.domain.pack import InstalledPack, PackFiles, PackId, PackOrder
from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.sentences import Words
from embedded_scheduler.store.database import Database


class Delivery(StrEnum):
    """What became of one call to a partner."""

    OK = "ok"
    """The partner did it (or had done it before)."""
    REFUSED = "refused"
    """A readable answer that says no; trying again will not help."""
    FAILED = "failed"
    """No answer, or nothing readable; try again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A partner's answer as the engine sees it: `data` is the envelope's data object (`{}` when absent)."""

    delivery: Delivery
    data: Mapping[str, Any]
    error: Words = ""
    """Why not, as a sentence that names the partner."""
    took_ms: int | None = None
    """How long it took, where the gateway knows that better than whoever waits for it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One call. `nonce` and `trace_id` are stored with the outbox row, so every retry carries the same ones."""

    node_id: str
    operation: str
    """The last part of its path, with the family's name where it has one: `job/create`, `task/poll`,
    `node/contract/confirm`, `dataset/audit/apply`."""
    body: Mapping[str, Any]
    nonce: str
    trace_id: str
    permits: tuple[Permit, ...] = ()
    """Shown with the call, in `x-mprac-token-set`."""


class PartnerGateway(Protocol):
    """Speaks to partners. Never raises for what a partner does; unknown partner = REFUSED."""

    async def call(self, message: Outgoing) -> Reply: ...

    async def close(self) -> None: ...


class Introducer(Protocol):
    """Speaks to nodes that are no partners yet."""

    async def call(self, url: str, fingerprint: str, message: Outgoing) -> Reply:
        """Call a node at an address. Over TLS it must show the key with this fingerprint; empty = a certificate that a
        CA vouches for. Never raises for what the other side does."""
        ...


class PartnerDirectory(Protocol):
    """What is known of partners, from the tables `peers` and `contracts` and their profiles. Answers from memory."""

    def knows(self, node_id: str) -> bool: ...

    def traits(self, node_id: str) -> PeerTraits: ...

    def decides_at_create(self, node_id: str) -> bool:
        """Jobs created by this partner cannot wait for a decision: its profile has no approval channel."""
        ...

    def approval(self, node_id: str) -> str:
        """`auto` or `manual`: policy for jobs whose coordinator is this partner."""
        ...

    def described(self, node_id: str) -> Mapping[str, object]:
        """Every trait of a partner by name, as it counts now; empty for a node that is no partner."""
        ...

    async def refresh(self, database: Database, /) -> None:
        """Read the tables again: they changed."""
        ...

    def session_need(self, node_id: str) -> str:
        """How this partner's components name channel sessions (`domain.session.STYLES`); empty = as the others do."""
        ...


class PackReport(Protocol):
    """Who watches the installation of a pack."""

    def line(self, text: str) -> None: ...

    def progress(self, done: int, total: int) -> None:
        """Bytes of the file that is being downloaded."""
        ...


class PackWorkshop(Protocol):
    """Where component packs are built and kept. All but `build` and `stop` block."""

    def read(self, archive: bytes) -> PackFiles:
        """`InvalidRequest` or `TooLarge` say what is wrong with the archive; nothing is written."""
        ...

    def all(self) -> list[InstalledPack]: ...

    def find(self, pack: PackId) -> InstalledPack | None: ...

    async def build(self, files: PackFiles, order: PackOrder, report: PackReport) -> InstalledPack:
        """Installs a pack that is not there, wholly or not at all; `NodeError` says why not. One at a time."""
        ...

    def stop(self) -> None:
        """Let the `build` that is under way fail."""
        ...

    def verify(self, pack: PackId) -> tuple[int, list[str]]:
        """How many files were compared with what was noted at the installation, and a line for each that differs."""
        ...

    def files_digest(self, pack: PackId) -> str:
        """SHA-256 (hex) of that note; empty if it is gone."""
        ...

    def remove(self, pack: PackId) -> None: ...

    def sweep(self) -> list[str]:
        """Remove what interrupted installations left; their directories."""
        ...
