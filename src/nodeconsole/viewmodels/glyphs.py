"""Sets of signs. A state is always a sign, a word and a colour: never colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

_CJK_LOCALES = ("zh", "ja", "ko")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set. Every sign is one cell wide in the terminals the set is meant for."""

    name: str
    run: str
    ready: str
    pending: str
    ok: str
    bad: str
    stopped: str
    rejected: str
    waiting: str
    unknown: str
    cursor: str
    online: str
    full: str
    empty: str
    cut: str
    """Stands for text that did not fit."""
    rule: str
    dot: str
    arrow: str
    up: str
    down: str
    wait: str
    """Time spent waiting for others."""
    lines: str
    """Lines of a graph, by the directions in which they leave their cell (`viewmodels.graph`: up 1, down 2, left 4,
    right 8)."""
    levels: str
    """Heights from none to full, for small plots."""
    dots: str = ""
    """The first sign of braille, eight dots in a cell; empty = it is not to be used."""


_PLAIN = " |||-'.+-`,+-+++"
UNICODE = Glyphs(
    "unicode",
    "●",
    "◐",
    "○",
    "✓",
    "✗",
    "■",
    "⊘",
    "?",
    "·",
    "▌",
    "●",
    "━",
    "─",
    "…",
    "─",
    "·",
    "→",
    "↑",
    "↓",
    "╌",
    " │││─┘┐┤─└┌├─┴┬┼",
    "▁▂▃▄▅▆▇█",
    dots="\u2800",
)
# Terminals set to draw ambiguous-width characters two cells wide shear every table: this set has none.
SAFE = Glyphs(
    "safe",
    "R",
    "r",
    ".",
    "+",
    "x",
    "=",
    "-",
    "?",
    "~",
    ">",
    "*",
    "#",
    ".",
    "..",
    "-",
    ".",
    "->",
    "^",
    "v",
    ":",
    _PLAIN,
    ".:|#",
)
ASCII = replace(SAFE, name="ascii")

GLYPH_SETS: Mapping[str, Glyphs] = {glyphs.name: glyphs for glyphs in (UNICODE, SAFE, ASCII)}


def default_glyphs(environ: Mapping[str, str]) -> Glyphs:
    """`NODECONSOLE_GLYPHS` if it names a set; `ascii` without UTF-8; `safe` in a Chinese, Japanese or Korean locale."""
    asked = GLYPH_SETS.get(environ.get("NODECONSOLE_GLYPHS", ""))
    if asked is not None:
        return asked
    locales = [environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)]
    if any(locale.startswith(_CJK_LOCALES) for locale in locales):
        return SAFE
    if locales and "utf" not in locales[0].lower():
        return ASCII
    return UNICODE


def measured_glyphs(cells: int, default: Glyphs) -> Glyphs:
    """The set for a terminal that took so many cells for a sign of `unicode`; `default` unless that shows it unfit."""
    if cells > 2:
        return ASCII
    return SAFE if cells == 2 and default is UNICODE else default


def progress(done: int, total: int, width: int, glyphs: Glyphs) -> str:
    """A bar of `width` cells."""
    filled = width * min(done, total) // total if total > 0 else 0
    return glyphs.full * filled + glyphs.empty * (width - filled)
