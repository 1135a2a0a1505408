"""Text for terminals: safe to print, measured in columns, with times and sizes for people."""

from __future__ import annotations

import time
import unicodedata

_KIB = 1024


def clean(text: str) -> str:
    """`text` on one line, without anything a terminal would act on (escape sequences, bidirectional overrides)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else _escaped(char) for char in text)


def _is_harmless(char: str) -> bool:
    # Cc, Cs, Zl, Zp: terminal control, broken text, line breaks. Cf: direction marks and other invisible signs.
    return unicodedata.category(char) not in {"Cc", "Cs", "Cf", "Zl", "Zp"}


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def width(text: str) -> int:
    """Columns that `text` takes: two for wide (Chinese, Japanese, Korean) characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def cut(text: str, columns: int) -> str:
    """`text` in at most `columns`, never half a wide character; what was cut is marked by `..`."""
    if width(text) <= columns:
        return text
    room = max(columns - 2, 0)
    kept = ""
    used = 0
    for char in text:
        used += _char_width(char)
        if used > room:
            break
        kept += char
    return kept + ".."[: max(columns, 0)]


def pad(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def moment(epoch_ms: int | None) -> str:
    """Local time to the second; empty when there is none."""
    if not epoch_ms:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_ms / 1000))


def span(milliseconds: int | None) -> str:
    """A duration in its one or two largest units: `350ms`, `4.2s`, `3m05s`, `2h10m`, `5d03h`."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def span_ms(text: str) -> int | None:
    """`30m`, `12h`, `90d`, `2w` in milliseconds; None for everything else."""
    unit = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}.get(text[-1:])
    number = text[:-1]
    if unit is None or not number.isascii() or not number.isdecimal() or not 0 < int(number[:10]) < 10**6:
        return None
    return int(number) * unit


def size(count: int) -> str:
    """Bytes for people: `999 B`, `1.5 MiB`."""
    if count < _KIB:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= _KIB
        if amount < _KIB:
            return f"{amount:.1f} {unit}"
    return f"{amount / _KIB:.1f} PiB"
