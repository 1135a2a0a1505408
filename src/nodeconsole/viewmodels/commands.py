"""What is typed after `:`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Command(NamedTuple):
    word: str
    arguments: tuple[str, ...]


def parse_command(text: str) -> Command | None:
    """The first word and the rest; None for an empty line. A leading colon (also full-width) is allowed."""
    words = text.strip().lstrip(":：").split()
    return Command(words[0].lower(), tuple(words[1:])) if words else None


def fuzzy(pattern: str, text: str) -> int | None:
    """How badly `pattern` fits as a subsequence of `text`, 0 = best; None = it does not."""
    at = -1
    penalty = 0
    folded = text.casefold()
    for char in pattern.casefold():
        if char.isspace():
            continue
        found = folded.find(char, at + 1)
        if found < 0:
            return None
        penalty += 0 if found == at + 1 else found - at
        at = found
    return penalty


def best(pattern: str, texts: Iterable[str]) -> list[int]:
    """Positions of the texts that fit, best first; all of them in order for an empty pattern."""
    scored = [(score, i) for i, text in enumerate(texts) if (score := fuzzy(pattern, text)) is not None]
    return [i for _, i in sorted(scored)]
