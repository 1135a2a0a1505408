"""What lies above a screen: questions, choices, menus."""

from __future__ import annotations

from typing import TypeVar

from textual.containers import Vertical
from textual.screen import ModalScreen

from nodeconsole.screens.session import Session

T = TypeVar("T")


class Overlay(ModalScreen[T]):
    """Subclasses put their widgets into one `Vertical`, and say in `prepare` what these show."""

    session: Session

    def on_mount(self) -> None:
        if not self.display:
            # Closed by a further key before it was there: its widgets have gone first.
            return
        if self.session.glyphs.name != "unicode":
            styles = self.query_one(Vertical).styles
            styles.border = ("ascii", styles.border_top[1])
        self.prepare()

    def prepare(self) -> None:
        """The widgets are there, and show nothing yet."""
        raise NotImplementedError
