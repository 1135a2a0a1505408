"""What an attempt may use, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from embedded_scheduler.sentences import Sentence, say

KINDS = ("cpu", "memory", "disk", "hours")
"""Cores, GiB, GiB, hours. The specification knows the first three; `hours` is ours."""


class Origin(StrEnum):
    """Who a limit comes from."""

    JOB = "job"
    COMPONENT = "component"
    NODE = "node"


ORIGINS: Mapping[Origin, Sentence] = {
    Origin.JOB: say("origin_job"),
    Origin.COMPONENT: say("origin_component"),
    Origin.NODE: say("origin_node"),
}


@dataclass(frozen=True, slots=True)
class EffectiveLimit:
    """`value` in the unit of its kind; `asked` = what the job wanted, where the node gives less."""

    kind: str
    value: float
    origin: Origin
    asked: float | None = None


def effective_limits(
    job: Mapping[str, object], component: Mapping[str, object], node: Mapping[str, float]
) -> tuple[EffectiveLimit, ...]:
    """One per kind that is limited. The job's word counts before the component's; the node's is the most that anybody
    gets, and what those get who say nothing. What is no positive number (-1, nothing) is no limit."""
    found = []
    for kind in KINDS:
        asked, said, most = amount(job.get(kind)), amount(component.get(kind)), amount(node.get(kind))
        wanted, origin = (asked, Origin.JOB) if asked else (said, Origin.COMPONENT)
        if most and (not wanted or wanted > most):
            found.append(EffectiveLimit(kind, most, Origin.NODE, wanted))
        elif wanted:
            found.append(EffectiveLimit(kind, wanted, origin))
    return tuple(found)


def amount(value: object) -> float | None:
    """A positive number, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None
