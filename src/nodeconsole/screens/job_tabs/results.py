"""What the tasks stored on this node, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nodeconsole.screens import keeping
from nodeconsole.screens.job_tabs.tab import PanelTab
from nodeconsole.viewmodels.job import result_cells, result_columns, result_lines
from nodeconsole.viewmodels.results import preview_lines
from nodeconsole.viewmodels.space import keeping_span
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import printable, size
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, ResultRow
    from embedded_scheduler.wire.console_tasks import ResultPreview
    from nodeconsole.screens.job import JobScreen


class ResultsTab(PanelTab):
    name = "results"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self.table: VirtualTable[ResultRow] = VirtualTable(_result_key, result_cells, id="results")
        self._previews: dict[tuple[str, int], ResultPreview] = {}
        """By output and size: what is stored anew is asked for anew."""

    @property
    def main(self) -> VirtualTable[ResultRow]:
        return self.table

    async def load(self) -> bool:
        row, detail = self.table.item, self.screen.detail
        if row is None or detail is None or (_result_key(row), row.size) in self._previews:
            return True
        found = await self.session.ask(lambda client: client.result(detail.job.job_id, row.task, row.party, row.output))
        if found is not None:
            self._previews[_result_key(row), row.size] = found
            self.screen.retranslate()
        return found is not None

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self.table.set_columns(result_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        gone = keeping_span(detail.keeping, display) if detail.keeping.removed_ms is not None else None
        hint = gone.text if gone is not None else display.text("results.none_hint")
        self.table.show(detail.results, empty=(display.text("results.none"), hint))
        self.show_panel(display.text("results.about"), self._lines(self.panel_width))

    def _lines(self, width: int) -> list[Line]:
        row, display = self.table.item, self.session.display()
        if row is None:
            return []
        preview = self._previews.get((_result_key(row), row.size))
        shown = preview_lines(preview, display, width) if preview else []
        return [*shown, (), *result_lines(row, display, width)]

    def note(self) -> str:
        """What becomes of them."""
        detail = self.screen.detail
        found = keeping_span(detail.keeping, self.session.display()) if detail is not None else None
        return found.text if found is not None else ""

    def offered(self) -> Sequence[str]:
        return self.screen.detail.keeping.actions if self.screen.detail is not None else ()

    def act_results_keep(self, *_: str) -> None:
        if self.screen.detail is not None:
            keeping.keep(self.screen, self.session, self.screen.detail.job.job_id)

    def act_results_release(self, *_: str) -> None:
        if self.screen.detail is not None:
            keeping.release(self.screen, self.session, self.screen.detail.job.job_id)

    def act_results_discard(self, *_: str) -> None:
        detail = self.screen.detail
        if detail is not None:
            total = sum(row.size for row in detail.results)
            keeping.ask_discard(self.screen, self.session, detail.job.job_id, total)

    def find(self, text: str) -> None:
        self.find_row(self.table, text, _result_key)

    def opened(self) -> None:
        self.act_results_open()

    def act_results_open(self) -> None:
        row = self.table.item
        if row is not None:
            title = f"{printable(row.task)}.{printable(row.output)}"
            self.screen.open_lines(title, self._lines(max(20, self.screen.size.width - 3)))

    def act_results_save(self, *path: str) -> None:
        row = self.table.item
        if row is None:
            return
        if path:
            self.save(path[0])
        else:
            suffix = {"dataset": ".csv", "report": ".json", "metric": ".json"}.get(row.type, "")
            self.screen.open_prompt("save", self.session.text("log.save_to"), f"{row.task}-{row.output}{suffix}")

    def save(self, path: str) -> None:
        row, detail = self.table.item, self.screen.detail
        if row is not None and detail is not None:
            self.screen.work("save", self._save, Path(path).expanduser(), detail.job.job_id, row)

    async def _save(self, path: Path, job_id: str, row: ResultRow) -> None:
        """The name says the form: .csv, .json, .html, .png; any other = as it is stored."""
        from nodeconsole.exports.forms import ExportError  # noqa: PLC0415 - loaded when it is asked for
        from nodeconsole.exports.saving import save_result  # noqa: PLC0415

        text = self.session.text
        try:
            stored = await self.session.ask(lambda client: save_result(client, job_id, row, path))
        except (OSError, ExportError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            self.session.say(text("log.not_saved", path=path, error=why or error), "bad")
        else:
            if stored is not None:
                self.session.say(text("message.saved", size=size(stored), path=path), "ok")


def _result_key(row: ResultRow) -> str:
    return f"{row.task}/{row.party}/{row.output}"
