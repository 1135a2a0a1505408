"""Who knows the choices of a parameter: `bindingData: "call_function name()"` of a self-description.

A description names a provider and nothing else: no text of it is ever evaluated. Providers are functions that are
registered here; what a form holds already is handed to them as `filled`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NotFound, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.store import components, datasets, peers

_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Offer:
    """One choice."""

    value: str
    label: str = ""


Provider = Callable[[Engine, Mapping[str, str]], Awaitable[Sequence[Offer]]]


async def choices(engine: Engine, name: str, filled: Mapping[str, str]) -> list[Offer]:
    """What a provider offers. `NotFound` when there is none of this name, `Unavailable` when it takes too long."""
    provider = PROVIDERS.get(_plain(name))
    if provider is None:
        known = ", ".join(sorted(PROVIDERS))
        raise NotFound(say("no_provider", name=shorten(name), known=known))
    try:
        async with asyncio.timeout(_SECONDS):
            return list(await provider(engine, filled))
    except TimeoutError:
        raise Unavailable(say("provider_silent", name=shorten(name), seconds=f"{_SECONDS:g}")) from None


def _plain(name: str) -> str:
    """`getDatasets`, `get_datasets` and `datasets` are one."""
    plain = name.lower().replace("_", "").replace("-", "").replace(".", "")
    for prefix in ("get", "list", "query"):
        rest = plain.removeprefix(prefix)
        if rest in PROVIDERS:
            return rest
    return plain


async def _datasets(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:  # noqa: ARG001 - one signature
    rows = await engine.db.read(datasets.all)
    return [Offer(row.dataset_id, row.description.split("\n")[0][:80]) for row in rows]


async def _columns(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:
    """Of the dataset that the form names; without one, of all: a form may be filled in in any order."""
    named = filled.get("dataset_id") or "#".join(filter(None, (filled.get("namespace"), filled.get("name"))))
    rows = await engine.db.read(datasets.all)
    chosen = [row for row in rows if row.dataset_id == named] or rows
    found = {column.name: column.type for row in chosen for column in row.columns}
    return [Offer(name, f"{name} {type_name}") for name, type_name in found.items()]


async def _partners(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:  # noqa: ARG001
    rows = await engine.db.read(peers.all)
    return [Offer(row.node_id) for row in rows]


async def _nodes(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:
    return [Offer(engine.node_id), *await _partners(engine, filled)]


async def _components(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:  # noqa: ARG001
    rows = await engine.db.read(components.all)
    return [Offer(f"{row.provider}/{row.name}/{row.version}") for row in rows if row.enabled]


async def _connectors(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:  # noqa: ARG001
    return [Offer(name) for name in sorted(engine.connectors)]


async def _runners(engine: Engine, filled: Mapping[str, str]) -> Sequence[Offer]:  # noqa: ARG001
    return [Offer(name) for name in engine.runners]


PROVIDERS: Mapping[str, Provider] = {
    "datasets": _datasets,
    "columns": _columns,
    "partners": _partners,
    "peers": _partners,
    "nodes": _nodes,
    "components": _components,
    "connectors": _connectors,
    "runners": _runners,
}
