"""The request headers of the control layer (§2.2), read in every spelling in use and written in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.errors import InvalidRequest

SECONDS_BELOW = 100_000_000_000
"""A smaller timestamp is in seconds (as milliseconds it would lie in 1973)."""
LONGEST_TEXT = 256

TimestampUnit = Literal["ms", "s"]


@dataclass(frozen=True, slots=True)
class PartnerHeaders:
    """What the caller said of itself. Empty = not said. `timestamp` and `token_set` are the headers' own texts, which a
    signature covers."""

    source: str = ""
    target: str = ""
    nonce: str = ""
    trace_id: str = ""
    timestamp: str = ""
    signature: str = ""
    csrf: str = ""
    token_set: str = ""

    @property
    def timestamp_ms(self) -> int | None:
        """Epoch milliseconds; None when absent or unreadable."""
        return read_timestamp(self.timestamp)

    @property
    def permits(self) -> tuple[Permit, ...]:
        return read_permits(self.token_set)


# Every name after folding case and `_` to `-`; the digest's peers send x-node-id or x_node_id for the source.
_NAMES = {
    "x-source-node-id": "source",
    "x-node-id": "node",
    "x-target-node-id": "target",
    "x-nonce": "nonce",
    "x-trace-id": "trace",
    "x-timestamp": "timestamp",
    "x-auth-sign": "signature",
    "x-csrf-protection": "csrf",
    "x-mprac-token-set": "permits",
}


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> PartnerHeaders:
    """The partner headers among `raw` (any case, `-` or `_`).

    `x-source-node-id` goes before `x-node-id`. `InvalidRequest` when one header comes twice with different values, or
    an id or nonce in it is not one; a header that is missing is never an error here.
    """
    found = _collect(raw)
    source = found.get("source") or found.get("node", "")
    target = found.get("target", "")
    return PartnerHeaders(
        source=check_id("x-source-node-id", source) if source else "",
        target=check_id("x-target-node-id", target) if target else "",
        nonce=_short("x-nonce", found.get("nonce", "")),
        trace_id=_short("x-trace-id", found.get("trace", "")),
        timestamp=found.get("timestamp", ""),
        signature=found.get("signature", ""),
        csrf=found.get("csrf", ""),
        token_set=found.get("permits", ""),
    )


def _collect(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        if raw_name[:1] not in (b"x", b"X"):
            continue
        name = raw_name.decode("latin-1").lower().replace("_", "-")
        key = _NAMES.get(name)
        if key is None:
            continue
        value = raw_value.decode("latin-1").strip()
        if not value:
            continue
        # A second spelling of the same header is common, a second value is an attempt to be two callers.
        if found.setdefault(key, value) != value:
            raise InvalidRequest(f"header {name} comes twice with different values")
    return found


def _short(name: str, value: str) -> str:
    if value and (len(value) > LONGEST_TEXT or not value.isascii() or not value.isprintable()):
        raise InvalidRequest(
            f"header {name} must be at most {LONGEST_TEXT} printable characters (got {shorten(value)})"
        )
    return value


def read_timestamp(value: str) -> int | None:
    """Epoch milliseconds of a header in milliseconds or seconds; None when it is neither."""
    if not value.isascii() or not value.isdecimal() or len(value) > 16:
        return None
    number = int(value)
    return number * 1000 if number < SECONDS_BELOW else number


def read_permits(value: str) -> tuple[Permit, ...]:
    """Items split at commas and then from the right at `/`, since a resource name may contain `/`; faulty ones are
    left out."""
    permits = []
    for item in value.split(","):
        parts = item.strip().rsplit("/", 2)
        if len(parts) == 3 and all(parts):
            permits.append(Permit(resource=parts[0], level=parts[1], token=parts[2]))
    return tuple(permits)


def render_timestamp(epoch_ms: int, unit: TimestampUnit = "ms") -> str:
    return str(epoch_ms if unit == "ms" else epoch_ms // 1000)


def render_permits(permits: Iterable[Permit]) -> str:
    """The text of `x-mprac-token-set`."""
    return ",".join(f"{permit.resource}/{permit.level}/{permit.token}" for permit in permits)


def render_headers(headers: PartnerHeaders, *, signature: str = "", writes: bool) -> dict[str, str]:
    """All eight headers of §2.2, and `x-node-id` for the peers that read only that.

    What is empty is sent empty: a partner may check that the header is there. `writes` = the request is a POST, which
    alone carries `x-csrf-protection` (value unspecified; any non-empty one shows that no browser form sent it).
    """
    rendered = {
        "x-auth-sign": signature,
        "x-source-node-id": headers.source,
        "x-node-id": headers.source,
        "x-target-node-id": headers.target,
        "x-nonce": headers.nonce,
        "x-trace-id": headers.trace_id,
        "x-timestamp": headers.timestamp,
        "x-mprac-token-set": headers.token_set,
    }
    if writes:
        rendered["x-csrf-protection"] = headers.csrf or "1"
    return rendered
