"""What the console's endpoints work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from embedded_scheduler.api.console.streams import Streams
from embedded_scheduler.api.courier import Courier
from embedded_scheduler.api.limits import Refusals, no_refusals
from embedded_scheduler.engine.contacts import Contacts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.packs import Packs
from embedded_scheduler.engine.resources import ResourceSource
from embedded_scheduler.engine.supervisor import Health
from embedded_scheduler.engine.watchdog import Watchdog
from embedded_scheduler.security.operators import Operators


@dataclass(frozen=True, slots=True)
class Console:
    """`health` answers with the present facts about the background services; `started_ms` is epoch ms."""

    engine: Engine
    streams: Streams
    contacts: Contacts
    version: str
    started_ms: int
    health: Callable[[], Sequence[Health]]
    operators: Operators
    watchdog: Watchdog
    resources: ResourceSource
    packs: Packs
    refusals: Callable[[], Refusals] = no_refusals
    """What the limits of the partner listener have turned away."""
    exhibit: bool = False
    """The node is one to look at: partners and components are stand-ins."""
    courier: Courier | None = None
    """Messages carried by hand."""

    @property
    def depth(self) -> int:
        return self.engine.settings.limits.json_depth
