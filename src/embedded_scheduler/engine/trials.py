"""A policy tried out: what it would say of a job, or would have said of past ones. Nothing is kept or counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.policy import Action, Facts, Policy, evaluate
from embedded_scheduler.engine import components
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.policies import NO_POLICY, Ruling, job_facts, own_parties, read_policy, rule, ruling_from
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import jobs, policies
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.policies import PolicyVersion

MOST_TRIALS = 500
_TRIAL_ID = "policy-test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy would have done with a job of the past, and how this node's approval stands (`decided` empty =
    there was nothing to decide here)."""

    job_id: str
    initiator: str
    coordinator: str
    created_ms: int
    ruling: Ruling
    decided: str
    decided_by: str
    decided_reason: str


async def try_document(
    engine: Engine, document: Mapping[str, Any], *, text: str | None, coordinator: str = ""
) -> tuple[Ruling, tuple[Words, ...]]:
    """What a policy (`text`, or None: the one in force) would say of a job now, and why this node could not run it.

    The coordinator is the one given, else the one the job names, else its initiator. Nothing is kept or counted.
    """
    spec = parse_job(_TRIAL_ID, document)
    driver = (coordinator and check_id("coordinator", coordinator)) or spec.coordinator_hint or spec.initiator

    def look(reader: Reader) -> tuple[Ruling, tuple[Words, ...]]:
        version = _chosen(reader, text)
        problems = tuple(components.problems(reader, spec, own_parties(engine, spec), engine.placement))
        if version is None:
            return NO_POLICY, problems
        return rule(reader, version, job_facts(engine, reader, spec, driver, spec.initiator)), problems

    return await engine.db.read(look)


async def try_last(engine: Engine, number: int, *, text: str | None) -> list[Trial]:
    """What a policy would have done with the last jobs that partners created here, newest first, each at its time.

    Data and components count as they are today, permits as absent, quotas as the replay itself uses them up. Nothing
    is kept or counted.
    """
    if not 0 < number <= MOST_TRIALS:
        raise InvalidRequest(say("trial_last", most=MOST_TRIALS, value=shorten(number)))

    def look(reader: Reader) -> list[Trial]:
        version = _chosen(reader, text)
        heads = jobs.page(
            reader, self_node=engine.node_id, limit=number, matches=lambda head: head.initiator != engine.node_id
        )
        replay = _Replay(read_policy(version.text), version.version) if version else None
        return [_trial(engine, reader, head, replay) for head in reversed(heads)][::-1]

    return await engine.db.read(look)


def _chosen(reader: Reader, text: str | None) -> PolicyVersion | None:
    if text is None:
        return policies.current(reader)
    read_policy(text)
    return PolicyVersion(0, text, "", "", reader.now_ms)


class _Replay:
    """A policy applied to one job after the other, oldest first, with quotas of its own."""

    def __init__(self, policy: Policy, version: int) -> None:
        self._policy = policy
        self._version = version
        self._approvals: dict[str, list[int]] = {}

    def rule(self, facts: Facts, at_ms: int) -> Ruling:
        used = {
            rule.name: self._since(rule.name, at_ms - rule.when.quota.period_ms)
            for rule in self._policy.rules
            if rule.when.quota is not None
        }
        verdict = evaluate(self._policy, facts, used)
        if verdict.rule is not None and verdict.action is Action.APPROVE:
            self._approvals.setdefault(verdict.rule.name, []).append(at_ms)
        return ruling_from(verdict, self._version, facts)

    def _since(self, name: str, after_ms: int) -> int:
        return sum(at_ms > after_ms for at_ms in self._approvals.get(name, ()))


def _trial(engine: Engine, reader: Reader, head: jobs.JobHead, replay: _Replay | None) -> Trial:
    spec = jobs.spec(reader, head.job_id)
    assert spec is not None
    facts = job_facts(engine, reader, spec, head.coordinator, head.initiator, now_ms=head.created_ms)
    own = next(
        (row for row in reader.all("jobs.approvals", job_id=head.job_id) if row["node_id"] == engine.node_id), None
    )
    return Trial(
        job_id=head.job_id,
        initiator=head.initiator,
        coordinator=head.coordinator,
        created_ms=head.created_ms,
        ruling=replay.rule(facts, head.created_ms) if replay else NO_POLICY,
        decided=own["state"] if own else "",
        decided_by=own["decided_by"] if own else "",
        decided_reason=own["reason"] if own else "",
    )
