"""Who may do what at the console's socket."""

from __future__ import annotations

import os
import pwd

import pytest

from embedded_scheduler.domain.roles import Role, role_for
from embedded_scheduler.security.operators import CACHE_SECONDS, Operators, Person, person

PEOPLE = {
    1001: Person("ann", frozenset({"staff", "50"})),
    1002: Person("ben", frozenset({"risk", "60"})),
    1003: Person("cem", frozenset({"staff", "50", "risk", "60"})),
    1004: Person("1004", frozenset({"70"})),
    0: Person("root", frozenset()),
    1005: Person("node", frozenset()),
}


class Lookup:
    def __init__(self) -> None:
        self.people = dict(PEOPLE)
        self.asked: list[int] = []

    def __call__(self, uid: int, gid: int) -> Person:
        self.asked.append(uid)
        return self.people[uid]


def operators(lookup: Lookup, **members: tuple[str, ...]) -> Operators:
    now = iter(range(10_000))
    named = {Role(role): names for role, names in members.items()}
    return Operators(named, owner=1005, monotonic=lambda: float(next(now)), lookup=lookup)


@pytest.mark.parametrize(
    ("uid", "role"),
    [
        (0, Role.ADMIN),
        (1005, Role.ADMIN),
        (1001, Role.VIEWER),
        (1002, Role.APPROVER),
        # The highest of several roles counts.
        (1003, Role.ADMIN),
        (1004, Role.VIEWER),
    ],
)
def test_names_numbers_and_groups(uid: int, role: Role) -> None:
    found = operators(Lookup(), admin=("cem",), approver=("@risk",), viewer=("@50", "1004"))
    assert found.of(uid, 0).role is role


def test_who_is_named_nowhere_has_no_role() -> None:
    # A user called like a group, and a number that is not this user's.
    found = operators(Lookup(), admin=("risk", "60", "@ben"), viewer=())
    assert found.of(1002, 0).role is None
    assert found.of(1002, 0).actor == "operator:ben"


def test_a_user_is_looked_up_again_after_a_while() -> None:
    lookup = Lookup()
    now = 0.0
    found = Operators({Role.VIEWER: ("@staff",)}, owner=1005, monotonic=lambda: now, lookup=lookup)
    assert found.known(1001, 0) is None
    assert found.of(1001, 0).role is Role.VIEWER
    lookup.people[1001] = Person("ann", frozenset())
    now = CACHE_SECONDS - 1
    known = found.known(1001, 0)
    assert known is not None
    assert known.role is Role.VIEWER
    now = CACHE_SECONDS
    assert found.known(1001, 0) is None
    assert found.of(1001, 0).role is None
    assert lookup.asked == [1001, 1001]


def test_the_system_knows_this_user() -> None:
    found = person(os.getuid(), os.getgid())
    assert found.name == pwd.getpwuid(os.getuid()).pw_name
    assert str(pwd.getpwuid(os.getuid()).pw_gid) in found.groups


def test_a_user_without_an_entry_is_a_number() -> None:
    uid = next(number for number in range(300_000, 400_000) if not _exists(number))
    found = person(uid, 65_500)
    assert found.name == str(uid)
    assert "65500" in found.groups


def _exists(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def test_a_role_includes_the_lesser_ones() -> None:
    assert [[role.covers(needed) for needed in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert role_for("logs") is Role.VIEWER
    assert role_for("approve") is role_for("reject") is Role.APPROVER
    assert role_for("stop") is role_for("something new") is Role.ADMIN
