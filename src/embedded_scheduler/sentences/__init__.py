"""What the node's own code says to its operators: a code with facts, and beside it the sentence in English.

Whoever shows it in another language has a text for each code; a code that is newer than that is shown in English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeAlias

from embedded_scheduler.sentences import (
    components,
    data,
    documents,
    jobs,
    node,
    partners,
    policies,
    standing,
)

_NAMED = 3
"""Names in one line; of a fan of a thousand tasks nobody reads more."""


class Sentence(str):
    """The sentence in English, which also knows what it is made of. `facts` are data: names, numbers, errors of the
    system as they came, other sentences. KeyError for a code that is not in the table, or a fact that is missing."""

    __slots__ = ("code", "facts")

    code: str
    facts: Mapping[str, Fact]

    def __new__(cls, code: str, facts: Mapping[str, Fact]) -> Self:
        made = super().__new__(cls, ENGLISH[code].format(**{name: _english(fact) for name, fact in facts.items()}))
        made.code, made.facts = code, facts
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str, Mapping[str, Fact]]]:
        return type(self), (self.code, self.facts)


Words: TypeAlias = str
"""A `Sentence`; or somebody else's words, or a name, which are the same in every language."""
Fact: TypeAlias = int | Words | tuple[Words, ...]


def say(code: str, /, **facts: Fact) -> Sentence:
    """A sentence of the table."""
    return Sentence(code, facts)


def joined(code: str, parts: Iterable[Words]) -> Words:
    """Several things in one line by a sentence of `one` and `other`; empty for none."""
    found = list(parts)
    if len(found) < 2:
        return found[0] if found else ""
    # By halves: of a thousand parts the sentence is ten deep.
    half = len(found) // 2
    return say(code, one=joined(code, found[:half]), other=joined(code, found[half:]))


def together(sentences: Iterable[Words]) -> Words:
    """Several things in one line; empty for none."""
    return joined("both", sentences)


def _english(fact: Fact) -> str:
    if not isinstance(fact, tuple):
        return str(fact)
    more = f" and {len(fact) - _NAMED} more" if len(fact) > _NAMED else ""
    return ", ".join(map(str, fact[:_NAMED])) + more


def document(words: Sentence, known: Callable[[str], Mapping[str, Any] | None] = lambda _: None) -> dict[str, Any]:
    """Code and facts as plain data. `known` may have the document of a sentence that is a fact as its English text."""

    def fact(one: Fact) -> Any:
        if isinstance(one, tuple):
            return [fact(part) for part in one]
        if isinstance(one, Sentence):
            return document(one, known)
        return (known(one) or one) if isinstance(one, str) else one

    return {"code": words.code, "facts": {name: fact(one) for name, one in words.facts.items()}}


def restored(kept: object, text: str) -> Words:
    """The sentence that `document` was made of; `text` if there is none, or none that this program knows."""
    found = _fact(kept)
    return found if isinstance(found, Sentence) else text


def _fact(kept: object) -> Fact:
    """Empty for what is no fact, or a sentence that is not known here."""
    if isinstance(kept, list):
        return tuple(fact for fact in map(_fact, kept) if isinstance(fact, str))
    if not isinstance(kept, Mapping):
        return kept if isinstance(kept, int | str) else ""
    facts = kept.get("facts")
    try:
        return Sentence(str(kept.get("code")), {str(name): _fact(fact) for name, fact in dict(facts or {}).items()})
    except (KeyError, TypeError, ValueError):
        return ""


_AREAS = (jobs, components, data, documents, policies, partners, node, standing)
ENGLISH: Mapping[str, str] = {code: text for area in _AREAS for code, text in area.TEXTS.items()}
