"""The pack `algorithms` between real nodes: installed from wheels, and its results against the built-in component's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support import algorithms_pack as pack
from tests.support.mesh import Mesh, mesh

from embedded_scheduler.wire.console import DatasetRequest

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]

NODES = ("alice", "bob", "carol")
PAIR = {"guest": ["alice"], "host": ["bob"]}
TRIO = {"guest": ["alice"], "host": ["bob", "carol"]}
AWKWARD = ("007", "7", "a,b", 'say "x"', "line\nbreak", " blank ", "NULL", "nan", "汉字", "é", "x" * 500)
"""Identifiers that a careless reader of CSV would change."""


def people(node: str) -> list[list[str]]:
    """The first third is everybody's, the second of two, the last the node's own; some twice, some without."""
    start = NODES.index(node)
    common = [*AWKWARD, *(f"id-{number:05d}" for number in range(300))]
    two = [f"pair-{number}" for number in range(100)] if node != "carol" else []
    own = [f"{node}-{number}" for number in range(100 * (start + 1))]
    identifiers = [*own, *two, *reversed(common), common[3], common[20], ""]
    return [["id", "name", node], *([one, f"{one}!", str(n)] for n, one in enumerate(identifiers))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def net(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    if not pack.wheels():
        pytest.skip("run by `make test-interop`, which downloads spu and sets NODECONSOLE_INTEROP_WHEELS")
    root = tmp_path_factory.mktemp("algorithms")
    async with mesh(root, *NODES) as made:
        await pack.install(made)
        for name, client in made.clients.items():
            path = pack.dataset(root / f"data-{name}", people(name))
            await client.add_dataset(DatasetRequest(name="people", connector="csv", options={"path": str(path)}))
        yield made


async def run(net: Mesh, parties: dict[str, list[str]], component: str, **common: object) -> str:
    job_id = await net.submit("alice", pack.job(parties, component, common=common))
    at = [node for nodes in parties.values() for node in nodes]
    over = await net.over(job_id, at=at, within=120)
    said = {name: (detail.job.state, detail.job.outcome) for name, detail in over.items()}
    assert set(said.values()) == {("FINISHED", "succeeded")}, f"{said}\n{await pack.log_of(net, job_id, at)}"
    return job_id


@pytest.mark.parametrize("protocol", ["ecdh", "rr22"])
@pytest.mark.parametrize("result_to", ["all", "host"])
async def test_two_parties_get_what_the_built_in_alignment_gives(net: Mesh, protocol: str, result_to: str) -> None:
    reference = await run(net, PAIR, "sample_alignment", result_to=result_to)
    found = await run(net, PAIR, "spu_alignment", result_to=result_to, protocol=protocol)
    for node, party in (("alice", "guest.0"), ("bob", "host.0")):
        expected = await pack.output(net.clients[node], reference, party, "intersection")
        assert await pack.output(net.clients[node], found, party, "intersection") == expected
        assert expected.count(b"\n") > (400 if result_to in ("all", party[:4]) else 0)
        report = json.loads(await pack.output(net.clients[node], found, party, "report"))
        figures = {item["name"]: item.get("value") for item in report["items"]}
        common = len(AWKWARD) + 300 + 100
        assert figures["common_identifiers"] == (common if result_to in ("all", party[:4]) else None)
        assert figures["rows_repeating_an_identifier"] == 2
        assert figures["rows_without_identifier"] == 1


async def test_three_parties_learn_what_all_of_them_have(net: Mesh) -> None:
    found = await run(net, TRIO, "spu_alignment")
    # The built-in alignment of each pair, and the rows that are in both: the same rows, in the same order.
    for node, party in (("alice", "guest.0"), ("bob", "host.0"), ("carol", "host.1")):
        content = (await pack.output(net.clients[node], found, party, "intersection")).decode()
        mine = people(node)
        common = set.intersection(*({row[0] for row in people(name)[1:]} for name in NODES)) - {""}
        rows = [row for row in mine[1:] if row[0] in common]
        expected = sorted(rows, key=lambda row: row[0].encode())
        assert _parsed(content) == [mine[0], *expected]


async def test_terms_that_differ_are_a_sentence_at_both_parties(net: Mesh) -> None:
    document = pack.job(PAIR, "spu_alignment", own={"host.0": {"protocol": "rr22"}})
    job_id = await net.submit("alice", document)
    over = await net.over(job_id, at=("alice", "bob"), within=60)
    assert {detail.job.outcome for detail in over.values()} == {"failed"}
    assert "was given other terms: protocol is" in await pack.log_of(net, job_id, ("alice", "bob"))


async def test_the_library_leaves_no_trace(net: Mesh) -> None:
    await run(net, PAIR, "spu_alignment")
    for node in net.nodes.values():
        left = [path for path in node.home.path.rglob("*") if path.suffix == ".trace" or path.name.startswith("psi-")]
        assert left == []


async def test_the_installed_pack_is_as_the_ledger_notes(net: Mesh) -> None:
    verification = await net.clients["alice"].verify_pack(pack.NAME, pack.VERSION)
    assert (verification.ok, verification.faults) == (True, [])
    assert verification.files > 1000


def _parsed(content: str) -> list[list[str]]:

    return list(csv.reader(io.StringIO(content, newline="")))
