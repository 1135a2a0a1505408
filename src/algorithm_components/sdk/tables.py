"""Tables and blobs in the node's storage: read as CSV, written whole or not at all."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from algorithm_components.sdk.environment import Address, ComponentError, Environment

_FIELD_LIMIT = 16 * 1024 * 1024


class Table:
    """An opened table: `header` and, by iteration (once), its rows of text, each as long as the header."""

    def __init__(self, address: Address, file: IO[str]) -> None:
        self._address = address
        # A field may be as long as the node's connectors let it be.
        csv.field_size_limit(_FIELD_LIMIT)
        self._reader = csv.reader(file, strict=True)
        try:
            header = next(self._reader, [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise ComponentError(f"{address} is not a table: {error}") from None
        if not header:
            raise ComponentError(f"{address} is not a table: it has no header line")
        self.header = tuple(header)

    def column(self, name: str) -> int:
        """Position of a column."""
        if name not in self.header:
            known = ", ".join(self.header[:20])
            raise ComponentError(f"{self._address} has no column {name!r}; it has: {known}")
        return self.header.index(name)

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.header)
        try:
            for row in self._reader:
                if len(row) != width:
                    if not row:
                        continue
                    raise ComponentError(
                        f"{self._address}, line {self._reader.line_num}: {len(row)} fields, but the header has {width}"
                    )
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise ComponentError(f"{self._address}, after line {self._reader.line_num}: {error}") from None


class Tables:
    """The storage named by `system.storage`; of its forms, `file://<directory>` is served.

    A repeated run overwrites what the earlier one stored: names are the task's own.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith("file:///"):
            # The URL of an object store carries its password: only its kind may be shown.
            raise ComponentError(f"this component reads file:// storage only (got {url.split(':', 1)[0][:20]}:)")
        self._root = Path(url.removeprefix("file://"))

    @classmethod
    def of(cls, environment: Environment) -> Tables:
        return cls(environment.required("system.storage"))

    def path(self, address: Address) -> Path:
        for part in (address.namespace, address.name):
            if not part or "/" in part or "\0" in part or part.startswith("."):
                raise ComponentError(f"{address} is not a storage address")
        return self._root / address.namespace / address.name

    @contextmanager
    def read(self, address: Address) -> Iterator[Table]:
        """Open a CSV table (UTF-8, with or without a byte order mark) with one header line."""
        path = self.path(address)
        try:
            file = path.open(encoding="utf-8-sig", newline="")
        except OSError as error:
            raise ComponentError(f"{address} cannot be read: {error.strerror or error}") from None
        with file:
            yield Table(address, file)

    def read_bytes(self, address: Address) -> bytes:
        try:
            return self.path(address).read_bytes()
        except OSError as error:
            raise ComponentError(f"{address} cannot be read: {error.strerror or error}") from None

    def write(self, address: Address, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
        """Store a table; returns the number of rows."""
        count = 0
        with self._replacing(address) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for row in rows:
                writer.writerow(row)
                count += 1
        return count

    def write_text(self, address: Address, text: str) -> None:
        with self._replacing(address) as file:
            file.write(text)

    @contextmanager
    def _replacing(self, address: Address) -> Iterator[IO[str]]:
        path = self.path(address)
        pending = path.with_name(f".pending-{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                with open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - a descriptor
                    yield file
                    file.flush()
                    os.fsync(descriptor)
                pending.replace(path)
            finally:
                # Only there if the object was not completed.
                pending.unlink(missing_ok=True)
        except OSError as error:
            raise ComponentError(f"{address} cannot be written: {error.strerror or error}") from error
