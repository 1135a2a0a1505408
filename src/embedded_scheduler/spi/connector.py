"""Contract of a connector: reads rows of a registered dataset wherever they live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is one of string, integer, float, boolean."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a look at the source found. `fingerprint` is a SHA-256 (hex) over its content; `rows` excludes a header."""

    columns: tuple[Column, ...]
    rows: int
    size_bytes: int
    fingerprint: str


@runtime_checkable
class Connector(Protocol):
    """Synchronous: the engine calls it in a worker thread. `options` are the dataset's registered options."""

    @property
    def name(self) -> str: ...

    def probe(self, options: Mapping[str, Any]) -> Probe:
        """Read the whole source once; `InvalidRequest` names line and column of the first fault."""
        ...

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        """Every row as text in column order, without the header."""
        ...


@runtime_checkable
class DescribedConnector(Protocol):
    """What a connector may offer besides, so that a console can ask for its options in a form."""

    @property
    def options_schema(self) -> Mapping[str, Any]:
        """A JSON schema (type object) of `options`."""
        ...


@runtime_checkable
class FileConnector(Protocol):
    """What a connector may offer besides, so that a dataset can be used without reading it twice."""

    def fingerprint(self, options: Mapping[str, Any]) -> str:
        """The fingerprint that `probe` would state now, without checking the content."""
        ...

    def plain_file(self, options: Mapping[str, Any]) -> Path | None:
        """The source's file if it already is what components read (UTF-8 without a mark, commas, one header line)."""
        ...
