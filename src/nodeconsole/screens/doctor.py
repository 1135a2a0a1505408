"""What is wrong here and how to repair it: the node's own findings, and what the console finds about its terminal."""

from __future__ import annotations

import locale
import os
import time
from typing import TYPE_CHECKING, ClassVar

from nodeconsole import __version__
from nodeconsole.actions import GLOBAL
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.checks import CHECKS, Check, Terminal, checks
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Finding


class DoctorScreen(ListingScreen[Check]):
    """Looks when it is opened, and again on `r`: some of the node's checks read files and ask the database."""

    SCOPES: ClassVar[tuple[str, ...]] = ("list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 8

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._findings: list[Finding] = []
        self._latency_ms: int | None = None

    @property
    def listing(self) -> Listing[Check]:
        return CHECKS

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything:
            return True
        began = time.monotonic()
        status = await self.session.ask(lambda client: client.status())
        self._latency_ms = round((time.monotonic() - began) * 1000) if status is not None else None
        report = await self.session.ask(lambda client: client.doctor())
        if report is None:
            return False
        self._findings, self._loaded = report.findings, True
        self.retranslate()
        return True

    def repaint_body(self) -> None:
        if self._loaded:
            self.rows = checks(self._findings, self._terminal(), self.session.display())
        super().repaint_body()

    def counted(self) -> str:
        wrong = sum(CHECKS.problem(check) for check in self.rows)
        return self.session.text("doctor.wrong", n=wrong, total=len(self.rows)) if self._loaded else ""

    def why(self) -> Line:
        check = self.main.item
        return (Span(check.fix or check.text, "ok" if check.fix else ""),) if check is not None else ()

    def _terminal(self) -> Terminal:
        status, session = self.session.status, self.session
        return Terminal(
            environ=os.environ,
            encoding=locale.getencoding(),
            colors=self.app.console.color_system or "",
            # Textual keeps what the terminal answered to itself.
            sync_output=bool(getattr(self.app, "_sync_available", False)),
            width=self.app.size.width,
            height=self.app.size.height,
            glyphs=session.glyphs.name,
            latency_ms=self._latency_ms,
            console_version=__version__,
            node_version=status.version if status is not None else "",
            faults=session.faults,
        )
