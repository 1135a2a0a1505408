"""The operator's policy at work: setting it, and asking it about a request. `engine.trials` tries one out.

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

from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.party import Party
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
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import components as component_store
from embedded_scheduler.store import ledger, policies
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.policies import PolicyVersion, StoredRuling

_LOG = logging.getLogger(__name__)

LONGEST_TEXT = 256 * 1024
_MOST_SENTENCES = 50
_LONGEST_NOTE = 1000
_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")


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
    reasoning: tuple[Words, ...]
    binding: bool

    @property
    def note(self) -> Words:
        """One line for the operator: which rule of which policy, and why."""
        said = say("policy_says", version=self.version, what=self.reasoning[-1])
        text = str(said)
        return said if len(text) <= _LONGEST_NOTE else f"{text[: _LONGEST_NOTE - 1]}…"

    @property
    def refusal(self) -> Words:
        """All that a refused partner is told."""
        return say("policy_refused_because", why=self.reason) if self.reason else say("policy_refused")


NO_POLICY = Ruling(Action.ASK, "", 0, "", (say("no_policy"),), binding=False)


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
            by = say("policy_set_by", who=before.set_by) if before else ""
            raise Conflict(say("policy_other_version", version=version, by=by, expected=expected))
        if before is not None and before.text == text:
            return before
        return policies.set_text(tx, text, actor=actor)

    return await engine.db.write(work)


@functools.lru_cache(maxsize=8)
def read_policy(text: str) -> Policy:
    """The policy of a TOML text; `InvalidRequest` says line, rule and key of the first fault."""
    if len(text) > LONGEST_TEXT:
        raise TooLarge(say("policy_long", count=len(text), most=LONGEST_TEXT))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(say("policy_not_toml", error=str(error))) from None
    except RecursionError:
        raise InvalidRequest(say("policy_deep")) from None
    try:
        return parse_policy(document)
    except PolicyFault as fault:
        line = _line_of(text, fault.rule, fault.key)
        raise InvalidRequest(say("at_line", line=line, what=fault.words) if line else fault.words) from None


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
        return not components.problems(reader, spec, own_parties(engine, spec), engine.placement)

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
        ruling = rule(tx, version, facts)
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
    own = own_parties(engine, spec)
    tasks = [name for name in spec.flow.order if not own or any(party in own for party in spec.parties_of(name))]
    programs = (_component(reader, spec.flow.node(name).component) for name in tasks)
    return Facts(
        self_node=engine.node_id,
        initiator=initiator,
        coordinator=coordinator,
        now=local_time(reader.now_ms if now_ms is None else now_ms),
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


def own_parties(engine: Engine, spec: JobSpec) -> list[Party]:
    """The parties of a job that this node is."""
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


def local_time(now_ms: int) -> datetime:
    """In the machine's time zone."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone()


def rule(reader: Reader, version: PolicyVersion, facts: Facts) -> Ruling:
    """What a policy says now, with the quotas as they are used up; nothing is kept."""
    try:
        policy = read_policy(version.text)
    except InvalidRequest as fault:
        # Another version of this program took it in. Nothing is approved or refused by what cannot be read.
        _LOG.error("policy %d cannot be read and is not applied: %s", version.version, fault.message)
        return Ruling(Action.ASK, "", version.version, "", (say("policy_unreadable", why=fault.words),), binding=True)
    now_ms = reader.now_ms
    used = {
        one.name: policies.approvals_since(reader, one.name, now_ms - one.when.quota.period_ms)
        for one in policy.rules
        if one.when.quota is not None
    }
    return ruling_from(evaluate(policy, facts, used), version.version, facts)


def ruling_from(verdict: Verdict, version: int, facts: Facts) -> Ruling:
    rule = verdict.rule
    return Ruling(
        action=verdict.action,
        rule=rule.name if rule else "",
        version=version,
        reason=rule.reason_for(facts) if rule and rule.then is Action.REFUSE else "",
        reasoning=_abridged(verdict.reasoning),
        binding=rule is not None,
    )


def _abridged(reasoning: tuple[Words, ...]) -> tuple[Words, ...]:
    more = len(reasoning) - _MOST_SENTENCES
    if more <= 0:
        return reasoning
    return (*reasoning[: _MOST_SENTENCES - 1], say("rules_more", count=more), reasoning[-1])


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
            "reasoning": list(map(str, ruling.reasoning)),
        },
    )


_EVENTS: Mapping[Action, str] = {
    Action.APPROVE: "policy.approved",
    Action.REFUSE: "policy.refused",
    Action.ASK: "policy.asked",
}


def _restored(known: StoredRuling) -> Ruling:
    return Ruling(Action(known.action), known.rule, known.version, known.reason, known.reasoning, binding=known.binding)
