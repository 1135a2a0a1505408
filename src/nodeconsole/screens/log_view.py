"""What every view of a log has: levels, margin, wrapping, bookmarks, searching in what is here, saving, paging."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.places import create_file
from nodeconsole.programs import environment_for_others
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.logs import LEVELS, Stamps, line_role, matcher, readable_block
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.viewmodels.times import clock_seconds
from nodeconsole.widgets.log import VirtualLog

_REPAINT_SECONDS = 0.2
_SAVE_EVERY = 20
"""Batches of lines after which a save says how far it is."""


class LogView(Moves, ConsoleScreen):
    """Subclasses fill `main.buffer` and say what they show."""

    SCOPES: ClassVar[tuple[str, ...]] = ("log", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.level = "debug"
        self.progress = ""
        """What is being searched or saved right now."""
        self._repaint_planned = False

    def body(self) -> Iterable[Widget]:
        yield VirtualLog(id="log")

    @property
    def main(self) -> VirtualLog:
        return self.query_one("#log", VirtualLog)

    def repaint_body(self) -> None:
        self.main.set_texts(self.session.catalogue.template("log.gap"))
        self.main.margin = replace(self.main.margin, zone=self.session.zone, bookmark=self.session.glyphs.cursor)
        self.main.repaint()

    # What subclasses know.

    def start_over(self) -> None:
        """Show from the beginning again: another level was chosen, or times are wanted."""
        raise NotImplementedError

    def whole(self) -> AsyncIterator[list[str]]:
        """Everything that is shown, in batches, also what is not loaded."""
        raise NotImplementedError

    @property
    def file_name(self) -> str:
        """What a saved file is called unless one says otherwise."""
        raise NotImplementedError

    @property
    def wants_times(self) -> bool:
        return self.main.margin.stamps is not Stamps.OFF

    # What is said.

    def levels(self) -> Line:
        """The levels with how many lines each lets through."""
        counts = self.main.buffer.counts
        spans = []
        for number, level in enumerate(LEVELS, 1):
            shown = count(counts[level]) if level in counts else ""
            label = f"{number} {self.session.text(f'log.level.{level}')} {shown}".rstrip()
            spans.append(Span(f" {label} ", "match" if level == self.level else "dim"))
        return tuple(spans)

    def why(self) -> Line:
        text, log = self.session.text, self.main
        total = log.buffer.total
        if not total:
            return (Span(self.progress or text("log.empty"), "wait" if self.progress else "dim"),)
        spans = [Span(text("log.position", line=count(log.cursor + 1), total=count(total)))]
        if log.buffer.complete:
            spans.append(Span(f"  {text('log.complete')}", "dim"))
        elif log.following:
            spans.append(Span(f"  {text('log.following')}", "run"))
        else:
            spans.append(Span(f"  {text('log.paused')}", "wait"))
        if log.wrapped:
            spans.append(Span(f"  {text('log.wrapped')}", "dim"))
        if log.pattern:
            spans.append(Span(f"  {text('log.search', pattern=printable(log.pattern))}{self.found_count()}", "dim"))
        if self.progress:
            spans.append(Span(f"  {self.progress}", "wait"))
        return tuple(spans)

    def found_count(self) -> str:
        """` 3/118`, when it is known."""
        return ""

    def say_progress(self, progress: str) -> None:
        self.progress = progress
        self.repaint_chrome()

    def plan_repaint(self) -> None:
        """However fast lines come, the screen changes a few times a second."""
        if not self._repaint_planned:
            self._repaint_planned = True
            self.set_timer(_REPAINT_SECONDS, self._repaint_now)

    def _repaint_now(self) -> None:
        self._repaint_planned = False
        if self._whole:
            self.take_arrived()
            self.main.grown()
            self.repaint_chrome()

    def take_arrived(self) -> None:
        """Put what came since the last repaint into the lines."""

    def on_virtual_log_scrolled(self) -> None:
        self.repaint_chrome()

    # Levels and looks.

    def _set_level(self, level: str) -> None:
        if level != self.level:
            self.level = level
            self.start_over()

    def act_log_all(self) -> None:
        self._set_level("debug")

    def act_log_info(self) -> None:
        self._set_level("info")

    def act_log_warn(self) -> None:
        self._set_level("warn")

    def act_log_error(self) -> None:
        self._set_level("error")

    def act_log_follow(self) -> None:
        self.main.follow()

    def act_log_wrap(self) -> None:
        self.main.toggle_wrap()
        self.repaint_chrome()

    def act_log_left(self) -> None:
        self.main.sideways(-1)

    def act_log_right(self) -> None:
        self.main.sideways(1)

    def act_log_numbers(self) -> None:
        self.main.margin = replace(self.main.margin, numbers=not self.main.margin.numbers)
        self.main.grown()

    def act_log_times(self) -> None:
        had = self.wants_times
        stamps = self.main.margin.stamps.after()
        self.main.margin = replace(self.main.margin, stamps=stamps)
        self.session.say(self.session.text(f"log.times.{stamps.value}"), "dim")
        if self.wants_times and not had:
            self.start_over()
        else:
            self.main.grown()

    # Bookmarks and marks.

    def _keep_bookmarks(self, bookmarks: frozenset[int]) -> None:
        self.main.margin = replace(self.main.margin, bookmarks=bookmarks)
        self.main.repaint()

    def act_log_bookmark(self) -> None:
        self._keep_bookmarks(self.main.margin.bookmarks ^ {self.main.cursor})

    def act_log_bookmark_next(self) -> None:
        places = sorted(self.main.margin.bookmarks)
        if not places:
            self.session.say(self.session.text("log.no_bookmark"), "dim")
            return
        self.main.show_line(next((place for place in places if place > self.main.cursor), places[0]))

    def act_log_rule(self) -> None:
        """A mark behind the last line: what comes below it came after this moment."""
        if self.main.buffer.total:
            now = clock_seconds(self.session.now_ms(), self.session.zone)
            rule = self.session.glyphs.rule * 4
            self.main.rules[self.main.buffer.total - 1] = f" {rule} {self.session.text('log.mark', at=now)} {rule}"
            self.main.repaint()

    # One line.

    def act_log_open(self) -> None:
        from nodeconsole.screens.document import DocumentScreen  # noqa: PLC0415 - loaded when it is asked for

        buffer, cursor = self.main.buffer, self.main.cursor
        if buffer.line(cursor) is None:
            return
        title = self.session.text("log.line", line=count(buffer.place(cursor) + 1))
        lines = readable_block(buffer.block(cursor), max(20, self.size.width - 3))
        self.app.push_screen(DocumentScreen(self.session, title, [(Span(f" {line}"),) for line in lines]))

    # Searching in what is here; a log that has more at the node looks there.

    def act_log_search(self) -> None:
        self.open_prompt("search", "\\", self.main.pattern)

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "search":
            self._search_for(text)
        elif kind == "save" and text.strip():
            self.work("save", self._save, Path(text.strip()).expanduser())

    def _search_for(self, text: str) -> None:
        try:
            matcher(text)
        except ValueError as error:
            self.session.say(self.session.text("log.bad_pattern", error=error), "bad")
            return
        self.main.pattern = text
        self.main.repaint()
        self.pattern_changed()
        if text:
            # From the end of what is seen upwards: in a log that is followed, matches lie above.
            self.find_pattern(-1 if self.main.following else 1)

    def pattern_changed(self) -> None:
        """Another text is looked for."""

    def find_pattern(self, step: int) -> None:
        self.find_here(matcher(self.main.pattern), step)

    def find_problem(self, step: int) -> None:
        self.find_here(lambda line: line_role(line) == "bad", step)

    def find_here(self, wanted: Callable[[str], bool], step: int) -> None:
        found = self.main.buffer.find(wanted, self.main.cursor + step, step)
        if found is None:
            self.say_not_found(step)
        else:
            self.main.show_line(found)

    def say_not_found(self, step: int) -> None:
        self.session.say(self.session.text("log.not_found_below" if step > 0 else "log.not_found_above"), "warn")

    def act_log_next(self) -> None:
        self._find_again(1)

    def act_log_before(self) -> None:
        self._find_again(-1)

    def _find_again(self, step: int) -> None:
        if self.main.pattern:
            self.find_pattern(step)
        else:
            self.act_log_search()

    def act_log_problem(self) -> None:
        self.find_problem(1)

    def act_log_problem_before(self) -> None:
        self.find_problem(-1)

    # Out of the console.

    def act_log_save(self, *names: str) -> None:
        if names:
            self.prompt_entered("save", " ".join(names))
        else:
            self.open_prompt("save", self.session.text("log.save_to"), self.file_name)

    async def _save(self, path: Path) -> None:
        try:
            written = await self._write(path)
        except OSError as error:
            self.session.say(self.session.text("log.not_saved", path=path, error=error.strerror or error), "bad")
        else:
            self.session.say(self.session.text("log.saved", path=path, lines=count(written)), "ok")
        finally:
            self.say_progress("")

    async def _write(self, path: Path) -> int:
        """How many lines went into the new file."""
        written = batches = 0
        with os.fdopen(create_file(path), "w", encoding="utf-8", errors="backslashreplace") as file:
            async for lines in self.whole():
                file.writelines(f"{line}\n" for line in lines)
                written, batches = written + len(lines), batches + 1
                if batches % _SAVE_EVERY == 0:
                    self.say_progress(self.session.text("log.saving", lines=count(written)))
        return written

    def act_log_pager(self) -> None:
        self.work("save", self._page_through)

    async def _page_through(self) -> None:
        pager = shlex.split(os.environ.get("PAGER", "") or "less") or ["less"]
        with tempfile.TemporaryDirectory(prefix="nodeconsole-") as directory:
            path = Path(directory) / self.file_name
            try:
                await self._write(path)
                self.say_progress("")
                with self.app.suspend():
                    subprocess.run(  # noqa: S603, ASYNC221 - the terminal is the pager's
                        [*pager, str(path)], env=environment_for_others(), check=False
                    )
            except SuspendNotSupported:
                self.session.say(self.session.text("log.no_pager"), "warn")
            except OSError as error:
                self.session.say(
                    self.session.text("log.not_paged", pager=pager[0], error=error.strerror or error), "bad"
                )

    def unwind(self) -> bool:
        """What is under way ends."""
        if not self.progress:
            return False
        for group in ("search", "save", "count"):
            self.workers.cancel_group(self, group)
        self.say_progress("")
        return True
