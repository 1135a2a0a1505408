"""One of several things to decide: `[` and `]` go to the other ones without going back to the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nodeconsole.actions import Action
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.screens.snoozing import snooze
from nodeconsole.viewmodels.spans import Line, Span


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the list knows: `step` moves its cursor and makes the screen of the row there, None at its ends; `place` is
    number and total, for people."""

    step: Callable[[int], ConsoleScreen | None]
    place: Callable[[], tuple[int, int]]


class OneOfMany(Moves, ConsoleScreen):
    """Base of the cards. Without `neighbours` it was opened from elsewhere and stands alone."""

    def __init__(self, session: Session, neighbours: Neighbours | None) -> None:
        super().__init__(session)
        self._neighbours = neighbours

    def place(self) -> Line:
        """`1 of 3`"""
        if self._neighbours is None:
            return ()
        number, total = self._neighbours.place()
        return (Span(f"{self.session.text('approvals.place', n=number, of=total)} ", "dim"),) if total > 1 else ()

    @property
    def key(self) -> str:
        """What it is called where things are put off: kind and id."""
        raise NotImplementedError

    def snoozing(self) -> list[str]:
        """The action of putting it off, while there is something to decide here."""
        return ["snooze"] if {"approve", "confirm"} & set(self.offered()) else []

    def possible(self, action: Action) -> bool:
        return bool(self.snoozing()) if action.offered == "snooze" else super().possible(action)

    def act_card_snooze(self, *_: str) -> None:
        snooze(self, self.key)

    def act_card_before(self, *_: str) -> None:
        self._go(-1)

    def act_card_after(self, *_: str) -> None:
        self._go(1)

    def _go(self, step: int) -> None:
        other = self._neighbours.step(step) if self._neighbours is not None else None
        if other is None:
            self.session.say(self.session.text("approvals.no_other"), "dim")
        else:
            self.app.switch_screen(other)
