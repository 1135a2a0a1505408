"""Arrays and tables over the channel, and what a partner may send instead of them."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.integration.components.party import environment

from algorithm_components.sdk.channel import Channel, ChannelError, ChannelTimeoutError, Receiver, Sender
from algorithm_components.sdk.environment import ComponentError, Environment
from algorithm_components.sdk.testing import LocalNode


@pytest.fixture
def ends() -> tuple[Sender, Receiver]:
    """A guest's sending end and its host's receiving one."""
    with LocalNode() as node:
        channels = [Channel(Environment(environment(p, Path("/"), node.address))) for p in ("guest.0", "host.0")]
        yield channels[0].sender("host.0"), channels[1].receiver("guest.0")
        for channel in channels:
            channel.close()


Ends = tuple[Sender, Receiver]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float64).reshape(3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([], dtype=np.int32),
        np.array(5, dtype=np.uint8),
        np.array(["a", "长"]),
        np.array([(1, 2.5)], dtype=[("n", "<i4"), ("x", "<f8")]),
    ],
)
def test_an_array_arrives_as_it_is(ends: Ends, array: np.ndarray) -> None:
    sender, receiver = ends
    sender.send_array(array)
    found = receiver.receive_array(timeout=5)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_objects_are_not_sent(ends: Ends) -> None:
    with pytest.raises(ComponentError, match="cannot be sent"):
        ends[0].send_array(np.array([object()]))


def saved(*arrays: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, **options)
    return buffer.getvalue()


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x02\x00{}",
        pickle.dumps(_Bomb()),
        saved(np.array([_Bomb()], dtype=object), allow_pickle=True),
        saved(np.arange(1000))[:200],
        saved(np.arange(3), np.arange(3)),
        saved(np.arange(3)).replace(b"(3,)", b"(9,)"),
    ],
)
def test_what_is_no_array_is_refused_and_never_executed(ends: Ends, payload: bytes) -> None:
    ends[0].send(payload)
    with pytest.raises(ChannelError, match=r"guest\.0 sent"):
        ends[1].receive_array(timeout=5)


def test_a_table_arrives_in_batches(ends: Ends) -> None:
    table = pa.table({"id": ["a", "b", None], "n": [1, 2, 3]})
    sender, receiver = ends
    sender.send_table(table, rows=2)
    assert receiver.receive_table(timeout=5).equals(table)
    sender.send_table(table.to_batches()[0], rows=1)
    assert [batch.num_rows for batch in receiver.receive_batches(timeout=5)] == [1, 1, 1]


def test_a_table_without_rows_keeps_its_columns(ends: Ends) -> None:
    table = pa.table({"id": pa.array([], pa.string())})
    ends[0].send_table(table)
    assert ends[1].receive_table(timeout=5).equals(table)


@pytest.mark.parametrize("payload", [b"x", pickle.dumps(_Bomb()), b"\xff\xff\xff\xff\x10\x00\x00\x00" + bytes(16)])
def test_what_is_no_table_is_refused(ends: Ends, payload: bytes) -> None:
    ends[0].send_all([payload])
    with pytest.raises(ChannelError, match=r"guest\.0 sent"):
        ends[1].receive_table(timeout=5)


def test_a_batch_that_lies_about_its_offsets_is_refused(ends: Ends) -> None:
    (honest,) = _streams(pa.table({"id": ["x" * 7919]}).to_batches())
    lying = honest.replace(struct.pack("<ii", 0, 7919), struct.pack("<ii", 0, 7_919_000))
    assert lying != honest
    ends[0].send_all([lying])
    with pytest.raises(ChannelError, match="not an Arrow table"):
        ends[1].receive_table(timeout=5)


def test_batches_of_two_tables_are_no_table(ends: Ends) -> None:
    for name in ("a", "b"):
        ends[0].send_table(pa.table({name: [1]}))
    first = list(ends[1].receive_batches(timeout=5))
    second = list(ends[1].receive_batches(timeout=5))
    ends[0].send_all(_streams(first + second))
    with pytest.raises(ChannelError, match="not of one table"):
        ends[1].receive_table(timeout=5)


def _streams(batches: list[pa.RecordBatch]) -> list[bytes]:
    found = []
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        found.append(sink.getvalue().to_pybytes())
    return found


def test_waiting_ends(ends: Ends) -> None:
    with pytest.raises(ChannelTimeoutError, match=r"nothing came from guest\.0 within 0.2 seconds"):
        ends[1].receive_table(timeout=0.2)
    with pytest.raises(ComponentError, match="sends Arrow tables"):
        ends[0].send_table([1])
