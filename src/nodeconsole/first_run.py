"""The first start: five questions, each with an answer already; nothing is written before the last one is left.

A small app of its own: there is no node yet that the console could look at.
"""

from __future__ import annotations

import os
import socket as socket_module
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Input

from embedded_scheduler.domain.identifiers import check_id
from embedded_scheduler.errors import InvalidRequest
from nodeconsole import __version__, theming
from nodeconsole.i18n.catalogue import default_language, load
from nodeconsole.keymap import PRESETS
from nodeconsole.own_files import OwnFiles
from nodeconsole.remote.target import BadTarget, parse_ssh
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.first_run import (
    STEPS,
    Answers,
    Choice,
    Surroundings,
    body,
    choices,
    first_answers,
    moved,
    strip,
)
from nodeconsole.viewmodels.glyphs import GLYPH_SETS, default_glyphs
from nodeconsole.viewmodels.spans import Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet

_KEYS = {
    "down": (1, 0),
    "j": (1, 0),
    "up": (-1, 0),
    "k": (-1, 0),
    "right": (0, 1),
    "l": (0, 1),
    "left": (0, -1),
    "h": (0, -1),
}
"""What a key does: rows down, options on."""


_USUAL_PORT = 9380
_PORTS_TRIED = 40


class FirstRunApp(App[Answers | None], inherit_bindings=False):
    """Returns the answers, or None when it was left before the end."""

    TITLE = "nodeconsole"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = []
    CSS = """
    Screen { background: $background; color: $foreground; layout: vertical; }
    Sheet { height: 1fr; width: 100%; }
    #typed { height: 1; margin: 0 6; background: $ground-bar; color: $foreground; }
    """

    def __init__(self, found: Surroundings, environ: Mapping[str, str] | None = None) -> None:
        self._shelf = theming.Shelf(theming.theme_directories(os.environ if environ is None else environ))
        super().__init__()
        self.animation_level = "none"
        self._found = found
        self._answers = first_answers(found)
        self._step = 0
        self._row = 0
        for theme in self._shelf.themes.values():
            self.register_theme(theming.textual_theme(theme))
        self.theme = self._answers.theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        plain = self._shelf.themes.get(theming.DEFAULT)
        return theming.variables(plain) if plain is not None else {}

    def compose(self) -> ComposeResult:
        yield Bar(id="title", ground="bar")
        yield Bar(id="steps")
        yield Sheet(id="body")
        yield Bar(id="label")
        yield Input(id="typed", compact=True, max_length=200)
        yield Bar(id="fault")
        yield Bar(id="footer", ground="bar")

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        self._enter_step(0)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    # What is seen.

    def _looks(self) -> Display:
        now_ms = time.time_ns() // 1_000_000
        return Display(load(self._answers.language), GLYPH_SETS[self._answers.glyphs], now_ms)

    @property
    def _step_name(self) -> str:
        return STEPS[self._step]

    @property
    def _choices(self) -> tuple[Choice, ...]:
        return choices(self._step_name, self._found)

    def _show(self, fault: str = "") -> None:
        display = self._looks()
        cut = display.glyphs.cut
        place = display.text("first.place", n=self._step + 1, total=len(STEPS))
        self.query_one("#title", Bar).show(
            (Span(f" nodeconsole {__version__}", "strong"),), (Span(f"{place} ", "dim"),)
        )
        self.query_one("#steps", Bar).show(strip(self._step, display), cut=cut)
        lines = body(self._step_name, self._row, self._answers, self._found, display, self.size.width)
        self.query_one("#body", Sheet).show(lines)
        field = self._answers.field if self._step_name == "connect" else ""
        label = display.text(f"first.type.{field}") if field else ""
        self.query_one("#label", Bar).show((Span(f"      {label}", "strong"),), cut=cut)
        typed = self.query_one(Input)
        typed.display = bool(field)
        if typed.has_focus != bool(field):
            self.set_focus(typed if field else None)
        self.query_one("#fault", Bar).show((Span(f"      {fault}", "bad"),), cut=cut)
        hints = (("Enter", "next" if self._step + 1 < len(STEPS) else "begin"), ("Esc", "back"), ("ctrl+q", "leave"))
        footer = [
            span
            for key, word in hints
            for span in (Span(f" {key}", "key"), Span(f" {display.text(f'first.key.{word}')} "))
        ]
        self.query_one("#footer", Bar).show(footer, cut=cut)

    def _enter_step(self, step: int) -> None:
        self._step, self._row = step, 0
        self._fill()
        self._show()

    def _fill(self) -> None:
        """What is typed belongs to the connection that is chosen."""
        if self._answers.field:
            self.query_one(Input).value = getattr(self._answers, self._answers.field)

    # Keys.

    def on_key(self, event: events.Key) -> None:
        typing = self.query_one(Input).has_focus
        if event.key in ("ctrl+q", "ctrl+c"):
            self.exit(None)
        elif event.key == "escape" and self._step:
            self._enter_step(self._step - 1)
        elif event.key == "enter" and not typing:
            self._next()
        elif event.key in _KEYS and not (typing and event.key not in ("up", "down")):
            self._move(*_KEYS[event.key])
        else:
            return
        event.stop()
        event.prevent_default()

    def on_input_submitted(self) -> None:
        self._next()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._answers.field:
            self._answers = replace(self._answers, **{self._answers.field: event.value.strip()})

    def _move(self, rows: int, options: int) -> None:
        if len(self._choices) > 1 and rows:
            self._row = (self._row + rows) % len(self._choices)
        else:
            self._answers = moved(self._answers, self._choices[self._row], rows or options)
        self.theme = self._answers.theme
        self._fill()
        self._show()

    def _next(self) -> None:
        fault = self._fault()
        if fault:
            self._show(fault)
        elif self._step + 1 < len(STEPS):
            self._enter_step(self._step + 1)
        else:
            self.exit(self._answers)

    def _fault(self) -> str:
        """Why this step cannot be left."""
        if self._step_name != "connect":
            return ""
        if self._answers.connect == "create":
            try:
                check_id("node id", self._answers.node_id)
            except InvalidRequest as error:
                return error.message
        if self._answers.connect == "ssh":
            try:
                parse_ssh(self._answers.address)
            except BadTarget as error:
                return str(error) if self._answers.address else self._looks().text("first.need_address")
        return ""


