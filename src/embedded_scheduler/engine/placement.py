"""Which runner runs an attempt.

The first of these that says something decides:

1. the job, for this node's own parts, if this node submitted it (`job_params.<role>.<index>.runner`);
2. the component's registration (`runner`);
3. the first rule of `runners.rules` that fits the component and what the part may use.

What decides so is binding: if that runner cannot run it, it does not run. Else `runners.default` runs it if it can,
else the first runner that can. What a partner writes into a job decides nothing here: where things run is this node's
matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from embedded_scheduler.config import Limits, RunnersSection
from embedded_scheduler.domain.component import ComponentManifest
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.limits import EffectiveLimit, effective_limits
from embedded_scheduler.domain.party import Party
from embedded_scheduler.engine.admission import GIB, MemoryBudget, gib_text
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.sentences import Sentence, Words, say, together
from embedded_scheduler.spi.runner import DependentRunner, DistantRunner, Runner
from embedded_scheduler.store.components import Component


@dataclass(frozen=True, slots=True)
class Part:
    """One party's part of a task, as far as it matters for where it runs. `own` = this node submitted the job."""

    spec: JobSpec
    task_name: str
    party: Party
    own: bool


@dataclass(frozen=True, slots=True)
class Placed:
    runner: Runner
    why: Words = ""
    """Who chose it; empty = it was the first that can."""


_NO_CAPS = Limits()


@dataclass(frozen=True, slots=True)
class Placement:
    """The runners of a node and its rules about them."""

    runners: Mapping[str, Runner]
    settings: RunnersSection
    caps: Limits = _NO_CAPS
    memory: MemoryBudget | None = None

    def limits(self, part: Part, manifest: ComponentManifest) -> tuple[EffectiveLimit, ...]:
        """What a part of a job may use here, and who said so."""
        caps = self.caps
        most = {
            "cpu": caps.attempt_cpu,
            "memory": caps.attempt_memory,
            "disk": caps.attempt_disk,
            "hours": caps.attempt_hours,
        }
        return effective_limits(part.spec.resources(part.party), manifest.resources, most)

    def too_much(self, component: Component, manifest: ComponentManifest, part: Part) -> Words:
        """Why a part can never start on this machine: it may use more memory than all components together; empty = it
        can, or runs elsewhere."""
        wanted = next((one.value for one in self.limits(part, manifest) if one.kind == "memory"), 0.0)
        if self.memory is None or wanted * GIB <= self.memory.bytes:
            return ""
        try:
            if isinstance(self.place(component, part).runner, DistantRunner):
                return ""
        except Unavailable:
            # Where it will run is not known yet.
            return ""
        return say("too_much_memory", party=part.party.key, needs=gib_text(wanted * GIB), of=self.memory.text)

    def place(self, component: Component, part: Part | None = None) -> Placed:
        """The runner for a component, or for a part of a job with it.

        `Refused` says why none runs it; `Unavailable`, why none does just now.
        """
        name, why = self._wanted(component, part)
        if name:
            return Placed(self._bound(name, why, component.image_url), why)
        default = self.runners.get(self.settings.default)
        if default is not None and not default.accepts(component.image_url):
            return Placed(default, "runners.default")
        refusals: list[Words] = []
        for runner in self.runners.values():
            refusal = runner.accepts(component.image_url)
            if not refusal:
                return Placed(runner)
            refusals.append(refusal)
        # Of several only those count that may run it later: the others never will.
        if away := [runner for runner in self.runners.values() if _is_away(runner, component.image_url)]:
            raise Unavailable(together([runner.accepts(component.image_url) for runner in away]))
        raise Refused(why_none(refusals))

    def refusal(self, component: Component, part: Part | None = None) -> Words:
        """Why no runner runs it; empty = one does."""
        try:
            self.place(component, part)
        except (Refused, Unavailable) as refused:
            return refused.words
        return ""

    def _wanted(self, component: Component, part: Part | None) -> tuple[str, Words]:
        if part is not None and part.own:
            name = part.spec.runner_hint(part.task_name, part.party)
            if name:
                return name, say("chosen_by_job")
        if component.runner:
            return component.runner, say("chosen_by_registration")
        for number, rule in enumerate(self.settings.rules, 1):
            resources = part.spec.resources(part.party) if part is not None else {}
            if fnmatchcase(f"{component.provider}/{component.name}", rule.component) and _reach(
                resources, rule.cpu, rule.memory
            ):
                return rule.runner, say("chosen_by_rule", number=number)
        return "", ""

    def _bound(self, name: str, why: Words, image_url: str) -> Runner:
        runner = self.runners.get(name)
        if runner is None:
            raise Refused(say("runner_unknown", why=why, runner=shorten(name), runners=tuple(self.runners)))
        refusal = runner.accepts(image_url)
        if refusal:
            words = say("runner_cannot", runner=name, why=why, refusal=refusal)
            raise Unavailable(words) if _is_away(runner, image_url) else Refused(words)
        return runner


_ANOTHER_KIND = frozenset({"no_image", "address_unknown_kind", "kubernetes_images_only"})
"""Refusals of runners that addresses like this one are not for."""


def why_none(refusals: Sequence[Words]) -> Words:
    """Why no runner runs it: what those say that could, if there are any."""
    meant = [words for words in refusals if not (isinstance(words, Sentence) and words.code in _ANOTHER_KIND)]
    return together(meant or refusals) or say("no_runner")


def _is_away(runner: Runner, image_url: str) -> bool:
    """Whether it refuses an address only as long as something is away that it needs."""
    return isinstance(runner, DependentRunner) and runner.away(image_url)


def _reach(resources: Mapping[str, object], cpu: float, memory: float) -> bool:
    """Whether a part may use at least so much: without a limit any amount, and nothing said is nothing."""
    return all(_amount(resources.get(name)) >= least for name, least in (("cpu", cpu), ("memory", memory)))


def _amount(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        return 0.0
    return float("inf") if number < 0 else number
