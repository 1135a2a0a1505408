"""Policies of any shape: reading one never surprises, the first rule that applies decides, nothing makes it raise."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_scheduler.domain.policy import (
    Action,
    ComponentFact,
    Conditions,
    DataFact,
    Facts,
    evaluate,
)
from embedded_scheduler.domain.policy_document import PolicyFault, parse_policy
from embedded_scheduler.engine.policies import read_policy
from embedded_scheduler.errors import InvalidRequest

texts = st.text(max_size=12)
globs = st.sampled_from(["*", "b*", "bob", "[", "a/*", "*/psi", "?"])
conditions = st.fixed_dictionaries(
    {},
    optional={
        "partner": globs | st.lists(globs, min_size=1, max_size=3),
        "initiator": globs,
        "coordinator": globs,
        "component": globs,
        "version": st.sampled_from(["1.0", ">=1,<2", "!=1.5", "odd"]),
        "dataset": globs,
        "columns": st.lists(st.sampled_from(["id", "phone"]), min_size=1),
        "purpose": globs,
        "hours": st.sampled_from(["00:00-12:00", "22:00-02:00"]),
        "weekdays": st.sampled_from(["mon-fri", "sat"]),
        "rows_at_most": st.integers(0, 100),
        "permit": st.booleans(),
    },
)


def fault_of(tables: list[dict[str, Any]]) -> PolicyFault | None:
    try:
        parse_policy({"rule": tables})
    except PolicyFault as fault:
        return fault
    return None


@st.composite
def policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    whens = draw(st.lists(conditions, max_size=5))
    then = st.sampled_from(["approve", "refuse", "ask"])
    return [
        {"name": f"r{number}", "then": draw(then) if when else draw(st.sampled_from(["refuse", "ask"])), "when": when}
        for number, when in enumerate(whens)
    ]


facts = st.builds(
    Facts,
    self_node=st.just("us"),
    initiator=texts | st.sampled_from(["bob", "us"]),
    coordinator=texts | st.sampled_from(["bob", "us", ""]),
    now=st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    nodes=st.lists(texts | st.just("bob"), max_size=3).map(tuple),
    components=st.lists(st.builds(ComponentFact, texts | st.just("a/psi"), texts | st.just("1.5")), max_size=3).map(
        tuple
    ),
    data=st.lists(
        st.builds(
            DataFact,
            texts,
            st.none() | st.lists(texts | st.just("id"), max_size=3).map(tuple),
            st.none() | st.integers(-5, 200),
            st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    purpose=texts | st.text(st.characters(categories=["Cs", "Cc"]), max_size=5),
)


@settings(max_examples=150, deadline=None)
@given(policies(), facts)
def test_the_first_rule_that_applies_alone_decides(rules: list[dict[str, Any]], request: Facts) -> None:
    verdict = evaluate(parse_policy({"rule": rules}), request, {})
    alone = [evaluate(parse_policy({"rule": [rule]}), request, {}) for rule in rules]
    first = next((said for said in alone if said.rule is not None), None)
    assert verdict.rule == (first.rule if first else None)
    assert verdict.action is (first.action if first else Action.ASK)
    looked_at = len(rules) if first is None else alone.index(first)
    assert len(verdict.reasoning) == looked_at + 1
    for sentence in verdict.reasoning:
        sentence.encode()


@settings(max_examples=60, deadline=None)
@given(conditions, st.text(min_size=1, max_size=10).filter(lambda key: key not in Conditions.__dataclass_fields__))
def test_an_unknown_condition_is_never_ignored(when: dict[str, Any], key: str) -> None:
    fault = fault_of([{"name": "r", "then": "ask", "when": when | {key: "*"}}])
    assert fault is not None
    assert (fault.rule, fault.key) == (1, key)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["name", "then", "on", "when", "reason", *Conditions.__dataclass_fields__])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(keys, json_like | st.dictionaries(keys, json_like, max_size=4), max_size=5), max_size=3)
)
def test_any_data_is_a_policy_or_a_fault(tables: list[dict[str, Any]]) -> None:
    fault = fault_of(tables)
    if fault is not None:
        assert 0 <= fault.rule <= len(tables)
        assert fault.message


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="[]rule=\"'{}\n\\#name ", max_size=60))
def test_a_text_that_is_no_policy_is_refused_as_the_callers_mistake(text: str) -> None:
    try:
        read_policy(text)
    except InvalidRequest:
        return
    assert tomllib.loads(text).keys() <= {"rule"}
