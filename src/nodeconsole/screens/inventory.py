"""A list that the node sends whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.listing import Listing

if TYPE_CHECKING:
    from nodeconsole.client import NodeClient


@dataclass(frozen=True, slots=True)
class Kind:
    """A list that the node sends whole. `subjects` is what events call the things that it consists of."""

    listing: Listing[Any]
    subjects: frozenset[str]
    load: Callable[[NodeClient], Awaitable[Sequence[Any]]]


class InventoryScreen(ListingScreen[Any]):
    PREVIEW_LINES: ClassVar[int] = 7
    DEFAULT_CSS = """
    InventoryScreen #list.-below #preview { height: 7; }
    """

    def __init__(self, session: Session, kind: Kind) -> None:
        super().__init__(session)
        self._kind = kind

    @property
    def listing(self) -> Listing[Any]:
        return self._kind.listing

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not self._kind.subjects & changes.subjects:
            return True
        kind = self._kind
        rows = await self.session.ask(kind.load)
        if rows is None or kind is not self._kind:
            # Another kind was chosen meanwhile: what came is not for it.
            return False
        self.take_rows(rows)
        return True
