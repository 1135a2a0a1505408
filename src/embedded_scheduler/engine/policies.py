"""The operator's policy at work: setting it, asking it about a request, trying one out.

What it says of a request is kept under the request's id before anything follows from it: the same request again, also
after a crash, gets the same answer and counts once against a quota.
"""

from __future__ import annotations

import functools
import logging
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.policy import (
    Action,
    ComponentFact,
    DataFact,
    Facts,
    Policy,
    Verdict,
    evaluate,
)
from embedded_scheduler.domain.policy_document import PolicyFault, parse_policy
from embedded_scheduler.engine import components, datasets
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import Conflict, InvalidRequest, TooLarge
from embedded_scheduler.store import components as component_store
from embedded_scheduler.store import jobs as job_store
from embedded_scheduler.store import ledger, policies
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.policies import PolicyVersion, StoredRuling

_LOG = logging.getLogger(__name__)

LONGEST_TEXT = 256 * 1024
MOST_TRIALS = 500
_MOST_SENTENCES = 50
_LONGEST_NOTE = 1000
_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_TRIAL_ID = "policy-test"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says of one request.

    `binding` False = no rule applies: the partner's own setting decides. `reason` is for the partner, `reasoning` for
    the operator alone. `version` 0 = no policy is set.
    """

    action: Action
    rule: str
    version: int
    reason: str
    reasoning: tuple[str, ...]
    binding: bool

    @property
    def note(self) -> str:
        """One line for the operator: which rule of which policy, and why."""
        return _cut(f"policy {self.version}: {self.reasoning[-1]}", _LONGEST_NOTE)

    @property
    def refusal(self) -> str:
        """All that a refused partner is told."""
        return f"refused by policy: {self.reason}" if self.reason else "refused by policy"


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


NO_POLICY = Ruling(Action.ASK, "", 0, "", ("no policy is set",), binding=False)


# -- setting ----------------------------------------------------------------------------------------------------------


async def current(engine: Engine) -> PolicyVersion | None:
    """The policy in force; None when none was ever set."""
    return await engine.db.read(policies.current)


async def put(engine: Engine, text: str, *, expected: int | None, actor: str) -> PolicyVersion:
    """Put a policy into force. The text in force again changes and records nothing.

    `InvalidRequest` says line, rule and key of the first fault. `Conflict` when `expected` (0 = none was set) is given
    and another version is in force.
    """
    read_policy(text)

    def work(tx: Tx) -> PolicyVersion:
        before = policies.current(tx)
        version = before.version if before else 0
        if expected is not None and expected != version:
            by = f", set by {before.set_by}" if before else ""
            raise Conflict(f"the policy is at version {version}{by}, not {expected}: look at it, then set yours again")
        if before is not None and before.text == text:
            return before
        return policies.set_text(tx, text, actor=actor)

    return await engine.db.write(work)


@functools.lru_cache(maxsize=8)
def read_policy(text: str) -> Policy:
    """The policy of a TOML text; `InvalidRequest` says line, rule and key of the first fault."""
    if len(text) > LONGEST_TEXT:
        raise TooLarge(f"the policy has {len(text)} characters; the most are {LONGEST_TEXT}")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"the policy is not TOML: {error}") from None
    except RecursionError:
        raise InvalidRequest("the policy is nested too deeply") from None
    try:
        return parse_policy(document)
    except PolicyFault as fault:
        line = _line_of(text, fault.rule, fault.key)
        raise InvalidRequest(f"line {line}: {fault.message}" if line else fault.message) from None


def _line_of(text: str, rule: int, key: str) -> int:
    """Where a rule (from 1; 0 = outside all) has its key, or begins; 0 = not found. A look for people, not a parser."""
    wanted = re.compile(rf"(?:.*[{{,\s])?[\"']?{re.escape(key)}[\"']?\s*=") if key else None
    number = begins = 0
    for position, line in enumerate(text.splitlines(), 1):
        if _HEADER.match(line):
            number += 1
            begins = position if number == rule else begins
        elif number == rule and wanted is not None and wanted.match(line):
            return position
    return begins


# -- asking -----------------------------------------------------------------------------------------------------------


async def decide(
    engine: Engine, spec: JobSpec, coordinator: str, initiator: str, *, permitted: Collection[str] = ()
) -> Ruling:
    """What the policy says of a job that is new here, kept under its id. `permitted`: ids of our datasets for which
    the job carries a valid permit.

    An approval is not kept, nor counted, while this node could not run its part anyway.
    """

    def facts(reader: Reader) -> Facts:
        return job_facts(engine, reader, spec, coordinator, initiator, permitted=permitted)

    def possible(reader: Reader) -> bool:
        return not components.problems(reader, spec, _own(engine, spec), engine.runners)

    return await rule_on(engine, facts, digest=spec.digest, possible=possible)


async def rule_on(
    engine: Engine,
    facts_of: Callable[[Reader], Facts],
    *,
    digest: str,
    possible: Callable[[Reader], bool] = lambda _: True,
) -> Ruling:
    """As `decide`, for a request of any kind: `Facts.on` and `Facts.subject` name it, `digest` its content."""
    if await current(engine) is None:
        return NO_POLICY

    def work(tx: Tx) -> Ruling:
        facts = facts_of(tx)
        known = policies.ruling(tx, facts.on, facts.subject)
        if known is not None and known.digest == digest:
            return _restored(known)
        version = policies.current(tx)
        assert version is not None
        ruling = _rule(tx, version, facts)
        if ruling.action is not Action.APPROVE or possible(tx):
            _keep(tx, facts, digest, ruling)
        return ruling

    return await engine.db.write(work)


def ruling_of(reader: Reader, kind: str, subject_id: str) -> Ruling | None:
    """What a policy said of a request when it came, or None."""
    known = policies.ruling(reader, kind, subject_id)
    return None if known is None else _restored(known)


def job_facts(
    engine: Engine,
    reader: Reader,
    spec: JobSpec,
    coordinator: str,
    initiator: str,
    *,
    permitted: Collection[str] = (),
    now_ms: int | None = None,
) -> Facts:
    """A job as the rules see it: the components this node would run (all, if it has no part), and our data."""
    own = _own(engine, spec)
    tasks = [name for name in spec.flow.order if not own or any(party in own for party in spec.parties_of(name))]
    programs = (_component(reader, spec.flow.node(name).component) for name in tasks)
    return Facts(
        self_node=engine.node_id,
        initiator=initiator,
        coordinator=coordinator,
        now=_moment(reader.now_ms if now_ms is None else now_ms),
        subject=spec.job_id,
        nodes=spec.nodes,
        components=tuple(dict.fromkeys(programs)),
        data=tuple(
            DataFact(
                use.dataset_id,
                use.columns if use.found else None,
                use.rows,
                use.dataset_id in permitted,
            )
            for use in datasets.uses(reader, spec, own)
        ),
        purpose=_purpose(spec),
    )


def _own(engine: Engine, spec: JobSpec) -> list[Any]:
    return [party for party in spec.parties if party.node_id == engine.node_id]


def _component(reader: Reader, ref: ComponentRef) -> ComponentFact:
    """The registered component that would run: a job may leave out its provider and version."""
    found = component_store.resolve(reader, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)
    if found is not None:
        return ComponentFact(f"{found.provider}/{found.name}", found.version)
    return ComponentFact(f"{ref.provider}/{ref.name or ref.code}", ref.version)


def _purpose(spec: JobSpec) -> str:
    purpose = spec.common_job_params.get("purpose")
    return purpose if isinstance(purpose, str) else ""


def _moment(now_ms: int) -> datetime:
    """In the machine's time zone."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone()


