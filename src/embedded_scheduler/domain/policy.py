"""The operator's policy: an ordered list of rules that decide about partners' requests. Pure.

The first rule whose conditions all hold decides. What approves must hold for everything in the request, what refuses or
asks need hold for one thing in it: a rule trusts only whom and what it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeVar
from zoneinfo import ZoneInfo

from embedded_scheduler.sentences import Sentence, Words, joined, say, together

T = TypeVar("T")

_LONGEST_SHOWN = 80
_MOST_SHOWN = 5

KINDS = ("job", "dataset", "project", "flow", "model", "contract")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS_MS = {"hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}

FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")


class Action(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class ComponentFact:
    """A program the request would run here. `name` is `provider/name`."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class DataFact:
    """One of our datasets as the request would use it. `columns` and `rows` None = not known here."""

    dataset: str
    columns: tuple[str, ...] | None = None
    rows: int | None = None
    permitted: bool = False
    """A valid permit covers this use."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A request as the rules see it. `initiator` and `coordinator` may be this node itself.

    `initiator` is only what the coordinator says, unless it is the coordinator or this node coordinates. `now` has a
    time zone: the machine's, for rules that name none.
    """

    self_node: str
    initiator: str
    now: datetime
    on: str = "job"
    subject: str = ""
    coordinator: str = ""
    nodes: tuple[str, ...] = ()
    """Every node that takes part."""
    components: tuple[ComponentFact, ...] = ()
    data: tuple[DataFact, ...] = ()
    purpose: str = ""

    @property
    def others(self) -> tuple[str, ...]:
        """Every other node of the request; this node for a request of its own that names nobody else."""
        named = dict.fromkeys(node for node in (self.initiator, self.coordinator, *self.nodes) if node)
        return tuple(node for node in named if node != self.self_node) or (self.self_node,)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `count` approvals by the rule within the last `period_ms` milliseconds."""

    count: int
    per: str

    @property
    def period_ms(self) -> int:
        return PERIODS_MS[self.per]


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes of the day; `start` counts, `end` does not. `end` before `start` crosses midnight."""

    start: int
    end: int
    text: str

    def covers(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


Bound = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Bounds that all hold, or one exact version when there are none."""

    text: str
    bounds: tuple[Bound, ...] = ()

    def fits(self, version: str) -> bool:
        if not self.bounds:
            exact = version_numbers(self.text)
            return version == self.text or (exact is not None and exact == version_numbers(version))
        found = version_numbers(version)
        return found is not None and all(_holds(found, sign, bound) for sign, bound in self.bounds)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What has to hold; None = not asked for."""

    partner: tuple[str, ...] | None = None
    initiator: tuple[str, ...] | None = None
    coordinator: tuple[str, ...] | None = None
    component: tuple[str, ...] | None = None
    version: VersionRange | None = None
    dataset: tuple[str, ...] | None = None
    columns: frozenset[str] | None = None
    purpose: tuple[str, ...] | None = None
    hours: tuple[Hours, ...] | None = None
    timezone: ZoneInfo | None = None
    weekdays: frozenset[int] | None = None
    rows_at_most: int | None = None
    permit: bool | None = None
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`reason` is what the partner is told when the rule refuses; its `{fields}` are filled in."""

    name: str
    then: Action
    when: Conditions = field(default_factory=Conditions)
    on: str = "job"
    reason: str = ""

    def reason_for(self, facts: Facts) -> str:
        values = {
            "job": facts.subject,
            "initiator": facts.initiator,
            "coordinator": facts.coordinator,
            "purpose": facts.purpose,
            "rule": self.name,
        }
        return FIELD.sub(lambda found: shown(values.get(found.group(1), "")), self.reason)


@dataclass(frozen=True, slots=True)
class Policy:
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule` None = nothing matched, and `action` is ask. `reasoning` has a sentence for each rule looked at."""

    action: Action
    rule: Rule | None
    reasoning: tuple[Words, ...]


def evaluate(policy: Policy, facts: Facts, used: Mapping[str, int]) -> Verdict:
    """What the policy says of a request. Never raises.

    `used`: approvals within the period of its quota, by name of rule; a rule that is missing has used none.
    """
    reasoning: list[Words] = []
    for rule in policy.rules:
        if rule.on != facts.on:
            continue
        failed, held = _examine(rule, facts, used.get(rule.name, 0))
        if failed:
            reasoning.append(say("rule_not", rule=quoted(rule.name), why=failed))
            continue
        because = together(held) or say("rule_unconditional")
        reasoning.append(say(_SAYS[rule.then], rule=quoted(rule.name), why=because))
        return Verdict(rule.then, rule, tuple(reasoning))
    reasoning.append(say("rule_none_applies") if reasoning else say("rule_none_for", kind=facts.on))
    return Verdict(Action.ASK, None, tuple(reasoning))


# -- conditions: each answers (holds, why) ----------------------------------------------------------------------------

Finding = tuple[bool, Words]

_SAYS = {Action.APPROVE: "rule_approves", Action.REFUSE: "rule_refuses", Action.ASK: "rule_asks"}


def _examine(rule: Rule, facts: Facts, used: int) -> tuple[Words, list[Words]]:
    """The first condition that fails, or empty, and those that held before it."""
    held: list[Words] = []
    for condition in _CONDITIONS:
        finding = condition(rule, facts)
        if finding is None:
            continue
        if not finding[0]:
            return finding[1], held
        held.append(finding[1])
    if rule.when.quota is not None:
        quota = rule.when.quota
        state = say("quota_of_rule", used=used, count=quota.count, per=quota.per)
        if used >= quota.count:
            return state, held
        held.append(state)
    return "", held


def _partner(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.partner
    if wanted is None:
        return None
    return _quantified(rule, "kind_partner", facts.others, str, lambda node: _fits(node, wanted), _wanted(wanted))


def _initiator(rule: Rule, facts: Facts) -> Finding | None:
    when = rule.when
    if when.initiator is None:
        return None
    if not _fits(facts.initiator, when.initiator):
        return False, say("initiator_is_not", node=shown(facts.initiator), wanted=_wanted(when.initiator))
    vouched = facts.coordinator in ("", facts.initiator, facts.self_node)
    if rule.then is Action.APPROVE and not vouched and when.coordinator is None and when.partner is None:
        driver = shown(facts.coordinator)
        return False, say("initiator_unproven", node=shown(facts.initiator), driver=driver)
    return True, say("initiator_is", node=shown(facts.initiator))


def _coordinator(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.coordinator
    if wanted is None:
        return None
    name = facts.coordinator or facts.initiator
    if _fits(name, wanted):
        return True, say("coordinator_is", node=shown(name))
    return False, say("coordinator_is_not", node=shown(name), wanted=_wanted(wanted))


def _component(rule: Rule, facts: Facts) -> Finding | None:
    names, versions = rule.when.component, rule.when.version
    if names is None and versions is None:
        return None

    def fits(component: ComponentFact) -> bool:
        named = names is None or _fits(component.name, names)
        return named and (versions is None or versions.fits(component.version))

    return _quantified(
        rule,
        "kind_component",
        facts.components,
        lambda c: f"{c.name} {c.version}".strip(),
        fits,
        _wanted_component(names, versions),
    )


def _wanted_component(names: Sequence[str] | None, versions: VersionRange | None) -> Words:
    if versions is None:
        return _wanted(names or ())
    if not names:
        return say("of_version", version=versions.text)
    return say("named_of_version", names=_wanted(names), version=versions.text)


def _dataset(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.dataset
    if wanted is None:
        return None
    return _quantified(
        rule, "kind_dataset", facts.data, lambda d: d.dataset, lambda d: _fits(d.dataset, wanted), _wanted(wanted)
    )


def _columns(rule: Rule, facts: Facts) -> Finding | None:
    allowed = rule.when.columns
    if allowed is None:
        return None
    unknown = [use.dataset for use in facts.data if use.columns is None]
    if unknown and rule.then is Action.APPROVE:
        return False, say("columns_unknown", dataset=shown(unknown[0]))
    used = tuple(dict.fromkeys(column for use in facts.data for column in use.columns or ()))
    return _quantified(rule, "kind_column", used, str, lambda column: column in allowed, _wanted(sorted(allowed)))


def _rows(rule: Rule, facts: Facts) -> Finding | None:
    most = rule.when.rows_at_most
    if most is None:
        return None

    def fits(use: DataFact) -> bool:
        return use.rows is not None and use.rows <= most

    def described(use: DataFact) -> Words:
        if use.rows is None:
            return say("rows_of_unknown", dataset=shown(use.dataset))
        return say("rows_of", dataset=shown(use.dataset), rows=use.rows)

    return _quantified(rule, "kind_dataset", facts.data, described, fits, say("rows_at_most", rows=most))


def _permit(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.permit
    if wanted is None:
        return None
    label = say("permit_valid") if wanted else say("permit_lacking")
    return _quantified(rule, "kind_dataset", facts.data, lambda d: d.dataset, lambda d: d.permitted is wanted, label)


def _purpose(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.purpose
    if wanted is None:
        return None
    if not facts.purpose:
        return False, say("purpose_unstated")
    if _fits(facts.purpose, wanted):
        return True, say("purpose_is", purpose=quoted(facts.purpose))
    return False, say("purpose_is_not", purpose=quoted(facts.purpose), wanted=_wanted(wanted))


def _moment(rule: Rule, facts: Facts) -> Finding | None:
    when = rule.when
    if when.hours is None and when.weekdays is None:
        return None
    local = facts.now.astimezone(when.timezone) if when.timezone else facts.now
    moment = f"{WEEKDAYS[local.weekday()]} {local:%H:%M}"
    clock: Words = f"{moment} {when.timezone}" if when.timezone else say("time_local", time=moment)
    if when.weekdays is not None and local.weekday() not in when.weekdays:
        return False, say("time_is_not", time=clock, wanted=_wanted([WEEKDAYS[day] for day in sorted(when.weekdays)]))
    minute = local.hour * 60 + local.minute
    if when.hours is not None and not any(span.covers(minute) for span in when.hours):
        return False, say("time_is_not", time=clock, wanted=_wanted([span.text for span in when.hours]))
    return True, say("time_is", time=clock)


_CONDITIONS: tuple[Callable[[Rule, Facts], Finding | None], ...] = (
    _partner,
    _initiator,
    _coordinator,
    _component,
    _dataset,
    _columns,
    _rows,
    _permit,
    _purpose,
    _moment,
)


def _quantified(
    rule: Rule, kind: str, items: Sequence[T], name: Callable[[T], Words], fits: Callable[[T], bool], wanted: Words
) -> Finding:
    """Every item must fit for an approval, one is enough for anything else; of no item nothing holds."""
    what = say(kind)
    if not items:
        return False, say("names_no", what=what)
    good = [item for item in items if fits(item)]
    if rule.then is Action.APPROVE:
        bad = next((item for item in items if not fits(item)), None)
        if bad is not None:
            return False, say("one_is_not", what=what, name=_shown(name(bad)), wanted=wanted)
    elif not good:
        return False, say("none_is", what=what, wanted=wanted, names=_listed(map(name, items)))
    return True, say("those_are", what=what, names=_listed(map(name, good)), wanted=wanted)


def _fits(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def version_numbers(version: str) -> tuple[int, ...] | None:
    """`1.2.0` as (1, 2): trailing zeros say nothing. None for anything that is not dotted numbers."""
    if not _NUMBERS.fullmatch(version):
        return None
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    match sign:
        case ">=":
            return version >= bound
        case "<=":
            return version <= bound
        case ">":
            return version > bound
        case "<":
            return version < bound
        case "==":
            return version == bound
        case _:
            return version != bound


def _wanted(values: Iterable[str]) -> Words:
    return joined("either", values)


def _listed(names: Iterable[Words]) -> Words:
    found = [_shown(name) for name in names]
    some = joined("listed", found[:_MOST_SHOWN])
    return say("and_more", names=some, count=len(found) - _MOST_SHOWN) if len(found) > _MOST_SHOWN else some


def _shown(name: Words) -> Words:
    return name if isinstance(name, Sentence) else shown(name)


def quoted(text: str) -> str:
    return f"'{shown(text)}'"


def shown(text: str) -> str:
    """What a partner sent, printable and short. Half a surrogate pair could not be stored."""
    clean = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST_SHOWN + 1])
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[: _LONGEST_SHOWN - 1]}…"
