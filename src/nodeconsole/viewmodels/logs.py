"""A log seen through pages: knows which lines are here, which are not yet, and how important each is."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

from nodeconsole.viewmodels.spans import Role
from nodeconsole.viewmodels.text import cells, printable

PAGE = 200
"""Lines per page: what is fetched and evicted at once."""
_LONGEST = 8192
"""Characters of a line that are kept for display; the exact bytes stay at the node."""
_LEVEL = re.compile(r"\b(?:(FATAL|CRITICAL|ERROR)|(WARN(?:ING)?)|(INFO|NOTICE)|(DEBUG|TRACE))\b")
_LEVEL_WITHIN = 80
LEVELS = ("debug", "info", "error")
"""What the node can filter by, from everything to errors alone."""


def line_role(line: str) -> Role:
    """The role of a line by the level word near its start; lines without one are plain."""
    found = _LEVEL.search(line, 0, _LEVEL_WITHIN)
    if found is None:
        return ""
    roles: tuple[Role, ...] = ("bad", "warn", "", "dim")
    return roles[(found.lastindex or 3) - 1]


class LogBuffer:
    """Lines of one log by number. Holds at most `keep` lines: pages not looked at for longest go first."""

    def __init__(self, keep: int = 60_000) -> None:
        self.total = 0
        self.complete = False
        self.counts: dict[str, int] = {}
        self.widest = 0
        """Cells of the longest line seen so far."""
        self.revision = 0
        """Counts changes, for those who keep something derived."""
        self._pages: OrderedDict[int, list[str | None]] = OrderedDict()
        self._keep_pages = max(2, keep // PAGE)

    def put(self, start: int, lines: Sequence[str], *, total: int = 0, complete: bool = False) -> None:
        """Store lines `start` …; `total` may run ahead of what is here, never back."""
        clean = [self._shown(line) for line in lines]
        if clean:
            self.widest = max(self.widest, *map(cells, clean))
        at = 0
        while at < len(clean):
            number, offset = divmod(start + at, PAGE)
            taken = clean[at : at + PAGE - offset]
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = [None] * PAGE
            page[offset : offset + len(taken)] = taken
            self._pages.move_to_end(number)
            at += len(taken)
        self.total = max(self.total, total, start + len(clean) if clean else 0)
        self.revision += 1
        self.complete = self.complete or complete
        while len(self._pages) > self._keep_pages:
            self._pages.popitem(last=False)

    @staticmethod
    def _shown(line: str) -> str:
        if len(line) > _LONGEST:
            line = f"{line[:_LONGEST]} ...+{len(line) - _LONGEST}"
        return printable(line)

    def line(self, number: int) -> str | None:
        """The line, or None when it is not here (a gap)."""
        page = self._pages.get(number // PAGE)
        return None if page is None else page[number % PAGE]

    def touch(self, first: int, last: int) -> None:
        """These lines are being looked at: keep their pages."""
        for number in range(first // PAGE, last // PAGE + 1):
            if number in self._pages:
                self._pages.move_to_end(number)

    def gap(self, first: int, last: int) -> tuple[int, int] | None:
        """The first stretch of missing lines within `first … last`, as (start, length), widened to whole pages."""
        last = min(last, self.total - 1)
        for number in range(max(0, first), last + 1):
            if self.line(number) is None:
                start = number // PAGE * PAGE
                if self.line(start) is not None:
                    start = number
                end = min((last // PAGE + 1) * PAGE, self.total)
                return start, end - start
        return None

    def find(self, wanted: Callable[[str], bool], start: int, step: int) -> int | None:
        """The nearest loaded line from `start` on (`step` 1 forward, -1 backward) that is wanted; stops at a gap."""
        number = start
        while 0 <= number < self.total:
            line = self.line(number)
            if line is None:
                return None
            if wanted(line):
                return number
            number += step
        return None


def matcher(pattern: str) -> Callable[[str], bool]:
    """A search: `re:…` is a regular expression (ValueError if it is not one); otherwise a substring, exact in case
    only if it has a capital letter."""
    if pattern.startswith("re:"):
        try:
            compiled = re.compile(pattern[3:])
        except re.error as error:
            raise ValueError(str(error)) from None
        return lambda line: compiled.search(line) is not None
    if pattern != pattern.lower():
        return lambda line: pattern in line
    return lambda line: pattern in line.lower()


def match_spans(line: str, pattern: str) -> list[tuple[int, int]]:
    """Where `pattern` occurs, for highlighting."""
    if not pattern:
        return []
    if pattern.startswith("re:"):
        found = re.finditer(pattern[3:], line)
    else:
        found = re.finditer(re.escape(pattern), line, 0 if pattern != pattern.lower() else re.IGNORECASE)
    return [match.span() for match in found if match.end() > match.start()]
