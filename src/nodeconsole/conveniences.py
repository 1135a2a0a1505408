"""What the console does for its operator's comfort, on every screen: preferences, keys, clipboard, pictures, a bell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from textual.app import App

from nodeconsole import clipboard, theming
from nodeconsole.i18n.catalogue import LANGUAGES, Catalogue, load, named_language
from nodeconsole.keymap import PRESETS, UserKeys
from nodeconsole.places import replace_file
from nodeconsole.preferences import NAMES, PreferenceFault, changed, shown
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.glyphs import GLYPH_SETS, Glyphs
from nodeconsole.viewmodels.text import printable

_MOUSE = ("1000", "1003", "1015", "1006")
"""Modes of the terminal: clicks, movement, and how their places are written."""
_OSC_777 = ("rxvt", "foot", "xterm-ghostty")
"""Terminals by TERM that have notifications as OSC 777; others that have them know OSC 9."""


class Conveniences(App[None], inherit_bindings=False):
    """The part of the app that needs no node."""

    environ: Mapping[str, str]
    state_directory: Path | None
    _shelf: theming.Shelf
    _catalogue: Catalogue
    _chosen_glyphs: Glyphs
    _glyphs_by_default: bool

    @property
    def session(self) -> Session:
        """Of the node that is looked at."""
        raise NotImplementedError

    # How it looks.

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our widgets' variables also under a theme of Textual's own."""
        plain = self._shelf.themes.get(theming.DEFAULT)
        return theming.variables(plain) if plain is not None else {}

    def act_app_theme(self, *names: str) -> None:
        available = list(self._shelf.themes)
        if names and names[0] not in available:
            self.session.say(self.session.text("message.no_theme", name=names[0], names=" ".join(available)), "warn")
            return
        after = (
            available[(available.index(self.theme) + 1) % len(available)] if self.theme in available else available[0]
        )
        chosen = names[0] if names else after
        self._use_theme(chosen)
        self.session.state.remember("theme", chosen)
        self.session.say(self.session.text("message.theme", name=chosen), "dim")

    def _register_themes(self) -> None:
        for file in self._shelf.themes.values():
            self.register_theme(theming.textual_theme(file))

    def _take_up_themes(self) -> None:
        """A theme's file changed: whoever designs one sees it at once, or what is wrong with it."""
        self._register_themes()
        self._use_theme(self.theme)
        self.mutate_reactive(App.theme)
        for fault in self._shelf.faults:
            self.session.say(fault, "warn")

    def _use_theme(self, name: str) -> None:
        file = self._shelf.themes.get(name)
        if file is None:
            return
        self.theme = name
        wanted = GLYPH_SETS.get(file.glyphs, self._chosen_glyphs)
        if wanted is not self.session.glyphs:
            self.session.use_glyphs(wanted)

    def act_app_language(self, *names: str) -> None:
        now = self.session.catalogue.language
        after = LANGUAGES[(LANGUAGES.index(now) + 1) % len(LANGUAGES)]
        chosen = named_language(names[0]) if names else after
        if chosen is None:
            self.session.say(self.session.text("message.no_language", name=names[0]), "warn")
            return
        self._catalogue = load(chosen)
        self.session.use_language(chosen)
        self.session.state.remember("language", chosen)

    def act_app_glyphs(self, *names: str) -> None:
        wanted = GLYPH_SETS.get(names[0] if names else "")
        if wanted is None:
            key = "message.no_glyphs" if names else "message.which_glyphs"
            self.session.say(self.session.text(key, name=" ".join(names), names=" ".join(GLYPH_SETS)), "warn")
            return
        self._chosen_glyphs, self._glyphs_by_default = wanted, False
        self.session.state.remember("glyphs", wanted.name)
        self.session.use_glyphs(wanted)

    # Preferences and keys.

    @property
    def theme_names(self) -> tuple[str, ...]:
        """The themes that can be chosen, the default first."""
        return tuple(self._shelf.themes)

    def prefer(self, name: str, word: str) -> None:
        """Take up a setting as it is typed, and keep it for every start; what cannot be is said."""
        session, files = self.session, self.session.files
        try:
            wanted = changed(files.preferences, name, word)
        except PreferenceFault as fault:
            session.say(str(fault), "warn")
            return
        if name == "theme" and wanted.theme and wanted.theme not in self.theme_names:
            session.say(session.text("message.no_theme", name=wanted.theme, names=" ".join(self.theme_names)), "warn")
            return
        try:
            files.save_preferences(wanted)
        except OSError as error:
            session.say(session.text("message.not_written", error=error), "bad")
        self._take_up(name)

    def _take_up(self, name: str) -> None:
        preferences = self.session.files.preferences
        if name == "theme":
            self.act_app_theme(preferences.theme or self.theme_names[0])
        elif name == "language" and preferences.language:
            self.act_app_language(preferences.language)
        elif name == "glyphs" and preferences.glyphs:
            self.act_app_glyphs(preferences.glyphs)
        elif name == "refresh":
            self.tick_every(preferences.refresh)
        elif name == "undo":
            self.session.held.seconds = preferences.undo
        elif name == "mouse":
            self._report_mouse(on=preferences.mouse)
        elif name == "motion":
            self.animation_level = "basic" if preferences.motion else "none"

    def tick_every(self, seconds: int) -> None:
        """How often ages and countdowns move on."""
        raise NotImplementedError

    def act_app_set(self, *words: str) -> None:
        """`:set refresh 2s`; one word alone says how it stands, none opens the settings."""
        if not words:
            self.open_section("settings")
        elif words[0] == "preset" and len(words) > 1:
            self.use_preset(words[1])
        elif len(words) > 1:
            self.prefer(words[0], words[1])
        elif words[0] in NAMES:
            value = shown(getattr(self.session.files.preferences, words[0]))
            self.session.say(f"{words[0]} {value or self.session.text('settings.default')}", "dim")
        else:
            self.session.say(self.session.text("message.no_setting", names=" ".join(NAMES)), "warn")

    def open_section(self, name: str, *words: str) -> None:
        raise NotImplementedError

    def use_preset(self, name: str) -> None:
        if name in PRESETS:
            self.use_keys(replace(self.session.files.keys, preset=name, faults=()))
        else:
            self.session.say(self.session.text("message.no_preset", name=name, names=" ".join(PRESETS)), "warn")

    def use_keys(self, keys: UserKeys) -> None:
        """Take up other keys and keep them."""
        session = self.session
        try:
            session.files.save_keys(keys)
        except OSError as error:
            session.say(session.text("message.not_written", error=error), "bad")
        session.bind_keys()
        for fault in session.faults:
            session.say(fault, "warn")

    # The terminal.

    def _write(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def act_app_mouse(self, *_: str) -> None:
        self.prefer("mouse", "off" if self.session.files.preferences.mouse else "on")
        on = self.session.files.preferences.mouse
        self.session.say(self.session.text("message.mouse_on" if on else "message.mouse_off"), "dim")

    def _report_mouse(self, *, on: bool) -> None:
        """Without it, the terminal itself selects text again."""
        self._write("".join(f"\x1b[?{mode}{'h' if on else 'l'}" for mode in _MOUSE))

    def copy_to_clipboard(self, text: str) -> None:
        """What Textual's own widgets call for a selection."""
        self.copy(text, self.session.text("clipboard.selection"))

    def copy(self, text: str, what: str) -> None:
        """Hand `text` to the terminal, or put it into a file, and say which; `what` names it."""
        session = self.session
        how = clipboard.way(self.environ, session.files.preferences.clipboard)
        try:
            done = clipboard.copy(text, how, self.environ, self.state_directory)
        except OSError as error:
            session.say(session.text("message.not_written", error=error), "bad")
            return
        self._clipboard = text
        if done.sequence:
            self._write(done.sequence)
            session.say(session.text("copy.sent", what=what), "ok")
        elif done.path is not None:
            session.say(session.text("clipboard.file", what=what, path=done.path), "ok")
        else:
            session.say(session.text("clipboard.off"), "warn")

    def attention(self, waiting: int) -> None:
        """Something new waits for a decision: as loud as the operator likes it, which is silent at first."""
        preferences, status = self.session.files.preferences, self.session.status
        if preferences.bell:
            self._write("\a")
        if preferences.notify and status is not None:
            text = printable(f"{status.node_id}: {self.session.text('message.waiting', n=waiting)}").replace(";", ",")
            osc = f"777;notify;nodeconsole;{text}" if self._has_osc_777 else f"9;{text}"
            self._write(clipboard.wrapped(f"\x1b]{osc}\x07", self.environ))

    @property
    def _has_osc_777(self) -> bool:
        return self.environ.get("TERM", "").startswith(_OSC_777)

    # Pictures.

    def act_app_screenshot(self, *_: str) -> None:
        """The screen as SVG in the state directory; what is secret is masked."""
        session = self.session
        if self.state_directory is None:
            session.say(session.text("screenshot.nowhere"), "warn")
            return
        name = time.strftime("screen-%Y%m%d-%H%M%S.svg", time.localtime(session.now_ms() / 1000))
        path = self.state_directory / name
        try:
            replace_file(path, self._picture())
        except OSError as error:
            session.say(session.text("message.not_written", error=error), "bad")
        else:
            session.say(session.text("screenshot.done", path=path), "ok")

    def _picture(self) -> str:
        self._mask(on=True)
        try:
            return self.export_screenshot(title="nodeconsole")
        finally:
            self._mask(on=False)

    def _mask(self, *, on: bool) -> None:
        self.session.masked = on
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.retranslate()
