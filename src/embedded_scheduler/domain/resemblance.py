"""Names that people take for one another: `bank-a` and `bаnk-a` (a Cyrillic letter), `rn` and `m`, `0` and `O`.

A small table, not Unicode's whole list of confusables: Latin, its Cyrillic and Greek look-alikes, digits, and the usual
pairs of letters. That a name resembles nothing here proves nothing; the fingerprint of the key does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_LOOKS_LIKE = str.maketrans(
    {
        # Cyrillic
        **dict(zip("аеорсхуіјѕԁһԛԝъЬвкмнтг", "aeopcxyijsdhqwbbbkmhtr", strict=True)),
        # Greek
        **dict(zip("ανορτυχικεγω", "avoptuxikeyw", strict=True)),
        # Digits and signs
        **dict(zip("01|!35$", "ollless", strict=True)),
        "i": "l",
        "_": "-",
        ".": "-",
        ":": "-",
        " ": "-",
        "·": "-",
        "‐": "-",
        "‑": "-",
        "–": "-",
        "—": "-",
        "−": "-",
    }
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_LEAST = 2
"""Shorter names resemble one another by nature."""


def skeleton(name: str) -> str:
    """What is left of a name when everything that is easily mistaken is written the same way."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    seen = "".join(char for char in plain if not unicodedata.combining(char) and unicodedata.category(char) != "Cf")
    seen = seen.translate(_LOOKS_LIKE)
    for pair, single in _PAIRS:
        seen = seen.replace(pair, single)
    return seen


def resembles(name: str, known: Iterable[str]) -> str:
    """The first of the `known` names that is another one than `name` and is easily taken for it; empty = none."""
    if len(name) < _LEAST:
        return ""
    wanted = skeleton(name)
    return next((other for other in known if other != name and other and skeleton(other) == wanted), "")