def _rule(reader: Reader, version: PolicyVersion, facts: Facts) -> Ruling:
    try:
        policy = read_policy(version.text)
    except InvalidRequest as fault:
        # Another version of this program took it in. Nothing is approved or refused by what cannot be read.
        _LOG.error("policy %d cannot be read and is not applied: %s", version.version, fault.message)
        return Ruling(Action.ASK, "", version.version, "", (f"it cannot be read: {fault.message}",), binding=True)
    now_ms = reader.now_ms
    used = {
        rule.name: policies.approvals_since(reader, rule.name, now_ms - rule.when.quota.period_ms)
        for rule in policy.rules
        if rule.when.quota is not None
    }
    return _ruling(evaluate(policy, facts, used), version.version, facts)


def _ruling(verdict: Verdict, version: int, facts: Facts) -> Ruling:
    rule = verdict.rule
    return Ruling(
        action=verdict.action,
        rule=rule.name if rule else "",
        version=version,
        reason=rule.reason_for(facts) if rule and rule.then is Action.REFUSE else "",
        reasoning=_abridged(verdict.reasoning),
        binding=rule is not None,
    )


def _abridged(reasoning: tuple[str, ...]) -> tuple[str, ...]:
    more = len(reasoning) - _MOST_SENTENCES
    if more <= 0:
        return reasoning
    return (*reasoning[: _MOST_SENTENCES - 1], f"{more} more rules do not apply", reasoning[-1])


