"""Lists of jobs by any condition, in any order, over all jobs: from one index, a bounded piece of work at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.store import jobs
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.jobs import JobHead

ORDERS = ("id", "flow", "status", "parties", "tasks", "age", "duration")
_WINDOW = 20_000
"""Jobs looked at by one statement."""
_SECONDS = 0.2
"""After so long a search that has not found enough says how far it came."""
_SORTED = 200_000
"""The newest so many are sorted; an older job is found by a filter, not by its place in a sorted list."""
_CANDIDATES = 500
"""Rows taken from a statement when they are judged outside of it."""
_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Search:
    """Conditions that all hold. `likes` and `globs` are SQLite patterns for `jobs.searched`."""

    statuses: tuple[str, ...] = ()
    """`STATE/outcome`, and `waiting` for what waits for this node's decision, whatever its state; empty = any."""
    mine: bool | None = None
    flow_id: str | None = None
    created_after: int = -1
    created_before: int = _NEVER
    took_more: int | None = None
    took_less: int | None = None
    likes: tuple[str, ...] = ()
    unlikes: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    unglobs: tuple[str, ...] = ()
    fits: Callable[[str], bool] | None = None
    """What SQL cannot tell from `jobs.searched`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends. `key` is the value of the sorting column there."""

    position: int
    key: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """`next` None = there are no more. `searched` of `total` jobs have been looked at, with the pages before."""

    heads: list[JobHead]
    next: Place | None
    searched: int
    total: int


def search(reader: Reader, wanted: Search, *, self_node: str, limit: int, after: Place | None = None) -> Found:
    """Newest first, from behind `after`. A page can have fewer than `limit` rows, even none, and yet a `next`."""
    last = _last(reader)
    before = after.position if after is not None else last + 1
    common = _params(wanted, self_node, reader.now_ms)
    ends = time.monotonic() + _SECONDS
    found: list[int] = []
    while before > 1 and len(found) <= limit and time.monotonic() < ends:
        floor = max(1, before - _WINDOW)
        most = limit + 1 - len(found) if wanted.fits is None else _CANDIDATES
        rows = reader.all("job_search.newest", **common, before=before, floor=floor, limit=most)
        fits = wanted.fits
        found += [row["position"] for row in rows if fits is None or fits(row["searched"])]
        # A full answer may have left something out above the floor.
        before = rows[-1]["position"] if len(rows) == most else floor
    more = len(found) > limit
    end = found[limit - 1] if more else before
    heads = _heads(reader, found[:limit], self_node)
    return Found(heads, Place(end) if more or end > 1 else None, last + 1 - end if end > 1 else last, last)


def search_sorted(
    reader: Reader, wanted: Search, *, self_node: str, by: str, falling: bool, limit: int, after: Place | None = None
) -> Found:
    """By one of `ORDERS`, over the newest 200,000."""
    last = _last(reader)
    common = _params(wanted, self_node, reader.now_ms) | {
        "by": by,
        "falling": falling,
        "judged": wanted.fits is not None,
        "before": last + 1,
        "floor": max(1, last + 1 - _SORTED),
    }
    ends = time.monotonic() + _SECONDS
    found: list[Place] = []
    most = limit + 1 if wanted.fits is None else max(limit + 1, _CANDIDATES)
    exhausted = False
    while len(found) <= limit and not exhausted and time.monotonic() < ends:
        rows = reader.all(
            "job_search.sorted",
            **common,
            place=after.position if after else None,
            key=after.key if after else None,
            limit=most,
        )
        exhausted = len(rows) < most
        for row in rows:
            after = Place(row["position"], row["k"])
            if wanted.fits is None or wanted.fits(row["searched"]):
                found.append(after)
    more = len(found) > limit
    heads = _heads(reader, [place.position for place in found[:limit]], self_node)
    return Found(heads, found[limit - 1] if more else None if exhausted else after, min(last, _SORTED), last)


def _last(reader: Reader) -> int:
    row = reader.one("job_search.last")
    return int(row["position"] or 0) if row is not None else 0


def _heads(reader: Reader, places: Sequence[int], self_node: str) -> list[JobHead]:
    rows = reader.all("job_search.heads", places=json.dumps(list(places)), self=self_node)
    return [jobs.head_of(row) for row in rows]


def _params(wanted: Search, self_node: str, now_ms: int) -> dict[str, Any]:
    return {
        "self": self_node,
        "now_ms": now_ms,
        "statuses": json.dumps(wanted.statuses),
        "mine": wanted.mine,
        "flow_id": wanted.flow_id,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
        "took_more": wanted.took_more,
        "took_less": wanted.took_less,
        "likes": json.dumps(wanted.likes),
        "unlikes": json.dumps(wanted.unlikes),
        "globs": json.dumps(wanted.globs),
        "unglobs": json.dumps(wanted.unglobs),
    }
