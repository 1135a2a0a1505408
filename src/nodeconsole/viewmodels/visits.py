"""Which sections were looked at, in order: back, forward, and the one before."""

from __future__ import annotations

_KEPT = 100


class Visits:
    """Like a browser: going somewhere new forgets what lies ahead."""

    def __init__(self, first: str) -> None:
        self._places = [first]
        self._now = 0
        self._before: str | None = None

    @property
    def here(self) -> str:
        return self._places[self._now]

    def go(self, place: str) -> None:
        if place == self._places[self._now]:
            return
        self._before = self._places[self._now]
        self._places = [*self._places[: self._now + 1], place][-_KEPT:]
        self._now = len(self._places) - 1

    def back(self) -> str | None:
        """Where one was, or None at the beginning."""
        return self._step(-1)

    def forward(self) -> str | None:
        return self._step(1)

    def last(self) -> str | None:
        """The place before this one; again: this one."""
        if self._before is not None:
            self.go(self._before)
            return self._places[self._now]
        return None

    def _step(self, step: int) -> str | None:
        if not 0 <= self._now + step < len(self._places):
            return None
        self._before = self._places[self._now]
        self._now += step
        return self._places[self._now]
