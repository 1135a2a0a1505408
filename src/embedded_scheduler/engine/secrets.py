"""Named secrets of this node: stored sealed, opened only for the connector that is about to use them.

`{"secret": NAME}` in a connector's options stands for the value.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from embedded_scheduler.config import Settings
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NodeError, NotFound
from embedded_scheduler.home import Home
from embedded_scheduler.security.vault import KeySource
from embedded_scheduler.sentences import Fact, Sentence, Words, say
from embedded_scheduler.store import ledger, secrets
from embedded_scheduler.store.database import Database, Tx
from embedded_scheduler.store.secrets import Secret

_LONGEST_VALUE = 64 * 1024

T = TypeVar("T")


async def put(engine: Engine, name: str, value: str, *, actor: str) -> Secret:
    """Store or replace a secret. `InvalidRequest` for a name or value that cannot be one."""
    check_id("the secret's name", name)
    if not 0 < len(value.encode("utf-8", "replace")) <= _LONGEST_VALUE:
        raise InvalidRequest(say("secret_size", name=name, most=_LONGEST_VALUE))
    vault = await asyncio.to_thread(key_source(engine).vault, create=True)
    sealed = vault.seal(name, value)

    def work(tx: Tx) -> Secret:
        stored = secrets.put(tx, name, sealed=sealed, key_id=vault.key_id)
        _record(tx, name, "secret.stored", actor)
        return stored

    return await engine.db.write(work)


async def remove(engine: Engine, name: str, *, actor: str) -> None:
    """`NotFound` if there is none. A dataset that refers to it can no longer be read."""

    def work(tx: Tx) -> None:
        if not secrets.delete(tx, name):
            raise _unknown(name)
        _record(tx, name, "secret.removed", actor)

    await engine.db.write(work)


async def using(engine: Engine, options: Mapping[str, Any], work: Callable[[dict[str, Any]], T]) -> T:
    """`work(options)` in a thread, with every reference replaced by its value.

    The values are gone with the call; an error of `work` leaves without them.
    """
    opened = await open_options(engine, options)
    try:
        return await asyncio.to_thread(work, opened)
    except NodeError as error:
        raise redacted(error, options, opened) from None


async def open_options(engine: Engine, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with every reference replaced. `NotFound` names the secret that is missing."""
    names = sorted(set(_references(options)))
    if not names:
        return dict(options)
    found = await engine.db.read(lambda reader: {name: secrets.sealed(reader, name) for name in names})
    missing = next((name for name, sealed in found.items() if sealed is None), None)
    if missing is not None:
        raise _unknown(missing)
    vault = await asyncio.to_thread(key_source(engine).vault)
    values = {name: vault.open(name, sealed) for name, sealed in found.items() if sealed is not None}
    return {key: _resolved(value, values) for key, value in options.items()}


async def reveal(db: Database, keys: KeySource, name: str) -> str:
    """The value of one secret. `NotFound` says how to store it."""
    sealed = await db.read(lambda reader: secrets.sealed(reader, name))
    if sealed is None:
        raise _unknown(name)
    return (await asyncio.to_thread(keys.vault)).open(name, sealed)


def redacted(error: NodeError, options: Mapping[str, Any], opened: Mapping[str, Any]) -> NodeError:
    """The same error without the values that `opened` has where `options` has references."""
    words = error.words
    for value in _values(options, opened):
        words = _without(words, value)
    return error if words == error.words else type(error)(words)


def _without(words: Words, secret: str) -> Words:
    if isinstance(words, Sentence):
        return Sentence(words.code, {name: _fact_without(fact, secret) for name, fact in words.facts.items()})
    return words.replace(secret, "(secret)").replace(repr(secret)[1:-1], "(secret)")


def _fact_without(fact: Fact, secret: str) -> Fact:
    if isinstance(fact, tuple):
        return tuple(_without(part, secret) for part in fact)
    return fact if isinstance(fact, int) else _without(fact, secret)


def key_source(engine: Engine) -> KeySource:
    return keys_of(engine.home, engine.settings)


def keys_of(home: Home, settings: Settings) -> KeySource:
    """Where the key is that seals this node's secrets."""
    return KeySource(settings.secrets.key, home.data_key, settings.node_id, os.environ)


def _references(value: Any) -> list[str]:
    match value:
        case {"secret": str(name)} if len(value) == 1:
            return [name]
        case dict():
            return [name for each in value.values() for name in _references(each)]
        case list():
            return [name for each in value for name in _references(each)]
        case _:
            return []


def _resolved(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case {"secret": str(name)} if len(value) == 1:
            return values[name]
        case dict():
            return {key: _resolved(each, values) for key, each in value.items()}
        case list():
            return [_resolved(each, values) for each in value]
        case _:
            return value


def _values(options: Any, opened: Any) -> list[str]:
    if isinstance(opened, str):
        return [opened] if isinstance(options, dict) else []
    if isinstance(opened, Mapping):
        return [value for key in opened for value in _values(options[key], opened[key])]
    if isinstance(opened, list):
        return [value for one, other in zip(options, opened, strict=True) for value in _values(one, other)]
    return []


def _record(tx: Tx, name: str, event: str, actor: str) -> None:
    ledger.append(tx, subject="secret", subject_id=name, event=event, actor=actor)


def _unknown(name: str) -> NotFound:
    return NotFound(say("secret_unknown", name=shorten(name)))
