"""Curve25519 as the alignment uses it."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

from algorithm_components.sample_alignment.masking import Masker, fresh_key, hash_to_point, mask
from algorithm_components.sdk.environment import ComponentError

# RFC 7748 §5.2: scalar, u-coordinate, result.
VECTORS = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]

LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
]


@pytest.mark.parametrize(("scalar", "point", "result"), VECTORS)
def test_known_answers(scalar: str, point: str, result: str) -> None:
    assert mask(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == result


def test_a_block_is_masked_point_by_point() -> None:
    [(scalar, point, result), (_, other, _)] = VECTORS
    masked = mask(bytes.fromhex(scalar), bytes.fromhex(other + point))
    assert len(masked) == 64
    assert masked[32:].hex() == result


def test_items_are_their_sha256() -> None:
    assert hash_to_point("张三".encode()) == hashlib.sha256("张三".encode()).digest()


def test_masking_with_two_keys_commutes_and_tells_items_apart() -> None:
    items = [f"id-{number}".encode() for number in range(50)]
    points = b"".join(map(hash_to_point, items))
    first, second = fresh_key(), fresh_key()
    assert first != second
    dual = mask(second, mask(first, points))
    assert dual == mask(first, mask(second, points))
    assert len({dual[at : at + 32] for at in range(0, len(dual), 32)}) == len(items)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: bytes) -> None:
    with pytest.raises(ComponentError, match="low order"):
        mask(fresh_key(), hash_to_point(b"honest") + point)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_blocks_stay_in_order(workers: int) -> None:
    key, rng = fresh_key(), random.Random(7)
    blocks = [os.urandom(32 * rng.randint(1, 40)) for _ in range(20)]
    with Masker(key, workers) as masker:
        assert list(masker.masked(iter(blocks))) == [mask(key, block) for block in blocks]


def test_a_fault_in_a_worker_reaches_the_caller() -> None:
    with Masker(fresh_key(), 1) as masker, pytest.raises(ComponentError, match="low order"):
        list(masker.masked([bytes(32)]))


def test_few_blocks_are_under_way() -> None:
    taken = 0

    def blocks() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield bytes([9]) + bytes(31)

    with Masker(fresh_key(), 2) as masker:
        masked = masker.masked(blocks())  # type: ignore[arg-type]
        next(masked)
        assert taken <= 4