def look_around(home: Path, node_id: str, socket: str, environ: Mapping[str, str]) -> Surroundings:
    """What can be known without asking."""
    shelf = theming.Shelf(theming.theme_directories(environ))
    files = OwnFiles(environ)
    listen, platform = _free_addresses()
    return Surroundings(
        language=default_language(environ),
        glyphs=default_glyphs(environ).name,
        terminal=_terminal(environ),
        colours=_colours(environ),
        home=str(home),
        node_id=node_id,
        listen=listen,
        platform=platform,
        socket=socket,
        themes=tuple(shelf.themes),
        presets=tuple(PRESETS),
        settings_file=str(files.directory / "settings.toml") if files.directory is not None else "",
    )


def _free_addresses() -> tuple[str, str]:
    """The usual ones, or the next pair on which nothing listens here: another node may run on this machine."""
    for step in range(0, _PORTS_TRIED, 2):
        ports = (_USUAL_PORT + step, _USUAL_PORT + step + 1)
        if all(map(_is_free, ports)):
            return f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"
    return f"127.0.0.1:{_USUAL_PORT}", f"127.0.0.1:{_USUAL_PORT + 1}"


def _is_free(port: int) -> bool:
    with socket_module.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _terminal(environ: Mapping[str, str]) -> tuple[str, ...]:
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    facts = (
        environ.get("TERM", ""),
        "UTF-8" if "utf" in locale.lower() else locale,
        "tmux" if environ.get("TMUX") else "screen" if environ.get("STY") else "",
        "SSH" if environ.get("SSH_CONNECTION") else "",
    )
    return tuple(fact for fact in facts if fact)


def _colours(environ: Mapping[str, str]) -> str:
    if environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        return "all"
    return "256" if "256" in environ.get("TERM", "") else "16"


def remember(answers: Answers, found: Surroundings, environ: Mapping[str, str]) -> None:
    """Write what was answered differently than it would be by itself; OSError when that is not possible."""
    files = OwnFiles(environ)
    if files.directory is None:
        return
    usual = first_answers(found)
    wanted = replace(
        files.preferences,
        language=answers.language if answers.language != usual.language else "",
        glyphs=answers.glyphs if answers.glyphs != usual.glyphs else "",
        theme=answers.theme if answers.theme != usual.theme else "",
    )
    files.save_preferences(wanted)
    if answers.preset != files.keys.preset:
        files.save_keys(replace(files.keys, preset=answers.preset))
