"""Tables and blobs in the node's storage: CSV, Parquet or JSON, in files or in an object store.

Everything streams; what is written appears whole or not at all.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from algorithm_components.sdk.environment import Address, ComponentError, Environment
from algorithm_components.sdk.stores import CHUNK, FileStore, ObjectStore, Store, open_store
from algorithm_components.sdk.table_files import FORMATS, WRITERS, Rows, format_of, read_csv, read_json, read_parquet

_LOOKED_AT = 4096


class Table:
    """An opened table: `header` and, by iteration (once), its rows of text, each as long as the header."""

    def __init__(self, address: Address, header: tuple[str, ...], rows: Iterator[list[str]]) -> None:
        self._address = address
        self._rows = rows
        self.header = header

    def column(self, name: str) -> int:
        """Position of a column."""
        if name not in self.header:
            known = ", ".join(self.header[:20])
            raise ComponentError(f"{self._address} has no column {name!r}; it has: {known}")
        return self.header.index(name)

    def __iter__(self) -> Iterator[list[str]]:
        return self._rows


class Tables:
    """The storage named by `system.storage`: `file://<directory>`, or `s3://host:port?username=…&password=…&bucket=…`.

    A repeated run overwrites what the earlier one stored: names are the task's own.
    """

    def __init__(self, url: str) -> None:
        self._store: Store = open_store(url)

    @classmethod
    def of(cls, environment: Environment) -> Tables:
        return cls(environment.required("system.storage"))

    def path(self, address: Address) -> Path:
        """The file of an object; `ComponentError` where objects are no files."""
        if not isinstance(self._store, FileStore):
            raise ComponentError(f"{address} is in an object store: it has no path")
        return self._store.path(address)

    @contextmanager
    def read(self, address: Address) -> Iterator[Table]:
        """Open a table of any format. In several partitions, all must have the first one's columns, in its order."""
        with ExitStack() as opened:
            partitions = self._store.partitions(address)
            header, rows = self._partition(address, partitions[0], opened)
            yield Table(address, header, self._all_rows(address, header, rows, partitions[1:]))

    def read_bytes(self, address: Address) -> bytes:
        return b"".join(self.chunks(address))

    def chunks(self, address: Address) -> Iterator[bytes]:
        """The bytes of a blob."""
        for partition in self._store.partitions(address):
            with self._store.opened(partition) as file:
                while chunk := file.read(CHUNK):
                    yield chunk

    def metadata(self, address: Address) -> Mapping[str, Any]:
        """The table metadata that lies beside the object (`count`, `column_info` and so on); empty if there is none."""
        try:
            found = json.loads(self._store.description(address) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(
        self,
        address: Address,
        header: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        format: str = "csv",  # noqa: A002 - what it is called
        types: Sequence[str] = (),
        description: str = "",
    ) -> int:
        """Store a table with its metadata; returns the number of rows.

        `types` (string, integer, float, boolean) goes into the metadata; without it columns are stated as strings.
        """
        if format not in FORMATS:
            raise ComponentError(f"a table is written as {', '.join(FORMATS)} (got {format[:20]!r})")
        count = 0

        def counted() -> Iterator[Sequence[object]]:
            nonlocal count
            for row in rows:
                count += 1
                yield row

        self._store.put(address, WRITERS[format](header, counted()))
        columns = dict(zip(header, types, strict=True)) if types else dict.fromkeys(header, "string")
        now = int(time.time() * 1000)
        fate = isinstance(self._store, ObjectStore) and self._store.fate
        metadata: dict[str, Any] = {
            "namespace": address.namespace,
            "name": address.name,
            "count": count,
            "partitions": 1,
            "column_info": [{"name": name, "type": kind} for name, kind in columns.items()],
            "description": description,
            "create_time": now // 1000 if fate else now,
            "expire_time": None,
            "file_type": format,
            "data_type": "dense",
        }
        if fate:
            metadata |= {"options": {}, "metadata": {}}
        self._store.describe(address, json.dumps(metadata, ensure_ascii=False).encode())
        return count

    def write_text(self, address: Address, text: str) -> None:
        self._store.put(address, [text.encode()])

    def write_chunks(self, address: Address, chunks: Iterable[bytes]) -> None:
        """Store a blob."""
        self._store.put(address, chunks)

    def _partition(self, address: Address, partition: str, opened: ExitStack) -> Rows:
        file = opened.enter_context(self._store.opened(partition))
        found = format_of(file.peek(_LOOKED_AT))
        if found == "parquet":
            file.close()
            return read_parquet(str(address), opened.enter_context(self._store.file(partition)))
        text = opened.enter_context(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
        return (read_json if found == "json" else read_csv)(str(address), text)

    def _all_rows(
        self,
        address: Address,
        header: tuple[str, ...],
        rows: Iterator[list[str]],
        others: Sequence[str],
    ) -> Iterator[list[str]]:
        yield from rows
        for partition in others:
            with ExitStack() as inner:
                found, more = self._partition(address, partition, inner)
                if found != header:
                    raise ComponentError(f"{address}: its partitions have different columns")
                yield from more
