"""Components registered at this node, with their self-descriptions."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.job import canonical_json
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Component:
    """One registration. `code` is the legacy dialect's package key (may be empty); `manifest` as it was sent."""

    provider: str
    name: str
    version: str
    code: str
    image_url: str
    manifest: dict[str, Any]
    registered_ms: int
    registered_by: str
    enabled: bool = True
    """It may run; the operator can say otherwise without forgetting it."""
    runner: str = ""
    """The runner that runs it; empty = the node's rules decide."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the self-description: tells whether two nodes mean the same."""
        return digest_of(self.manifest)


def digest_of(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(dict(manifest))).hexdigest()


def put(
    tx: Tx,
    *,
    provider: str,
    name: str,
    version: str,
    code: str,
    image_url: str,
    manifest: Mapping[str, Any],
    registered_by: str,
    runner: str = "",
) -> Component:
    """Register at the transaction's time; replaces a registration of the same provider, name and version, which stays
    enabled or disabled as it was."""
    before = get(tx, provider, name, version)
    enabled = before is None or before.enabled
    component = Component(
        provider, name, version, code, image_url, dict(manifest), tx.now_ms, registered_by, enabled, runner
    )
    tx.run(
        "components.put",
        provider=provider,
        name=name,
        version=version,
        code=code,
        image_url=image_url,
        manifest=json.dumps(component.manifest),
        registered_ms=tx.now_ms,
        registered_by=registered_by,
        runner=runner,
    )
    return component


def get(reader: Reader, provider: str, name: str, version: str) -> Component | None:
    """The registration of exactly this triple."""
    return _component(reader.one("components.get", provider=provider, name=name, version=version))


def all(reader: Reader) -> list[Component]:  # noqa: A001 - read as `components.all`
    """Every registration, by provider, name and version."""
    return [_parse(row) for row in reader.all("components.all")]


def set_enabled(tx: Tx, provider: str, name: str, version: str, *, enabled: bool) -> None:
    tx.run("components.set_enabled", provider=provider, name=name, version=version, enabled=int(enabled))


def delete(tx: Tx, provider: str, name: str, version: str) -> bool:
    """False if there was none."""
    return tx.run("components.delete", provider=provider, name=name, version=version).rowcount == 1


def resolve(reader: Reader, *, provider: str, name: str, version: str, code: str) -> Component | None:
    """The registration a flow means; any part may be empty.

    First match of: the exact triple; provider and name in any version, when no version is asked for; the legacy pair
    of package key and module (`code`, `name`) in the version asked for, or registered without a version. A package
    may hold several components: `name` chooses, and may differ only where the package holds one. Of several, the
    newest registration.
    """
    exact = get(reader, provider, name, version)
    if exact is not None:
        return exact
    if provider and name and not version:
        found = _component(reader.one("components.newest_by_name", provider=provider, name=name))
        if found is not None:
            return found
    return _of_package(reader, code, name, version) if code else None


def _of_package(reader: Reader, code: str, name: str, version: str) -> Component | None:
    held = [_parse(row) for row in reader.all("components.by_code", code=code)]
    meant = [one for one in held if one.name == name]
    if not meant and (name in ("", code) or len({one.name for one in held}) == 1):
        meant = held
    for candidate in (version, "") if version else (None,):
        for one in meant:
            if candidate is None or one.version == candidate:
                return one
    return None


def _component(row: sqlite3.Row | None) -> Component | None:
    return None if row is None else _parse(row)


def _parse(row: sqlite3.Row) -> Component:
    columns = dict(row)
    columns["manifest"] = json.loads(columns["manifest"])
    columns["enabled"] = bool(columns["enabled"])
    return Component(**columns)
