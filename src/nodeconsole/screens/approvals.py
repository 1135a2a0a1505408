"""Everything that waits for a person of this node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.neighbours import Neighbours
from nodeconsole.screens.session import Session
from nodeconsole.screens.snoozing import snooze, snoozed
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.requests import (
    Request,
    request_cells,
    request_columns,
    request_facts,
    request_why,
    requests,
)
from nodeconsole.viewmodels.spans import Line

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import GrantRow

_MOST = 500
"""Of jobs and of requests; the newest are listed and the heading says that there are more."""


REQUESTS: Listing[Request] = Listing(
    "approvals",
    lambda request: request.key,
    request_columns,
    request_cells,
    values={"age": lambda request, _: -request.since_ms},
    facts=request_facts,
    document=lambda request: as_document(request.row),
    title=lambda request: request.title,
)


class ApprovalsScreen(ListingScreen[Request]):
    SCOPES: ClassVar[tuple[str, ...]] = ("approvals", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._jobs: Sequence[JobRow] = ()
        self._contracts: Sequence[ContractRow] = ()
        self._grants: Sequence[GrantRow] = ()
        self._more = False

    @property
    def listing(self) -> Listing[Request]:
        return REQUESTS

    def counted(self) -> str:
        shown = super().counted()
        return self.session.text("list.and_more", shown=shown) if self._more and shown else shown

    def why(self) -> Line:
        request = self.main.item
        return () if request is None else request_why(request, self.session.display())

    def offered(self) -> Sequence[str]:
        request = self.main.item
        return () if request is None else request.actions

    async def reload(self, changes: Changes) -> bool:
        jobs = changes.everything or bool(changes.jobs)
        if jobs and not await self._load_jobs():
            return False
        if (changes.everything or "contract" in changes.subjects) and not await self._load_contracts():
            return False
        if (changes.everything or "grant" in changes.subjects) and not await self._load_grants():
            return False
        news, self._loaded = self._loaded, True
        self.rows = requests(self._jobs, self._contracts, self._grants, snoozed(self.session))
        self.show_rows(news=news)
        self.repaint_chrome()
        return True

    def tick(self) -> None:
        super().tick()
        # Nobody says when an hour is over.
        if self._loaded and any(one.snoozed_ms and one.snoozed_ms <= self.session.now_ms() for one in self.rows):
            self.changed(Changes(subjects=frozenset({"snooze"})))

    async def _load_jobs(self) -> bool:
        page = await self.session.ask(lambda client: client.jobs(needs_decision=True, limit=_MOST))
        if page is not None:
            self._jobs, self._more = page.jobs, page.next is not None
        return page is not None

    async def _load_contracts(self) -> bool:
        rows = await self.session.ask(lambda client: client.contracts())
        if rows is not None:
            self._contracts = rows
        return rows is not None

    async def _load_grants(self) -> bool:
        page = await self.session.ask(lambda client: client.grants(direction="in", state="APPLIED", limit=_MOST))
        if page is not None:
            self._grants = page.grants
        return page is not None

    def act_list_open(self, *_: str) -> None:
        request = self.main.item
        if request is not None:
            self.app.push_screen(self._card(request))

    def _card(self, request: Request) -> ConsoleScreen:
        return _card(self.session, request, Neighbours(self._neighbour, self._place))

    def _neighbour(self, step: int) -> ConsoleScreen | None:
        before = self.main.key
        self.main.move(step)
        request = self.main.item
        return self._card(request) if request is not None and request.key != before else None

    def _place(self) -> tuple[int, int]:
        return self.main.cursor + 1, len(self.main.items)

    def act_approvals_snooze(self, *_: str) -> None:
        if self.main.item is not None:
            snooze(self, self.main.item.key)

    def act_approvals_approve(self, *_: str) -> None:
        # The card first: nobody decides on a line of a list.
        self.act_list_open()

    def act_approvals_reject(self, *_: str) -> None:
        self.act_list_open()


def _card(session: Session, request: Request, neighbours: Neighbours) -> ConsoleScreen:
    from nodeconsole.screens.card import CardScreen  # noqa: PLC0415 - loaded when it is asked for
    from nodeconsole.screens.contract import ContractScreen  # noqa: PLC0415
    from nodeconsole.screens.grant import GrantScreen  # noqa: PLC0415

    if request.job is not None:
        return CardScreen(session, request.job.job_id, neighbours)
    if request.contract is not None:
        return ContractScreen(session, request.contract.contract_id, neighbours)
    assert request.grant is not None
    return GrantScreen(session, request.grant.grant_id, neighbours)