def _keep(tx: Tx, facts: Facts, digest: str, ruling: Ruling) -> None:
    kept = StoredRuling(
        kind=facts.on,
        subject_id=facts.subject,
        digest=digest,
        version=ruling.version,
        action=ruling.action,
        rule=ruling.rule,
        reason=ruling.reason,
        reasoning=ruling.reasoning,
        binding=ruling.binding,
        at_ms=tx.now_ms,
    )
    policies.put_ruling(tx, kept)
    refused = ruling.action is Action.REFUSE
    ledger.append(
        tx,
        subject="policy",
        subject_id=facts.subject,
        # A refused job is not known here, so nobody could look it up.
        job_id=facts.subject if facts.on == "job" and not refused else "",
        event=_EVENTS[ruling.action],
        actor="node",
        reason=ruling.note,
        data={
            "kind": facts.on,
            "version": ruling.version,
            "rule": ruling.rule,
            "initiator": facts.initiator,
            "coordinator": facts.coordinator,
            "reasoning": list(ruling.reasoning),
        },
    )


_EVENTS: Mapping[Action, str] = {
    Action.APPROVE: "policy.approved",
    Action.REFUSE: "policy.refused",
    Action.ASK: "policy.asked",
}


def _restored(known: StoredRuling) -> Ruling:
    return Ruling(Action(known.action), known.rule, known.version, known.reason, known.reasoning, binding=known.binding)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# -- trying out -------------------------------------------------------------------------------------------------------


async def try_document(
    engine: Engine, document: Mapping[str, Any], *, text: str | None, coordinator: str = ""
) -> tuple[Ruling, tuple[str, ...]]:
    """What a policy (`text`, or None: the one in force) would say of a job now, and why this node could not run it.

    The coordinator is the one given, else the one the job names, else its initiator. Nothing is kept or counted.
    """
    spec = parse_job(_TRIAL_ID, document)
    driver = (coordinator and check_id("coordinator", coordinator)) or spec.coordinator_hint or spec.initiator

    def look(reader: Reader) -> tuple[Ruling, tuple[str, ...]]:
        version = _chosen(reader, text)
        problems = tuple(components.problems(reader, spec, _own(engine, spec), engine.runners))
        if version is None:
            return NO_POLICY, problems
        return _rule(reader, version, job_facts(engine, reader, spec, driver, spec.initiator)), problems

    return await engine.db.read(look)


async def try_last(engine: Engine, number: int, *, text: str | None) -> list[Trial]:
    """What a policy would have done with the last jobs that partners created here, newest first, each at its time.

    Data and components count as they are today, permits as absent, quotas as the replay itself uses them up. Nothing
    is kept or counted.
    """
    if not 0 < number <= MOST_TRIALS:
        raise InvalidRequest(f"last must be a number from 1 to {MOST_TRIALS} (got {shorten(number)})")

    def look(reader: Reader) -> list[Trial]:
        version = _chosen(reader, text)
        heads = job_store.page(
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
        return _ruling(verdict, self._version, facts)

    def _since(self, name: str, after_ms: int) -> int:
        return sum(at_ms > after_ms for at_ms in self._approvals.get(name, ()))


def _trial(engine: Engine, reader: Reader, head: job_store.JobHead, replay: _Replay | None) -> Trial:
    spec = job_store.spec(reader, head.job_id)
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
