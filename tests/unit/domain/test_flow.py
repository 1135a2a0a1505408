"""Flows: what is accepted, what is refused and how it is named, and what follows from the edges."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.errors import InvalidRequest


def component(name: str, *inputs: str, outputs: tuple[str, ...] = ("out",), kind: str = "dataset") -> dict[str, Any]:
    return {
        "name": name,
        "componentName": "probe",
        "provider": "nodeconsole",
        "version": "1.0.0",
        "input": [{"key": key, "type": kind} for key in inputs],
        "output": [{"key": key, "type": "dataset"} for key in outputs],
    }


def job(*components: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {
        "flow_id": "flow-1",
        "dag": {"version": "2.0", "components": list(components)},
        "config": {
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"], "host": ["bob"]},
            **config,
        },
    }


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_job("job-1", document)
    return caught.value.message


def test_edges_give_order_and_descendants() -> None:
    flow = parse_job(
        "job-1", job(component("d", "b.out", "c.out"), component("b", "a.out"), component("a"), component("c", "a.out"))
    ).flow
    assert flow.order.index("a") == 0
    assert flow.order.index("d") == 3
    assert flow.downstream_of("a") == {"b", "c", "d"}
    assert flow.downstream_of("c") == {"d"}
    assert flow.downstream_of("d") == frozenset()
    assert flow.node("d").upstream == ("b", "c")


@pytest.mark.parametrize(
    ("components", "says"),
    [
        ([], "no components"),
        ([component("a"), component("a")], "two components are named a"),
        ([component("a", "b.out"), component("b", "a.out")], "cycle: "),
        ([component("a", "a.out")], "cycle: a -> a"),
        ([component("a", "x.out")], "there is no component x"),
        ([component("a"), component("b", "a.other")], "a has no output other"),
        ([component("a", "out")], "is not <component>.<output>"),
        ([component("a", outputs=("o", "o"))], "declares output o twice"),
    ],
)
def test_a_fault_is_named(components: list[dict[str, Any]], says: str) -> None:
    message = refused(job(*components))
    assert says in message


def test_a_cycle_is_shown_in_the_direction_of_the_data() -> None:
    message = refused(job(component("a", "c.out"), component("b", "a.out"), component("c", "b.out")))
    path = message.split(": ")[-1].split(" -> ")
    assert path[0] == path[-1]
    assert "ab" in "".join(path + path[1:])
    assert "bc" in "".join(path + path[1:])


def test_what_no_job_needs_is_refused_before_it_costs_anything() -> None:
    ring = [component(f"c{n}", f"c{(n + 1) % 1000}.out") for n in range(1000)]
    message = refused(job(*ring))
    assert "cycle" in message
    assert len(message) < 300
    assert "at most 1000" in refused(job(*[component(f"c{n}") for n in range(1001)]))
    assert "at most 128" in refused(job(component("a"), role={"guest": ["alice"], "host": ["bob"] * 128}))
    crowd = {"guest": ["alice"], "host": ["bob"] * 100}
    assert "at most 10000" in refused(job(*[component(f"c{n}") for n in range(100)], role=crowd))
    assert len(parse_job("job-1", job(*[component(f"c{n}") for n in range(99)], role=crowd)).flow.order) == 99


def test_many_ports_take_no_more_than_their_number_of_steps() -> None:
    outputs = tuple(f"o{n}" for n in range(40_000))
    wide = component("a", outputs=outputs)
    started = time.process_time()
    parse_job("job-1", job(wide, component("b", *(f"a.{name}" for name in outputs[:10_000]))))
    assert time.process_time() - started < 10, "a quadratic walk takes minutes"


def test_types_that_differ_are_a_warning_not_a_fault() -> None:
    flow = parse_job("job-1", job(component("a"), component("b", "a.out", kind="model"))).flow
    assert flow.warnings == ("input a.out of b is model, its output is dataset",)


@pytest.mark.parametrize("name", ["", "a.b", "../x", "a/b", "x" * 129, "a\nb", "名", None, 7, {}])
def test_hostile_component_names_are_refused(name: Any) -> None:
    document = job(component("a"))
    document["dag"]["components"][0]["name"] = name
    with pytest.raises(InvalidRequest):
        parse_job("job-1", document)


@pytest.mark.parametrize("job_id", ["", "x" * 129, "a/b", "..", ".", "a b", "a\0b", None, 7])
def test_hostile_job_ids_are_refused(job_id: Any) -> None:
    with pytest.raises(InvalidRequest):
        parse_job(job_id, job(component("a")))


@st.composite
def random_dag(draw: st.DrawFn) -> list[dict[str, Any]]:
    size = draw(st.integers(1, 12))
    nodes = [component(f"t{i}", *{f"t{draw(st.integers(0, i - 1))}.out" for _ in range(i and 2)}) for i in range(size)]
    return draw(st.permutations(nodes))


@given(random_dag())
def test_order_puts_every_producer_first(components: list[dict[str, Any]]) -> None:
    flow = parse_job("job-1", job(*components)).flow
    place = {name: at for at, name in enumerate(flow.order)}
    assert len(place) == len(components)
    for node in flow.nodes:
        assert all(place[up] < place[node.name] for up in node.upstream)
        for up in node.upstream:
            assert node.name in flow.downstream_of(up)
    for name in flow.order:
        assert name not in flow.downstream_of(name)


class TestSpecification:
    def test_both_dialects_mean_the_same_job(self) -> None:
        legacy = component("a")
        legacy["module_name"], legacy["code"] = legacy.pop("componentName"), "nodeconsole-probe"
        first = parse_job("job-1", job(component("a")))
        second = parse_job("job-1", job(legacy))
        assert first.flow.node("a").component.name == second.flow.node("a").component.name == "probe"
        assert first.digest == second.digest

    def test_everything_optional_may_be_missing_or_null(self) -> None:
        bare = {
            "dag": {"components": [{"name": "a", "code": "probe", "input": None, "output": None}]},
            "config": {
                "initiator": {"node_id": "alice"},
                "role": {"guest": ["alice"], "host": None},
                "job_params": None,
                "task_params": {"guest": None},
            },
            "flow_id": None,
        }
        spec = parse_job("job-1", bare)
        assert spec.document["config"]["role"] == {"guest": ["alice"], "host": [], "arbiter": []}
        assert spec.document["config"]["job_params"] == {"common": {}, "guest": {}, "host": {}, "arbiter": {}}
        assert spec.document["flow_id"] == ""

    def test_the_canonical_document_is_a_fixed_point(self) -> None:
        spec = parse_job("job-1", job(component("a"), component("b", "a.out")))
        again = parse_job("job-1", spec.document)
        assert again.document == spec.document
        assert again.digest == spec.digest

    def test_a_different_parameter_is_a_different_job(self) -> None:
        one = parse_job("job-1", job(component("a"), task_params={"common": {"a": {"x": 1}}}))
        two = parse_job("job-1", job(component("a"), task_params={"common": {"a": {"x": 2}}}))
        assert one.digest != two.digest

    def test_private_parameters_win_over_common_ones(self) -> None:
        params = {"common": {"a": {"x": 1, "y": 2}}, "guest": {"0": {"a": {"y": 3}}}}
        spec = parse_job("job-1", job(component("a"), task_params=params))
        guest = next(p for p in spec.parties if p.role == "guest")
        host = next(p for p in spec.parties if p.role == "host")
        assert spec.parameters("a", guest) == {"x": 1, "y": 3}
        assert spec.parameters("a", host) == {"x": 1, "y": 2}

    def test_a_task_belongs_to_those_it_names_else_to_all(self) -> None:
        named = parse_job("job-1", job(component("a"), task_params={"host": {"0": {"a": {}}}}))
        assert [p.key for p in named.parties_of("a")] == ["host.0"]
        unnamed = parse_job("job-1", job(component("a")))
        assert [p.key for p in unnamed.parties_of("a")] == ["guest.0", "host.0"]

    def test_resources_are_found_per_party(self) -> None:
        params = {"host": {"0": {"resources": {"cpu": 2, "memory": -1}}}}
        spec = parse_job("job-1", job(component("a"), job_params=params))
        assert [spec.resources(p) for p in spec.parties] == [{}, {"cpu": 2, "memory": -1}]

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"dag": None}, "no components"),
            ({"dag": []}, "dag must be an object"),
            ({"config": {"role": {"guest": ["alice"]}}}, "config.initiator.node_id"),
            ({"config": {"initiator": {"node_id": "a"}, "role": {}}}, "names no node"),
            (
                {"config": {"initiator": {"node_id": "a"}, "role": {"guest": "alice"}}},
                "config.role.guest must be a list",
            ),
            (
                {"config": {"initiator": {"node_id": "a"}, "role": {"guest": [{}]}}},
                "config.role.guest must be 1 to 128",
            ),
            (
                {"config": {"initiator": {"node_id": "a"}, "role": {"guest": ["a"]}, "task_params": {"guest": [1]}}},
                "object",
            ),
            ({"flow_id": {}}, "flow_id must be a string"),
        ],
    )
    def test_wrong_shapes_are_named(self, change: dict[str, Any], says: str) -> None:
        assert says in refused({**job(component("a")), **change})
