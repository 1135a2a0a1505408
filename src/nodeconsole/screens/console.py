"""What screens ask of the app beyond what Textual's has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from nodeconsole.keymap import UserKeys

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen
    from nodeconsole.screens.keyboard import Typed


class Console(Protocol):
    def open_section(self, name: str, *words: str) -> None: ...

    @property
    def theme_names(self) -> tuple[str, ...]: ...

    def known_nodes(self) -> Mapping[str, str]: ...

    def prefer(self, name: str, word: str) -> None: ...

    def use_preset(self, name: str) -> None: ...

    def use_keys(self, keys: UserKeys) -> None: ...

    def copy(self, text: str, what: str) -> None: ...

    def show_equivalents(self, screen: ConsoleScreen) -> None: ...

    def pass_on(self, typed: Typed) -> None: ...
