"""The operator's policy: what each condition means, for approvals and for everything else."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from embedded_scheduler.domain.policy import (
    Action,
    ComponentFact,
    DataFact,
    Facts,
    Verdict,
    evaluate,
)
from embedded_scheduler.domain.policy_document import PolicyFault, parse_policy

MONDAY_NOON = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)

FACTS = Facts(
    self_node="us",
    initiator="bob",
    coordinator="bob",
    now=MONDAY_NOON,
    subject="job-1",
    nodes=("bob", "us"),
    components=(ComponentFact("nodeconsole/sample_alignment", "1.2.0"),),
    data=(DataFact("crm#customers", ("id", "phone"), 500, permitted=True),),
    purpose="audit 2024",
)


def rule(then: str = "approve", **when: Any) -> dict[str, Any]:
    return {"name": "r", "then": then, "when": when}


def says(facts: Facts, *rules: dict[str, Any], **used: int) -> Verdict:
    return evaluate(parse_policy({"rule": list(rules)}), facts, used)


def applies(facts: Facts, then: str, when: dict[str, Any], **used: int) -> bool:
    return says(facts, rule(then, **when), **used).rule is not None


@pytest.mark.parametrize(
    ("when", "held"),
    [
        ({"partner": "bob"}, True),
        ({"partner": "b*"}, True),
        ({"partner": ["carol", "bob"]}, True),
        ({"partner": "BOB"}, False),
        ({"partner": "carol"}, False),
        ({"initiator": "bob"}, True),
        ({"initiator": "us"}, False),
        ({"coordinator": "bob"}, True),
        ({"coordinator": "carol"}, False),
        ({"component": "nodeconsole/sample_*"}, True),
        ({"component": "*/sample_alignment"}, True),
        ({"component": "sample_alignment"}, False),
        ({"version": "1.2.0"}, True),
        ({"version": "1.2"}, True),
        ({"version": "1.2.1"}, False),
        ({"version": ">=1.0,<2"}, True),
        ({"version": ">1.2.0"}, False),
        ({"version": "<=1.2, !=1.1"}, True),
        ({"version": "!=1.2"}, False),
        ({"component": "*", "version": "<1"}, False),
        ({"dataset": "crm#*"}, True),
        ({"dataset": "hr#*"}, False),
        ({"columns": ["id", "phone", "city"]}, True),
        ({"columns": ["city"]}, False),
        ({"purpose": "audit*"}, True),
        ({"purpose": "marketing"}, False),
        ({"rows_at_most": 500}, True),
        ({"rows_at_most": 499}, False),
        ({"permit": True}, True),
        ({"permit": False}, False),
        ({"hours": "08:00-18:00"}, True),
        ({"hours": "12:00-13:00"}, True),
        ({"hours": "11:00-12:00"}, False),
        ({"hours": "22:00-06:00"}, False),
        ({"hours": ["07:00-08:00", "11:30-12:30"]}, True),
        ({"hours": "08:00-18:00", "timezone": "Asia/Shanghai"}, False),
        ({"hours": "19:00-24:00", "timezone": "Asia/Shanghai"}, True),
        ({"weekdays": ["mon"]}, True),
        ({"weekdays": "mon-fri"}, True),
        ({"weekdays": ["sat-mon"]}, True),
        ({"weekdays": ["sat", "sun"]}, False),
        ({"partner": "bob", "purpose": "marketing"}, False),
    ],
)
def test_one_condition(when: dict[str, Any], held: bool) -> None:
    assert applies(FACTS, "approve", when) is held
    assert applies(FACTS, "refuse", when) is held


THREE = replace(
    FACTS,
    coordinator="carol",
    nodes=("bob", "carol", "us"),
    components=(ComponentFact("a/psi", "1.0"), ComponentFact("a/join", "2.0")),
    data=(DataFact("crm#customers", ("id",), 10, permitted=True), DataFact("hr#pay", ("id", "salary"), 5_000)),
)


@pytest.mark.parametrize(
    "when",
    [
        {"partner": "bob"},
        {"component": "a/psi"},
        {"component": "a/*", "version": "1.0"},
        {"dataset": "hr#*"},
        {"columns": ["salary"]},
        {"rows_at_most": 100},
        {"permit": False},
    ],
)
def test_an_approval_holds_for_everything_and_a_refusal_for_one_thing(when: dict[str, Any]) -> None:
    assert not applies(THREE, "approve", when)
    assert applies(THREE, "refuse", when)
    assert applies(THREE, "ask", when)


def test_for_an_approval_every_column_must_be_allowed() -> None:
    assert not applies(FACTS, "approve", {"columns": ["id"]})
    assert applies(FACTS, "approve", {"columns": ["phone", "id"]})


def test_who_takes_part_counts_as_a_partner_too() -> None:
    smuggled = replace(FACTS, nodes=("bob", "mallory", "us"))
    assert not applies(smuggled, "approve", {"partner": "bob"})
    assert applies(smuggled, "approve", {"partner": ["bob", "mallory"]})


def test_the_initiator_is_only_the_coordinators_word() -> None:
    claimed = replace(FACTS, coordinator="mallory")
    assert not applies(claimed, "approve", {"initiator": "bob"})
    assert applies(claimed, "approve", {"initiator": "bob", "coordinator": "mallory"})
    assert applies(claimed, "refuse", {"initiator": "bob"})
    assert applies(replace(FACTS, coordinator="us"), "approve", {"initiator": "bob"})


def test_an_own_job_has_this_node_as_its_partner() -> None:
    own = replace(FACTS, initiator="us", coordinator="us", nodes=("us",))
    assert applies(own, "approve", {"partner": "us"})
    assert not applies(own, "approve", {"partner": "bob"})


@pytest.mark.parametrize("then", ["approve", "refuse"])
@pytest.mark.parametrize("when", [{"dataset": "*"}, {"columns": ["id"]}, {"rows_at_most": 9}, {"permit": True}])
def test_of_no_data_nothing_holds(when: dict[str, Any], then: str) -> None:
    assert not applies(replace(FACTS, data=()), then, when)


def test_odd_facts_fail_instead_of_raising() -> None:
    odd = replace(
        FACTS,
        components=(ComponentFact("\ud800/x", "9" * 5000),),
        data=(DataFact("x#y", None, None),),
        purpose="\ud800\n" * 500,
    )
    assert not applies(odd, "approve", {"version": ">=1"})
    assert not applies(odd, "approve", {"columns": ["id"]})
    assert not applies(odd, "approve", {"rows_at_most": 10})
    verdict = says(odd, rule(purpose="*", component="*"))
    assert verdict.rule is not None
    for sentence in verdict.reasoning:
        sentence.encode()
        assert "\n" not in sentence
        assert len(sentence) < 500


def test_night_hours_cross_midnight() -> None:
    for hour, held in ((21, False), (22, True), (3, True), (6, False)):
        at = replace(FACTS, now=datetime(2024, 1, 1, hour, 0, tzinfo=UTC))
        assert applies(at, "approve", {"hours": "22:00-06:00", "timezone": "UTC"}) is held, hour


def test_a_used_up_quota_fails_and_the_next_rule_decides() -> None:
    when = {"partner": "bob", "quota": {"count": 2, "per": "day"}}
    assert applies(FACTS, "approve", when, r=1)
    assert not applies(FACTS, "approve", when, r=2)
    fallback = {"name": "else", "then": "refuse"}
    verdict = says(FACTS, rule(**when), fallback, r=2)
    assert (verdict.action, verdict.rule and verdict.rule.name) == (Action.REFUSE, "else")
    assert verdict.reasoning == (
        "rule 'r' does not apply: 2 of 2 approvals per day are used",
        "rule 'else' says refuse: it has no conditions",
    )


def test_the_reasoning_says_which_condition_failed_and_which_held() -> None:
    other = {"name": "carol's", "then": "approve", "when": {"partner": "carol"}}
    verdict = says(FACTS, other, rule(partner="bob", columns=["id", "phone"]))
    assert verdict.reasoning == (
        "rule 'carol's' does not apply: partner bob is not carol",
        "rule 'r' says approve: partner bob is bob; column id, phone is id or phone",
    )
    assert says(FACTS, other).reasoning[-1] == "no rule applies"
    assert says(FACTS, other).action is Action.ASK


def test_rules_are_for_one_kind_of_request() -> None:
    verdict = says(FACTS, {"name": "d", "on": "dataset", "then": "refuse"})
    assert (verdict.rule, verdict.reasoning) == (None, ("there is no rule for a job",))
    assert says(replace(FACTS, on="dataset"), {"name": "d", "on": "dataset", "then": "refuse"}).rule is not None


def test_the_reason_for_the_partner_is_filled_in_and_nothing_else_is() -> None:
    told = {"name": "no", "then": "refuse", "reason": "{initiator}: {purpose} needs a contract"}
    found = says(replace(FACTS, purpose="{rule}"), told).rule
    assert found is not None
    assert found.reason_for(replace(FACTS, purpose="{rule}")) == "bob: {rule} needs a contract"


@pytest.mark.parametrize(
    ("document", "fault", "number", "key"),
    [
        ({"rules": []}, "unknown key 'rules'", 0, "rules"),
        ({"rule": {"name": "x"}}, r"\[\[rule\]\]", 0, "rule"),
        ({"rule": [{"then": "ask"}]}, "rule 1: name", 1, "name"),
        ({"rule": [rule("maybe")]}, "rule 1 'r': then: must be one of approve, refuse, ask", 1, "then"),
        ({"rule": [rule("ask"), {"name": "b", "thn": "ask"}]}, "rule 2 'b': unknown key 'thn'", 2, "thn"),
        ({"rule": [rule("ask", partnr="x")]}, "rule 1 'r': unknown key 'when.partnr'", 1, "partnr"),
        ({"rule": [rule("ask"), rule("ask")]}, "two rules are named 'r'", 2, "name"),
        ({"rule": [rule("approve")]}, "approves everything", 1, "when"),
        ({"rule": [rule(partner=3)]}, "partner: must be a text", 1, "partner"),
        ({"rule": [rule(partner=[])]}, "partner: must be a text", 1, "partner"),
        ({"rule": [rule(partner=[" "])]}, "partner: must be texts", 1, "partner"),
        ({"rule": [rule(version=">=x")]}, "is no bound", 1, "version"),
        ({"rule": [rule(version="1.0,<2")]}, "'1.0' is no bound", 1, "version"),
        ({"rule": [rule(hours="8-18")]}, "is no span of hours", 1, "hours"),
        ({"rule": [rule(hours="08:00-08:00")]}, "is no span of hours", 1, "hours"),
        ({"rule": [rule(hours="08:00-24:01")]}, "is no span of hours", 1, "hours"),
        ({"rule": [rule(hours="08:00-18:00", timezone="Mars/Base")]}, "is no time zone", 1, "timezone"),
        ({"rule": [rule(hours="08:00-18:00", timezone="../../etc/passwd")]}, "is no time zone", 1, "timezone"),
        ({"rule": [rule(partner="x", timezone="UTC")]}, "says nothing without hours", 1, "timezone"),
        ({"rule": [rule(weekdays=["monday"])]}, "is no weekday", 1, "weekdays"),
        ({"rule": [rule(rows_at_most=True)]}, "whole number", 1, "rows_at_most"),
        ({"rule": [rule(rows_at_most=-1)]}, "whole number", 1, "rows_at_most"),
        ({"rule": [rule(permit="yes")]}, "true or false", 1, "permit"),
        ({"rule": [rule(quota=5)]}, "must be {count", 1, "quota"),
        ({"rule": [rule(quota={"count": 0, "per": "day"})]}, "whole number from 1", 1, "quota"),
        ({"rule": [rule(quota={"count": 1, "per": "year"})]}, "per must be one of", 1, "quota"),
        ({"rule": [rule("refuse", quota={"count": 1, "per": "day"})]}, "counts approvals", 1, "quota"),
        ({"rule": [{"name": "x", "then": "refuse", "on": "jobs"}]}, "on: must be one of job", 1, "on"),
        ({"rule": [{"name": "x", "then": "refuse", "reason": "{node}"}]}, "knows no {node}", 1, "reason"),
        ({"rule": [{"name": "x", "then": "refuse", "reason": "a\nb"}]}, "one line", 1, "reason"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_rule_and_key(
    document: dict[str, Any], fault: str, number: int, key: str
) -> None:
    with pytest.raises(PolicyFault, match=fault) as caught:
        parse_policy(document)
    assert (caught.value.rule, caught.value.key) == (number, key)


def test_an_empty_policy_has_no_rules() -> None:
    assert parse_policy({}).rules == ()
    assert says(FACTS).action is Action.ASK


def test_the_examples_of_the_manual_are_policies() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```", manual, re.MULTILINE | re.DOTALL)
    names = [rule.name for text in examples for rule in parse_policy(tomllib.loads(text)).rules]
    assert names == ["no training", "salaries", "bank-b alignment"]
