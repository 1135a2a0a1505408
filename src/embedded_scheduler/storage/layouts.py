"""Where an object store keeps a table: the keys of the layouts that are in use.

A layout answers with the keys of one address, and reads an address from a key. Keys that no address of the layout has
belong to somebody else and are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

LayoutName = Literal["official", "fate", "guide"]

_PARTITION = re.compile(r"data_(0|[1-9][0-9]{0,8})")
_METADATA = "metadata"
_OF_JOB = re.compile(r"(.+?-[^-/]+-[0-9]+)-([^/]+)")
_OF_DATASET = re.compile(r"([^-/]+)-([^/]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """What a key holds: a partition of a table (or blob), or, `partition` None, its metadata."""

    name: str
    partition: int | None


class Layout(Protocol):
    @property
    def fate(self) -> bool:
        """Whether metadata is written in FATE's form."""
        ...

    def data(self, namespace: str, name: str) -> str:
        """The key of the first partition, which is the only one that this node writes."""
        ...

    def metadata(self, namespace: str, name: str) -> str: ...

    def directory(self, namespace: str, name: str = "") -> str:
        """The path below which all keys of a namespace, or of one address, are; empty = there is none."""
        ...

    def prefix(self, namespace: str) -> str:
        """How all data keys of the namespace begin."""
        ...

    def place(self, namespace: str, key: str) -> Place | None:
        """What a key of this namespace holds; None if it is none of the layout's."""
        ...

    def address(self, key: str) -> tuple[str, str] | None:
        """Namespace and name that a key belongs to, where this node wrote it; None if it is none of the layout's."""
        ...


@dataclass(frozen=True, slots=True)
class Directories:
    """`<namespace>/<name>/data_<partition>` and `<namespace>/<name>/metadata`: the official text, and FATE."""

    fate: bool = False

    def data(self, namespace: str, name: str) -> str:
        return f"{namespace}/{name}/data_0"

    def metadata(self, namespace: str, name: str) -> str:
        return f"{namespace}/{name}/{_METADATA}"

    def directory(self, namespace: str, name: str = "") -> str:
        return f"{namespace}/{name}" if name else namespace

    def prefix(self, namespace: str) -> str:
        return f"{namespace}/"

    def place(self, namespace: str, key: str) -> Place | None:
        name, _, last = key.removeprefix(f"{namespace}/").rpartition("/")
        partition = _PARTITION.fullmatch(last)
        if not name or "/" in name or not (partition or last == _METADATA):
            return None
        return Place(name, int(partition[1]) if partition else None)

    def address(self, key: str) -> tuple[str, str] | None:
        namespace, _, rest = key.partition("/")
        place = self.place(namespace, key) if rest else None
        return None if place is None else (namespace, place.name)


@dataclass(frozen=True, slots=True)
class FlatKeys:
    """`<namespace>-<name>`: the integration guide. It does not say where metadata is: that has a place of ours."""

    fate: bool = False

    def data(self, namespace: str, name: str) -> str:
        return f"{namespace}-{name}"

    def metadata(self, namespace: str, name: str) -> str:
        return f".metadata/{namespace}-{name}"

    def directory(self, namespace: str, name: str = "") -> str:  # noqa: ARG002 - keys have no directories
        return ""

    def prefix(self, namespace: str) -> str:
        return f"{namespace}-"

    def place(self, namespace: str, key: str) -> Place | None:
        name = key.removeprefix(f"{namespace}-")
        return Place(name, 0) if name and name != key and "/" not in name else None

    def address(self, key: str) -> tuple[str, str] | None:
        # Nothing says where a namespace ends: with a number if it is of a job's results, else at the first hyphen.
        data = key.removeprefix(".metadata/")
        found = _OF_JOB.fullmatch(data) or _OF_DATASET.fullmatch(data)
        return None if found is None else (found[1], found[2])


LAYOUTS: dict[LayoutName, Layout] = {"official": Directories(), "fate": Directories(fate=True), "guide": FlatKeys()}
