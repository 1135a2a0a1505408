"""Secrets of connectors: sealed in the database, opened for the connector alone, shown to nobody."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.cluster import Cluster
from tests.support.hosted import hosted

from embedded_scheduler.engine import datasets, secrets
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NotFound
from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store import datasets as registered
from embedded_scheduler.store import ledger
from nodeconsole.client import ClientError

CANARY = "canary-5f2c"


class Locked:
    """A connector whose source opens with one password."""

    name = "locked"

    def __init__(self) -> None:
        self.password = CANARY

    def probe(self, options: Mapping[str, Any]) -> Probe:
        rows = list(self.rows(options))
        return Probe((Column("id", "string"),), len(rows), 1, "f" * 64)

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        if options["login"]["password"] != self.password:
            raise InvalidRequest(f"login refused: {options}")
        return iter([("a",), ("b",)])


OPTIONS = {"login": {"user": "reader", "password": {"secret": "db"}}, "tables": ["t"]}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    net = Cluster(tmp_path)
    started = await net.start("alice")
    yield dataclasses.replace(started, connectors={"locked": Locked()})
    await net.stop_all()


def _everything(engine: Engine) -> bytes:
    return b"".join(file.read_bytes() for file in engine.home.path.rglob("*") if file.is_file())


async def test_a_reference_is_opened_for_the_connector_and_never_kept(engine: Engine) -> None:
    await secrets.put(engine, "db", CANARY, actor="operator:eve")
    row = await datasets.register(engine, "people", "", "locked", OPTIONS, actor="operator:eve")
    assert row.options == OPTIONS
    await datasets.stage(engine, "datasets", "people")
    assert engine.home.storage.joinpath("datasets", "people").read_text() == "id\na\nb\n"
    stored = await engine.db.read(lambda reader: registered.get(reader, "datasets", "people"))
    assert stored is not None
    assert stored.options == OPTIONS
    assert CANARY.encode() not in _everything(engine)


async def test_a_missing_secret_is_named(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no secret 'db'"):
        await datasets.register(engine, "people", "", "locked", OPTIONS, actor="operator:eve")


async def test_an_error_of_the_connector_leaves_without_the_value(engine: Engine) -> None:
    await secrets.put(engine, "db", "wr\\ong-canary", actor="operator:eve")
    with pytest.raises(InvalidRequest) as refused:
        await datasets.register(engine, "people", "", "locked", OPTIONS, actor="operator:eve")
    assert "login refused" in refused.value.message
    assert "(secret)" in refused.value.message
    assert "ong-canary" not in refused.value.message
    # Staging takes another way.
    await secrets.put(engine, "db", CANARY, actor="operator:eve")
    await datasets.register(engine, "people", "", "locked", OPTIONS, actor="operator:eve")
    await secrets.put(engine, "db", "changed-canary", actor="operator:eve")
    with pytest.raises(InvalidRequest) as refused:
        await datasets.stage(engine, "datasets", "people")
    assert "changed-canary" not in refused.value.message


async def test_what_happened_is_in_the_ledger_without_the_value(engine: Engine) -> None:
    await secrets.put(engine, "db", CANARY, actor="operator:eve")
    await secrets.remove(engine, "db", actor="operator:ann")
    with pytest.raises(NotFound):
        await secrets.remove(engine, "db", actor="operator:ann")
    events = await engine.db.read(lambda reader: ledger.page(reader, limit=100))
    seen = [(event.event, event.subject_id, event.actor) for event in events if event.subject == "secret"]
    assert seen == [("secret.stored", "db", "operator:eve"), ("secret.removed", "db", "operator:ann")]


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("../x", "x"), ("a b", "x"), ("db", ""), ("db", "x" * 70_000)])
async def test_what_cannot_be_a_secret_is_refused(engine: Engine, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest):
        await secrets.put(engine, name, value, actor="operator:eve")


async def test_the_console_takes_values_and_gives_none(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice") as node, node.client() as client:
        stored = await client.put_secret("db", CANARY)
        assert (await client.put_secret("db", CANARY + "2")).created_ms == stored.created_ms
        assert [row.name for row in await client.secrets()] == ["db"]
        transport = httpx.AsyncHTTPTransport(uds=str(node.home.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as raw:
            for path in ("secrets", "secrets/db", "events", "doctor"):
                assert CANARY not in (await raw.get(f"/v1/console/{path}")).text
            assert (await raw.put("/v1/console/secrets/db", json={"value": 7})).status_code == 400
        await client.remove_secret("db")
        with pytest.raises(ClientError) as missing:
            await client.remove_secret("db")
        assert missing.value.code == "not_found"
    everything = b"".join(file.read_bytes() for file in node.home.path.rglob("*") if file.is_file())
    assert CANARY.encode() not in everything
