"""Who sits at the other end of the console's socket, and in which role."""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from embedded_scheduler.domain.roles import Role

CACHE_SECONDS = 60.0
"""How long a user's name and groups are remembered: a change in the system's user database counts after that."""
_LARGEST_CACHE = 1_000
_ROOT = 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One person. `name` is the user's name, or the number of one without; `role` None = may do nothing."""

    name: str
    role: Role | None

    @property
    def actor(self) -> str:
        """For the ledger."""
        return f"operator:{self.name}"


@dataclass(frozen=True, slots=True)
class Person:
    """`groups` are the names and numbers of all groups of the user."""

    name: str
    groups: frozenset[str]


class Operators:
    """Maps what the kernel says of a caller (uid, gid) to a role.

    `members` are names or numbers of users, with `@` before those of groups. `owner` is the uid of the node itself.
    A look-up may block: call `of` on a thread unless `known` has the answer.
    """

    def __init__(
        self,
        members: Mapping[Role, Iterable[str]],
        *,
        owner: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        lookup: Callable[[int, int], Person] | None = None,
    ) -> None:
        self._members = {role: frozenset(names) for role, names in members.items()}
        self._owner = os.geteuid() if owner is None else owner
        self._monotonic = monotonic
        self._lookup = lookup or person
        self._cache: dict[tuple[int, int], tuple[float, Operator]] = {}

    @property
    def members(self) -> Mapping[Role, frozenset[str]]:
        return self._members

    def known(self, uid: int, gid: int) -> Operator | None:
        """What `of` would say, if that was asked within the last `CACHE_SECONDS`."""
        found = self._cache.get((uid, gid))
        return found[1] if found is not None and self._monotonic() - found[0] < CACHE_SECONDS else None

    def of(self, uid: int, gid: int) -> Operator:
        found = self._lookup(uid, gid)
        operator = Operator(found.name, self._role(uid, found))
        if len(self._cache) >= _LARGEST_CACHE:
            self._cache.clear()
        self._cache[uid, gid] = (self._monotonic(), operator)
        return operator

    def _role(self, uid: int, found: Person) -> Role | None:
        if uid in (_ROOT, self._owner):
            return Role.ADMIN
        words = {found.name, str(uid), *(f"@{group}" for group in found.groups)}
        return next((role for role in reversed(Role) if words & self._members.get(role, frozenset())), None)


def person(uid: int, gid: int) -> Person:
    """From the system's user database; a uid that has no entry there is its number, with the group it came with."""
    try:
        entry = pwd.getpwuid(uid)
        numbers = os.getgrouplist(entry.pw_name, entry.pw_gid)
        name = entry.pw_name
    except (KeyError, OSError):
        name, numbers = str(uid), [gid]
    return Person(_printable(name), frozenset(name for number in numbers for name in _names(number)))


def _names(number: int) -> tuple[str, ...]:
    try:
        return (str(number), grp.getgrgid(number).gr_name)
    except (KeyError, OSError):
        return (str(number),)


def _printable(name: str) -> str:
    """Names come from a directory service perhaps; the ledger and terminals get no control characters."""
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown.encode("utf-8", "replace").decode()
