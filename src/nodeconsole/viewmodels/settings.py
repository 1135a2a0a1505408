"""The rows of the settings screen: how the operator likes the console, and every binding by scope."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.actions import Action, key_name
from nodeconsole.keymap import PRESETS, UserKeys
from nodeconsole.preferences import CHOICES, NAMES, Preferences, shown
from nodeconsole.viewmodels.spans import Column, Line, Span

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

PRESET = "preset"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `binding` is empty for what is no key; `changed` = it is not as the console comes."""

    id: str
    group: str
    value: str
    changed: bool
    binding: str = ""


def settings(preferences: Preferences, user: UserKeys, actions: Sequence[Action], display: Display) -> list[Setting]:
    rows = list(_liked(preferences, display))
    rows.append(Setting(PRESET, display.text("settings.keys"), user.preset, user.preset != next(iter(PRESETS))))
    seen: set[str] = set()
    for action in actions:
        if action.id not in seen:
            seen.add(action.id)
            keys = "  ".join(key_name(key) for key in action.keys) or "-"
            rows.append(
                Setting(action.id, display.text(f"scope.{action.scope}"), keys, action.id in user.keys, action.id)
            )
    return rows


def _liked(preferences: Preferences, display: Display) -> Iterator[Setting]:
    for name in NAMES:
        value = getattr(preferences, name)
        text = shown(value) or display.text("settings.default")
        yield Setting(name, display.text("settings.console"), text, value != getattr(Preferences(), name))


def about(setting: Setting, display: Display) -> str:
    """What it is for."""
    return display.text(f"help.{setting.binding}" if setting.binding else f"settings.about.{setting.id}")


def neighbour(setting: Setting, preferences: Preferences, themes: Collection[str], step: int) -> str:
    """The value before or after the one it has, as it is typed behind `:set`."""
    choices = ["", *themes] if setting.id == "theme" else list(CHOICES[setting.id])
    now = getattr(preferences, setting.id)
    place = choices.index(now) if now in choices else 0
    return shown(choices[(place + step) % len(choices)]) or "default"


def default_word(name: str) -> str:
    """The value that the console comes with, as it is typed."""
    return shown(getattr(Preferences(), name)) or "default"


def preset_beside(preset: str, step: int) -> str:
    names = list(PRESETS)
    return names[(names.index(preset) + step) % len(names)]


def fits(setting: Setting, pattern: str, display: Display) -> bool:
    """Whether every word occurs in what the row says."""
    text = f"{setting.id} {setting.group} {setting.value} {about(setting, display)}".casefold()
    return all(word in text for word in pattern.casefold().split())


def setting_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("group", text("settings.column.group"), 12, drop=1),
        Column("id", text("settings.column.name"), 22),
        Column("value", text("settings.column.value"), 16),
        Column("about", text("settings.column.about"), 20, flex=1, most=100),
    )


def setting_cells(setting: Setting, display: Display) -> Line:
    mark = "*" if setting.changed else " "
    return (
        Span(setting.group, "dim"),
        Span(setting.id),
        Span(f"{setting.value}{mark}", "accent" if setting.changed else "key"),
        Span(about(setting, display), "dim"),
    )
