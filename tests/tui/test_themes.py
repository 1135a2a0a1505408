"""Themes: files that hold together, text that can be read, colours that eyes of all kinds tell apart."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest
from textual.color import Color

from nodeconsole.app import NodeConsoleApp
from nodeconsole.theming import DEFAULT, ROLES, Shelf, ThemeFault, ThemeFile, load_themes, read_theme, theme_directories
from tests.support.console import press, until, until_shown

THEMES, FAULTS = load_themes(theme_directories({}))
MEASURED = [theme for theme in THEMES.values() if not theme.ansi]
"""The colours of the others are the terminal's."""

STATES = ("run", "ok", "wait", "bad")
APART = 20.0
"""Least difference of two colours of states (CIE 1976); about nine times what can just be seen."""

Matrix = tuple[tuple[float, float, float], ...]
PROTANOPIA: Matrix = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA: Matrix = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
TRITANOPIA: Matrix = (
    (1.255528, -0.076749, -0.178779),
    (-0.078411, 0.930809, 0.147602),
    (0.004733, 0.691367, 0.303900),
)
# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.


@pytest.mark.parametrize("theme", MEASURED, ids=lambda theme: theme.name)
def test_text_can_be_read_on_every_ground(theme: ThemeFile) -> None:
    """WCAG AA: 4.5 for all text, words of state included, wherever it stands."""
    texts = {"foreground": theme.colors["foreground"], **theme.roles}
    for name, ground in {"background": theme.colors["background"], **theme.grounds}.items():
        for role, color in texts.items():
            assert _contrast(color, ground) >= 4.5, (role, name)


def test_high_contrast_is_that() -> None:
    """WCAG AAA on the background."""
    theme = THEMES["contrast"]
    for role in ROLES:
        assert _contrast(theme.roles[role], theme.colors["background"]) >= 7, role


@pytest.mark.parametrize(
    ("name", "eye"),
    [("deuteranopia", DEUTERANOPIA), ("deuteranopia", PROTANOPIA), ("tritanopia", TRITANOPIA)],
    ids=["deuteranopia", "protanopia", "tritanopia"],
)
def test_states_are_told_apart_by_eyes_that_miss_a_colour(name: str, eye: Matrix) -> None:
    roles = THEMES[name].roles
    for one, other in combinations(STATES, 2):
        assert _difference(roles[one], roles[other], eye) >= APART, (one, other)


def _linear(color: str) -> list[float]:
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in Color.parse(color).normalized]


def _luminance(color: str) -> float:
    red, green, blue = _linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _difference(one: str, other: str, eye: Matrix) -> float:
    seen = [_lab([min(1.0, max(0.0, _dot(row, _linear(color)))) for row in eye]) for color in (one, other)]
    return sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5


def _dot(row: tuple[float, float, float], rgb: list[float]) -> float:
    return sum(factor * part for factor, part in zip(row, rgb, strict=True))


def _lab(rgb: list[float]) -> tuple[float, float, float]:
    x = _dot((0.4124564, 0.3575761, 0.1804375), rgb) / 0.95047
    y = _dot((0.2126729, 0.7151522, 0.0721750), rgb)
    z = _dot((0.0193339, 0.1191920, 0.9503041), rgb) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def test_built_in_themes() -> None:
    assert not FAULTS
    assert len(THEMES) >= 8
    named = {"dark", "light", "contrast", "mono", "deuteranopia", "tritanopia", "ember", "paper", "ansi"}
    assert named <= THEMES.keys()
    assert next(iter(THEMES)) == DEFAULT
    assert THEMES["mono"].glyphs == "ascii"
    assert not THEMES["light"].dark
    assert not THEMES["paper"].dark


def test_faulty_user_themes_are_named_and_left_out(tmp_path: Path) -> None:
    good = next(iter(theme_directories({}))) / "dark.toml"
    text = good.read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('name = "dark"', 'name = "mine"'), "utf-8")
    (tmp_path / "colour.toml").write_text(text.replace("#11151a", "blackish", 1), "utf-8")
    (tmp_path / "short.toml").write_text(text.replace("[roles]", "[rolls]"), "utf-8")
    (tmp_path / "noise.toml").write_text("=", "utf-8")
    (tmp_path / "style.toml").write_text(f'{text}\n[styles]\ncursor = "blinking"\n', "utf-8")
    themes, faults = load_themes((tmp_path,))
    assert list(themes) == ["mine"]
    assert len(faults) == 4
    with pytest.raises(ThemeFault, match=r"colors\.background: 'blackish' is not a colour"):
        read_theme(tmp_path / "colour.toml")


def test_user_themes_have_a_place() -> None:
    assert theme_directories({"HOME": "/home/li"})[1] == Path("/home/li/.config/nodeconsole/themes")
    assert theme_directories({"HOME": "/home/li", "XDG_CONFIG_HOME": "/c"})[1] == Path("/c/nodeconsole/themes")
    assert len(theme_directories({})) == 1


def test_files_are_read_again_only_when_they_changed(tmp_path: Path) -> None:
    text = (next(iter(theme_directories({}))) / "dark.toml").read_text("utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace('name = "dark"', 'name = "mine"'), "utf-8")
    shelf = Shelf((tmp_path,))
    assert not shelf.refresh()
    mine.write_text(text, "utf-8")
    os.utime(mine, ns=(1, 1))
    assert shelf.refresh()
    assert list(shelf.themes) == ["dark"]
    mine.unlink()
    assert shelf.refresh()
    assert not shelf.themes


async def test_a_theme_that_is_edited_is_seen_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "nodeconsole" / "themes"
    folder.mkdir(parents=True)
    mine = folder / "mine.toml"
    text = (next(iter(theme_directories({}))) / "dark.toml").read_text("utf-8").replace('"dark"', '"mine"', 1)
    mine.write_text(text, "utf-8")
    app = NodeConsoleApp(
        tmp_path / "nobody", theme="mine", language="en_US", environ={"XDG_CONFIG_HOME": str(tmp_path)}
    )
    async with app.run_test(size=(80, 24)) as pilot:
        before = app.screen.styles.background
        mine.write_text(text.replace("#11151a", "#400000"), "utf-8")
        await until(pilot, lambda: app.screen.styles.background != before)
        edited = app.screen.styles.background
        assert edited.r > 2 * edited.b
        mine.write_text("=", "utf-8")
        await until_shown(pilot, "mine.toml")
        assert app.screen.styles.background == edited


async def test_the_terminals_own_colours_are_passed_on(tmp_path: Path) -> None:
    app = NodeConsoleApp(tmp_path / "nobody", theme="ansi", language="en_US", environ={})
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "r")
        assert app.native_ansi_color
        styles = {
            segment.style for strip in app.screen._compositor.render_strips() for segment in strip if segment.style
        }
        colors = {color for style in styles for color in (style.color, style.bgcolor) if color is not None}
        assert all(color.is_default or color.is_system_defined for color in colors), colors
