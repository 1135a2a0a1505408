"""A log seen through pages: knows which lines are here, which are not yet, and how important each is."""

from __future__ import annotations

import itertools
import json
import re
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum

from nodeconsole.viewmodels.spans import Role, Span
from nodeconsole.viewmodels.text import cells, count, printable, wrap
from nodeconsole.viewmodels.times import clock_millis

PAGE = 200
"""Lines per page: what is fetched and evicted at once."""
_LONGEST = 8192
"""Characters of a line that are kept for display; the exact bytes stay at the node."""
_LEVEL = re.compile(r"\b(?:(FATAL|CRITICAL|ERROR)|(WARN(?:ING)?)|(INFO|NOTICE)|(DEBUG|TRACE))\b")
_LEVEL_WITHIN = 80
_LONGEST_BLOCK = 500
_JSON_TRIES = 20
LEVELS = ("debug", "info", "warn", "error")
"""What the node can filter by, from everything to errors alone."""


def line_role(line: str) -> Role:
    """The role of a line by the level word near its start; lines without one are plain."""
    found = _LEVEL.search(line, 0, _LEVEL_WITHIN)
    if found is None:
        return ""
    roles: tuple[Role, ...] = ("bad", "warn", "", "dim")
    return roles[(found.lastindex or 3) - 1]


class Lines:
    """What a log view shows, by number. Subclasses say where the lines are kept."""

    def __init__(self) -> None:
        self.total = 0
        self.complete = False
        """No line will follow."""
        self.counts: dict[str, int] = {}
        """Lines per level, when the node said so."""
        self.widest = 0
        """Cells of the longest line seen so far."""
        self.revision = 0
        """Counts changes, for those who keep something derived."""

    def line(self, number: int) -> str | None:
        """The line, or None when it is not here (a gap)."""
        raise NotImplementedError

    def at_ms(self, number: int) -> int | None:
        """The time the line names, if it is known."""
        raise NotImplementedError

    def tag(self, number: int) -> str:  # noqa: ARG002 - for those that have one
        """Where the line comes from, when there are several sources."""
        return ""

    def place(self, number: int) -> int:
        """The line's number in its log."""
        return number

    def touch(self, first: int, last: int) -> None:
        """These lines are being looked at."""

    def gap(self, first: int, last: int) -> tuple[int, int] | None:  # noqa: ARG002
        """The first stretch of missing lines within `first … last`, as (start, length)."""
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

    def block(self, number: int) -> list[str]:
        """The line with what belongs to it: the indented lines of a traceback, from its first line on."""
        first = number
        while first > 0 and _continues(self.line(first)):
            first -= 1
        lines = [self.line(first) or ""]
        while _continues(self.line(first + len(lines))) and len(lines) < _LONGEST_BLOCK:
            lines.append(self.line(first + len(lines)) or "")
        return lines

    def _measure(self, lines: Sequence[str]) -> None:
        if lines:
            self.widest = max(self.widest, *map(cells, lines))


