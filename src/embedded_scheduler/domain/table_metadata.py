"""What is stored beside a table: the specification's table metadata, in the two forms that are in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BESIDE = ".metadata-"
"""In plain files a table's metadata lies beside it, under its name with this before it."""

_FIRST_MS = 100_000_000_000
"""A time below is in seconds (until the year 5138), one from here on in milliseconds (since 1973)."""


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """Times in Unix epoch milliseconds, 0 = not stated; `count` None = not known how many rows."""

    namespace: str
    name: str
    count: int | None = None
    partitions: int = 1
    columns: tuple[tuple[str, str], ...] = ()
    """Name and type (string, integer, float, boolean)."""
    description: str = ""
    created_ms: int = 0
    expires_ms: int = 0
    file_type: str = "csv"
    """csv, parquet or json"""
    data_type: str = "dense"
    """dense or sparse"""

    def encode(self, *, fate: bool = False) -> bytes:
        """As the integration guide names it, times in milliseconds; with `fate` as FATE writes it, times in seconds."""
        per_unit = 1000 if fate else 1
        members: dict[str, Any] = {
            "namespace": self.namespace,
            "name": self.name,
            "count": self.count,
            "partitions": self.partitions,
            "column_info": [{"name": name, "type": kind} for name, kind in self.columns],
            "description": self.description,
            "create_time": self.created_ms // per_unit or None,
            "expire_time": self.expires_ms // per_unit or None,
            "file_type": self.file_type,
            "data_type": self.data_type,
        }
        if fate:
            members |= {"options": {}, "metadata": {}}
        return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"


def decode(namespace: str, name: str, content: bytes) -> TableMetadata | None:
    """Read liberally what somebody stored for this address; None if it is no metadata at all."""
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    count = members.get("count")
    return TableMetadata(
        namespace,
        name,
        count=count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None,
        partitions=_number(members, "partitions") or 1,
        columns=_columns(members.get("column_info")),
        description=_text(members, "description"),
        created_ms=_time(members, "create_time"),
        expires_ms=_time(members, "expire_time"),
        file_type=_text(members, "file_type").lower() or "csv",
        data_type=_text(members, "data_type").lower() or "dense",
    )


def _columns(value: object) -> tuple[tuple[str, str], ...]:
    items = value if isinstance(value, list) else []
    return tuple(
        (item["name"], str(item.get("type") or "string"))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    )


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _number(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    try:
        return max(0, int(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


def _time(members: Mapping[str, Any], name: str) -> int:
    value = _number(members, name)
    return value if value >= _FIRST_MS else value * 1000
