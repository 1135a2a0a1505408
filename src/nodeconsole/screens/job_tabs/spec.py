"""The job as it was submitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget

from nodeconsole.screens.job_tabs.tab import JobTab
from nodeconsole.viewmodels.document import coloured, json_lines, marked, places, yaml_lines
from nodeconsole.viewmodels.spans import Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail
    from nodeconsole.screens.job import JobScreen


class SpecTab(JobTab):
    name = "spec"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._sheet = Sheet(id="spec")
        self._as_yaml = False
        self._wanted = ""
        self._found = -1
        self._lines: tuple[object, list[str]] = (None, [])

    def widgets(self) -> Iterable[Widget]:
        yield self._sheet

    @property
    def main(self) -> Sheet:
        return self._sheet

    def show(self, detail: JobDetail) -> None:
        lines = self._written(detail)
        hits = set(places(lines, self._wanted))
        shown = (marked(line, self._wanted) if n in hits else coloured(line) for n, line in enumerate(lines))
        self._sheet.show([(Span(" "), *line) for line in shown])

    def _written(self, detail: JobDetail) -> list[str]:
        key = (detail.job.job_id, self._as_yaml)
        if self._lines[0] != key:
            self._lines = (key, yaml_lines(detail.spec) if self._as_yaml else json_lines(detail.spec))
        return self._lines[1]

    def note(self) -> str:
        found = len(places(self._lines[1], self._wanted))
        if self._wanted:
            return self.session.text("spec.found", text=printable(self._wanted), n=count(found))
        return "YAML" if self._as_yaml else "JSON"

    def find(self, text: str) -> None:
        self._wanted, self._found = text, -1
        self._next(1)

    def _next(self, step: int) -> None:
        found = places(self._lines[1], self._wanted)
        if not found:
            self.session.say(self.session.text("message.no_match", text=self._wanted), "dim")
        else:
            ahead = [n for n in found if (n > self._found if step > 0 else n < self._found)]
            self._found = (ahead or found)[0 if step > 0 else -1]
            self._sheet.bring_into_view(self._found)
        self.screen.retranslate()

    def act_spec_form(self) -> None:
        self._as_yaml = not self._as_yaml
        self._found = -1
        self.screen.retranslate()

    def act_spec_copy(self) -> None:
        self.screen.app.copy_to_clipboard("\n".join(self._lines[1]))
        self.session.say(self.session.text("copy.sent", what=self.session.text("job.tab.spec")), "ok")

    def act_spec_next(self) -> None:
        self._next(1)

    def act_spec_before(self) -> None:
        self._next(-1)
