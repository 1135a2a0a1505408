"""A home with very many finished jobs, written in one transaction: for measuring lists, not for their rules."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from embedded_scheduler.store.jobs import NODES_APART

FLOWS = ("psi-credit-daily", "sgb-train-v12", "woe-binning", "risk-join-2026q4", "样本对齐")
_MINUTE = 60_000


def seed_jobs(database: Path, number: int, *, now_ms: int, document_bytes: int = 3_000) -> None:
    """Put `number` jobs into the database of a node that is stopped; the newest came a minute before `now_ms`."""
    with closing(sqlite3.connect(database)) as connection, connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE name = 'jobs_start'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executemany(
            "INSERT INTO jobs (job_id, position, flow_id, state, state_seq, outcome, coordinator, initiator, digest,"
            " document, tasks_total, tasks_done, created_ms, since_ms, started_ms, ended_ms, summary, searched)"
            " VALUES (?, ?, ?, 'FINISHED', 0, ?, 'alice', ?, '', ?, 3, 3, ?, ?, ?, ?, ?, ?)",
            _rows(number, now_ms, json.dumps({"flow_id": "f", "dag": {"x": "y" * document_bytes}, "config": {}})),
        )
        for _, sql in guards:
            connection.execute(sql)


def _rows(number: int, now_ms: int, document: str) -> Iterator[tuple[object, ...]]:
    chance = random.Random(number)
    for position in range(1, number + 1):
        flow, partner = chance.choice(FLOWS), chance.choice(("bob", "carl", "dave"))
        outcome = chance.choice(("succeeded",) * 8 + ("failed", "stopped"))
        created = now_ms - (number - position + 1) * _MINUTE
        ended = created + 1_000 + chance.randrange(1_000_000)
        job_id = f"job-{chance.getrandbits(128):032x}"
        components = ["sample_alignment", "woe"]
        nodes = NODES_APART.join(("", "alice", partner, ""))
        yield (
            *(job_id, position, flow, outcome, "alice" if position % 2 else partner, document),
            *(created, ended, created + 1_000, ended),
            json.dumps({"parties": ["guest:alice", f"host:{partner}"], "components": components}),
            "\n".join((job_id, flow, *components, nodes)),
        )
