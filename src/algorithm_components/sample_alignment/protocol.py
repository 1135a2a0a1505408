"""ECDH-PSI between two parties: three streams at a time, checked against what was agreed first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from algorithm_components.sample_alignment.masking import Masker, hash_to_point
from algorithm_components.sample_alignment.messages import DUAL_ENC, ENC, POINT_BYTES, BatchReader, batches
from algorithm_components.sample_alignment.workspace import Workspace
from algorithm_components.sdk.channel import Channel
from algorithm_components.sdk.environment import ComponentError

PROTOCOL = "ecdh-psi"
PROTOCOL_VERSION = 1
SUITE = "curve25519/sha_256/direct_hash_as_point_x/uncompressed"
MOST_ITEMS = 2**28
RESULT_TO = ("all", "guest", "host")


class Counter(Protocol):
    """Told how many points were dealt with."""

    def add(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Hello:
    """What the parties compare before any point is sent."""

    items: int
    result_to: str
    protocol: str = PROTOCOL
    version: int = PROTOCOL_VERSION
    suite: str = SUITE


def read_hello(value: Any, own: Hello) -> Hello:
    """The other party's hello; `ComponentError` says what the two do not agree on."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, int) or isinstance(items, bool) or not 0 <= items <= MOST_ITEMS:
        raise ComponentError("the other party's greeting cannot be read: both parties need the same component")
    for name, mine in (
        ("protocol", own.protocol),
        ("version", own.version),
        ("suite", own.suite),
        ("result_to", own.result_to),
    ):
        if value.get(name) != mine:
            theirs = repr(value.get(name))[:80]
            raise ComponentError(f"the parties do not agree on {name}: {mine!r} here, {theirs} there")
    return Hello(items=items, result_to=own.result_to)


def greet(channel: Channel, peer: str, own: Hello) -> Hello:
    channel.sender(peer, "hello").send_json(asdict(own))
    return read_hello(channel.receiver(peer, "hello").receive_json(), own)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The data phase of one party. `learns`: this party gets the result; `tells`: the other one does."""

    channel: Channel
    peer: str
    masker: Masker
    workspace: Workspace
    own_items: int
    peer_items: int
    batch_size: int
    learns: bool
    tells: bool

    def run(self, sent: Counter, answered: Counter) -> None:
        """All streams to their end; the first fault ends all of them and is raised.

        Afterwards, if `learns`, the workspace has the dual-masked points of both parties.
        """
        streams: list[Callable[[], None]] = [lambda: self._send_own(sent), lambda: self._mask_peers(answered)]
        if self.learns:
            streams.append(self._take_back_own)
        with ThreadPoolExecutor(len(streams), thread_name_prefix="alignment") as threads:
            futures = [threads.submit(stream) for stream in streams]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            if waiting:
                # A stream failed: wake those that wait for the other party.
                self.channel.close()
        _raise_first([*done, *waiting])

    def _send_own(self, sent: Counter) -> None:
        points = (b"".join(map(hash_to_point, block)) for block in self.workspace.item_blocks(self.batch_size))
        self._send(ENC, self.masker.masked(points), sent)

    def _mask_peers(self, answered: Counter) -> None:
        reader = BatchReader(ENC, self.peer_items)
        duals = self.masker.masked(reader.blocks(self.channel.receiver(self.peer, ENC).stream()))
        if self.tells:
            self._send(DUAL_ENC, self._kept(duals), answered)
            return
        for dual in self._kept(duals):
            answered.add(_count(dual))

    def _take_back_own(self) -> None:
        reader = BatchReader(DUAL_ENC, self.own_items)
        for block in reader.blocks(self.channel.receiver(self.peer, DUAL_ENC).stream()):
            self.workspace.add_own_duals(block)

    def _kept(self, duals: Iterator[bytes]) -> Iterator[bytes]:
        for dual in duals:
            if self.learns:
                self.workspace.add_peer_duals(dual)
            yield dual

    def _send(self, kind: str, blocks: Iterator[bytes], counter: Counter) -> None:
        sender = self.channel.sender(self.peer, kind)
        for payload, points in _with_counts(kind, blocks):
            sender.send(payload)
            counter.add(points)


def _with_counts(kind: str, blocks: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    counts: list[int] = []

    def counted() -> Iterator[bytes]:
        for block in blocks:
            counts.append(_count(block))
            yield block

    for payload in batches(kind, counted()):
        yield payload, counts.pop() if counts else 0


def _count(block: bytes) -> int:
    return len(block) // POINT_BYTES


def _raise_first(futures: list[Future[None]]) -> None:
    """The fault that began it: those raised by closing the channel come after the finished ones."""
    for future in futures:
        error = future.exception()
        if error is not None:
            raise error
