"""Colour themes as data files, turned into Textual themes.

Built-in files lie in `themes/` of a source checkout and in the package when installed or frozen; files of the same
form in `$XDG_CONFIG_HOME/nodeconsole/themes` are added to them, and replace those of the same name.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nodeconsole.places import config_directory

if TYPE_CHECKING:
    from textual.theme import Theme

COLORS = (
    "background",
    "surface",
    "panel",
    "foreground",
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
)
ROLES = ("dim", "run", "ok", "wait", "bad", "warn", "key", "accent")
"""Colours of text by what it says; on the background, and on the row of the cursor."""
GROUNDS = ("cursor", "bar", "match")
"""Backgrounds: the row of the cursor, the first and the last line, what a search found."""
STYLES = ("none", "reverse")
"""How a ground may be marked beside its colour; for themes that leave the colours to the terminal."""
DEFAULT = "dark"


class ThemeFault(Exception):
    """A theme file that cannot be used; the message names file and member."""


@dataclass(frozen=True, slots=True)
class ThemeFile:
    """One theme as read. `glyphs` names the set of signs to use with it; empty = as before. `ansi`: its colours are the
    terminal's own sixteen."""

    name: str
    dark: bool
    ansi: bool
    glyphs: str
    colors: Mapping[str, str]
    roles: Mapping[str, str]
    grounds: Mapping[str, str]
    styles: Mapping[str, str]


def theme_directories(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where theme files lie, later ones override."""
    here = Path(__file__).parent
    built_in = here / "themes"
    if not built_in.is_dir():
        built_in = here.parents[1] / "themes"
    config = config_directory(environ)
    return (built_in, config / "themes") if config is not None else (built_in,)


def load_themes(directories: Iterable[Path]) -> tuple[dict[str, ThemeFile], tuple[str, ...]]:
    """All themes by name, in order of name with the default first, and the faults of files that were left out."""
    found: dict[str, ThemeFile] = {}
    faults: list[str] = []
    for directory in directories:
        for path in sorted(directory.glob("*.toml")):
            try:
                theme = read_theme(path)
            except ThemeFault as fault:
                faults.append(str(fault))
            else:
                found[theme.name] = theme
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT, item[0]))), tuple(faults)


class Shelf:
    """The themes that can be chosen; read again when a file was added, changed or removed."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories
        self._stamp = self._look()
        self.themes, self.faults = load_themes(directories)

    def refresh(self) -> bool:
        """Whether anything was read again."""
        now = self._look()
        if now == self._stamp:
            return False
        self._stamp = now
        self.themes, self.faults = load_themes(self._directories)
        return True

    def _look(self) -> tuple[tuple[str, int], ...]:
        found: list[tuple[str, int]] = []
        for directory in self._directories:
            for path in sorted(directory.glob("*.toml")):
                with contextlib.suppress(OSError):
                    found.append((str(path), path.stat().st_mtime_ns))
        return tuple(found)


def read_theme(path: Path) -> ThemeFile:
    """One file, or `ThemeFault`."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ThemeFault(f"theme {path.name}: {error}") from None
    return ThemeFile(
        name=str(raw.get("name") or path.stem),
        dark=bool(raw.get("dark", True)),
        ansi=bool(raw.get("ansi", False)),
        glyphs=str(raw.get("glyphs", "")),
        colors=_table(path, raw, "colors", COLORS),
        roles=_table(path, raw, "roles", ROLES),
        grounds=_table(path, raw, "grounds", GROUNDS),
        styles=_styles(path, raw),
    )


def _styles(path: Path, raw: Mapping[str, object]) -> dict[str, str]:
    """How each ground is marked beside its colour; `[styles]` may be missing."""
    table = raw.get("styles", {})
    if not isinstance(table, Mapping):
        raise ThemeFault(f"theme {path.name}: [styles] must be a table")
    for ground, style in table.items():
        if ground not in GROUNDS or style not in STYLES:
            raise ThemeFault(
                f"theme {path.name}: styles.{ground}: the grounds are {', '.join(GROUNDS)}, each none or reverse"
            )
    return {ground: str(table.get(ground, "none")) for ground in GROUNDS}


def _table(path: Path, raw: Mapping[str, object], name: str, members: tuple[str, ...]) -> dict[str, str]:
    from textual.color import Color, ColorParseError  # noqa: PLC0415 - read_theme alone needs it

    table = raw.get(name)
    if not isinstance(table, Mapping):
        raise ThemeFault(f"theme {path.name}: [{name}] is missing")
    for member in members:
        value = table.get(member)
        if not isinstance(value, str):
            raise ThemeFault(f"theme {path.name}: {name}.{member} is missing")
        try:
            Color.parse(value)
        except ColorParseError:
            raise ThemeFault(f"theme {path.name}: {name}.{member}: {value!r} is not a colour") from None
    return {member: str(table[member]) for member in members}


def variables(theme: ThemeFile) -> dict[str, str]:
    """The style sheet variables of our own widgets."""
    roles = {f"role-{name}": color for name, color in theme.roles.items()}
    grounds = {f"ground-{name}": color for name, color in theme.grounds.items()}
    marks = {f"ground-{name}-style": style for name, style in theme.styles.items()}
    found = "bold reverse" if theme.styles["match"] == "reverse" else "bold"
    return roles | grounds | marks | {"match-style": found}


def textual_theme(theme: ThemeFile) -> Theme:
    """The theme as Textual wants it."""
    from textual.theme import BUILTIN_THEMES  # noqa: PLC0415 - keeps this module light for the tests of files
    from textual.theme import Theme as TextualTheme  # noqa: PLC0415

    base = BUILTIN_THEMES["ansi-dark" if theme.dark else "ansi-light"].variables if theme.ansi else {}
    colors = theme.colors
    return TextualTheme(
        name=theme.name,
        dark=theme.dark,
        ansi=theme.ansi,
        variables={**base, **variables(theme)},
        primary=colors["primary"],
        secondary=colors["secondary"],
        accent=colors["accent"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
    )
