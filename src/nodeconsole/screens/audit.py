"""Who did what: the ledger, newest first, narrowed by the node, with the whole chain checked on request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.saving import save_stream
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.audit import AUDIT, AuditQuery, parse_audit, verified
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.listing import Listing, in_order
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, LedgerReport
    from embedded_scheduler.wire.console_pulse import LedgerPage

_PAGE = 100
_MOST = 20_000
"""Rows that are loaded to be sorted or saved; `ledger export` has all of them."""
_PAUSE = 1.0
"""Seconds between two times of asking, however much happens."""


class AuditScreen(ListingScreen["EventRow"]):
    SCOPES: ClassVar[tuple[str, ...]] = ("audit", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._events: list[EventRow] = []
        self._next: int | None = None
        self._query = AuditQuery()
        self._loading_more = False
        self._report: LedgerReport | None = None

    @property
    def listing(self) -> Listing[EventRow]:
        return AUDIT

    def shown(self) -> Sequence[EventRow]:
        return in_order(self._events, AUDIT, self.view, self.session.display())

    def more(self) -> str:
        return self.session.text("audit.more", seq=count(self._next)) if self._next else ""

    def counted(self) -> str:
        if not self.has_data:
            return ""
        shown = count(len(self._events))
        return self.session.text("list.and_more", shown=shown) if self._next else shown

    def crumbs(self) -> tuple[Line, Line]:
        left, right = super().crumbs()
        if self._report is None:
            return left, right
        return left, (verified(self._report, self.session.display()), Span("  "), *right)

    def why(self) -> Line:
        event = self.main.item
        if event is None:
            return ()
        return (Span(f"{printable(event.subject_id)} ", "strong"), Span(told(event, "reason", self.session.display())))

    # Loading.

    async def reload(self, changes: Changes) -> bool:
        query = self._query
        page = await self._page(None)
        if page is None or query != self._query:
            return False
        newest = self._events[0].seq if self._events and not changes.everything else 0
        fresh = [event for event in page.events if event.seq > newest]
        if newest and (len(fresh) < len(page.events) or page.next is None or page.next <= newest):
            self._events = [*fresh, *self._events]
        else:
            self._events, self._next = list(page.events), page.next
        self._show_loaded(news=not changes.everything)
        if len(self._events) < _PAGE:
            self._want_more()
        await asyncio.sleep(_PAUSE if newest else 0)
        return True

    async def _page(self, before: int | None) -> LedgerPage | None:
        filters = self._query.filters
        return await self.session.ask(lambda client: client.ledger(before=before, limit=_PAGE, filters=filters))

    def _show_loaded(self, *, news: bool = False) -> None:
        self._loaded = True
        self.show_rows(news=news)
        self.repaint_chrome()

    def on_virtual_table_near_end(self) -> None:
        self._want_more()

    def _want_more(self) -> None:
        if self._next and not self._loading_more and self.session.online:
            self._loading_more = True
            self.run_worker(self._load_more(len(self._events) + _PAGE), group="more")

    async def _load_more(self, wanted: int) -> None:
        """Until so many rows are there. A page may be empty: the node looks at a bounded number of events per call."""
        try:
            query = self._query
            while self._next and len(self._events) < wanted and self.is_attached:
                page = await self._page(self._next)
                if page is None or query != self._query:
                    return
                self._events += page.events
                self._next = page.next
                self._show_loaded()
        finally:
            self._loading_more = False

    async def all_rows(self) -> Sequence[EventRow]:
        await self._load_more(_MOST)
        return self.main.items

    # Filter.

    def filter(self, text: str) -> None:
        """Show the events that fit; the node filters."""
        text = text.strip()
        if text == self.pattern:
            return
        self._pattern = text
        self._query = parse_audit(text, self.session.now_ms(), self.session.zone)
        self.changed(EVERYTHING)
        self.repaint_chrome()

    def filter_words(self, last: str) -> list[str]:  # noqa: ARG002 - none of the fields has a list of values
        return ["actor:", "subject:", "event:", "partner:", "job:", "since:", "until:"]

    def recall_filter(self, text: str) -> None:
        self._pattern, self._query = text, parse_audit(text, self.session.now_ms(), self.session.zone)

    def opened_with(self, *words: str) -> None:
        """`:audit 2h`, or any terms."""
        first = f"since:{words[0]}" if ":" not in words[0] and words[0][:1].isdigit() else words[0]
        self.filter(" ".join((first, *words[1:])))
        self._explain()

    # The chain.

    def act_audit_verify(self, *_: str) -> None:
        self.session.say(self.session.text("audit.verifying"), "dim")
        self.work("verify", self._verify)

    async def _verify(self) -> None:
        report = await self.session.ask(lambda client: client.ledger_verify())
        if report is None:
            return
        self._report = report
        said = verified(report, self.session.display())
        last = self.session.text("audit.last", seq=count(report.last_seq), hash=report.last_hash[:16])
        self.session.say(f"{said.text}  {last}", said.role)

    def act_audit_export(self, *words: str) -> None:
        """The whole ledger, as JSON lines."""
        if not words:
            self.open_prompt("export", self.session.text("audit.export"), "ledger.jsonl")
            return
        path = Path(" ".join(words)).expanduser()
        self.work("save", self._export, path)

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "export" and text.strip():
            self.act_audit_export(text.strip())
            return
        super().prompt_entered(kind, text)
        if kind == "filter":
            self._explain()

    def _explain(self) -> None:
        """Say what of the filter means nothing, once it is typed."""
        if self._query.unknown:
            words = " ".join(self._query.unknown)
            self.session.say(self.session.text("audit.unknown", words=words), "warn")

    async def _export(self, path: Path) -> None:
        await self.session.ask(lambda client: save_stream(self.session, path, client.ledger_export()))
