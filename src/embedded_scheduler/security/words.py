"""Six words that two operators read to each other: the same on both sides only if both nodes hold the same keys.

Words are built from syllables (consonant, vowel), three to a word, so they can be said aloud in most languages.
"""

from __future__ import annotations

import hashlib
import json

COUNT = 6
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
"""70 of them: a word has 18.4 bits, six words 110."""
_TAG = "nodeconsole words v1"


def words(contract_id: str, one: tuple[str, str], other: tuple[str, str]) -> str:
    """The words of a contract between two nodes, each given as (node id, key fingerprint), in any order."""
    text = json.dumps([_TAG, contract_id, *map(list, sorted((one, other)))], separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(text.encode("ascii")).digest(), "big")
    return " ".join(_spelled(number, position) for position in range(COUNT))


def same_words(typed: str, ours: str) -> bool:
    """Whether somebody typed these words; capitals, spaces and punctuation between them do not matter."""
    letters = "".join(character if character.isalpha() else " " for character in typed.lower())
    return letters.split() == ours.split()


def _spelled(number: int, position: int) -> str:
    base = len(_SYLLABLES)
    number //= base ** (3 * position)
    return "".join(_SYLLABLES[number // base**digit % base] for digit in range(3))
