"""Components and datasets of a node: real database, storage and connectors; the runner is a stand-in."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import RunnersSection
from embedded_scheduler.connectors.csv import CsvConnector
from embedded_scheduler.connectors.sqlite import SqliteConnector
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.party import Party
from embedded_scheduler.engine import components, datasets
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.placement import Placement
from embedded_scheduler.errors import InvalidRequest, NotFound, Refused
from embedded_scheduler.storage.local import LocalStorage
from embedded_scheduler.store import ledger
from embedded_scheduler.store.components import Component, resolve
from embedded_scheduler.store.components import all as all_components
from embedded_scheduler.store.database import Database, Reader
from embedded_scheduler.store.datasets import all as all_datasets

MANIFEST = {
    "componentName": "Join",
    "provider": "acme",
    "version": "1",
    "title": "A join",
    "roleList": ["guest", "host"],
    "inputParam": [
        {"name": "column", "title": "Column", "optional": False},
        {"name": "size", "title": "Size", "optional": False, "defaultValue": 3},
    ],
    "inputData": [{"name": "data", "category": "dataset", "optional": False}],
    "disclosure": [{"to": "host", "what": "row counts"}],
    "adversary": "semi-honest",
}


class Runner:
    """Accepts built-in components alone, as far as the engine asks."""

    name = "stand-in"

    def accepts(self, image_url: str) -> str:
        return "" if image_url.startswith("builtin:") else f"{image_url} is not run here"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    clock = SystemClock()
    db = await Database.open(tmp_path / "node.db", clock=clock)
    manifests = [
        json.loads((resources.files("algorithm_components") / name / "manifest.json").read_text("utf-8"))
        for name in ("probe", "sample_alignment")
    ]
    parts = SimpleNamespace(
        db=db,
        clock=clock,
        storage=LocalStorage(tmp_path / "storage"),
        connectors={"csv": CsvConnector(), "sqlite": SqliteConnector()},
        runners=(runners := {"stand-in": Runner()}),
        placement=Placement(cast("Any", runners), RunnersSection()),
        builtin_manifests=manifests,
    )
    yield cast(Engine, parts)
    await db.close()


async def events(engine: Engine) -> list[str]:
    lines = await engine.db.read(lambda reader: list(ledger.export(reader)))
    return ["{event} {subject_id} {actor}".format(**json.loads(line)) for line in lines]


async def registered(engine: Engine) -> list[Component]:
    return await engine.db.read(all_components)


async def test_a_component_is_taken_in_once(engine: Engine) -> None:
    for _ in range(2):
        await components.register(engine, "builtin:join", MANIFEST, actor="platform")
    [found] = await registered(engine)
    assert (found.image_url, found.manifest, found.code) == ("builtin:join", MANIFEST, "acme-join")
    assert await events(engine) == ["component.registered acme/Join/1 platform"]
    await components.register(engine, "builtin:join", {**MANIFEST, "title": "New"}, actor="operator:li")
    assert (await registered(engine))[0].manifest["title"] == "New"
    await components.remove(engine, "acme", "Join", "1", actor="operator:li")
    assert await registered(engine) == []
    assert (await events(engine))[1:] == [
        "component.registered acme/Join/1 operator:li",
        "component.removed acme/Join/1 operator:li",
    ]
    with pytest.raises(NotFound, match="acme/Join 1"):
        await components.remove(engine, "acme", "Join", "1", actor="operator:li")


async def test_image_references_wait_for_approval_and_own_schemes_do_not(engine: Engine) -> None:
    await components.register(engine, "registry.example/join:1", MANIFEST, actor="platform")
    assert len(await registered(engine)) == 1
    with pytest.raises(Refused, match="not run here"):
        await components.register(engine, "exec:/bin/true", {**MANIFEST, "version": "2"}, actor="platform")
    for bad in ("", "a b", "x" * 1025, "a\nb"):
        with pytest.raises(InvalidRequest, match="imageUrl"):
            await components.register(engine, bad, MANIFEST, actor="platform")
    with pytest.raises(InvalidRequest, match="provider"):
        await components.register(engine, "builtin:x", {"componentName": "X", "version": "1"}, actor="platform")
    assert len(await events(engine)) == 1


async def test_built_in_components_are_registered_at_every_start_once(engine: Engine) -> None:
    for _ in range(2):
        await components.ensure_builtin(engine)
    assert [found.image_url for found in await registered(engine)] == ["builtin:probe", "builtin:sample_alignment"]
    assert len(await events(engine)) == 2


def job(
    params: dict[str, Any] | None = None, *, component: str = "Join", guest: dict[str, Any] | None = None
) -> JobSpec:
    return parse_job(
        "job-1",
        {
            "dag": {"components": [{"name": "join", "componentName": component, "provider": "acme", "version": "1"}]},
            "config": {
                "initiator": {"role": "guest", "node_id": "alice"},
                "role": {"guest": ["alice"], "host": ["bob"], "arbiter": ["alice"]},
                "task_params": {
                    "common": {"join": params or {}},
                    "guest": {"0": {"join": {} if guest is None else guest}},
                    "host": {"0": {"join": {}}},
                },
            },
        },
    )


GUEST, ARBITER = Party("guest", 0, "alice"), Party("arbiter", 0, "alice")


async def problems(engine: Engine, spec: JobSpec, *own: Party) -> list[str]:
    def look(reader: Reader) -> list[str]:
        return [str(words) for words in components.problems(reader, spec, own or (GUEST,), engine.placement)]

    return await engine.db.read(look)


async def add_people(engine: Engine, tmp_path: Path, content: str = "id,x\n1,2\n", **options: Any) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(content, "utf-8")
    await datasets.register(engine, "people", "", "csv", {"path": str(path), **options}, actor="operator:li")
    return path


async def test_nothing_to_say_against_a_job_that_can_run(engine: Engine, tmp_path: Path) -> None:
    await components.register(engine, "builtin:join", MANIFEST, actor="platform")
    await add_people(engine, tmp_path)
    spec = job({"column": "id"}, guest={"dataset_id": "datasets#people"})
    assert await problems(engine, spec) == []
    # The arbiter is not named in the task's parameters: this node has no part as arbiter.
    assert await problems(engine, spec, ARBITER) == []
    found = await engine.db.read(lambda reader: components.disclosures(reader, spec.flow.nodes[0].component))
    assert found is not None
    assert [str(words) for words in found] == ["host: row counts", "protects against: semi-honest"]
    [use] = await engine.db.read(lambda reader: datasets.uses(reader, spec, [GUEST]))
    assert (use.task, use.dataset_id, use.found, use.columns, use.rows) == (
        "join",
        "datasets#people",
        True,
        ("id", "x"),
        1,
    )
    assert await engine.db.read(lambda reader: components.roles_of(reader, spec.flow.node("join").component)) == {
        "guest",
        "host",
    }


async def test_every_reason_is_a_sentence(engine: Engine) -> None:
    assert "component acme/Other 1 is not registered" in (await problems(engine, job(component="Other")))[0]
    await components.register(engine, "registry.example/join:1", MANIFEST, actor="platform")
    assert await problems(engine, job()) == [
        "join: registry.example/join:1 is not run here",
        "join: parameter column (Column) of guest.0 is missing",
        "join: guest.0 names no data for it: give dataset_id, or namespace and name, in its task_params",
    ]
    [_, unknown] = await problems(engine, job({"column": "id"}, guest={"namespace": "a", "name": "b"}))
    assert "dataset 'a#b' is not registered on this node" in unknown
    [use] = await engine.db.read(lambda reader: datasets.uses(reader, job(guest={"dataset_id": "b"}), [GUEST]))
    assert (use.dataset_id, use.found, use.rows) == ("datasets#b", False, None)


async def test_a_role_the_component_does_not_have(engine: Engine) -> None:
    await components.register(engine, "builtin:join", {**MANIFEST, "roleList": ["host"]}, actor="platform")
    assert "join: Join does not run as guest (it runs as host)" in await problems(engine, job({"column": "id"}))


async def test_a_dataset_is_taken_in_once(engine: Engine, tmp_path: Path) -> None:
    for _ in range(2):
        path = await add_people(engine, tmp_path)
    [found] = await engine.db.read(all_datasets)
    assert (found.namespace, found.name, found.rows) == ("datasets", "people", 1)
    assert found.options == {"path": str(path)}
    await datasets.remove(engine, "", "people", actor="operator:li")
    assert await events(engine) == [
        "dataset.registered datasets#people operator:li",
        "dataset.removed datasets#people operator:li",
    ]
    with pytest.raises(NotFound, match="datasets#people"):
        await datasets.remove(engine, "", "people", actor="operator:li")


@pytest.mark.parametrize("name", ["", "a/b", "a#b", ".a", "x" * 129, "a\nb", "表" * 100])
async def test_hostile_names_are_refused(engine: Engine, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        await datasets.register(engine, name, "", "csv", {"path": "/dev/null"}, actor="operator:li")


async def test_an_unknown_connector_is_named(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="no connector 'excel'; this node has: csv, sqlite"):
        await datasets.register(engine, "x", "", "excel", {}, actor="operator:li")


async def staged(engine: Engine) -> list[list[str]]:
    await datasets.stage(engine, "datasets", "people")
    content = b"".join([chunk async for chunk in engine.storage.read("datasets", "people")])
    return list(csv.reader(io.StringIO(content.decode("utf-8"))))


async def test_a_plain_file_is_linked(engine: Engine, tmp_path: Path) -> None:
    path = await add_people(engine, tmp_path)
    for _ in range(2):
        assert await staged(engine) == [["id", "x"], ["1", "2"]]
    assert same_file(tmp_path / "storage" / "datasets" / "people", path)


def same_file(one: Path, other: Path) -> bool:
    return one.samefile(other)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("id,名\n1,张\n", "gb18030"), ("\ufeffid,名\n1,张\n", "utf-8"), ("id;名\n1;张\n", "utf-8")],
)
async def test_other_forms_are_written_out(engine: Engine, tmp_path: Path, content: str, encoding: str) -> None:
    path = write_encoded(tmp_path / "people.csv", content, encoding)
    options = {"path": str(path), "encoding": encoding}
    await datasets.register(engine, "people", "datasets", "csv", options, actor="operator:li")
    assert await staged(engine) == [["id", "名"], ["1", "张"]]


def write_encoded(path: Path, content: str, encoding: str) -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def people_table(path: Path, rows: Iterator[tuple[int, str]]) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS people (id INTEGER, note TEXT)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
    return path


async def test_a_table_of_a_database_is_written_out(engine: Engine, tmp_path: Path) -> None:
    path = people_table(tmp_path / "people.db", ((number, f'a,"{number}"') for number in range(12_000)))
    options = {"path": str(path), "table": "people"}
    await datasets.register(engine, "people", "", "sqlite", options, actor="operator:li")
    rows = await staged(engine)
    assert len(rows) == 12_001
    assert rows[-1] == ["11999", 'a,"11999"']
    people_table(path, iter([(1, "new")]))
    with pytest.raises(Refused, match="changed since"):
        await datasets.stage(engine, "datasets", "people")


async def test_a_changed_file_is_refused_and_not_left_readable(engine: Engine, tmp_path: Path) -> None:
    await add_people(engine, tmp_path)
    await staged(engine)
    write_encoded(tmp_path / "people.csv", "id,x\n9,9\n", "utf-8")
    with pytest.raises(Refused, match="register it again"):
        await datasets.stage(engine, "datasets", "people")
    assert await engine.storage.stat("datasets", "people") is None
    assert (await add_people(engine, tmp_path, "id,x\n9,9\n")).name == "people.csv"
    assert await staged(engine) == [["id", "x"], ["9", "9"]]


async def test_what_is_not_registered_cannot_be_laid_out(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await datasets.stage(engine, "datasets", "people")
    path = await add_people(engine, tmp_path)
    path.unlink()
    with pytest.raises(InvalidRequest, match="there is no file"):
        await datasets.stage(engine, "datasets", "people")


async def test_removing_a_dataset_keeps_its_source(engine: Engine, tmp_path: Path) -> None:
    path = await add_people(engine, tmp_path)
    await staged(engine)
    await datasets.remove(engine, "datasets", "people", actor="operator:li")
    assert await engine.storage.stat("datasets", "people") is None
    assert path.exists()


async def test_a_package_of_several_components_is_resolved_by_its_module(engine: Engine) -> None:
    """The legacy pair: `code` is the package, `module_name` the component in it."""
    for name, version in (("Join", "1"), ("Sort", "1"), ("Join", "2")):
        manifest = MANIFEST | {"componentName": name, "version": version, "code": "acme-tools"}
        await components.register(engine, "builtin:probe", manifest, actor="operator:ann")
    alone = MANIFEST | {"componentName": "Only", "code": "acme-only"}
    await components.register(engine, "builtin:probe", alone, actor="operator:ann")

    async def found(name: str, version: str, code: str) -> tuple[str, str] | None:
        row = await engine.db.read(lambda r: resolve(r, provider="", name=name, version=version, code=code))
        return (row.name, row.version) if row is not None else None

    assert await found("Join", "1", "acme-tools") == ("Join", "1")
    assert await found("Sort", "1", "acme-tools") == ("Sort", "1")
    assert await found("Sort", "", "acme-tools") == ("Sort", "1")
    assert await found("Join", "", "acme-tools") == ("Join", "2")
    assert await found("Sort", "2", "acme-tools") is None
    assert await found("Nothing", "1", "acme-tools") is None
    assert await found("acme-tools", "2", "acme-tools") == ("Join", "2")
    assert await found("AnyName", "1", "acme-only") == ("Only", "1")
