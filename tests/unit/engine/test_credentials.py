"""Tokens of the own platform, judged in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedded_scheduler.engine.credentials import IMPORTED, SCOPES, Credentials, allows, fresh
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.store.tokens import Token


def token(text: str, token_id: str = "", **changes: object) -> Token:
    made = Token(token_id or text.split("_")[1], "ci", ("jobs:read",), kept_of(text), 1, "operator:ann")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_token_is_random_and_only_its_hash_is_kept() -> None:
    one, other = fresh(), fresh()
    assert one.text != other.text
    assert len(one.text.split("_", 2)[2]) >= 43
    kept = token(one.text)
    assert one.text.split("_", 2)[2] not in repr(kept)
    assert Credentials([kept]).holder(one.text, 5) == kept


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_token_with_one_bit_changed_is_none(place: int) -> None:
    text = fresh().text
    wrong = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
    assert Credentials([token(text)]).holder(wrong, 5) is None


def test_the_id_alone_the_hash_and_nothing_open_nothing() -> None:
    made = fresh()
    known = Credentials([token(made.text)])
    for shown in ("", made.token_id, f"nct_{made.token_id}_", made.hash, f"nct_{made.token_id}_{made.hash}", "\udcff"):
        assert known.holder(shown, 5) is None


def test_another_tokens_secret_behind_this_id_opens_nothing() -> None:
    one, other = fresh(), fresh()
    known = Credentials([token(one.text), token(other.text)])
    mixed = f"nct_{one.token_id}_{other.text.split('_', 2)[2]}"
    assert known.holder(mixed, 5) is None


def test_revoked_and_expired_tokens_do_not_count() -> None:
    text = fresh().text
    assert Credentials([token(text, revoked_ms=3)]).holder(text, 5) is None
    ending = Credentials([token(text, expires_ms=10)])
    assert ending.holder(text, 9) is not None
    assert ending.holder(text, 10) is None


def test_the_token_of_an_older_version_has_no_id_in_itself() -> None:
    old = Credentials([token("secret-of-0.1.0", IMPORTED)])
    assert old.holder("secret-of-0.1.0", 5) is not None
    assert old.holder("secret-of-0.1.1", 5) is None


def test_scopes() -> None:
    assert allows(token("nct_a_b", scopes=("all",)), "jobs:write")
    assert not any(allows(token("nct_a_b"), scope) for scope in SCOPES if scope != "jobs:read")


def test_a_use_that_comes_while_another_is_stored_is_not_lost() -> None:
    text = fresh().text
    known = Credentials([token(text)])
    known.holder(text, 5)
    storing = known.uses
    known.holder(text, 6)
    known.stored(storing)
    assert list(known.uses.values()) == [6]
    known.stored(known.uses)
    assert known.uses == {}
