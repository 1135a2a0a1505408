"""Whose limit counts, and what the end of a log shows to have run out."""

from __future__ import annotations

import pytest

from embedded_scheduler.domain.failure import Failure, FailureCause, Stage, evidence, read_failure
from embedded_scheduler.domain.limits import EffectiveLimit, Origin, effective_limits


@pytest.mark.parametrize(
    ("job", "component", "node", "expected"),
    [
        ({}, {}, {}, None),
        ({"memory": 4}, {}, {}, EffectiveLimit("memory", 4, Origin.JOB)),
        ({"memory": "4"}, {"memory": 8}, {}, EffectiveLimit("memory", 4, Origin.JOB)),
        ({"memory": -1}, {"memory": 8}, {}, EffectiveLimit("memory", 8, Origin.COMPONENT)),
        ({"memory": 4}, {}, {"memory": 2}, EffectiveLimit("memory", 2, Origin.NODE, 4)),
        ({"memory": 4}, {}, {"memory": 8}, EffectiveLimit("memory", 4, Origin.JOB)),
        ({}, {"memory": 4}, {"memory": 2}, EffectiveLimit("memory", 2, Origin.NODE, 4)),
        ({}, {}, {"memory": 2}, EffectiveLimit("memory", 2, Origin.NODE)),
        ({"memory": True}, {}, {}, None),
        ({"memory": "inf"}, {}, {}, None),
        ({"memory": "much"}, {}, {}, None),
        ({"memory": [4]}, {}, {}, None),
    ],
)
def test_the_nodes_limit_is_the_most_and_the_jobs_word_counts_before_the_components(
    job: dict[str, object], component: dict[str, object], node: dict[str, float], expected: EffectiveLimit | None
) -> None:
    assert effective_limits(job, component, node) == ((expected,) if expected else ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("all well", None),
        ("Traceback\nMemoryError", FailureCause.MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'", FailureCause.MEMORY),
        ("OSError: [Errno 28] No space left on device", FailureCause.DISK),
        ("MemoryError, then\nFile too large", FailureCause.DISK),
    ],
)
def test_the_last_mention_counts(text: str, expected: FailureCause | None) -> None:
    assert evidence(text) is expected


@pytest.mark.parametrize("cause", list(FailureCause))
def test_what_is_told_is_read_again(cause: FailureCause) -> None:
    failure = Failure(Stage.RUN, cause, 7)
    assert read_failure(failure.document) == failure
    assert failure.words.endswith("(exit code 7)")


@pytest.mark.parametrize(
    "said",
    [None, "memory", 5, {}, {"stage": "run"}, {"stage": "run", "class": "<b>"}, {"stage": [], "class": {}}],
)
def test_what_is_not_understood_counts_as_not_said(said: object) -> None:
    assert read_failure(said) is None


def test_a_code_that_is_none_is_left_out() -> None:
    assert read_failure({"stage": "run", "class": "exit", "exit_code": "1"}) == Failure(Stage.RUN, FailureCause.EXIT)
    assert read_failure({"stage": "run", "class": "exit", "exit_code": 999}) == Failure(Stage.RUN, FailureCause.EXIT)
