"""Invitation codes and the six words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.security.invitation import (
    Code,
    answer_proof,
    application_proof,
    decode,
    encode,
    same_proof,
    verifier_of,
)
from embedded_scheduler.security.words import same_words, words

CODE = Code("0123456789abcdef", bytes(range(16)), "ab" * 32, 2_000_000_000, "alice", "https://alice.example:9380/x")


def test_a_code_says_what_it_was_made_of() -> None:
    text = encode(CODE)
    assert decode(text) == CODE
    assert decode(f"  {text.lower()[:30]}\n {text.lower()[30:]} ") == CODE
    assert CODE.secret.hex() not in repr(CODE)


def test_every_altered_letter_and_every_cut_is_noticed() -> None:
    text = encode(CODE)
    for at in range(4, len(text)):
        letter = "A" if text[at] != "A" else "Q"
        with pytest.raises(InvalidRequest):
            decode(text[:at] + letter + text[at + 1 :])
        with pytest.raises(InvalidRequest):
            decode(text[:at])
    for other in ("", "NC1-", "NC2-" + text[4:], text[4:], "NC1-" + "A" * 9000, "NC1-ÄÖ"):
        with pytest.raises(InvalidRequest):
            decode(other)


def test_words_depend_on_both_keys_both_names_and_the_contract_alone() -> None:
    one, other = ("alice", "aa" * 32), ("bob", "bb" * 32)
    ours = words("contract-1", one, other)
    assert ours == words("contract-1", other, one)
    assert len(ours.split()) == 6
    changed = {
        words("contract-2", one, other),
        words("contract-1", ("alice", "ac" * 32), other),
        words("contract-1", one, ("bob", "bc" * 32)),
        words("contract-1", ("alicia", "aa" * 32), other),
    }
    assert ours not in changed
    assert len(changed) == 4
    assert same_words(f" {ours.upper().replace(' ', ', ')}.", ours)
    assert not same_words(" ".join(ours.split()[:5]), ours)
    assert not same_words("", ours)


def test_proofs_bind_everything_they_name() -> None:
    verifier = verifier_of(CODE.id, CODE.secret)
    given = {
        "invitation_id": CODE.id,
        "inviting": ("alice", "aa" * 32),
        "applying": ("bob", "bb" * 32),
        "address": "https://bob.example",
    }
    right = application_proof(verifier, **given)
    assert same_proof(right, application_proof(verifier, **given))
    for name, value in (
        ("invitation_id", "f" * 16),
        ("inviting", ("alice", "ab" * 32)),
        ("applying", ("bob", "bc" * 32)),
        ("applying", ("bobby", "bb" * 32)),
        ("address", "https://mallory.example"),
    ):
        assert not same_proof(right, application_proof(verifier, **{**given, name: value}))
    other = verifier_of(CODE.id, replace(CODE, secret=bytes(16)).secret)
    assert not same_proof(right, application_proof(other, **given))
    answer = answer_proof(
        verifier,
        invitation_id=CODE.id,
        inviting=given["inviting"],
        applying=given["applying"],
        contract_id=given["address"],
    )
    assert not same_proof(right, answer), "an application cannot be sent back as an answer"
