"""What happens to each job of the history, and when: pure, and always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from embedded_scheduler.clock import DAY_MS, HOUR_MS
from embedded_scheduler.sentences import say
from embedded_scheduler.showcase.catalogue import FLOWS, NODE, OPERATORS, FlowFacts, flow

JOBS = 1200
DAYS = 30
MINUTE_MS = 60_000
_SEED = 2026
_TOLD_HOURS = 8
"""The last hours hold only jobs that are told one by one, and so the first screen."""
_FIRST_JOB_MS = 7 * HOUR_MS
"""After the node's first start."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job goes wrong. At most one member is set; none = it ends well."""

    failing: tuple[str, str, str] | None = None
    """Task, party and why."""
    refusal: tuple[str, str] | None = None
    """Node and why."""
    undecided: str = ""
    """The node that has not decided yet."""
    undelivered: str = ""
    """The node that the job could not be sent to yet."""
    stop: tuple[float, str, str] | None = None
    """After how many seconds, by which operator, and why."""


GOOD = Ending()


@dataclass(frozen=True, slots=True)
class Story:
    """One job. `pace` stretches the usual time of its tasks; `patience` is how long each node takes to decide."""

    job_id: str
    flow: FlowFacts
    created_ms: int
    actor: str
    ending: Ending = GOOD
    pace: float = 1.0
    patience: Mapping[str, int] = field(default_factory=dict)
    log_lines: int = 12
    """Of each task on this node."""

    def spans(self, begin_ms: int) -> Iterator[tuple[str, int, int]]:
        """Task, its start and its end, if the job starts at `begin_ms`: each as soon as what it reads is there."""
        ends: dict[str, int] = {}
        for step in self.flow.steps:
            start = max((ends[name] for name in step.reads), default=begin_ms)
            ends[step.name] = start + max(2500, round(step.seconds * self.pace * 1000))
            yield step.name, start, ends[step.name]


def stories(now_ms: int) -> list[Story]:
    """The whole history, the oldest first."""
    random_ = random.Random(_SEED)  # noqa: S311 - the same every time is what is wanted
    recent = list(_recent(now_ms, random_))
    before_ms = now_ms - _TOLD_HOURS * HOUR_MS
    span = DAYS * DAY_MS - _TOLD_HOURS * HOUR_MS - _FIRST_JOB_MS
    weights = [facts.per_day for facts in FLOWS]
    older = []
    for number in range(JOBS - len(recent)):
        created = before_ms - round(span * (number + random_.random()) / (JOBS - len(recent)))
        chosen = random_.choices(FLOWS, weights)[0]
        older.append(_usual(chosen, created, random_))
    return sorted([*recent, *older], key=lambda story: story.created_ms)


def _usual(facts: FlowFacts, created_ms: int, random_: random.Random) -> Story:
    """A job as most are: it ends well, sometimes fails, now and then is refused or stopped."""
    chance = random_.random()
    ending = GOOD
    if chance < facts.failing:
        step = random_.choice(facts.steps)
        party = step.only or random_.choice(_parties(facts))
        ending = Ending(failing=(step.name, party, random_.choice(_FAULTS)))
    elif chance > 0.985 and len(facts.nodes) > 1:
        refusing = random_.choice([node for node in facts.nodes if node != facts.initiator])
        ending = Ending(refusal=(refusing, random_.choice(_REFUSALS)))
    elif chance > 0.975 and facts.initiator == NODE:
        ending = Ending(stop=(random_.uniform(20, 90), random_.choice(OPERATORS), random_.choice(_STOPS)))
    return _story(facts, created_ms, random_, ending)


def _story(facts: FlowFacts, created_ms: int, random_: random.Random, ending: Ending, pace: float = 0) -> Story:
    patience = {node: random_.randint(2, 240) * 1000 for node in facts.nodes if node != facts.initiator}
    return Story(
        job_id=f"job-{random_.getrandbits(128):032x}",
        flow=facts,
        created_ms=created_ms,
        actor="platform:batch" if random_.random() < 0.7 else f"operator:{random_.choice(OPERATORS)}",
        ending=ending,
        pace=pace or random_.uniform(0.7, 1.6),
        patience=patience,
        log_lines=random_.randint(8, 40),
    )


def _recent(now_ms: int, random_: random.Random) -> Iterator[Story]:
    """Told one by one: what the first screen shows, and what is still open."""
    for minutes, flow_id, pace, ending in _LATEST:
        facts = flow(flow_id)
        story = _story(facts, now_ms - round(minutes * MINUTE_MS), random_, ending, pace)
        quick = dict.fromkeys(story.patience, 1500)
        yield Story(story.job_id, facts, story.created_ms, story.actor, ending, pace, quick, _LINES.get(flow_id, 30))


def _parties(facts: FlowFacts) -> list[str]:
    return [f"{role}.{index}" for role, nodes in facts.parties.items() for index in range(len(nodes))]


_FAULTS = (
    say("exit_code", code=1),
    say("exit_code", code=1),
    say("exit_code", code=2),
    say("ended_by", signal="SIGKILL"),
    say("exit_code", code=137),
)
_REFUSALS = ("purpose not covered by the contract", "not before the audit is over", "column zip is not released")
_STOPS = ("wrong month", "started twice", "makes way for the audit run")
_LINES = {"sgb-train-v12": 400, "woe-binning": 30_000}
"""Log lines per task where there are many."""

_LATEST: tuple[tuple[float, str, float, Ending], ...] = (
    (4, "psi-credit-daily", 1.1, GOOD),
    (9, "export-q4", 1.25, GOOD),
    (31, "sgb-train-v12", 1.3, GOOD),
    (41, "psi-fraud-hourly", 1, GOOD),
    (64, "woe-binning", 1.4, Ending(failing=("binning", "guest.0", say("exit_code", code=1)))),
    (101, "psi-fraud-hourly", 1, GOOD),
    (122, "risk-join-2026q4", 1, Ending(undecided=NODE)),
    (161, "psi-fraud-hourly", 1.1, GOOD),
    (184, "loan-score-batch", 1, Ending(undecided=NODE)),
    (190, "telecom-link", 1, Ending(undelivered="erin")),
    (221, "psi-fraud-hourly", 1, GOOD),
    (290, "churn-join", 1, Ending(stop=(70, "wang", "wrong month"))),
    (350, "客户对齐-月度", 1, GOOD),
    (410, "psi-fraud-hourly", 0.9, GOOD),
    (700, "vif-check", 1, GOOD),
    (1400, "psi-credit-daily", 1, GOOD),
    (1460, "stats-overview", 1, GOOD),
    (2200, "hetero-lr-test", 1, Ending(refusal=("dave", "purpose not covered by the contract"))),
    (2840, "psi-credit-daily", 0.9, GOOD),
    (3100, "ssvert-train", 1, Ending(undecided="bob")),
    (3400, "predict-2026-11", 1, GOOD),
)
"""Minutes ago, flow, pace and ending."""
