"""Datasets in Parquet files, read with pyarrow, which is an extra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from embedded_scheduler.connectors.files import as_text, check_header, file_of, fingerprint_of, opened
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.extras import how_to_get
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import Column, Probe

_NAME = "parquet"
_ROWS_AT_ONCE = 1024


class ParquetConnector:
    """Reads a Parquet file. Option: `path` (absolute).

    Nulls become empty strings, times ISO 8601, lists and structures JSON; bytes that are no text are refused. Memory is
    bounded by the file's largest row group.
    """

    @property
    def name(self) -> str:
        return _NAME

    @property
    def options_schema(self) -> Mapping[str, Any]:
        return {
            "title": "Parquet file",
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "title": "file", "description": "absolute path on the node's machine"},
            },
        }

    def probe(self, options: Mapping[str, Any]) -> Probe:
        path = file_of(_NAME, options, {"path"})
        fingerprint = self.fingerprint(options)
        arrow = _arrow()
        with _table(path) as table:
            columns = tuple(Column(field.name, _type_of(arrow, field.type)) for field in table.schema_arrow)
            rows = sum(batch.num_rows for batch in _batches(path, table))
        return Probe(columns=columns, rows=rows, size_bytes=path.stat().st_size, fingerprint=fingerprint)

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        path = file_of(_NAME, options, {"path"})
        with _table(path) as table:
            for batch in _batches(path, table):
                columns = [[as_text(value) for value in column.to_pylist()] for column in batch.columns]
                yield from zip(*columns, strict=True)

    def fingerprint(self, options: Mapping[str, Any]) -> str:
        return fingerprint_of(_NAME, file_of(_NAME, options, {"path"}))

    def plain_file(self, options: Mapping[str, Any]) -> Path | None:  # noqa: ARG002 - it never is CSV
        return None


@contextmanager
def _table(path: Path) -> Iterator[Any]:
    arrow = _arrow()
    with opened(_NAME, path) as file:
        try:
            found = arrow.parquet.ParquetFile(file, pre_buffer=False)
        except (arrow.ArrowException, OSError) as error:
            raise InvalidRequest(say("parquet_unreadable", path=str(path), error=str(error))) from None
        check_header(f"parquet: {path}", found.schema_arrow.names)
        for field in found.schema_arrow:
            if arrow.types.is_binary(field.type) or arrow.types.is_large_binary(field.type):
                raise InvalidRequest(say("parquet_bytes", path=str(path), column=field.name))
        yield found


def _batches(path: Path, table: Any) -> Iterator[Any]:
    arrow = _arrow()
    begun = 0
    try:
        for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
            begun += batch.num_rows
            yield batch
    except (arrow.ArrowException, OSError) as error:
        raise InvalidRequest(say("parquet_at_row", path=str(path), row=begun, error=str(error))) from None


def _type_of(arrow: Any, kind: Any) -> str:
    types = arrow.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    return "float" if types.is_floating(kind) or types.is_decimal(kind) else "string"


def _arrow() -> Any:
    try:
        # An extra, and half a second to load.
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise InvalidRequest(say("needs_pyarrow", how=how_to_get("parquet"))) from None
