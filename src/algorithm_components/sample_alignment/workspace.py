"""The working data of one alignment, in a temporary file, so that memory stays bounded whatever the tables' size."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

from algorithm_components.sample_alignment.messages import POINT_BYTES

_CACHE_KIB = 48 * 1024
_ROWS_AT_ONCE = 5000

_TABLES = """
CREATE TABLE rows (position INTEGER PRIMARY KEY, tag BLOB, id TEXT, row TEXT);
CREATE TABLE items (rank INTEGER PRIMARY KEY, tag BLOB, id TEXT);
CREATE TABLE own_duals (rank INTEGER PRIMARY KEY, dual BLOB);
CREATE TABLE peer_duals (dual BLOB);
CREATE TABLE common (tag BLOB PRIMARY KEY, id TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: all rows, rows without an identifier (left out), and different identifiers."""

    rows: int
    empty: int
    items: int

    @property
    def repeated(self) -> int:
        """Rows whose identifier occurred before."""
        return self.rows - self.empty - self.items


class Workspace:
    """Rows, items and dual-masked points of one party. Safe to use from several threads.

    An *item* is a different identifier. Items are ranked at random, so that their order tells the other party nothing
    about the table's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(32)
        with tempfile.TemporaryDirectory(prefix="alignment-") as directory:
            self._db = sqlite3.connect(Path(directory) / "work.db", check_same_thread=False)
            # Nothing here outlives the run, so nothing has to be durable.
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._db.executescript(_TABLES)
            # Open but without a name from here on: even a killed component leaves no identifiers on the disk.

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def load(self, rows: Iterable[Sequence[str]], id_column: int) -> Loaded:
        """Take in a table's rows and rank their items."""
        count = empty = 0
        records = self._records(rows, id_column)
        while chunk := list(islice(records, _ROWS_AT_ONCE)):
            count += len(chunk)
            kept = [record for record in chunk if record[1]]
            empty += len(chunk) - len(kept)
            self._many("INSERT INTO rows (tag, id, row) VALUES (?, ?, ?)", kept)
        with self._lock:
            self._db.execute("INSERT INTO items (tag, id) SELECT tag, min(id) FROM rows GROUP BY tag ORDER BY tag")
            items = int(self._db.execute("SELECT count(*) FROM items").fetchone()[0])
        return Loaded(rows=count, empty=empty, items=items)

    def item_blocks(self, size: int) -> Iterator[list[bytes]]:
        """Items (as UTF-8) in order of rank, `size` at a time."""
        last = 0
        while True:
            with self._lock:
                found = self._db.execute(
                    "SELECT rank, id FROM items WHERE rank > ? ORDER BY rank LIMIT ?", (last, size)
                ).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield [identifier.encode() for _, identifier in found]

    def add_own_duals(self, block: bytes) -> None:
        """Dual-masked points of the own items, in order of rank, continuing where the last block ended."""
        self._many("INSERT INTO own_duals (dual) VALUES (?)", [(point,) for point in _points(block)])

    def add_peer_duals(self, block: bytes) -> None:
        self._many("INSERT INTO peer_duals (dual) VALUES (?)", [(point,) for point in _points(block)])

    def match(self) -> int:
        """Find the common items; returns how many there are."""
        with self._lock:
            self._db.execute("CREATE INDEX peer_duals_by_value ON peer_duals (dual)")
            found = self._db.execute(
                "INSERT INTO common SELECT items.tag, items.id FROM own_duals JOIN items USING (rank)"
                " WHERE EXISTS (SELECT 1 FROM peer_duals WHERE peer_duals.dual = own_duals.dual)"
            )
            return found.rowcount

    def common_rows(self) -> Iterator[list[str]]:
        """Own rows of common items, by identifier (order of its UTF-8 bytes), repeated ones as in the table."""
        with self._lock:
            found = self._db.execute(
                "SELECT rows.row FROM rows JOIN common USING (tag) ORDER BY common.id, rows.position"
            )
            for (row,) in found:
                yield json.loads(row)

    def _records(self, rows: Iterable[Sequence[str]], id_column: int) -> Iterator[tuple[bytes, str, str]]:
        salt = self._salt
        for row in rows:
            identifier = row[id_column]
            tag = hashlib.blake2b(identifier.encode(), key=salt, digest_size=16).digest()
            yield tag, identifier, json.dumps(row, ensure_ascii=False)

    def _many(self, statement: str, values: Iterable[tuple[object, ...]]) -> None:
        with self._lock:
            self._db.executemany(statement, values)


def _points(block: bytes) -> list[bytes]:
    return [block[start : start + POINT_BYTES] for start in range(0, len(block), POINT_BYTES)]
