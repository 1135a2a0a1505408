"""What the processes of this machine use, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping

from embedded_scheduler.runners.attempt import status_fields

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)
"""Places in /proc/<pid>/stat from the state on: the parent; user and system time, own and of children that ended."""


def cpu_below(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each root process and of everything below it, by the root's name. One look at /proc for all."""
    if not roots:
        return {}
    parents, used = _look()
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = {}
    for name, root in roots.items():
        below, ticks = [root], 0
        while below:
            pid = below.pop()
            ticks += used.get(pid, 0)
            below += children.get(pid, ())
        found[name] = ticks / _TICKS
    return found


def _look() -> tuple[dict[int, int], dict[int, int]]:
    parents, used = {}, {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone, as fast as it gets
        fields = status_fields(int(name)) if name.isdigit() else None
        if fields is not None:
            parents[int(name)] = int(fields[_PARENT])
            used[int(name)] = sum(int(ticks) for ticks in fields[_TIMES])
    return parents, used
