"""Fills a fresh home with a month's history, in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from embedded_scheduler import plugins
from embedded_scheduler.clock import DAY_MS, HOUR_MS
from embedded_scheduler.config import Settings, load_settings
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.engine.components import BUILTIN, BUILTIN_ACTOR
from embedded_scheduler.engine.transitions import Scene
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.showcase import files, trust
from embedded_scheduler.showcase.catalogue import (
    DATASETS,
    INSTITUTION,
    NAMESPACE,
    NODE,
    OPERATORS,
    PARTNERS,
    DatasetFacts,
    manifests,
)
from embedded_scheduler.showcase.exhibit import SCHEME, StillClock
from embedded_scheduler.showcase.history import Planned, Recorded, Teller, Trace, tell
from embedded_scheduler.showcase.plot import DAYS, Story, stories
from embedded_scheduler.spi.connector import Probe
from embedded_scheduler.store import components, datasets, ledger, tokens
from embedded_scheduler.store.database import Database, Tx
from embedded_scheduler.store.jobs import Copies
from embedded_scheduler.store.tokens import Token

SETTINGS = """
# A node to look at: what it cannot deliver is left alone, and its messages stay.
timing.retry_longest = 86400.0
retention.messages_days = 60
"""
_PLANNED_MS = 12 * HOUR_MS
"""How far back jobs are told through the planner, with their messages, logs and results."""

Moments = Iterator[int]
"""What happens to one thing: it yields when (epoch ms), and lets it happen when it is resumed."""


async def fill(home: Home, *, now_ms: int) -> Settings:
    """Create the node `alice` in an empty home, with a history that ends at `now_ms` (epoch ms).

    The same moment gives the same rows. The node listens on free ports of loopback.
    """
    provision(
        home, node_id=NODE, inst_name=INSTITUTION, listen="127.0.0.1:0", platform="127.0.0.1:0", mint=SeededMint()
    )
    with home.settings_file.open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    settings_ = load_settings(home)
    tables = home.path / "tables"
    await asyncio.to_thread(files.write_datasets, tables)
    probes = await asyncio.to_thread(_probes, home, settings_, tables)
    database = await Database.open(home.database, clock=StillClock(now_ms), backups=home.backups)
    try:
        traces = await database.write(lambda tx: _write(tx, home, now_ms, probes))
    finally:
        await database.close()
    await asyncio.to_thread(_write_files, home, traces, now_ms)
    return settings_


class SeededMint:
    """Identifiers that are the same every time."""

    def __init__(self) -> None:
        self._random = random.Random(1)  # noqa: S311 - nothing is protected by them

    def job_id(self) -> str:
        return f"job-{self.nonce()}"

    def nonce(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def token(self) -> str:
        return f"{self._random.getrandbits(256):064x}"


def _probes(home: Home, settings: Settings, tables: Path) -> dict[str, tuple[Mapping[str, Any], Probe]]:
    """Options and content of each dataset."""
    connector = plugins.connectors(home, settings)["csv"]
    found: dict[str, tuple[Mapping[str, Any], Probe]] = {}
    for facts in DATASETS:
        options = {"path": str(tables / f"{facts.name}.csv")}
        found[facts.name] = (options, connector.probe(options))
    return found


def _write(tx: Tx, home: Home, now_ms: int, probes: Mapping[str, tuple[Mapping[str, Any], Probe]]) -> list[Trace]:
    """Everything, in the order in which it happened."""
    scene = Scene(self_node=NODE, traits=lambda _: PeerTraits(), mint=SeededMint(), copies=Copies())
    tellers: list[Teller] = []

    def begin(story: Story) -> Moments:
        planned = now_ms - story.created_ms <= _PLANNED_MS or _is_open(story)
        teller = (Planned if planned else Recorded)(tx, scene, story, str(home.logs))
        if planned:
            tellers.append(teller)
        return tell(story, teller)

    first_ms = now_ms - DAYS * DAY_MS
    threads = [
        _set_up(tx, first_ms, probes),
        *(trust.agree(tx, facts, now_ms) for facts in PARTNERS),
        trust.replace_former(tx, PARTNERS[1], now_ms),
        trust.turn_down(tx, now_ms),
        trust.ask_to_join(tx, now_ms),
        *(trust.tell_request(tx, request, now_ms) for request in trust.REQUESTS),
        *map(begin, stories(now_ms)),
    ]
    _play(tx, threads, until_ms=now_ms)
    return [trace for teller in tellers for trace in teller.traces.values()]


def _is_open(story: Story) -> bool:
    return bool(story.ending.undecided or story.ending.undelivered)


def _play(tx: Tx, threads: Iterable[Moments], *, until_ms: int) -> None:
    """Let everything happen in the order of time, each at its own; what is later than `until_ms` has not happened."""
    queue: list[tuple[int, int, Moments]] = []

    def put_off(number: int, moments: Moments) -> None:
        at_ms = next(moments, None)
        if at_ms is not None and at_ms <= until_ms:
            heapq.heappush(queue, (at_ms, number, moments))

    for number, moments in enumerate(threads):
        put_off(number, moments)
    while queue:
        tx.now_ms, number, moments = heapq.heappop(queue)
        put_off(number, moments)


def _set_up(tx: Tx, first_ms: int, probes: Mapping[str, tuple[Mapping[str, Any], Probe]]) -> Moments:
    """The node's first day: components, datasets, a token of the own platform, what partners may see."""
    yield first_ms
    ledger.append(tx, subject="node", subject_id=NODE, event="node.started", actor="node", data={"version": "0.1.0"})
    for manifest in plugins.builtin_manifests():
        _component(tx, manifest, f"{BUILTIN}{parse_manifest(manifest).name}", BUILTIN_ACTOR)
    yield first_ms + HOUR_MS // 2
    for manifest in manifests():
        _component(tx, manifest, f"{SCHEME}{manifest['componentName']}", f"operator:{OPERATORS[0]}")
    yield first_ms + HOUR_MS
    for facts in DATASETS:
        _dataset(tx, facts, *probes[facts.name])
    token = Token(
        token_id="exhibit1",  # noqa: S106 - the public part
        name="batch",
        scopes=("jobs:read", "jobs:write"),
        hash=hashlib.sha256(b"nobody has this token").hexdigest(),
        created_ms=tx.now_ms,
        created_by=f"operator:{OPERATORS[0]}",
    )
    tokens.add(tx, token)
    data = {"name": token.name, "scopes": list(token.scopes), "expires_ms": None}
    ledger.append(
        tx, subject="token", subject_id=token.token_id, event="token.created", actor=token.created_by, data=data
    )
    yield first_ms + 5 * DAY_MS
    trust.publish(tx)