class LogBuffer(Lines):
    """Lines of one log by number. Holds at most `keep` lines: pages not looked at for longest go first."""

    def __init__(self, keep: int = 60_000) -> None:
        super().__init__()
        self._pages: OrderedDict[int, list[str | None]] = OrderedDict()
        self._times: dict[int, list[int | None]] = {}
        self._keep_pages = max(2, keep // PAGE)

    def put(
        self,
        start: int,
        lines: Sequence[str],
        *,
        total: int = 0,
        complete: bool = False,
        times: Sequence[int | None] = (),
    ) -> None:
        """Store lines `start` …; `total` may run ahead of what is here, never back."""
        clean = [shown(line) for line in lines]
        self._measure(clean)
        at = 0
        while at < len(clean):
            number, offset = divmod(start + at, PAGE)
            taken = clean[at : at + PAGE - offset]
            page = self._pages.setdefault(number, [None] * PAGE)
            page[offset : offset + len(taken)] = taken
            if times:
                self._times.setdefault(number, [None] * PAGE)[offset : offset + len(taken)] = times[
                    at : at + len(taken)
                ]
            self._pages.move_to_end(number)
            at += len(taken)
        self.total = max(self.total, total, start + len(clean) if clean else 0)
        self.revision += 1
        self.complete = self.complete or complete
        while len(self._pages) > self._keep_pages:
            number, _ = self._pages.popitem(last=False)
            self._times.pop(number, None)

    def line(self, number: int) -> str | None:
        page = self._pages.get(number // PAGE)
        return None if page is None else page[number % PAGE]

    def at_ms(self, number: int) -> int | None:
        page = self._times.get(number // PAGE)
        return None if page is None else page[number % PAGE]

    def touch(self, first: int, last: int) -> None:
        for number in range(first // PAGE, last // PAGE + 1):
            if number in self._pages:
                self._pages.move_to_end(number)

    def gap(self, first: int, last: int) -> tuple[int, int] | None:
        """As `Lines.gap`, widened to whole pages."""
        last = min(last, self.total - 1)
        for number in range(max(0, first), last + 1):
            if self.line(number) is None:
                start = number // PAGE * PAGE
                if self.line(start) is not None:
                    start = number
                end = min((last // PAGE + 1) * PAGE, self.total)
                return start, end - start
        return None


class Selection(Lines):
    """The lines of a log that contain a text. They are all here, up to `most`."""

    def __init__(self, most: int = 100_000) -> None:
        super().__init__()
        self.most = most
        self.looked_at = 0
        """Lines of the log that have been searched."""
        self._lines: list[tuple[int, int | None, str]] = []

    @property
    def full(self) -> bool:
        return self.total >= self.most

    def add(self, numbers: Sequence[int], lines: Sequence[str], times: Sequence[int | None], *, looked_at: int) -> None:
        """Further lines that fit, with their numbers in the log, searched up to `looked_at`."""
        clean = [shown(line) for line in lines]
        self._measure(clean)
        stamps = times or [None] * len(clean)
        room = max(0, self.most - self.total)
        self._lines += list(zip(numbers, stamps, clean, strict=True))[:room]
        self.total = len(self._lines)
        self.looked_at = max(self.looked_at, looked_at)
        self.revision += 1

    def line(self, number: int) -> str | None:
        return self._lines[number][2] if 0 <= number < self.total else None

    def at_ms(self, number: int) -> int | None:
        return self._lines[number][1] if 0 <= number < self.total else None

    def place(self, number: int) -> int:
        return self._lines[number][0] if 0 <= number < self.total else number


class Merged(Lines):
    """Lines of several logs in the order of their times; a line without one stays behind the line above it."""

    def __init__(self, most: int = 200_000) -> None:
        super().__init__()
        self.begins_late = False
        """The logs have lines before those that are here."""
        self._most = most
        self._lines: list[tuple[int, int, str, str, int]] = []
        self._last: dict[str, int] = {}
        self._came = 0

    def add(self, tag: str, start: int, lines: Sequence[str], times: Sequence[int | None]) -> None:
        """Lines `start` … of the log that `tag` names. The same log's lines come in their order."""
        clean = [shown(line) for line in lines]
        self._measure(clean)
        for offset, line in enumerate(clean):
            stamp = times[offset] if offset < len(times) else None
            # Never before the line above it, whatever the clock did meanwhile.
            at = max(stamp or 0, self._last.get(tag, 0))
            self._last[tag] = at
            self._came += 1
            insort(self._lines, (at, self._came, tag, line, start + offset))
        surplus = len(self._lines) - self._most
        if surplus > 0:
            del self._lines[:surplus]
            self.begins_late = True
        self.total = len(self._lines)
        self.revision += 1

    def line(self, number: int) -> str | None:
        return self._lines[number][3] if 0 <= number < self.total else None

    def at_ms(self, number: int) -> int | None:
        return (self._lines[number][0] or None) if 0 <= number < self.total else None

    def tag(self, number: int) -> str:
        return self._lines[number][2] if 0 <= number < self.total else ""

    def place(self, number: int) -> int:
        return self._lines[number][4] if 0 <= number < self.total else number


def shown(line: str) -> str:
    """A line as it is kept: safe to show, and cut where nobody reads on."""
    if len(line) > _LONGEST:
        line = f"{line[:_LONGEST]} ...+{len(line) - _LONGEST}"
    return printable(line)


def _continues(line: str | None) -> bool:
    return line is not None and line[:1].isspace()


class Matches:
    """The numbers of the lines that a search has found so far, to say `3/118`."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.next: int | None = 0
        """Where to look on; None = everything was looked at."""

    def add(self, numbers: Sequence[int], following: int | None) -> None:
        self.numbers += numbers
        self.next = following

    def rank(self, number: int) -> int:
        """1 for the first match; 0 when the line is none that is known."""
        place = bisect_left(self.numbers, number)
        return place + 1 if place < len(self.numbers) and self.numbers[place] == number else 0


class Stamps(Enum):
    """How a log view shows the times of lines, beside the lines as they were written."""

    OFF = "off"
    CLOCK = "clock"
    SINCE = "since"

    def after(self) -> Stamps:
        order = list(Stamps)
        return order[(order.index(self) + 1) % len(order)]


@dataclass(frozen=True, slots=True)
class Margin:
    """What stands before each line: numbers, times, bookmarks and, in a merged log, where it comes from."""

    numbers: bool = False
    stamps: Stamps = Stamps.OFF
    zero_ms: int | None = None
    """`Stamps.SINCE` counts from here."""
    zone: tzinfo | None = None
    bookmark: str = "*"
    bookmarks: frozenset[int] = frozenset()
    tag_width: int = 0

    def width(self, lines: Lines) -> int:
        """Cells it takes, the same for every line."""
        number = len(count(lines.total)) + 1 if self.numbers else 0
        stamp = {Stamps.OFF: 0, Stamps.CLOCK: 13, Stamps.SINCE: 12}[self.stamps]
        return number + stamp + (self.tag_width + 1 if self.tag_width else 0) + (2 if self.bookmarks else 0)

    def spans(self, lines: Lines, number: int) -> tuple[Span, ...]:
        spans: list[Span] = []
        if self.bookmarks:
            spans.append(Span(f"{self.bookmark if number in self.bookmarks else ' '} ", "key"))
        if self.numbers:
            digits = len(count(lines.total))
            spans.append(Span(f"{count(lines.place(number) + 1):>{digits}} ", "dim"))
        if self.stamps is not Stamps.OFF:
            spans.append(Span(self._stamp(lines.at_ms(number)), "dim"))
        if self.tag_width:
            tag = wrap(lines.tag(number), self.tag_width)[0]
            spans.append(Span(f"{tag}{' ' * (self.tag_width - cells(tag) + 1)}", "accent"))
        return tuple(spans)

    def _stamp(self, at_ms: int | None) -> str:
        if self.stamps is Stamps.CLOCK:
            text = "" if at_ms is None else clock_millis(at_ms, self.zone)
            return f"{text:<12} "
        text = "" if at_ms is None or self.zero_ms is None else f"{(at_ms - self.zero_ms) / 1000:+.3f}"
        return f"{text:>11} "


def readable_block(lines: Sequence[str], width: int) -> list[str]:
    """A line with what belongs to it, for reading: wrapped, and JSON within its first line laid out."""
    head, document = _json_in(lines[0])
    laid_out = [line for text in ([head] if document else lines[:1]) for line in wrap(text, width)]
    laid_out += [line for text in document for line in wrap(printable(text), width)]
    return laid_out + [line for text in lines[1:] for line in wrap(text, width)]


def _json_in(line: str) -> tuple[str, list[str]]:
    """What stands before a JSON object or array that ends the line, and its lines when laid out; none without one."""
    for found in itertools.islice(re.finditer(r"[{\[]", line), _JSON_TRIES):
        try:
            value = json.loads(line[found.start() :])
        except ValueError:
            continue
        if isinstance(value, dict | list) and value:
            text = json.dumps(value, ensure_ascii=False, indent=2)
            return line[: found.start()].rstrip(), text.split("\n")
    return line, []


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
