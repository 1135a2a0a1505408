"""The alignment's core against a plain join."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithm_components.sample_alignment.masking import fresh_key, hash_to_point, mask
from algorithm_components.sample_alignment.workspace import Workspace

Rows = list[list[str]]


def masked_items(workspace: Workspace, key: bytes, size: int = 3) -> list[bytes]:
    return [mask(key, b"".join(map(hash_to_point, block))) for block in workspace.item_blocks(size)]


def align(own: Rows, theirs: Rows) -> tuple[int, Rows]:
    """Both parties in one place: what the first of them gets."""
    own_key, their_key = fresh_key(), fresh_key()
    with Workspace() as mine, Workspace() as other:
        mine.load(own, 0)
        other.load(theirs, 0)
        for block in masked_items(mine, own_key):
            mine.add_own_duals(mask(their_key, block))
        for block in masked_items(other, their_key, size=2):
            mine.add_peer_duals(mask(own_key, block))
        return mine.match(), list(mine.common_rows())


identifiers = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
tables = st.lists(st.tuples(identifiers, st.integers(0, 9).map(str)).map(list), max_size=25)


@settings(max_examples=40, deadline=None)
@given(own=tables, theirs=tables)
def test_equals_a_plain_join(own: Rows, theirs: Rows) -> None:
    their_ids = {row[0] for row in theirs} - {""}
    common, rows = align(own, theirs)
    assert common == len({row[0] for row in own} & their_ids)
    # `sorted` is stable: repeated identifiers keep the table's order.
    assert rows == sorted((row for row in own if row[0] in their_ids), key=lambda row: row[0].encode())


def test_counts_of_what_was_loaded() -> None:
    with Workspace() as workspace:
        loaded = workspace.load([["a", "1"], ["", "2"], ["b", "3"], ["a", "4"]], 0)
    assert (loaded.rows, loaded.empty, loaded.items, loaded.repeated) == (4, 1, 2, 1)


def test_the_order_of_items_tells_nothing_about_the_table() -> None:
    rows = [[f"{number:04d}"] for number in range(500)]
    orders = []
    for _ in range(2):
        with Workspace() as workspace:
            workspace.load(rows, 0)
            orders.append([item for block in workspace.item_blocks(64) for item in block])
    plain = [row[0].encode() for row in rows]
    assert sorted(orders[0]) == sorted(orders[1]) == plain
    assert orders[0] != orders[1]
    assert plain not in orders
    # Nor about the items: by their hash, they would come in the same order every time.
    assert orders[0] != sorted(plain, key=hash_to_point)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_are_of_the_size_asked_for(size: int) -> None:
    rows = [[str(number)] for number in random.Random(3).sample(range(1000), 50)]
    with Workspace() as workspace:
        workspace.load(rows, 0)
        lengths = [len(block) for block in workspace.item_blocks(size)]
    assert sum(lengths) == 50
    assert all(length == size for length in lengths[:-1])
