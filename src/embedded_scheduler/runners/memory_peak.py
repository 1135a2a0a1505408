"""How much memory a container used at most, from its control group.

The kernel keeps the maximum of all that is charged to a group, with the pages of files that it could give back at any
time. What counts against a limit is the rest, of which the kernel keeps no maximum. So the group is looked at again and
again: what was used without those pages is a lower bound, and so is the maximum less the most of those pages that were
ever seen. Where no files are read, that is the maximum itself.

Only the standard library: the keeper of a container uses it in a bare interpreter.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAUSE_S = 0.5
_LAST_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class _Files:
    """What the two kinds of control groups call it. `cache` holds `shared`, which cannot be given back."""

    now: str
    most: str
    cache: str
    shared: str


_SECOND = _Files("memory.current", "memory.peak", "file", "shmem")
_FIRST = _Files("memory.usage_in_bytes", "memory.max_usage_in_bytes", "total_cache", "total_shmem")


class MemoryPeak:
    """Looks at a container's group while its first process lives. `bytes` 0 = it could not be looked at."""

    def __init__(self, pid: int, container_id: str) -> None:
        self.bytes = 0
        self._cache = 0
        self._group = _group_of(pid, container_id)
        self._process: int | None = None
        if self._group is not None:
            with suppress(OSError, AttributeError):
                self._process = os.pidfd_open(pid)
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Return when the process has ended and its last moment was looked at; after some patience anyway."""
        self._thread.join(_LAST_LOOK_S)

    def _run(self) -> None:
        if self._process is None:
            return
        ends = select.poll()
        ends.register(self._process, select.POLLIN)
        while self._look() and not ends.poll(_PAUSE_S * 1000):
            pass
        # The engine takes a moment to remove the group.
        self._look()
        os.close(self._process)

    def _look(self) -> bool:
        """False if the group is gone."""
        assert self._group is not None
        directory, files = self._group
        try:
            used, most = (int((directory / name).read_text()) for name in (files.now, files.most))
            facts = _numbers((directory / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            return False
        cache = max(0, facts.get(files.cache, 0) - facts.get(files.shared, 0))
        self._cache = max(self._cache, cache)
        self.bytes = max(self.bytes, used - cache, most - self._cache)
        return True


def _numbers(lines: Iterable[str]) -> Mapping[str, int]:
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _group_of(pid: int, container_id: str) -> tuple[Path, _Files] | None:
    """The directory of the container's own group, as this process sees it; None if it has none, or none is seen."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        files = _SECOND if not controllers else _FIRST
        if controllers and "memory" not in controllers.split(","):
            continue
        own = _down_to(path, container_id)
        for root, place in _places(mounts, "cgroup" if controllers else "cgroup2") if own else ():
            directory = Path(place) / own.removeprefix(root.rstrip("/")).lstrip("/")
            if own.startswith(root) and (directory / files.most).exists():
                return directory, files
    return None


def _down_to(path: str, container_id: str) -> str:
    """The part of a group's path that ends with the container's own; empty = the group is one that it shares."""
    parts = path.split("/")
    found = next((place for place, part in enumerate(parts, 1) if container_id in part), 0)
    return "/".join(parts[:found])


def _places(mounts: Iterable[str], kind: str) -> list[tuple[str, str]]:
    """Where groups are mounted, each with the group that is at the top there."""
    found = []
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        if after.split(" ", 1)[0] == kind:
            fields = before.split(" ")
            found.append((fields[3], fields[4]))
    return found
