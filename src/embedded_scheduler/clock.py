"""Time and identifiers, passed in wherever rules need them."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock(Protocol):
    """Source of time. `now_ms` is Unix epoch milliseconds (may jump); `monotonic` is seconds and never goes back."""

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class Mint(Protocol):
    """Source of fresh identifiers."""

    def job_id(self) -> str: ...

    def nonce(self) -> str: ...

    def token(self) -> str: ...


class RandomMint:
    """Identifiers from the operating system's random source."""

    def job_id(self) -> str:
        """`job-<32 hex>`: legal as a Kubernetes object name, so every known partner accepts it."""
        return f"job-{secrets.token_hex(16)}"

    def nonce(self) -> str:
        return secrets.token_hex(16)

    def token(self) -> str:
        """A bearer secret of 256 bits, safe in URLs and headers."""
        return secrets.token_urlsafe(32)
