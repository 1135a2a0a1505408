"""A test of the route to a partner, in place, with the page for the network department."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.i18n.request_sheet import request_sheet
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.saving import save
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.linktest import report_lines, verdict
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.linktest import LinkReport

_SAVE = "sheet"


class LinkTestScreen(Moves, ConsoleScreen):
    """`target` is an address, an invitation code or a test code. The test begins at once; leaving does not stop what
    the node has begun."""

    SCOPES: ClassVar[tuple[str, ...]] = ("linktest", "move", GLOBAL)

    def __init__(self, session: Session, target: str) -> None:
        super().__init__(session)
        self._target = target
        self._report: LinkReport | None = None
        self._under_way = False
        self._failed = ""

    def on_mount(self) -> None:
        super().on_mount()
        self.act_linktest_again()

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="report")

    @property
    def main(self) -> Sheet:
        return self.query_one("#report", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        return (
            Span(f" {text('peers.heading')} > ", "dim"),
            Span(f"{text('linktest.title')} > {printable(self._target)}", "accent"),
        ), ()

    def why(self) -> Line:
        if self._report is None or self._under_way:
            return ()
        sentence, role = verdict(self._report, self.session.display())
        return (Span(sentence, role),)

    def repaint_body(self) -> None:
        width = max(20, self.main.view_width - 2)
        self.main.show([(Span(" "), *line) for line in self._lines(width)])

    def _lines(self, width: int) -> list[Line]:
        display = self.session.display()
        if self._under_way:
            running = display.text("linktest.running", target=printable(self._target))
            return [(Span(part, "run"),) for part in wrap(running, width)]
        if self._failed:
            failed = display.text("linktest.failed", why=printable(self._failed))
            return [(Span(part, "bad"),) for part in wrap(failed, width)]
        return report_lines(self._report, display, width) if self._report is not None else []

    def act_linktest_again(self, *_: str) -> None:
        self._start(quick=True)

    def act_linktest_full(self, *_: str) -> None:
        self._start(quick=False)

    def _start(self, *, quick: bool) -> None:
        if not self._under_way:
            self._under_way, self._failed = True, ""
            self.run_worker(self._test(quick=quick), group="linktest")
            self.retranslate()

    async def _test(self, *, quick: bool) -> None:
        try:
            report = await self.session.ask(lambda client: client.test_link(self._target, quick=quick))
        finally:
            self._under_way = False
        if report is not None:
            self._report = report
        elif self.session.flash is not None:
            self._failed = self.session.flash.text
        self.retranslate()

    def act_linktest_sheet(self, *_: str) -> None:
        self.run_worker(self._show_sheet(), group="sheet")

    async def _show_sheet(self) -> None:
        from nodeconsole.screens.document import DocumentScreen  # noqa: PLC0415 - loaded when it is asked for

        page = await self._page()
        if page is not None:
            title = self.session.text("action.linktest.sheet")
            self.app.push_screen(
                DocumentScreen(self.session, title, [(Span(f" {printable(line)}"),) for line in page.splitlines()])
            )

    async def _page(self) -> str | None:
        own = await self.session.ask(lambda client: client.own_side())
        if own is None:
            return None
        language = "zh" if self.session.catalogue.language.startswith("zh") else "en"
        facts = {name: str(value) for name, value in own.model_dump().items()}
        return request_sheet(language, own=facts, target=self._target)

    def act_linktest_save(self, *paths: str) -> None:
        if paths:
            self.prompt_entered(_SAVE, paths[0])
        else:
            self.open_prompt(_SAVE, f"{self.session.text('linktest.where')}:", "network-request.txt")

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == _SAVE and text.strip():
            self.run_worker(self._save(Path(text.strip()).expanduser()), group="sheet")

    async def _save(self, path: Path) -> None:
        page = await self._page()
        if page is not None:
            await save(self.session, path, page)
