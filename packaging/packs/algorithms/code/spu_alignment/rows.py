"""Identifiers as digests of one length, and the rows whose identifier is common, sorted on disk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

KEY = "key"
"""The one column of the files that libpsi reads and writes: SHA-256 in hex, so that no reader of CSV can mistake
a value (quotes, line breaks, leading zeros)."""


def digest(cells: Sequence[str]) -> bytes:
    """Of an identifier's cells. Several are told apart by their lengths."""
    if len(cells) == 1:
        return hashlib.sha256(cells[0].encode()).digest()
    whole = hashlib.sha256()
    for cell in cells:
        encoded = cell.encode()
        whole.update(len(encoded).to_bytes(8, "big") + encoded)
    return whole.digest()


def write_keys(path: Path, keys: set[bytes]) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write(f"{KEY}\n")
        file.writelines(f"{key.hex()}\n" for key in keys)


def read_keys(path: Path) -> set[bytes]:
    with path.open(encoding="ascii") as file:
        next(file, "")
        return {bytes.fromhex(line.strip().strip('"')) for line in file}


class SortedRows:
    """Rows ordered by the bytes of their identifier, then as they came. They lie in a temporary file without a name."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE rows (id BLOB, cells TEXT)")
        self._db.execute("BEGIN")

    def add(self, identifier: Sequence[str], row: Sequence[str]) -> None:
        key = b"\0".join(cell.encode() for cell in identifier)
        self._db.execute("INSERT INTO rows VALUES (?, ?)", (key, json.dumps(row)))

    def __iter__(self) -> Iterator[list[str]]:
        for (cells,) in self._db.execute("SELECT cells FROM rows ORDER BY id, rowid"):
            yield json.loads(cells)

    def close(self) -> None:
        self._db.close()
