"""Reading a policy from plain data: every mistake is named, nothing is guessed or left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from embedded_scheduler.domain.policy import (
    FIELD,
    KINDS,
    PERIODS_MS,
    WEEKDAYS,
    Action,
    Bound,
    Conditions,
    Hours,
    Policy,
    Quota,
    Rule,
    VersionRange,
    quoted,
    shown,
    version_numbers,
)
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import Words, say

MOST_RULES = 500
MOST_VALUES = 1000
_LONGEST_NAME = 100
_LONGEST_TEXT = 500
_RULE_KEYS = ("name", "on", "when", "then", "reason")
_FIELDS = ("job", "initiator", "coordinator", "purpose", "rule")
_BOUND = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
_HOURS = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")


class PolicyFault(InvalidRequest):
    """What is wrong with a policy. `rule` counts from 1, 0 = the whole; `key` is the member at fault, or empty."""

    def __init__(self, message: Words, *, rule: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.key = key


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """The policy in plain data (`{"rule": [{...}, ...]}`); `PolicyFault` names the first rule and key at fault."""
    for key in document:
        if key != "rule":
            raise PolicyFault(say("policy_key", key=quoted(key)), key=key)
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise PolicyFault(say("policy_tables"), key="rule")
    if len(tables) > MOST_RULES:
        raise PolicyFault(say("policy_many", count=len(tables), most=MOST_RULES))
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        rule = _Table(table, number).rule()
        if any(rule.name == before.name for before in rules):
            raise PolicyFault(say("policy_same_name", name=quoted(rule.name)), rule=number, key="name")
        rules.append(rule)
    return Policy(tuple(rules))


class _Table:
    """One `[[rule]]` table while it is read."""

    def __init__(self, table: Mapping[str, Any], number: int) -> None:
        self._table = table
        self._number = number
        name = table.get("name")
        named = isinstance(name, str) and name
        self._label = (
            say("policy_rule_named", number=number, name=quoted(str(name)))
            if named
            else say("policy_rule", number=number)
        )

    def rule(self) -> Rule:
        self._only("", self._table, _RULE_KEYS)
        name = self._table.get("name")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise self._fault("name", say("policy_name", most=_LONGEST_NAME))
        then = self._choice("then", tuple(action.value for action in Action))
        on = self._choice("on", KINDS, default="job")
        when = self._table.get("when", {})
        if not isinstance(when, Mapping):
            raise self._fault("when", say("policy_when"))
        conditions = self._conditions(when)
        action = Action(then)
        if action is Action.APPROVE and conditions == Conditions():
            raise self._fault("when", say("policy_approves_all"))
        if action is not Action.APPROVE and conditions.quota is not None:
            raise self._fault("quota", say("policy_quota_misplaced"))
        if conditions.timezone is not None and conditions.hours is None and conditions.weekdays is None:
            raise self._fault("timezone", say("policy_timezone_alone"))
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
                    say("policy_rule_key", rule=self._label, key=quoted(where + key), known=", ".join(known)),
                    rule=self._number,
                    key=key,
                )

    def _fault(self, key: str, what: Words) -> PolicyFault:
        return PolicyFault(say("policy_at_key", rule=self._label, key=key, what=what), rule=self._number, key=key)

    def _choice(self, key: str, words: Sequence[str], default: str = "") -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or value not in words:
            raise self._fault(key, say("must_be_one_of", known=", ".join(words)))
        return value

    def _reason(self) -> str:
        reason = self._table.get("reason", "")
        if not isinstance(reason, str) or len(reason) > _LONGEST_TEXT or not reason.isprintable():
            raise self._fault("reason", say("policy_reason", most=_LONGEST_TEXT))
        for name in FIELD.findall(reason):
            if name not in _FIELDS:
                raise self._fault("reason", say("policy_field", name=shown(name), known=", ".join(_FIELDS)))
        return reason

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not 0 < len(given) <= MOST_VALUES:
            raise self._fault(key, say("policy_texts"))
        for text in given:
            if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
                raise self._fault(key, say("policy_text_size", most=_LONGEST_TEXT))
        return tuple(given)

    def _version(self, key: str, value: Any) -> VersionRange:
        if not isinstance(value, str) or not value.strip():
            raise self._fault(key, say("policy_version"))
        if not any(sign in value for sign in "<>=!,"):
            return VersionRange(value.strip())
        bounds: list[Bound] = []
        for part in value.split(","):
            found = _BOUND.fullmatch(part)
            number = version_numbers(found.group(2)) if found else None
            if found is None or number is None:
                raise self._fault(key, say("policy_bound", value=quoted(part)))
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
        raise self._fault(key, say("policy_hours", value=quoted(text)))

    def _timezone(self, key: str, value: Any) -> ZoneInfo:
        if isinstance(value, str) and value.isascii() and value.isprintable():
            try:
                return ZoneInfo(value)
            except (OSError, ValueError, LookupError):
                pass
        raise self._fault(key, say("policy_timezone", value=quoted(str(value))))

    def _weekdays(self, key: str, value: Any) -> frozenset[int]:
        days: set[int] = set()
        for text in self._texts(key, value):
            names = [name.strip().lower() for name in text.split("-")]
            if len(names) > 2 or any(name not in WEEKDAYS for name in names):
                raise self._fault(key, say("policy_weekday", value=quoted(text), known=", ".join(WEEKDAYS)))
            first, last = WEEKDAYS.index(names[0]), WEEKDAYS.index(names[-1])
            days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
        return frozenset(days)

    def _number_of(self, key: str, value: Any, *, low: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 10**15:
            raise self._fault(key, say("must_be_from", low=low))
        return value

    def _flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._fault(key, say("must_be_flag"))
        return value

    def _quota(self, key: str, value: Any) -> Quota:
        if not isinstance(value, Mapping) or set(value) != {"count", "per"}:
            raise self._fault(key, say("policy_quota"))
        per = value["per"]
        if not isinstance(per, str) or per not in PERIODS_MS:
            raise self._fault(key, say("policy_per", known=", ".join(PERIODS_MS)))
        return Quota(self._number_of(key, value["count"], low=1), per)
