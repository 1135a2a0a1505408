from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.directory import Directory
from embedded_scheduler.peers.profiles import PROFILES, check_profile, option_names, resolve
from embedded_scheduler.store import peers
from embedded_scheduler.store.database import Database


def test_the_five_profiles_differ_where_the_partners_do() -> None:
    rows = {
        name: (
            p.success_code,
            p.dialect,
            p.status_all_style,
            p.approval_channel,
            p.callback,
            p.coordinates,
            p.session_style,
        )
        for name, p in PROFILES.items()
    }
    assert rows == {
        "seed": (200, "union", "get_query", True, True, True, "session_job"),
        "official-1.2": (0, "s0", "post", False, True, True, "session_job"),
        "legacy": (200, "s1", "get_query", True, True, True, "job"),
        "fate": (0, "union", "get_body", False, True, True, "session_job"),
        "kuscia": (200, "union", "get_query", False, False, False, "session_task"),
    }


def test_options_override_traits() -> None:
    profile = resolve("kuscia", {"success_code": 0, "host_header": "x.{node_id}", "callback": True})
    assert (profile.success_code, profile.host_header, profile.callback) == (0, "x.{node_id}", True)
    assert profile.status_all_style == PROFILES["kuscia"].status_all_style


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("vendor-x", {}, "official-1.2"),
        ("seed", {"colour": "red"}, "no option 'colour'"),
        ("seed", {"name": "x"}, "no option 'name'"),
        ("seed", {"success_code": 201}, "success_code must be one of 0, 200"),
        ("seed", {"success_code": False}, "success_code must be one of 0, 200"),
        ("seed", {"success_code": "200"}, "success_code must be one of 0, 200"),
        ("seed", {"callback": 1}, "callback must be true or false"),
        ("seed", {"dialect": None}, "dialect must be one of s0, s1, union"),
        ("seed", {"unknown_job": "("}, "unknown_job is not a regular expression"),
        ("seed", {"host_header": "a\r\nX: y"}, "host_header must be a host name"),
        ("seed", {"host_header": "{0.__class__}"}, "host_header must be a host name"),
    ],
)
def test_what_is_not_valid_is_named(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_profile(name, options)
    assert says in caught.value.message


def test_every_trait_is_an_option_and_checks_its_own_value() -> None:
    for profile in PROFILES.values():
        assert resolve(profile.name, {option: getattr(profile, option) for option in option_names()}) == profile


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "node.db", clock=SystemClock())
    yield opened
    await opened.close()


async def put(database: Database, node_id: str, profile: str, **options: Any) -> None:
    await database.write(
        lambda tx: peers.put(
            tx, node_id=node_id, url=f"http://{node_id}:1/", profile=profile, approval="auto", options=options
        )
    )


async def test_the_directory_answers_from_the_table(database: Database) -> None:
    directory = Directory()
    assert not directory.knows("k")
    await put(database, "k", "kuscia")
    await put(database, "e", "legacy", session_style="session_task")
    await directory.refresh(database)
    assert directory.knows("k")
    known = directory.partner("k")
    assert known is not None
    assert known.url == "http://k:1"
    assert directory.traits("k").callback is False
    assert directory.decides_at_create("k") is True
    assert directory.decides_at_create("e") is False
    assert directory.answer_style("k").omit_job_status is True
    assert (directory.session_need("k"), directory.session_need("e")) == ("session_task", "session_task")
    await database.write(lambda tx: peers.delete(tx, "k"))
    await put(database, "e", "legacy")
    await directory.refresh(database)
    assert directory.session_need("e") == "job"
    await put(database, "s", "seed")
    await put(database, "t", "seed", session_style="session_task")
    await directory.refresh(database)
    assert (directory.session_need("s"), directory.session_need("t")) == ("", "session_task")
    assert (directory.knows("k"), directory.answer_style("k").omit_job_status) == (False, False)


async def test_a_stranger_is_treated_with_care(database: Database) -> None:
    directory = Directory()
    await directory.refresh(database)
    assert directory.approval("nobody") == "manual"
    assert directory.partner("nobody") is None
    assert directory.session_need("nobody") == ""


async def test_a_stored_profile_that_became_invalid_does_not_stop_the_node(database: Database) -> None:
    await put(database, "old", "profile-of-the-future")
    await put(database, "fine", "fate")
    directory = Directory()
    await directory.refresh(database)
    assert directory.profile("old").name == "seed"
    assert directory.profile("fine").name == "fate"
