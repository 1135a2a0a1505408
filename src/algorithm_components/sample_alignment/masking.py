"""Curve25519: items as points, and masking them with a secret key on several processors."""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.synchronize
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from algorithm_components.sample_alignment.messages import POINT_BYTES
from algorithm_components.sdk.environment import ComponentError


def fresh_key() -> bytes:
    """A random secret scalar; it is kept in memory only and used for one run."""
    return X25519PrivateKey.generate().private_bytes_raw()


def hash_to_point(item: bytes) -> bytes:
    """The u-coordinate of an item: its SHA-256, as it is (DIRECT_HASH_AS_POINT_X)."""
    return hashlib.sha256(item).digest()


def mask(key: bytes, points: bytes) -> bytes:
    """X25519(key, u) of each 32-byte u-coordinate in `points`, in order.

    `ComponentError` for a point of low order, whose result does not depend on the key: no honest party sends one.
    """
    exchange = X25519PrivateKey.from_private_bytes(key).exchange
    load = X25519PublicKey.from_public_bytes
    try:
        return b"".join(
            [exchange(load(points[start : start + POINT_BYTES])) for start in range(0, len(points), POINT_BYTES)]
        )
    except ValueError:
        raise ComponentError(
            "a point of low order was sent: the other party is faulty or tries to defeat the masking"
        ) from None


class Masker:
    """Masks blocks of points with one key, in `workers` processes (0 = in the calling thread).

    Create it before any thread is started: the processes are forked at once.
    """

    def __init__(self, key: bytes, workers: int) -> None:
        self._key = key
        self._ahead = workers + 1
        self._pool: ProcessPoolExecutor | None = None
        if workers:
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(workers, context, _begin_worker, (key,))
            self._pool.submit(os.getpid).result()

    def masked(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Each block masked, in order; only a few are under way at a time. May be used in several threads."""
        if self._pool is None:
            for block in blocks:
                yield mask(self._key, block)
            return
        waiting: deque[Future[bytes]] = deque()
        try:
            for block in blocks:
                waiting.append(self._pool.submit(_mask_in_worker, block))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenExecutor:
            raise ComponentError(
                "a computing process was killed (out of memory?): give fewer workers or a higher memory limit"
            ) from None

    def __enter__(self) -> Masker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


_worker_key = b""


def _begin_worker(key: bytes) -> None:
    global _worker_key  # noqa: PLW0603 - a process pool hands a worker its state this way
    _worker_key = key
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose component was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _mask_in_worker(points: bytes) -> bytes:
    return mask(_worker_key, points)
