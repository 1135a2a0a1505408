"""Jump mode of a screen: every row, pane and tab that is visible gets a label, and typing it goes there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from nodeconsole.viewmodels.jump import Jump, Landed
from nodeconsole.viewmodels.spans import Line, Span

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen


@runtime_checkable
class Jumpable(Protocol):
    """Something with places to go to, each named by a key that is its own."""

    def spots(self) -> Sequence[str]:
        """The places that are visible, in reading order."""

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Show these labels, by place, and no others."""

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        """Put the cursor there; `opens`: and do what Enter does."""


class Tabs:
    """The tabs of a screen, which paints them into a line."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen

    def spots(self) -> Sequence[str]:
        return self._screen.tab_names()

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        if labels != self._screen.tab_labels:
            self._screen.tab_labels = labels
            self._screen.retranslate()

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:  # noqa: ARG002 - to be there is all there is
        self._screen.open_tab(key)


class _Place(NamedTuple):
    where: Jumpable
    key: str


class Jumping:
    """Keys go to `take` while it is `active`."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._jump: Jump[_Place] | None = None
        self._among: Sequence[Jumpable] = ()

    @property
    def active(self) -> bool:
        return self._jump is not None

    def begin(self) -> bool:
        """Label what is visible; False when there is nothing to go to."""
        self._among = tuple(self._screen.jumpables())
        places = [_Place(where, key) for where in self._among for key in where.spots()]
        self._jump = Jump.over(places) if places else None
        self._show()
        return self.active

    def end(self) -> None:
        if self.active:
            self._jump = None
            self._show()

    def take(self, key: str) -> None:
        """A letter of a label; any other key leaves, and does nothing else."""
        after = self._jump.after(key) if self._jump is not None else None
        self._jump = after if isinstance(after, Jump) else None
        self._show()
        if isinstance(after, Landed):
            after.place.where.go_to_spot(after.place.key, opens=after.opens)

    def line(self) -> Line:
        """What the message line says meanwhile."""
        text = self._screen.session.text
        typed = f"{self._jump.typed} " if self._jump is not None and self._jump.typed else ""
        return (Span(f"{text('jump.title')} {typed} ", "strong"), Span(text("jump.hint"), "dim"))

    def _show(self) -> None:
        shown: dict[int, dict[str, str]] = {}
        for label, place in self._jump.places.items() if self._jump is not None else ():
            shown.setdefault(id(place.where), {})[place.key] = label
        for where in self._among:
            where.put_labels(shown.get(id(where), {}))
