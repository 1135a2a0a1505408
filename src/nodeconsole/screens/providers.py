"""What fields offer to choose from, asked of the node; nothing of it waits longer than a person would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from algorithm_components.sdk.forms.model import Choice
from nodeconsole.screens.session import Session

_SECONDS = 3.0
_LONGEST = 200
_DATASETS = "datasets"
RUNNERS = "runners"


def _named_runners(session: Session, runners: Sequence[Choice]) -> list[Choice]:
    """What each runner is, in words; those of third parties have their names alone."""
    words = session.display().catalogue
    return [Choice(one.value, words.get(f"runner.{one.value}", one.label)) for one in runners]


async def choices_of(
    session: Session, name: str, filled: Mapping[str, str], *, node_id: str = ""
) -> Sequence[Choice] | str:
    """The choices of a provider, or why there are none. `node_id`: whose data is meant; empty = this node's."""
    from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

    if session.client is None or not session.online:
        return session.text("form.offline")
    own = session.status.node_id if session.status is not None else ""
    short = {key: value for key, value in filled.items() if value and len(value) <= _LONGEST}
    try:
        async with asyncio.timeout(_SECONDS):
            if name == _DATASETS and node_id not in ("", own):
                shown = await session.client.partner_datasets(node_id)
                return [Choice(row.dataset_id, row.description) for row in shown]
            found = [Choice(row.value, row.label) for row in await session.client.choices(name, short)]
            return _named_runners(session, found) if name == RUNNERS else found
    except TimeoutError:
        return session.text("form.too_slow", seconds=int(_SECONDS))
    except (ClientError, NodeUnreachable) as error:
        return error.message
