"""What would become of a job that is not submitted yet: the checks of its creation, and what partners say they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.policy import Action
from embedded_scheduler.engine import compatibility, creation, space, trials
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NodeError
from embedded_scheduler.sentences import Words

_JOB_ID = "rehearsal"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`problems`: it would be refused, or could not run here; `warnings`: what may turn out wrong later."""

    problems: tuple[Words, ...]
    warnings: tuple[Words, ...] = ()
    coordinator: str = ""


async def rehearse(engine: Engine, document: Mapping[str, Any]) -> Rehearsal:
    """Check a job as its submission would, without storing, counting or sending it. Partners are asked what components
    they have, where their protocol has a question for that."""
    try:
        spec, coordinator = await creation.plan(engine, _JOB_ID, document)
        ruling, problems = await trials.try_document(engine, spec.document, text=None, coordinator=coordinator)
    except NodeError as error:
        return Rehearsal((error.words,))
    refused = (ruling.note,) if ruling.action is Action.REFUSE else ()
    said = (finding.sentence for finding in await compatibility.of_job(engine, spec))
    warnings = (*spec.flow.warnings, *filter(None, said))
    full = await space.no_room(engine)
    return Rehearsal((*problems, *refused, *((full,) if full else ())), warnings, coordinator)
