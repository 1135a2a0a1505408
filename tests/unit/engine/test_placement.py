"""Which runner runs a part of a job: who is heard, in which order, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from embedded_scheduler.config import RunnerRule, RunnersSection
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.party import Party
from embedded_scheduler.engine.placement import Part, Placement
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.store.components import Component

GUEST = Party("guest", 0, "alice")


@dataclass
class Stub:
    """Of a runner, what placing looks at."""

    name: str
    schemes: tuple[str, ...]

    def accepts(self, image_url: str) -> str:
        return "" if image_url.startswith(self.schemes) else f"{self.name} does not run {image_url}"


RUNNERS: Mapping[str, Any] = {
    "process": Stub("process", ("builtin:", "exec:")),
    "container": Stub("container", ("registry/",)),
    "ray": Stub("ray", ("builtin:", "exec:")),
    "kubernetes": Stub("kubernetes", ("registry/",)),
}
RULES = (
    RunnerRule(component="acme/Big*", runner="ray"),
    RunnerRule(memory=32, runner="ray"),
    RunnerRule(component="acme/*", cpu=8, memory=8, runner="ray"),
    RunnerRule(component="other/Image", runner="kubernetes"),
)


def component(name: str = "acme/Join", image: str = "builtin:join", runner: str = "") -> Component:
    provider, _, short = name.partition("/")
    return Component(provider, short, "1", "", image, {}, 0, "test", runner=runner)


def part(*, own: bool = True, runner: object = None, **resources: object) -> Part:
    params: dict[str, Any] = {"resources": resources}
    if runner is not None:
        params["runner"] = runner
    document = {
        "flow_id": "f",
        "dag": {"components": [{"name": "join", "provider": "acme", "componentName": "Join"}]},
        "config": {
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"]},
            "job_params": {"guest": {"0": params}},
        },
    }
    return Part(parse_job("j", document), "join", GUEST, own)


@pytest.mark.parametrize(
    ("settings", "registered", "wanted", "runner", "why"),
    [
        ({}, component(), part(), "process", ""),
        ({}, component(), None, "process", ""),
        ({}, component(image="registry/a"), part(), "container", ""),
        ({"default": "ray"}, component(), part(), "ray", "runners.default"),
        ({"default": "ray"}, component(image="registry/a"), part(), "container", ""),
        ({"default": "gone"}, component(), part(), "process", ""),
        ({"rules": RULES}, component(), part(), "process", ""),
        ({"rules": RULES}, component("acme/BigJoin"), part(), "ray", "rule 1 of runners.rules"),
        ({"rules": RULES}, component(), part(memory=32), "ray", "rule 2 of runners.rules"),
        ({"rules": RULES}, component(), part(memory="64"), "ray", "rule 2 of runners.rules"),
        ({"rules": RULES}, component(), part(memory=-1), "ray", "rule 2 of runners.rules"),
        ({"rules": RULES}, component(), part(memory=8, cpu=8), "ray", "rule 3 of runners.rules"),
        ({"rules": RULES}, component(), part(memory=8, cpu=4), "process", ""),
        ({"rules": RULES}, component("b/Join"), part(memory=8, cpu=8), "process", ""),
        ({"rules": RULES}, component("other/Image", "registry/a"), part(), "kubernetes", "rule 4 of runners.rules"),
        (
            {"rules": RULES},
            component(runner="process"),
            part(memory=64),
            "process",
            "the component is registered for it",
        ),
        ({}, component(runner="process"), part(runner="ray"), "ray", "the job asks for it"),
        ({}, component(), part(runner={"join": "ray"}), "ray", "the job asks for it"),
        ({}, component(), part(runner={"other": "ray"}), "process", ""),
        ({}, component(), part(runner="ray", own=False), "process", ""),
        ({}, component(), part(runner=["ray"]), "process", ""),
    ],
)
def test_the_first_that_says_something_decides(
    settings: dict[str, Any], registered: Component, wanted: Part | None, runner: str, why: str
) -> None:
    placed = Placement(RUNNERS, RunnersSection(**settings)).place(registered, wanted)
    assert (placed.runner.name, str(placed.why)) == (runner, why)


@pytest.mark.parametrize(
    ("rules", "registered", "wanted", "said"),
    [
        (
            (),
            component(),
            part(runner="spark"),
            "the job asks for it, but this node has no runner 'spark': it has process",
        ),
        ((), component(runner="ray", image="registry/a"), part(), "runner ray (the component is registered for it)"),
        (RULES, component("acme/BigImage", "registry/a"), part(), "runner ray (rule 1 of runners.rules) cannot run it"),
        ((), component(image="ftp://x"), part(), "process does not run ftp://x; container does not run ftp://x"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_not_replaced(
    rules: tuple[RunnerRule, ...], registered: Component, wanted: Part, said: str
) -> None:
    placement = Placement(RUNNERS, RunnersSection(rules=rules))
    with pytest.raises(Refused) as refused:
        placement.place(registered, wanted)
    assert said in refused.value.message
    assert str(placement.refusal(registered, wanted)) == refused.value.message


@dataclass
class Dependent(Stub):
    """A runner whose engine is away."""

    def accepts(self, image_url: str) -> str:
        return super().accepts(image_url) or "the engine is away"

    def away(self, image_url: str) -> bool:
        return not super().accepts(image_url)


@pytest.mark.parametrize("runner", ["", "container"])
@pytest.mark.parametrize(
    ("image", "error", "said"),
    [("registry/a", Unavailable, "the engine is away"), ("elsewhere/a", Refused, "container does not run elsewhere/a")],
)
def test_what_is_away_may_come_back_and_what_is_not_run_never_will_be(
    runner: str, image: str, error: type[Exception], said: str
) -> None:
    runners: Mapping[str, Any] = {**RUNNERS, "container": Dependent("container", ("registry/",))}
    runners = {name: runners[name] for name in ("process", "container")}
    placement = Placement(runners, RunnersSection())
    with pytest.raises(error, match=said):
        placement.place(component(image=image, runner=runner))
    assert said in str(placement.refusal(component(image=image, runner=runner)))
