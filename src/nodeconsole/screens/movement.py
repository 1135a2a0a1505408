"""Movement keys, the same for everything that scrolls."""

from __future__ import annotations

from typing import Protocol


class Movable(Protocol):
    def move(self, rows: int, /) -> None: ...

    def page(self, pages: int, /) -> None: ...

    def first(self) -> None: ...

    def last(self) -> None: ...


class Moves:
    """Mixed into screens; `main` is what the keys move."""

    @property
    def main(self) -> Movable:
        raise NotImplementedError

    def act_move_down(self) -> None:
        self.main.move(1)

    def act_move_up(self) -> None:
        self.main.move(-1)

    def act_move_page_down(self) -> None:
        self.main.page(1)

    def act_move_page_up(self) -> None:
        self.main.page(-1)

    def act_move_first(self) -> None:
        self.main.first()

    def act_move_last(self) -> None:
        self.main.last()
