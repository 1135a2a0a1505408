"""Contract of a storage: tables and blobs by (namespace, name)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from embedded_scheduler.domain.table_metadata import TableMetadata


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored object. `size` in bytes; `modified_ms` Unix epoch milliseconds."""

    namespace: str
    name: str
    size: int
    modified_ms: int


@runtime_checkable
class Storage(Protocol):
    """Addresses are (namespace, name), each a single path component; anything else is refused as `InvalidRequest`."""

    async def url(self) -> str:
        """What a component receives as `system.storage`. It may hold a password: never log it.

        `NotFound` or `InvalidRequest` when the password is not there or is none.
        """
        ...

    async def write(self, namespace: str, name: str, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the object whole or not at all; replaces an earlier one."""
        ...

    def read(self, namespace: str, name: str) -> AsyncIterator[bytes]:
        """The object's bytes; raises `NotFound` at the first step when there is none."""
        ...

    async def stat(self, namespace: str, name: str) -> Stored | None: ...

    async def list(self, namespace: str) -> list[Stored]: ...

    async def delete(self, namespace: str, name: str) -> None:
        """Remove the object if it is there."""
        ...


@runtime_checkable
class LinkingStorage(Protocol):
    """What a storage on this machine's disk may offer besides: an object without copying its bytes."""

    async def link(self, namespace: str, name: str, source: Path) -> Stored | None:
        """Make the file `source` readable as an object; replaces an earlier one.

        None if this storage cannot do so for that file (another file system, missing rights): write a copy then.
        """
        ...


@runtime_checkable
class DescribingStorage(Protocol):
    """What a storage may offer besides: the table metadata of the specification beside its tables."""

    async def describe(self, metadata: TableMetadata) -> None:
        """Store it beside its table. It goes with the table: writing or deleting the table removes it."""
        ...

    async def description(self, namespace: str, name: str) -> TableMetadata | None:
        """What is stored beside the table, by whomever; None = nothing that can be read."""
        ...


@runtime_checkable
class CountedStorage(Protocol):
    """What a storage may offer besides: everything it holds, for those who watch its size."""

    def everything(self) -> AsyncIterator[Stored]:
        """One after the other, in no order, an object possibly in several pieces. `size` is what a piece takes up here:
        with the object's metadata, and nothing for what is only a link to somebody else's file."""
        ...


@runtime_checkable
class RemoteStorage(Protocol):
    """What a storage on another machine (or in another process) offers besides."""

    @property
    def reaches(self) -> tuple[str, ...]:
        """`host:port` of everything that a component has to be able to connect to."""
        ...

    @property
    def described(self) -> str:
        """Where it is, for the operator; without any secret."""
        ...

    async def check(self) -> None:
        """Whether it can be used now: raises what the operator has to change."""
        ...


@runtime_checkable
class FileStorage(Protocol):
    """What a storage in plain files of this machine offers besides, so that a component can be shown its part alone."""

    def path(self, namespace: str, name: str) -> Path:
        """Where the object is or would be."""
        ...

    def metadata_path(self, namespace: str, name: str) -> Path:
        """Where its table metadata is or would be."""
        ...

    def directory(self, namespace: str) -> Path:
        """The directory of a namespace, made (0700) if there is none."""
        ...
