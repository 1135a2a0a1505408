"""The formats of tables: CSV, Parquet, and JSON (one object per line, or one array of objects). All of them stream.

Read, every value is text, whatever the format: nothing is an empty string, booleans are `true` and `false`, numbers
their shortest exact text, lists and objects JSON.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.libraries import library

FORMATS = ("csv", "parquet", "json")
_FIELD_LIMIT = 16 * 1024 * 1024
_PIECE = 1024 * 1024
_ROWS_AT_ONCE = 1024
_GROUP_BYTES = 8 * 1024 * 1024
_GROUP_ROWS = 65_536
_PARQUET = b"PAR1"
_BOM = codecs.BOM_UTF8
_SPACE = re.compile(r"[ \t\r\n]*")

Rows = tuple[tuple[str, ...], Iterator[list[str]]]
"""Header, and the rows of text, each as long as the header."""


def format_of(beginning: bytes) -> str:
    """By what stands at the beginning of a file: `parquet`, `json` or `csv`."""
    if beginning.startswith(_PARQUET):
        return "parquet"
    text = beginning.removeprefix(_BOM).lstrip()
    if text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"]"):
        return "json"
    if text.startswith(b"{") and text[1:].lstrip()[:1] in (b'"', b"}"):
        return "json"
    return "csv"


def read_csv(what: str, file: TextIO) -> Rows:
    # A field may be as long as the node's connectors let it be.
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise ComponentError(f"{what} is not a table: {error}") from None
    if not header:
        raise ComponentError(f"{what} is not a table: it has no header line")

    def rows() -> Iterator[list[str]]:
        try:
            for row in reader:
                if len(row) != len(header):
                    if not row:
                        continue
                    raise ComponentError(
                        f"{what}, line {reader.line_num}: {len(row)} fields, but the header has {len(header)}"
                    )
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise ComponentError(f"{what}, after line {reader.line_num}: {error}") from None

    return tuple(header), rows()


def read_json(what: str, file: TextIO) -> Rows:
    """The first object's members are the columns. A later one may lack some (then empty), and have no others."""
    records = _records(what, file)
    first = next(records, None)
    if first is None:
        raise ComponentError(f"{what} is not a table: it has no objects, so no columns are known")
    header = tuple(first)
    known = frozenset(header)

    def rows() -> Iterator[list[str]]:
        for number, record in enumerate(chain([first], records), start=1):
            if not known.issuperset(record):
                more = sorted(set(record) - known)[0]
                raise ComponentError(f"{what}, object {number}: {more!r} is no member of the first object")
            yield [as_text(record.get(name)) for name in header]

    return header, rows()


def read_parquet(what: str, path: Path) -> Rows:
    parquet = library("pyarrow.parquet")
    arrow = library("pyarrow")
    try:
        file = parquet.ParquetFile(path, pre_buffer=False)
    except (arrow.ArrowException, OSError) as error:
        raise ComponentError(f"{what} is not a Parquet file that can be read: {error}") from None
    header = tuple(file.schema_arrow.names)
    if len(set(header)) != len(header) or not header:
        raise ComponentError(f"{what}: its columns must have names that differ")

    def rows() -> Iterator[list[str]]:
        try:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                columns = [[as_text(value) for value in column.to_pylist()] for column in batch.columns]
                yield from map(list, zip(*columns, strict=True))
        except (arrow.ArrowException, OSError) as error:
            raise ComponentError(f"{what} cannot be read to its end: {error}") from None
        finally:
            file.close()

    return header, rows()


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        if text.tell() >= _PIECE:
            yield _taken(text)
    yield _taken(text)


