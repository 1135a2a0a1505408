"""Settings and keys: what the operator chooses is taken up at once and written to the own files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL, key_name, plain_key
from nodeconsole.keymap import fault_of_key, rebound
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels import settings
from nodeconsole.viewmodels.settings import Setting
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.widgets.table import VirtualTable


class SettingsScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("settings", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._filter = ""
        self._binding = ""
        """The binding whose new key is waited for."""
        self._first_key = ""

    def body(self) -> Iterable[Widget]:
        yield VirtualTable[Setting](
            lambda setting: setting.id,
            lambda setting: settings.setting_cells(setting, self.session.display()),
            id="settings",
        )

    @property
    def main(self) -> VirtualTable[Setting]:
        return self.query_one("#settings", VirtualTable)

    def crumbs(self) -> tuple[Line, Line]:
        left = [Span(f" {self.session.text('settings.title')}", "accent")]
        if self._filter:
            left.append(Span(f"  {self.session.text('list.filtered', filter=printable(self._filter))}", "wait"))
        return tuple(left), (Span(f"{count(len(self.main.items))} ", "dim"),)

    def why(self) -> Line:
        if self._binding:
            begun = f" {key_name(self._first_key)} ..." if self._first_key else ""
            return (Span(self.session.text("settings.press", name=self._binding) + begun, "wait"),)
        faults = self.session.faults
        if faults:
            return (Span(printable(faults[0]) + (f" (+{len(faults) - 1})" if len(faults) > 1 else ""), "warn"),)
        setting = self.main.item
        return () if setting is None else (Span(settings.about(setting, self.session.display()), "dim"),)

    def repaint_body(self) -> None:
        display, files = self.session.display(), self.session.files
        self.main.set_columns(settings.setting_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        rows = settings.settings(files.preferences, files.keys, self.session.actions, display)
        shown = [row for row in rows if settings.fits(row, self._filter, display)]
        self.main.show(shown, empty=(display.text("settings.none"),))

    def on_virtual_table_moved(self) -> None:
        self.repaint_chrome()

    def on_virtual_table_opened(self) -> None:
        self.act_settings_change()

    # Filter.

    def act_settings_filter(self) -> None:
        self.open_prompt("filter", "/", self._filter)

    def prompt_typed(self, kind: str, text: str) -> None:
        if kind == "filter":
            self._show_only(text)

    def opened_with(self, *words: str) -> None:
        self._show_only(" ".join(words))

    def unwind(self) -> bool:
        filtered = bool(self._filter)
        self._show_only("")
        return filtered

    def _show_only(self, text: str) -> None:
        self._filter = text.strip()
        self.retranslate()

    # Change.

    def act_settings_change(self) -> None:
        """The next value, or the key that is pressed next."""
        setting = self.main.item
        if setting is not None and setting.binding:
            self._binding, self._first_key = setting.binding, ""
            self.repaint_chrome()
        else:
            self._step(1)

    def act_settings_next(self) -> None:
        self._step(1)

    def act_settings_before(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        setting, files = self.main.item, self.session.files
        if setting is None or setting.binding:
            return
        if setting.id == settings.PRESET:
            self.console.use_preset(settings.preset_beside(files.keys.preset, step))
        else:
            word = settings.neighbour(setting, files.preferences, self.console.theme_names, step)
            self.console.prefer(setting.id, word)
        self.retranslate()

    def act_settings_reset(self) -> None:
        setting = self.main.item
        if setting is None:
            return
        if setting.binding:
            self.console.use_keys(rebound(self.session.files.keys, setting.binding, None))
        elif setting.id != settings.PRESET:
            self.console.prefer(setting.id, settings.default_word(setting.id))
        self.retranslate()

    def grabs(self, key: str) -> bool:
        if not self._binding:
            return False
        self._take_key(plain_key(key))
        return True

    def _take_key(self, key: str) -> None:
        """The key that was asked for, or the first of two when other pairs begin with it."""
        if key == "escape":
            self._end_binding()
            return
        whole = f"{self._first_key} {key}".strip()
        fault = fault_of_key(whole)
        if fault:
            self._end_binding()
            self.session.say(fault, "warn")
        elif not self._first_key and self.keymap.following(key):
            self._first_key = key
            self.repaint_chrome()
        else:
            name = self._binding
            self._end_binding()
            self.console.use_keys(rebound(self.session.files.keys, name, (whole,)))
            if not self.session.faults:
                self.session.say(self.session.text("settings.bound", name=name, key=key_name(whole)), "ok")

    def _end_binding(self) -> None:
        self._binding = self._first_key = ""
        self.repaint_chrome()
