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
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from embedded_scheduler.errors import InvalidRequest

T = TypeVar("T")

MOST_RULES = 500
MOST_VALUES = 1000
_LONGEST_NAME = 100
_LONGEST_TEXT = 500
_LONGEST_SHOWN = 80
_MOST_SHOWN = 5

KINDS = ("job", "dataset", "project", "flow", "model", "contract")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS_MS = {"hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}

_RULE_KEYS = ("name", "on", "when", "then", "reason")
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = ("job", "initiator", "coordinator", "purpose", "rule")
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")
_BOUND = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
_HOURS = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")


class Action(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"
    ASK = "ask"


class PolicyFault(InvalidRequest):
    """What is wrong with a policy. `rule` counts from 1, 0 = the whole; `key` is the member at fault, or empty."""

    def __init__(self, message: str, *, rule: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.key = key


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
            exact = _numbers(self.text)
            return version == self.text or (exact is not None and exact == _numbers(version))
        found = _numbers(version)
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
        return _FIELD.sub(lambda found: _shown(values.get(found.group(1), "")), self.reason)


@dataclass(frozen=True, slots=True)
class Policy:
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule` None = nothing matched, and `action` is ask. `reasoning` has a sentence for each rule looked at."""

    action: Action
    rule: Rule | None
    reasoning: tuple[str, ...]


def evaluate(policy: Policy, facts: Facts, used: Mapping[str, int]) -> Verdict:
    """What the policy says of a request. Never raises.

    `used`: approvals within the period of its quota, by name of rule; a rule that is missing has used none.
    """
    reasoning: list[str] = []
    for rule in policy.rules:
        if rule.on != facts.on:
            continue
        failed, held = _examine(rule, facts, used.get(rule.name, 0))
        if failed:
            reasoning.append(f"rule {_quoted(rule.name)} does not apply: {failed}")
            continue
        because = "; ".join(held) or "it has no conditions"
        reasoning.append(f"rule {_quoted(rule.name)} says {rule.then}: {because}")
        return Verdict(rule.then, rule, tuple(reasoning))
    reasoning.append("no rule applies" if reasoning else f"there is no rule for a {facts.on}")
    return Verdict(Action.ASK, None, tuple(reasoning))


# -- conditions: each answers (holds, why) ----------------------------------------------------------------------------

Finding = tuple[bool, str]


def _examine(rule: Rule, facts: Facts, used: int) -> tuple[str, list[str]]:
    """The first condition that fails, or empty, and those that held before it."""
    held: list[str] = []
    for condition in _CONDITIONS:
        finding = condition(rule, facts)
        if finding is None:
            continue
        if not finding[0]:
            return finding[1], held
        held.append(finding[1])
    if rule.when.quota is not None:
        quota = rule.when.quota
        state = f"{used} of {quota.count} approvals per {quota.per} are used"
        if used >= quota.count:
            return state, held
        held.append(state)
    return "", held


def _partner(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.partner
    if wanted is None:
        return None
    return _quantified(rule, "partner", facts.others, str, lambda node: _fits(node, wanted), _wanted(wanted))


def _initiator(rule: Rule, facts: Facts) -> Finding | None:
    when = rule.when
    if when.initiator is None:
        return None
    if not _fits(facts.initiator, when.initiator):
        return False, f"the initiator is {_shown(facts.initiator)}, not {_wanted(when.initiator)}"
    vouched = facts.coordinator in ("", facts.initiator, facts.self_node)
    if rule.then is Action.APPROVE and not vouched and when.coordinator is None and when.partner is None:
        driver = _shown(facts.coordinator)
        return False, f"that {_shown(facts.initiator)} is the initiator is only {driver}'s word, which the rule omits"
    return True, f"the initiator is {_shown(facts.initiator)}"


def _coordinator(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.coordinator
    if wanted is None:
        return None
    name = facts.coordinator or facts.initiator
    fits = _fits(name, wanted)
    return fits, f"the coordinator is {_shown(name)}{'' if fits else f', not {_wanted(wanted)}'}"


def _component(rule: Rule, facts: Facts) -> Finding | None:
    names, versions = rule.when.component, rule.when.version
    if names is None and versions is None:
        return None

    def fits(component: ComponentFact) -> bool:
        named = names is None or _fits(component.name, names)
        return named and (versions is None or versions.fits(component.version))

    wanted = " ".join([*([_wanted(names)] if names else []), *([f"version {versions.text}"] if versions else [])])
    return _quantified(rule, "component", facts.components, lambda c: f"{c.name} {c.version}".strip(), fits, wanted)


def _dataset(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.dataset
    if wanted is None:
        return None
    return _quantified(
        rule, "dataset", facts.data, lambda d: d.dataset, lambda d: _fits(d.dataset, wanted), _wanted(wanted)
    )


def _columns(rule: Rule, facts: Facts) -> Finding | None:
    allowed = rule.when.columns
    if allowed is None:
        return None
    unknown = [use.dataset for use in facts.data if use.columns is None]
    if unknown and rule.then is Action.APPROVE:
        return False, f"the columns of {_shown(unknown[0])} are not known here"
    used = tuple(dict.fromkeys(column for use in facts.data for column in use.columns or ()))
    return _quantified(rule, "column", used, str, lambda column: column in allowed, _wanted(sorted(allowed)))


def _rows(rule: Rule, facts: Facts) -> Finding | None:
    most = rule.when.rows_at_most
    if most is None:
        return None

    def fits(use: DataFact) -> bool:
        return use.rows is not None and use.rows <= most

    def shown(use: DataFact) -> str:
        return f"{use.dataset} with {'an unknown number of' if use.rows is None else use.rows} rows"

    return _quantified(rule, "dataset", facts.data, shown, fits, f"of at most {most} rows")


def _permit(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.permit
    if wanted is None:
        return None
    label = "covered by a valid permit" if wanted else "without a valid permit"
    return _quantified(rule, "dataset", facts.data, lambda d: d.dataset, lambda d: d.permitted is wanted, label)


def _purpose(rule: Rule, facts: Facts) -> Finding | None:
    wanted = rule.when.purpose
    if wanted is None:
        return None
    if not facts.purpose:
        return False, "the request states no purpose"
    fits = _fits(facts.purpose, wanted)
    return fits, f"the purpose is {_quoted(facts.purpose)}{'' if fits else f', not {_wanted(wanted)}'}"


def _moment(rule: Rule, facts: Facts) -> Finding | None:
    when = rule.when
    if when.hours is None and when.weekdays is None:
        return None
    local = facts.now.astimezone(when.timezone) if when.timezone else facts.now
    clock = f"{WEEKDAYS[local.weekday()]} {local:%H:%M} {when.timezone or 'local time'}"
    if when.weekdays is not None and local.weekday() not in when.weekdays:
        return False, f"it is {clock}, not {_wanted([WEEKDAYS[day] for day in sorted(when.weekdays)])}"
    minute = local.hour * 60 + local.minute
    if when.hours is not None and not any(span.covers(minute) for span in when.hours):
        return False, f"it is {clock}, not {_wanted([span.text for span in when.hours])}"
    return True, f"it is {clock}"


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
    rule: Rule, what: str, items: Sequence[T], name: Callable[[T], str], fits: Callable[[T], bool], wanted: str
) -> Finding:
    """Every item must fit for an approval, one is enough for anything else; of no item nothing holds."""
    if not items:
        return False, f"the request names no {what}"
    good = [item for item in items if fits(item)]
    if rule.then is Action.APPROVE:
        bad = next((item for item in items if not fits(item)), None)
        if bad is not None:
            return False, f"{what} {_shown(name(bad))} is not {wanted}"
    elif not good:
        return False, f"no {what} is {wanted} ({_listed(map(name, items))})"
    return True, f"{what} {_listed(map(name, good))} is {wanted}"


def _fits(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _numbers(version: str) -> tuple[int, ...] | None:
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


def _wanted(values: Iterable[str]) -> str:
    return " or ".join(values)


def _listed(names: Iterable[str]) -> str:
    found = [_shown(name) for name in names]
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more


def _quoted(text: str) -> str:
    return f"'{_shown(text)}'"


def _shown(text: str) -> str:
    """What a partner sent, printable and short. Half a surrogate pair could not be stored."""
    clean = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST_SHOWN + 1])
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[: _LONGEST_SHOWN - 1]}…"


# -- reading a policy -------------------------------------------------------------------------------------------------


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """The policy in plain data (`{"rule": [{...}, ...]}`); `PolicyFault` names the first rule and key at fault."""
    for key in document:
        if key != "rule":
            raise PolicyFault(f"unknown key {_quoted(key)}: a policy consists of [[rule]] tables", key=key)
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise PolicyFault("write each rule as its own [[rule]] table", key="rule")
    if len(tables) > MOST_RULES:
        raise PolicyFault(f"{len(tables)} rules; a policy has at most {MOST_RULES}")
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        rule = _Table(table, number).rule()
        if any(rule.name == before.name for before in rules):
            raise PolicyFault(f"two rules are named {_quoted(rule.name)}", rule=number, key="name")
        rules.append(rule)
    return Policy(tuple(rules))


class _Table:
    """One `[[rule]]` table while it is read."""

    def __init__(self, table: Mapping[str, Any], number: int) -> None:
        self._table = table
        self._number = number
        name = table.get("name")
        self._label = f"rule {number} {_quoted(name)}" if isinstance(name, str) and name else f"rule {number}"

    def rule(self) -> Rule:
        self._only("", self._table, _RULE_KEYS)
        name = self._table.get("name")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise self._fault("name", f"give it a name of 1 to {_LONGEST_NAME} printable characters")
        then = self._choice("then", tuple(action.value for action in Action))
        on = self._choice("on", KINDS, default="job")
        when = self._table.get("when", {})
        if not isinstance(when, Mapping):
            raise self._fault("when", "must be a table of conditions")
        conditions = self._conditions(when)
        action = Action(then)
        if action is Action.APPROVE and conditions == Conditions():
            raise self._fault("when", 'approves everything: write when = {partner = "*"} if that is meant')
        if action is not Action.APPROVE and conditions.quota is not None:
            raise self._fault("quota", "counts approvals: it belongs to rules that approve")
        if conditions.timezone is not None and conditions.hours is None and conditions.weekdays is None:
            raise self._fault("timezone", "says nothing without hours or weekdays")
        return Rule(name, action, conditions, on, self._reason())

    def _conditions(self, when: Mapping[str, Any]) -> Conditions:
        known = Conditions.__dataclass_fields__
        self._only("when.", when, tuple(known))
        readers: Mapping[str, Callable[[str, Any], Any]] = {
            "version": self._version,
            "columns": lambda key, value: frozenset(self._texts(key, value)),
            "hours": self._hours,
            "timezone": self._timezone,
            "weekdays": self._weekdays,
            "rows_at_most": lambda key, value: self._number_of(key, value, low=0),
            "permit": self._flag,
            "quota": self._quota,
        }
        texts: Callable[[str, Any], Any] = self._texts
        return Conditions(**{key: readers.get(key, texts)(key, value) for key, value in when.items()})

    def _only(self, where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                raise PolicyFault(
                    f"{self._label}: unknown key {_quoted(where + key)} (known: {', '.join(known)})",
                    rule=self._number,
                    key=key,
                )

    def _fault(self, key: str, what: str) -> PolicyFault:
        return PolicyFault(f"{self._label}: {key}: {what}", rule=self._number, key=key)

    def _choice(self, key: str, words: Sequence[str], default: str = "") -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or value not in words:
            raise self._fault(key, f"must be one of {', '.join(words)}")
        return value

    def _reason(self) -> str:
        reason = self._table.get("reason", "")
        if not isinstance(reason, str) or len(reason) > _LONGEST_TEXT or not reason.isprintable():
            raise self._fault("reason", f"must be one line of at most {_LONGEST_TEXT} characters")
        for name in _FIELD.findall(reason):
            if name not in _FIELDS:
                raise self._fault("reason", f"knows no {{{_shown(name)}}}; there are {', '.join(_FIELDS)}")
        return reason

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not 0 < len(given) <= MOST_VALUES:
            raise self._fault(key, "must be a text or a list of texts")
        for text in given:
            if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
                raise self._fault(key, f"must be texts of 1 to {_LONGEST_TEXT} printable characters")
        return tuple(given)

    def _version(self, key: str, value: Any) -> VersionRange:
        if not isinstance(value, str) or not value.strip():
            raise self._fault(key, 'must be a version or a range such as ">=1.0,<2"')
        if not any(sign in value for sign in "<>=!,"):
            return VersionRange(value.strip())
        bounds: list[Bound] = []
        for part in value.split(","):
            found = _BOUND.fullmatch(part)
            number = _numbers(found.group(2)) if found else None
            if found is None or number is None:
                raise self._fault(key, f'{_quoted(part)} is no bound; write a range as ">=1.0,<2"')
            bounds.append((found.group(1), number))
        return VersionRange(value.strip(), tuple(bounds))

    def _hours(self, key: str, value: Any) -> tuple[Hours, ...]:
        return tuple(self._span(key, text) for text in self._texts(key, value))

    def _span(self, key: str, text: str) -> Hours:
        found = _HOURS.fullmatch(text)
        if found is not None:
            first, first_minute, last, last_minute = (int(part) for part in found.groups())
            start, end = first * 60 + first_minute, last * 60 + last_minute
            sound = start < 1440 and end <= 1440 and first_minute < 60 and last_minute < 60
            if sound and start != end:
                return Hours(start, end, text.strip())
        raise self._fault(key, f'{_quoted(text)} is no span of hours; write it as "08:00-18:00"')

    def _timezone(self, key: str, value: Any) -> ZoneInfo:
        if isinstance(value, str) and value.isascii() and value.isprintable():
            try:
                return ZoneInfo(value)
            except (OSError, ValueError, LookupError):
                pass
        raise self._fault(key, f'{_quoted(str(value))} is no time zone known here; write it as "Asia/Shanghai"')

    def _weekdays(self, key: str, value: Any) -> frozenset[int]:
        days: set[int] = set()
        for text in self._texts(key, value):
            names = [name.strip().lower() for name in text.split("-")]
            if len(names) > 2 or any(name not in WEEKDAYS for name in names):
                raise self._fault(key, f"{_quoted(text)} is no weekday; there are {', '.join(WEEKDAYS)}, and mon-fri")
            first, last = WEEKDAYS.index(names[0]), WEEKDAYS.index(names[-1])
            days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
        return frozenset(days)

    def _number_of(self, key: str, value: Any, *, low: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 10**15:
            raise self._fault(key, f"must be a whole number from {low}")
        return value

    def _flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._fault(key, "must be true or false")
        return value

    def _quota(self, key: str, value: Any) -> Quota:
        if not isinstance(value, Mapping) or set(value) != {"count", "per"}:
            raise self._fault(key, 'must be {count = NUMBER, per = "hour|day|week"}')
        per = value["per"]
        if not isinstance(per, str) or per not in PERIODS_MS:
            raise self._fault(key, f"per must be one of {', '.join(PERIODS_MS)}")
        return Quota(self._number_of(key, value["count"], low=1), per)