def write_json(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """One object per line."""
    text = io.StringIO()
    for row in rows:
        json.dump(dict(zip(header, row, strict=True)), text, ensure_ascii=False, allow_nan=False)
        text.write("\n")
        if text.tell() >= _PIECE:
            yield _taken(text)
    yield _taken(text)


def write_parquet(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """A column's type is that of its values in the first rows: whole numbers, numbers, booleans, or text."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    groups = _row_groups(rows)
    batch = next(groups, [])
    kinds = [_kind([row[at] for row in batch]) for at in range(len(header))]
    types = {"integer": arrow.int64(), "float": arrow.float64(), "boolean": arrow.bool_(), "string": arrow.string()}
    schema = arrow.schema([(name, types[kind]) for name, kind in zip(header, kinds, strict=True)])
    sink = _Sink()
    begun = 0
    with parquet.ParquetWriter(sink, schema) as writer:
        while batch:
            writer.write_batch(_arrow_batch(arrow, schema, kinds, batch, begun))
            begun += len(batch)
            yield sink.take()
            batch = next(groups, [])
    yield sink.take()


WRITERS: dict[str, Callable[[Sequence[str], Iterable[Sequence[object]]], Iterator[bytes]]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
}


def _arrow_batch(arrow: Any, schema: Any, kinds: Sequence[str], batch: list[Sequence[object]], begun: int) -> Any:
    arrays = []
    for at, (field, kind) in enumerate(zip(schema, kinds, strict=True)):
        values = [row[at] for row in batch]
        if kind == "string":
            values = [None if value is None else as_text(value) for value in values]
        try:
            arrays.append(arrow.array(values, type=field.type))
        except (arrow.ArrowException, OverflowError, TypeError) as error:
            raise ComponentError(
                f"column {field.name}, rows from {begun + 1}: not all values are {kind} as those before: {error}"
            ) from None
    return arrow.record_batch(arrays, schema=schema)


def _row_groups(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Rows in lists of bounded size, however long they are."""
    group: list[Sequence[object]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) if isinstance(value, str) else 8 for value in row)
        if size >= _GROUP_BYTES or len(group) >= _GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _kind(values: Iterable[object]) -> str:
    seen = {type(value) for value in values if value is not None}
    if seen == {bool}:
        return "boolean"
    if seen == {int}:
        return "integer"
    return "float" if seen and seen <= {int, float} else "string"


def _taken(text: io.StringIO) -> bytes:
    content = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return content


class _Sink(io.RawIOBase):
    """Where a writer that knows only files puts its bytes until they are taken."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._taken = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken + len(self._held)

    def write(self, data: Any) -> int:
        self._held += data
        return len(memoryview(data))

    def take(self) -> bytes:
        content = bytes(self._held)
        self._taken += len(content)
        self._held.clear()
        return content


def _records(what: str, file: TextIO) -> Iterator[dict[str, Any]]:
    """The objects of an array, or one after the other; never more in memory than one of them and a piece."""
    decoder = json.JSONDecoder()
    held, at, number = "", 0, 0
    in_array: bool | None = None
    separated = True

    def refill() -> bool:
        nonlocal held, at
        try:
            piece = file.read(_PIECE)
        except UnicodeDecodeError as error:
            raise ComponentError(f"{what} is not UTF-8: {error}") from None
        held, at = held[at:] + piece, 0
        return bool(piece) and len(held) <= _FIELD_LIMIT

    while True:
        at = _SPACE.match(held, at).end()  # type: ignore[union-attr] # it matches nothing, too
        mark = held[at : at + 1]
        if not mark:
            if refill():
                continue
            if in_array:
                raise ComponentError(f"{what}: the array does not end")
            return
        if in_array is None:
            in_array = mark == "["
            at += in_array
        elif in_array and mark == "]":
            return
        elif not separated and mark == ",":
            separated = True
            at += 1
        else:
            if not separated:
                raise ComponentError(f"{what}, after object {number}: a comma is missing")
            try:
                record, end = decoder.raw_decode(held, at)
            except (ValueError, RecursionError):
                if refill():
                    continue
                raise ComponentError(f"{what}, object {number + 1}: this is not JSON") from None
            if not isinstance(record, dict):
                raise ComponentError(f"{what}, object {number + 1}: this is not an object")
            at, number, separated = end, number + 1, not in_array
            yield record
