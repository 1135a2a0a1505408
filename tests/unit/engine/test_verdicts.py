"""What a coordinator's answer to status_all means for a job here."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_scheduler.domain.effects import RecordVerdict, RequestStop
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.lifecycle import JobState, Outcome, TaskState
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import JobSnapshot, Share, TaskView
from embedded_scheduler.engine.verdicts import verdict_of

SPEC = parse_job(
    "job-1",
    {
        "dag": {"components": [{"name": name, "componentName": "probe"} for name in ("a", "b")]},
        "config": {"initiator": {"node_id": "kus"}, "role": {"guest": ["kus"], "host": ["us"]}},
    },
)
TASKS = {
    name: TaskView(name, f"t-{name}", TaskState.RUNNING, False, 0, (Share(Party("host", 0, "us"), TaskState.RUNNING),))
    for name in ("a", "b")
}


def told(state: JobState = JobState.RUNNING, **data: Any) -> tuple[JobState | None, Outcome | None, str] | None:
    found = verdict_of(JobSnapshot("us", "kus", SPEC, state, 0, tasks=TASKS), data)
    if found is None:
        return None
    said, stop = found
    assert isinstance(said, RecordVerdict)
    assert said.final
    assert isinstance(stop, RequestStop)
    return said.state, said.outcome, said.reason


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        # The specified words.
        ({"job_status": "RUNNING", "status": {"t-a": "SUCCESS", "t-b": "SUCCESS"}}, None),
        ({"job_status": "PENDING", "status": {}}, None),
        ({"job_status": "finished", "status": {"t-a": "SUCCESS", "t-b": "SUCCESS"}}, ("FINISHED", "succeeded")),
        ({"job_status": "FINISHED", "status": {"t-a": "SUCCESS", "t-b": "FAILED"}}, ("FINISHED", "failed")),
        ({"job_status": "FINISHED", "status": {"t-a": "SUCCESS"}}, ("FINISHED", "stopped")),
        ({"job_status": "FINISHED", "status": {}}, ("FINISHED", None)),
        ({"job_status": "REJECTED", "status": {}}, ("REJECTED", None)),
        # An outcome that is said goes before one that is concluded.
        ({"job_status": "FINISHED", "status": {"t-a": "FAILED"}, "outcome": "stopped"}, ("FINISHED", "stopped")),
        # FATE-Flow, for a moment.
        ({"job_status": "SUCCESS", "status": {"a": "SUCCESS", "b": "SUCCESS"}}, ("FINISHED", "succeeded")),
        ({"job_status": "FAILED", "status": {"a": "SUCCESS", "b": "FAILED"}}, ("FINISHED", "failed")),
        # Kuscia: the tasks that were started, and no job_status.
        ({"status": {"t-a": "SUCCESS"}}, None),
        ({"status": {"t-a": "SUCCESS", "t-b": "RUNNING"}}, None),
        ({"status": {"t-a": "SUCCESS", "t-b": "SUCCESS"}}, ("FINISHED", "succeeded")),
        ({"status": {"t-a": "FAILED"}}, ("FINISHED", "failed")),
        ({"status": {"t-a": "SUCCESS", "t-b": "odd"}}, None),
        ({"status": {}}, None),
        ({}, None),
    ],
)
def test_what_is_said_and_what_follows(data: dict[str, Any], verdict: tuple[str, str | None] | None) -> None:
    found = told(**data)
    assert (found and found[:2]) == verdict


def test_the_reason_is_kept() -> None:
    assert told(job_status="REJECTED", status={}, reason="no budget") == (JobState.REJECTED, None, "no budget")


def test_a_job_that_is_over_here_is_not_ended_again() -> None:
    over = JobSnapshot("us", "kus", SPEC, JobState.FINISHED, 0, outcome=Outcome.FAILED, tasks=TASKS)
    assert verdict_of(over, {"status": {"t-a": "SUCCESS", "t-b": "SUCCESS"}}) == []
