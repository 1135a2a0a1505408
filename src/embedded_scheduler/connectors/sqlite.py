"""Datasets in tables of an SQLite file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import Column, Probe

_OPTIONS = frozenset({"path", "table"})
_BATCH = 1000


class SqliteConnector:
    """Reads a table or view of an SQLite file, never writing to it.

    Options: `path` (absolute), `table`. NULL becomes an empty string, numbers their shortest exact text; a BLOB is
    refused. The fingerprint covers names and values of the columns in the table's order, nothing else of the file.
    """

    def __init__(self, *, busy_seconds: float = 5.0) -> None:
        self._busy_seconds = busy_seconds
        """How long a lock of a writing program is waited for."""

    @property
    def name(self) -> str:
        return "sqlite"

    @property
    def options_schema(self) -> Mapping[str, Any]:
        return {
            "title": "SQLite table",
            "type": "object",
            "required": ["path", "table"],
            "properties": {
                "path": {"type": "string", "title": "file", "description": "absolute path on the node's machine"},
                "table": {"type": "string", "description": "a table or a view"},
            },
        }

    def probe(self, options: Mapping[str, Any]) -> Probe:
        digest = hashlib.sha256()
        rows = size = 0
        with closing(_Table(options, self._busy_seconds)) as table:
            types: list[set[str]] = [set() for _ in table.columns]
            digest.update(_canonical(table.columns))
            for row in table.rows():
                line = _canonical(row)
                digest.update(line)
                size += len(line)
                rows += 1
                for seen, value in zip(types, row, strict=True):
                    seen.add(type(value).__name__)
            columns = tuple(Column(name, _type_of(seen)) for name, seen in zip(table.columns, types, strict=True))
        return Probe(columns=columns, rows=rows, size_bytes=size, fingerprint=digest.hexdigest())

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        with closing(_Table(options, self._busy_seconds)) as table:
            for row in table.rows():
                yield tuple(_text(value) for value in row)


class _Table:
    def __init__(self, options: Mapping[str, Any], busy_seconds: float) -> None:
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise InvalidRequest(say("sqlite_option", option=shorten(unknown[0])))
        path, table = options.get("path"), options.get("table")
        if not isinstance(path, str) or not path or "\0" in path or not Path(path).is_absolute():
            raise InvalidRequest(say("sqlite_no_path"))
        if not isinstance(table, str) or not table or "\0" in table:
            raise InvalidRequest(say("sqlite_no_table"))
        if not Path(path).is_file():
            raise InvalidRequest(say("sqlite_no_file", path=path))
        self._path, self._name = path, table
        try:
            # A reader may be asked for its rows from one worker thread after another, never from two at a time.
            self._connection = sqlite3.connect(
                f"file:{quote(path)}?mode=ro", uri=True, timeout=busy_seconds, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise InvalidRequest(say("sqlite_not_opened", path=path, error=str(error))) from None
        try:
            self.columns = self._find()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def rows(self) -> Iterator[tuple[Any, ...]]:
        number = 0
        try:
            cursor = self._connection.execute(f"SELECT * FROM {self._quoted}")  # noqa: S608 - quoted
            while batch := cursor.fetchmany(_BATCH):
                for row in batch:
                    number += 1
                    if any(isinstance(value, bytes) for value in row):
                        column = next(at for at, value in enumerate(row) if isinstance(value, bytes))
                        raise InvalidRequest(
                            say(
                                "sqlite_blob",
                                path=self._path,
                                table=self._name,
                                row=number,
                                column=self.columns[column],
                            )
                        )
                    yield row
        except sqlite3.Error as error:
            raise self._fault(error, number) from None

    @property
    def _quoted(self) -> str:
        return '"' + self._name.replace('"', '""') + '"'

    def _find(self) -> tuple[str, ...]:
        try:
            found = self._connection.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = ? AND type IN ('table', 'view')", (self._name,)
            ).fetchone()
            if found is None:
                raise InvalidRequest(say("sqlite_table_missing", path=self._path, table=shorten(self._name)))
            cursor = self._connection.execute(f"SELECT * FROM {self._quoted} LIMIT 0")  # noqa: S608 - quoted
        except sqlite3.Error as error:
            raise self._fault(error) from None
        names = tuple(item[0] for item in cursor.description)
        bad = next((name for name in names if not name.strip() or not name.isprintable()), None)
        if bad is not None or len(set(names)) != len(names):
            raise InvalidRequest(say("sqlite_columns", path=self._path, table=self._name))
        return names

    def _fault(self, error: sqlite3.Error, row: int = 0) -> InvalidRequest | Unavailable:
        """`row`: the last that was read."""
        path, table = str(self._path), self._name
        if row:
            text = say("sqlite_at_row", path=path, table=table, row=row, error=str(error))
        else:
            text = say("sqlite_fault", path=path, table=table, error=str(error))
        # Somebody is writing to it: that passes.
        busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        return Unavailable(say("try_again", what=text)) if busy else InvalidRequest(text)


def _canonical(row: tuple[Any, ...]) -> bytes:
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)


def _type_of(seen: set[str]) -> str:
    kinds = seen - {"NoneType"}
    if kinds == {"int"}:
        return "integer"
    if kinds and kinds <= {"int", "float"}:
        return "float"
    return "string"
