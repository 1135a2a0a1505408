"""Look-ups that every message needs go through an index: their cost does not grow with what the node ever did."""

from __future__ import annotations

import pytest

from embedded_scheduler.store import queries
from embedded_scheduler.store.database import Database, Reader

LOOKUPS = {
    "jobs.task_by_id": ("tasks_by_id", {"task_id": "t"}),
    "jobs.open_count": ("jobs_by_state", {}),
    "jobs.version": ("job_versions", {"job_id": "j"}),
    "outbox.due_launches": ("outbox_launches", {"now_ms": 1, "busy_lanes": "[]", "limit": 1}),
    "attempts.running": ("attempts_running", {}),
    "policies.approvals_since": ("rulings_counted", {"rule": "r", "after_ms": 1}),
    "policies.waiting_grants": ("grants_by_state", {}),
    "policies.waiting_jobs": ("approvals_waiting", {"self": "alice"}),
}


@pytest.mark.parametrize("name", LOOKUPS)
async def test_it_uses_its_index(db: Database, name: str) -> None:
    index, params = LOOKUPS[name]

    def plan(reader: Reader) -> list[str]:
        rows = reader._connection.execute(f"EXPLAIN QUERY PLAN {queries.statements()[name]}", params)
        return [row["detail"] for row in rows]

    steps = [step for step in await db.read(plan) if "json_each" not in step]
    assert any(index in step for step in steps), steps
    tables = ("tasks", "jobs", "outbox", "job_versions")
    assert not [step for step in steps if step in {f"SCAN {table}" for table in tables}], steps
