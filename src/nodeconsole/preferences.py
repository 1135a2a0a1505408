"""How this operator likes the console, for every node: `settings.toml` in the configuration directory.

TOML, as everything else that is configured here; the file is written by the settings screen and by `:set`, and may be
written by hand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from nodeconsole.places import replace_file

CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "language": ("", "en_US", "zh_CN"),
    "glyphs": ("", "unicode", "safe", "ascii"),
    "refresh": (1, 2, 5, 10),
    "undo": (0, 3, 5, 10),
    "mouse": (True, False),
    "bell": (False, True),
    "notify": (False, True),
    "motion": (False, True),
    "clipboard": ("osc52", "file", "off"),
}
"""What each setting may be, in the order in which the settings screen goes through them; `theme` may be any theme."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Empty texts = as the environment says."""

    theme: str = ""
    language: str = ""
    glyphs: str = ""
    refresh: int = 1
    """Seconds between two looks at the clock: ages and countdowns move on so often."""
    undo: int = 5
    """Seconds for which a confirmed write is held back."""
    mouse: bool = True
    bell: bool = False
    """Ring when something new waits for a decision."""
    notify: bool = False
    """Ask the terminal for a desktop notification then (OSC 9 and 777)."""
    motion: bool = False
    clipboard: str = "osc52"


NAMES = tuple(field.name for field in fields(Preferences))


class PreferenceFault(Exception):
    """A setting that there is not, or a value that it cannot have; the message says which there are."""


def changed(preferences: Preferences, name: str, word: str) -> Preferences:
    """With one setting as it was typed: `refresh 2s`, `mouse off`."""
    if name not in NAMES:
        raise PreferenceFault(f"no setting {name}; there are: {' '.join(NAMES)}")
    if name == "theme":
        return replace(preferences, theme="" if word == "default" else word)
    for choice in CHOICES[name]:
        if word.lower() in _words(choice):
            return replace(preferences, **{name: choice})  # type: ignore[arg-type]
    raise PreferenceFault(f"{name}: {' '.join(shown(choice) for choice in CHOICES[name] if choice != '')}")


def _words(choice: str | int) -> tuple[str, ...]:
    """How a value may be typed, the first one is how it is shown."""
    if isinstance(choice, bool):
        return ("on", "true", "yes") if choice else ("off", "false", "no")
    if isinstance(choice, int):
        return (f"{choice}s", str(choice))
    return (choice.lower(), "default") if choice == "" else (choice.lower(), choice[:2].lower())


def shown(value: str | int) -> str:
    """A value as it is typed and shown; empty = as the environment says."""
    return _words(value)[0]


def read(path: Path) -> tuple[Preferences, tuple[str, ...]]:
    """What the file says, and what is wrong with it: a faulty setting is as if it were not there."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Preferences(), ()
    except (OSError, ValueError) as error:
        return Preferences(), (f"{path}: {error}",)
    found, faults = Preferences(), []
    for name, value in document.items():
        allowed = CHOICES.get(name, ())
        if name == "theme" and isinstance(value, str):
            found = replace(found, theme=value)
        elif any(type(value) is type(choice) and value == choice for choice in allowed):
            found = replace(found, **{name: value})
        else:
            faults.append(f"{path}: {name} = {value!r} is no setting or not one of its values")
    return found, tuple(faults)


def write(path: Path, preferences: Preferences) -> None:
    """Only what differs from the defaults; OSError when that is not possible."""
    lines = ["# How this operator likes the console; written by its settings screen."]
    for name in NAMES:
        value = getattr(preferences, name)
        if value != getattr(Preferences(), name):
            lines.append(f"{name} = {toml_value(value)}")
    replace_file(path, "\n".join(lines) + "\n")


def toml_value(value: str | int) -> str:
    """As TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in value)
    return f'"{escaped}"'
