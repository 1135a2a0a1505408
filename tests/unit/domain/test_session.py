"""Which channel session the parties of a task meet in."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.session import common_style, session_conflict, session_id

NEEDS = {"kus": "session_task", "lega": "job", "fate": "session_job", "k2": "session_task"}


def needs(node_id: str) -> str:
    return NEEDS.get(node_id, "")


def spec(*hosts: str, only: dict[str, str] | None = None, **common: Any) -> JobSpec:
    """Tasks a and b of guest alice and the hosts; `only` = the one host of a task."""
    parties = {
        str(index): {name: {} for name in ("a", "b") if (only or {}).get(name, node) == node}
        for index, node in enumerate(hosts)
    }
    return parse_job(
        "job-1",
        {
            "dag": {"components": [{"name": name, "componentName": "probe"} for name in ("a", "b")]},
            "config": {
                "initiator": {"role": "guest", "node_id": "alice"},
                "role": {"guest": ["alice"], "host": list(hosts)},
                "job_params": {"common": common},
                "task_params": {"guest": {"0": {"a": {}, "b": {}}}, "host": parties},
            },
        },
    )


@pytest.mark.parametrize(
    ("job", "coordinator", "session"),
    [
        (spec("bob"), "alice", "session_job-1"),
        (spec("fate"), "alice", "session_job-1"),
        (spec("lega"), "alice", "job-1"),
        (spec("bob", "kus"), "alice", "session_t-1"),
        (spec("bob"), "kus", "session_t-1"),
        (spec("fate"), "kus", "session_job-1"),
        (spec("kus", session_style="job"), "kus", "job-1"),
        (spec("kus", session_style="per week"), "alice", "session_t-1"),
    ],
)
def test_who_decides_the_session(job: JobSpec, coordinator: str, session: str) -> None:
    assert session_id(job, "a", "t-1", coordinator, needs) == session


def test_each_task_follows_its_own_parties() -> None:
    job = spec("kus", "fate", only={"a": "kus", "b": "fate"})
    assert session_id(job, "a", "t-1", "alice", needs) == "session_t-1"
    assert session_id(job, "b", "t-2", "alice", needs) == "session_job-1"
    assert session_conflict(job, needs) == ""


def test_parties_that_cannot_meet_are_named() -> None:
    said = session_conflict(spec("bob", "kus", "lega"), needs)
    assert "task a" in said
    assert "kus session_task, lega job" in said
    assert session_conflict(spec("kus", "k2", "bob"), needs) == ""
    assert session_conflict(spec("kus", "lega", session_style="job"), needs) == ""


@pytest.mark.parametrize(
    ("nodes", "style"),
    [
        (["alice", "bob"], ""),
        (["alice", "fate"], ""),
        (["alice", "kus", "bob"], "session_task"),
        (["alice", "lega"], "job"),
        (["kus", "fate"], ""),
    ],
)
def test_a_job_says_the_style_that_is_not_ours(nodes: list[str], style: str) -> None:
    assert common_style(nodes, needs) == style
