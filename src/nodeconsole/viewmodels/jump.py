"""Jump mode without a screen: letters for what is visible, and what the keys typed so far lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")
LETTERS = "asdfghjklqwertyuiopzxcvbnm"
"""The ones under the fingers first."""


def labels(count: int) -> tuple[str, ...]:
    """A label for each of so many places: one letter while they suffice, then two; no label begins another one.

    Beyond 676 there are no more.
    """
    letters = len(LETTERS)
    begins = max(0, min(letters, -(-(count - letters) // (letters - 1))))
    alone = letters - begins
    pairs = (first + second for first in LETTERS[alone:] for second in LETTERS)
    return (*LETTERS[:alone], *pairs)[: max(0, count)]


@dataclass(frozen=True, slots=True)
class Landed(Generic[P]):
    """A label was typed. `opens`: with a capital letter, so what is there is to be opened too."""

    place: P
    opens: bool


@dataclass(frozen=True, slots=True)
class Jump(Generic[P]):
    """Labels that can still be meant, without the letters that were typed already."""

    places: Mapping[str, P]
    opens: bool = False
    typed: str = field(default="")

    @classmethod
    def over(cls, places: Sequence[P]) -> Jump[P]:
        """A beginning: the first places get the shortest labels."""
        return cls(dict(zip(labels(len(places)), places, strict=False)))

    def after(self, key: str) -> Jump[P] | Landed[P] | None:
        """What a further key leads to; None = no label goes on with it."""
        letter = key.lower()
        if len(letter) != 1 or letter not in LETTERS:
            return None
        opens = self.opens or key != letter
        if letter in self.places:
            return Landed(self.places[letter], opens)
        left = {label[1:]: place for label, place in self.places.items() if label.startswith(letter)}
        return Jump(left, opens, self.typed + letter) if left else None