def _component(tx: Tx, manifest: Mapping[str, Any], image_url: str, actor: str) -> None:
    parsed = parse_manifest(manifest)
    components.put(
        tx,
        provider=parsed.provider,
        name=parsed.name,
        version=parsed.version,
        code=parsed.code,
        image_url=image_url,
        manifest=manifest,
        registered_by=actor,
    )
    ledger.append(
        tx,
        subject="component",
        subject_id=f"{parsed.provider}/{parsed.name}/{parsed.version}",
        event="component.registered",
        actor=actor,
        data={"image_url": image_url, "code": parsed.code},
    )


def _dataset(tx: Tx, facts: DatasetFacts, options: Mapping[str, Any], probe: Probe) -> None:
    stored = datasets.put(
        tx,
        namespace=NAMESPACE,
        name=facts.name,
        connector="csv",
        options=options,
        description=facts.description,
        probe=probe,
    )
    ledger.append(
        tx,
        subject="dataset",
        subject_id=stored.dataset_id,
        event="dataset.registered",
        actor=f"operator:{OPERATORS[1]}",
        data={"connector": "csv", "rows": stored.rows, "fingerprint": stored.fingerprint},
    )


def _write_files(home: Home, traces: Iterable[Trace], now_ms: int) -> None:
    for trace in traces:
        files.write_run(home, trace, now_ms)
