"""Numpy arrays and Arrow tables as bytes. Both libraries are optional and loaded when first used.

Partners are not trusted: nothing received is ever unpickled, and what is not what it says is refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.libraries import library


class UnreadableArrayError(Exception):
    """Bytes that are no array or table; the text says what they are instead."""


def array_to_bytes(array: Any) -> bytes:
    """In numpy's own file format (`.npy`), without pickle."""
    numpy = library("numpy")
    buffer = io.BytesIO()
    try:
        numpy.save(buffer, numpy.asarray(array), allow_pickle=False)
    except ValueError as error:
        raise ComponentError(f"this array cannot be sent: {error}") from None
    return buffer.getvalue()


def array_from_bytes(payload: bytes) -> Any:
    numpy = library("numpy")
    buffer = io.BytesIO(payload)
    try:
        version = numpy.lib.format.read_magic(buffer)
        buffer.seek(0)
        found = numpy.lib.format.read_array(buffer, allow_pickle=False)
    except (ValueError, TypeError, EOFError, OSError, MemoryError, OverflowError) as error:
        raise UnreadableArrayError(f"something that is not an array: {error}") from None
    if buffer.read(1):
        raise UnreadableArrayError(f"an array (format {version[0]}) with something behind it")
    return found


def table_to_messages(table: Any, rows: int) -> Iterator[bytes]:
    """Arrow IPC streams of one batch each; a table without rows is one batch without rows."""
    arrow = library("pyarrow")
    batch_type = arrow.RecordBatch
    whole = arrow.Table.from_batches([table]) if isinstance(table, batch_type) else table
    if not isinstance(whole, arrow.Table):
        raise ComponentError(f"send_table sends Arrow tables and record batches, not {type(table).__name__}")
    batches = whole.to_batches(max_chunksize=max(1, rows)) or [
        batch_type.from_pylist([], schema=whole.schema),
    ]
    for batch in batches:
        sink = arrow.BufferOutputStream()
        with arrow.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_batch(batch)
        yield sink.getvalue().to_pybytes()


def batches_from_message(payload: bytes) -> list[Any]:
    arrow = library("pyarrow")
    try:
        with arrow.ipc.open_stream(payload) as reader:
            batches = list(reader)
        for batch in batches:
            # Offsets and lengths come from a stranger.
            batch.validate(full=True)
    except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnreadableArrayError(f"something that is not an Arrow table: {error}") from None
    if not batches:
        raise UnreadableArrayError("an Arrow stream without batches")
    return batches


def table_of(batches: Iterable[Any]) -> Any:
    arrow = library("pyarrow")
    found = list(batches)
    if not found:
        raise UnreadableArrayError("the end of a table before its beginning")
    try:
        return arrow.Table.from_batches(found)
    except (arrow.ArrowException, ValueError) as error:
        raise UnreadableArrayError(f"batches that are not of one table: {error}") from None
