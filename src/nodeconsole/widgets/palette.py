"""How roles and grounds look under a theme.

Not component classes: Textual would match the whole style sheet for each of them, in every widget, each time a screen
is shown, which was a third of what it takes to open a section.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.style import Style
from textual.color import Color

Palette = Mapping[str, Style]
"""By role (`ok`) and by ground (`ground-bar`); each says only what differs from plain text."""

_VARIABLES = (
    *("foreground", "background", "match-style"),
    *(f"role-{role}" for role in ("dim", "run", "ok", "wait", "bad", "warn", "key", "accent")),
    *(f"ground-{ground}{part}" for ground in ("cursor", "bar", "match") for part in ("", "-style")),
)
_BOLD = ("wait", "bad", "key", "accent")


def palette(variables: Mapping[str, str]) -> Palette:
    """`variables` are an app's `theme_variables`. The same palette as long as they say the same."""
    return _palette(tuple(variables[name] for name in _VARIABLES))


@lru_cache(maxsize=8)
def _palette(values: tuple[str, ...]) -> Palette:
    of = dict(zip(_VARIABLES, values, strict=True))
    found = {
        name.removeprefix("role-"): _style(value, bold=name.removeprefix("role-") in _BOLD)
        for name, value in of.items()
        if name.startswith("role-")
    }
    found["strong"] = _style(of["foreground"], bold=True)
    found["match"] = _ground(of["ground-match"], of["match-style"])
    # Reversed, so that it stands out without colours too.
    found["label"] = _style(of["role-key"]) + _ground(of["background"], "bold reverse")
    for ground, variable in (("cursor", "cursor"), ("bar", "bar"), ("found", "match")):
        found[f"ground-{ground}"] = _ground(of[f"ground-{variable}"], of[f"ground-{variable}-style"])
    return found


def _style(color: str, *, bold: bool = False) -> Style:
    return Style(color=Color.parse(color).rich_color, bold=bold or None)


def _ground(color: str, marks: str) -> Style:
    return Style(bgcolor=Color.parse(color).rich_color) + Style.parse(marks)
