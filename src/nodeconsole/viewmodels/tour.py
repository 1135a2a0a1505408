"""The tour: six marks, each of which goes when its key was really pressed. And the tip for what was seldom used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.actions import Action, key_name
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import wrap

if TYPE_CHECKING:
    from nodeconsole.actions import KeyMap
    from nodeconsole.state import Json
    from nodeconsole.viewmodels.display import Display

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sections", ("go.jobs",)),
    ("filter", ("jobs.filter", "list.filter")),
    ("open", ("jobs.open", "list.open")),
    ("logs", ("job.logs", "jobs.logs", "list.logs")),
    ("approvals", ("go.approvals",)),
    ("help", ("app.help",)),
)
"""Name of each mark, and the actions of which one is waited for."""
LEARNT = 3
"""An action that was done so often needs no tip any more."""
_OBVIOUS = frozenset({"left", "right", "up", "down", "home", "end", "enter", "tab", "shift+tab", "pageup", "pagedown"})
"""Keys that nobody needs a tip for."""


@dataclass(frozen=True, slots=True)
class Tour:
    """How far it has come."""

    place: int = 0

    def after(self, action: str) -> Tour | None:
        """One further when the action is the one that is waited for; None = that was the last mark."""
        if action not in STEPS[self.place][1]:
            return self
        return Tour(self.place + 1) if self.place + 1 < len(STEPS) else None

    def lines(self, actions: Sequence[Action], display: Display, width: int) -> tuple[Line, ...]:
        """The mark: where one is in the tour, what to press as keys are bound, and what it is good for."""
        name, wanted = STEPS[self.place]
        key = next((key_name(action.keys[0]) for action in actions if action.id in wanted and action.keys), "")
        head = display.text("tour.head", n=self.place + 1, total=len(STEPS))
        text = wrap(display.text(f"tour.{name}"), width - 4)
        top: Line = (Span(f" {display.glyphs.cursor} ", "key"), Span(head, "dim"), Span("  "), *_press(key, display))
        return (top, *((Span(f"   {line}"),) for line in text))


def _press(key: str, display: Display) -> Line:
    return (Span(display.text("tour.press"), "strong"), Span(f" {key}", "key"))


def is_learnt(uses: Mapping[str, Json], action: str) -> bool:
    """Whether it was done often enough."""
    times = uses.get(action, 0)
    return isinstance(times, int) and times >= LEARNT


def tip(keymap: KeyMap, uses: Mapping[str, Json], display: Display) -> Line:
    """The first action of this screen's own that is in no footer and was hardly ever done; empty = all are known."""
    own = [action for action in keymap.actions if action.scope not in ("move", "global") and not action.footer]
    for action in own:
        keys = [key for key in keymap.keys_of(action) if key not in _OBVIOUS]
        if keys and not action.writes and not is_learnt(uses, action.id):
            return _tip(action, keys[0], display)
    return ()


def _tip(action: Action, key: str, display: Display) -> Line:
    return (
        Span(f"{display.text('tour.tip')} ", "dim"),
        Span(key_name(key), "key"),
        Span(f" {display.text(f'help.{action.id}')} ", "dim"),
    )
