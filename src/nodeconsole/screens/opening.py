"""The page of something that was found by its name."""

from __future__ import annotations

from typing import Any

from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.palette import Entry


def page_of(entry: Entry, session: Session) -> ConsoleScreen:
    """As the list of its kind opens it. Modules are loaded when they are asked for."""
    thing: Any = entry.thing
    match entry.kind:
        case "job" if thing.needs_decision:
            from nodeconsole.screens.card import CardScreen  # noqa: PLC0415

            return CardScreen(session, thing.job_id)
        case "job":
            from nodeconsole.screens.job import JobScreen  # noqa: PLC0415

            return JobScreen(session, thing.job_id)
        case "partner":
            from nodeconsole.screens.partner import PartnerScreen  # noqa: PLC0415

            return PartnerScreen(session, thing.node_id)
        case "dataset":
            from nodeconsole.screens.data import DatasetScreen  # noqa: PLC0415
            from nodeconsole.viewmodels.data import OwnData  # noqa: PLC0415

            return DatasetScreen(session, OwnData(thing))
        case "component":
            from nodeconsole.screens.components import ComponentScreen  # noqa: PLC0415

            listed: Any = entry.among
            return ComponentScreen(session, thing, listed)
        case kind:
            raise ValueError(kind)
