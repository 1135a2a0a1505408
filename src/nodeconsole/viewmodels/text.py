"""Text that came from elsewhere, made safe to show. Everything remote passes through `printable` once."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCES = re.compile(
    "\x1b\\][^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c|$)"  # OSC: titles, hyperlinks, clipboard writes
    "|\x1b[PX^_][^\x1b\x9c]*(?:\x1b\\\\|\x9c|$)"  # DCS, SOS, PM, APC
    "|\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    "|\x1b[ -/]*[0-~]"  # two-byte escapes
    "|\x9b[0-?]*[ -/]*[@-~]"
    "|\x9d[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c|$)"
)
_TAB = 4
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols by category that draw nothing: names could differ in them unseen."""


def printable(text: str) -> str:
    """`text` as it may be sent to a terminal.

    Escape sequences are removed; tabs become spaces; other control characters, bidirectional and zero-width marks,
    invisible letters and lone surrogates appear as `\\xNN` or `\\uNNNN`, so nothing can move the cursor, reorder the
    line or hide in a name.
    """
    if text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text)):
        return text
    if "\x1b" in text or "\x9b" in text or "\x9d" in text:
        text = _SEQUENCES.sub("", text)
    return "".join(map(_shown, text.rstrip("\r\n")))


def _shown(char: str) -> str:
    if char == "\t":
        return " " * _TAB
    if char in _INVISIBLE:
        return _escape(char)
    if char.isprintable() or unicodedata.category(char) == "Zs":
        return char
    return _escape(char)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def short_id(identifier: str) -> str:
    """An id for a narrow column: `job-` and 8 digits of ours, a prefix of foreign ones. Accepted back as a prefix."""
    clean = printable(identifier)
    return clean[:12]


def subject_name(subject_id: str, job_id: str) -> str:
    """What an event is about; a job's id is cut as everywhere, so that what stands behind it is seen."""
    if job_id and subject_id.startswith(job_id):
        return short_id(job_id) + printable(subject_id.removeprefix(job_id))
    return printable(subject_id)


def confirmation_code(identifier: str) -> str:
    """What is typed to confirm an irreversible decision on this object: the last four characters of its id."""
    return identifier[-4:]


def count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes for people, `3.1 MiB`."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{int(value)} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def cells(text: str) -> int:
    """How many terminal cells printable text takes: 2 for wide East Asian characters, 0 for combining marks."""
    if text.isascii():
        return len(text)
    return sum(map(_cell, text))


def _cell(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if unicodedata.combining(char) else 1


def clip(text: str, width: int, cut: str) -> str:
    """Printable text in at most `width` cells, marked by `cut` where some is missing; wide characters stay whole."""
    if cells(text) <= width:
        return text
    return cut_to(text, width - len(cut)) + cut if width > len(cut) else cut_to(text, width)


def fit(text: str, width: int, cut: str, *, right: bool = False) -> str:
    """`text` in exactly `width` cells."""
    text = clip(text, width, cut)
    blank = " " * (width - cells(text))
    return blank + text if right else text + blank


def cut_to(text: str, width: int) -> str:
    """The beginning of `text` that fits into `width` cells."""
    if text.isascii():
        return text[: max(0, width)]
    used = 0
    for place, char in enumerate(text):
        used += _cell(char)
        if used > width:
            return text[:place]
    return text


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces where there are any; never empty."""
    width = max(2, width)
    lines: list[str] = []
    line, used = "", 0
    for word in re.findall(r" +|[^ ]+", text):
        if used + cells(word) <= width:
            line, used = line + word, used + cells(word)
            continue
        if word.isspace():
            lines.append(line)
            line, used = "", 0
            continue
        if used and cells(word) <= width:
            lines.append(line.rstrip())
            line, used = word, cells(word)
            continue
        for char in word:
            if used + _cell(char) > width:
                lines.append(line)
                line, used = "", 0
            line, used = line + char, used + _cell(char)
    return [*lines, line] if line or not lines else lines
