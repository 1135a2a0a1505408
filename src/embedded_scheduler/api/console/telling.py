"""Adds to an answer what its stored texts are made of, for whoever shows them in another language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TypeVar, get_args

from pydantic import BaseModel

from embedded_scheduler.store import sentences
from embedded_scheduler.store.database import Database, Reader
from embedded_scheduler.wire.console import Said, Telling

T = TypeVar("T")
Facts = dict[str, int | str | Said | list[str | Said]]


async def tell(db: Database, answer: BaseModel) -> None:
    """Fill in `said` wherever the answer tells a stored text that is a sentence of the node's, or a fact of one."""
    messages = list(_messages(answer))
    wanted = {text for message in messages for text in _texts(message)}
    if not wanted:
        return
    found = await db.read(lambda reader: _find(reader, wanted))
    for message in messages if found else ():
        if isinstance(message, Telling):
            message.said = {name: found[text] for name, text in message.texts.items() if text in found} | message.said
        for one in _said(message):
            _fill(one.facts, found)


def _find(reader: Reader, texts: set[str]) -> dict[str, Said]:
    found = ((text, sentences.find(reader, text)) for text in texts)
    return {text: Said.model_validate(kept) for text, kept in found if kept is not None}


def _messages(part: object) -> Iterator[BaseModel]:
    """All messages in an answer, itself included."""
    if isinstance(part, BaseModel):
        yield part
        for name in _members(type(part)):
            yield from _messages(getattr(part, name))
    elif isinstance(part, list):
        for item in part:
            yield from _messages(item)


@cache
def _members(kind: type[BaseModel]) -> tuple[str, ...]:
    """Those that hold further messages: looking at every number of a thousand jobs would cost."""
    return tuple(name for name, field in kind.model_fields.items() if name != "said" and _holds(field.annotation))


def _holds(annotation: object) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds, get_args(annotation)))


def _said(message: BaseModel) -> Iterator[Said]:
    said = getattr(message, "said", None)
    if isinstance(said, dict):
        yield from said.values()


def _texts(message: BaseModel) -> Iterator[str]:
    if isinstance(message, Telling):
        yield from filter(sentences.may_be, message.texts.values())
    for one in _said(message):
        yield from _of_facts(one.facts)


def _of_facts(facts: Facts) -> Iterator[str]:
    for fact in facts.values():
        for part in fact if isinstance(fact, list) else (fact,):
            if isinstance(part, Said):
                yield from _of_facts(part.facts)
            elif isinstance(part, str) and sentences.may_be(part):
                yield part


def _fill(facts: Facts, found: dict[str, Said]) -> None:
    for name, fact in facts.items():
        facts[name] = [_filled(part, found) for part in fact] if isinstance(fact, list) else _filled(fact, found)


def _filled(fact: T, found: dict[str, Said]) -> T | Said:
    if isinstance(fact, Said):
        _fill(fact.facts, found)
    return found.get(fact, fact) if isinstance(fact, str) else fact
