"""The protocol's batches, byte for byte and with every fault a partner could bring."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from algorithm_components.sample_alignment.messages import DUAL_ENC, ENC, BatchReader, CipherBatch, batches, decode
from algorithm_components.sample_alignment.protocol import Hello, read_hello
from algorithm_components.sdk.environment import ComponentError


def test_field_numbers_are_the_protocols() -> None:
    batch = CipherBatch(ENC, 5, last=True, ciphertext=b"\xaa" * 32)
    # type=1, batch_index=3, is_last_batch=4, count=6, ciphertext=7
    assert batch.encode() == b"\x0a\x03enc\x18\x05\x20\x01\x30\x01\x3a\x20" + b"\xaa" * 32
    assert decode(batch.encode()) == batch


def test_a_field_added_later_is_skipped() -> None:
    # duplicate_item_cnt_map=8 of newer references
    assert (
        decode(CipherBatch(ENC, 0, last=False, ciphertext=b"\1" * 32).encode() + b"\x42\x04\x08\x01\x10\x02").count == 1
    )


def points(count: int) -> bytes:
    return os.urandom(32 * count)


def read(payloads: list[bytes], expected: int, kind: str = ENC) -> bytes:
    return b"".join(BatchReader(kind, expected).blocks(iter(payloads)))


@pytest.mark.parametrize("sizes", [[], [1], [3, 3, 1]])
def test_what_is_sent_is_read(sizes: list[int]) -> None:
    blocks = [points(size) for size in sizes]
    payloads = list(batches(ENC, iter(blocks)))
    last = decode(payloads[-1])
    assert (last.last, last.count) == (True, 0)
    assert read(payloads, sum(sizes)) == b"".join(blocks)


def test_a_stream_may_end_at_its_last_full_batch_or_at_an_empty_one() -> None:
    block = points(2)
    assert read([CipherBatch(ENC, 0, last=True, ciphertext=block).encode()], 2) == block
    unflagged = [
        CipherBatch(ENC, 0, last=False, ciphertext=block).encode(),
        CipherBatch(ENC, 1, last=False, ciphertext=b"").encode(),
    ]
    assert read(unflagged, 2) == block


def spoil_count(payload: bytes) -> bytes:
    return payload.replace(b"\x30\x02", b"\x30\x03")


@pytest.mark.parametrize(
    ("payloads", "expected", "said"),
    [
        (lambda: [b"\xff\xff\xff"], 2, "not a batch"),
        (lambda: [spoil_count(CipherBatch(ENC, 0, last=True, ciphertext=points(2)).encode())], 2, "64 bytes for 3"),
        (lambda: [CipherBatch(ENC, 0, last=True, ciphertext=points(1)).encode()], 2, "sent 1"),
        (lambda: [CipherBatch(ENC, 0, last=True, ciphertext=points(3)).encode()], 2, "more"),
        (lambda: [CipherBatch(ENC, 1, last=True, ciphertext=points(2)).encode()], 2, "batch 1"),
        (lambda: [CipherBatch(DUAL_ENC, 0, last=True, ciphertext=points(2)).encode()], 2, "dual.enc"),
        (lambda: [], 2, "sent 0"),
    ],
)
def test_faults_of_the_other_party(payloads: Callable[[], list[bytes]], expected: int, said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        read(payloads(), expected)


OWN = Hello(items=3, result_to="all")
THEIRS = {"items": 9, "result_to": "all", "protocol": OWN.protocol, "version": OWN.version, "suite": OWN.suite}


def test_an_equal_greeting_is_accepted() -> None:
    assert read_hello(THEIRS, OWN).items == 9


@pytest.mark.parametrize(
    "change",
    [
        {"items": -1},
        {"items": True},
        {"items": 2**28 + 1},
        {"items": "9"},
        {"result_to": "host"},
        {"suite": "sm2"},
        {"version": 2},
    ],
)
def test_another_greeting_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ComponentError, match=r"greeting|agree"):
        read_hello({**THEIRS, **change}, OWN)


def test_a_greeting_that_is_none() -> None:
    with pytest.raises(ComponentError, match="greeting"):
        read_hello(["hello"], OWN)
