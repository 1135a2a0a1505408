"""Two alignment components as two processes over a channel."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.integration.components.party import environment, read_table, run, start, write_table

from algorithm_components.sample_alignment.messages import ENC, CipherBatch
from algorithm_components.sdk.channel import Channel
from algorithm_components.sdk.environment import Environment
from algorithm_components.sdk.report_form import faults_of
from algorithm_components.sdk.testing import LocalNode

Table = list[list[str]]


class Sides:
    """Both parties' homes and what came out."""

    def __init__(self, tmp_path: Path, guest: Table, host: Table) -> None:
        self.roots = {"guest.0": tmp_path / "guest", "host.0": tmp_path / "host"}
        self.tables = {"guest.0": guest, "host.0": host}
        for party, root in self.roots.items():
            write_table(root, self.tables[party])

    def run(self, node: LocalNode, parameters: dict[str, dict[str, Any]] | None = None) -> dict[str, tuple[int, str]]:
        own = parameters or {}
        processes = {
            party: start("sample_alignment", environment(party, root, node.address, **own.get(party, {})))
            for party, root in self.roots.items()
        }
        ended = {}
        for party, process in processes.items():
            output, _ = process.communicate(timeout=60)
            ended[party] = (process.returncode, output)
        return ended

    def result(self, party: str) -> Table:
        return read_table(self.roots[party] / "job-1" / "task-1-data0")

    def report(self, party: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.roots[party] / "job-1" / "task-1-report").read_text())
        return found

    def joined(self, party: str, column: int = 0) -> Table:
        """What a plain join gives `party`."""
        other = next(each for each in self.tables if each != party)
        ids = {row[0] for row in self.tables[other][1:]} - {""}
        header, *rows = self.tables[party]
        return [header, *sorted((row for row in rows if row[column] in ids), key=lambda row: row[column].encode())]


def people(count: int, of: int, seed: int, header: str = "id") -> Table:
    numbers = random.Random(seed).sample(range(of), count)
    return [[header, "note"], *([f"用户-{number}", f'a "{number}",\nb'] for number in numbers)]


def both_succeeded(ended: dict[str, tuple[int, str]]) -> bool:
    assert {party: code for party, (code, _) in ended.items()} == {"guest.0": 0, "host.0": 0}, ended
    return True


def test_both_get_the_rows_of_a_plain_join_side_by_side(tmp_path: Path) -> None:
    sides = Sides(tmp_path, people(1500, 3000, 1), people(1200, 3000, 2))
    with LocalNode() as node:
        ended = sides.run(node, {"guest.0": {"batch_size": 100}, "host.0": {"batch_size": 333}})
    assert both_succeeded(ended)
    for party in sides.roots:
        assert sides.result(party) == sides.joined(party)
    guest, host = sides.result("guest.0"), sides.result("host.0")
    assert [row[0] for row in guest] == [row[0] for row in host]
    assert len(guest) > 400
    report = sides.report("host.0")
    assert (report["own_identifiers"], report["other_party_identifiers"]) == (1200, 1500)
    assert report["common_identifiers"] == report["rows_written"] == len(guest) - 1
    assert set(report["seconds"]) == {"read", "exchange", "match", "write"}
    assert list(faults_of(report)) == []
    assert report["items"][2]["value"] == len(guest) - 1


def test_several_processes_compute_the_same(tmp_path: Path) -> None:
    sides = Sides(tmp_path, people(3000, 4000, 1), people(3000, 4000, 2))
    with LocalNode() as node:
        ended = sides.run(node, {party: {"workers": 2, "batch_size": 500} for party in sides.roots})
    assert both_succeeded(ended)
    assert sides.result("guest.0") == sides.joined("guest.0")


def test_a_channel_that_fails_now_and_then_changes_nothing(tmp_path: Path) -> None:
    sides = Sides(tmp_path, people(300, 500, 1), people(300, 500, 2))
    rng = random.Random(5)
    kinds = {"push": ["lose", "cut", "twice", "full", "error"], "pop": ["lose", "cut", "error"]}
    with LocalNode(lambda operation, _: rng.choice(kinds[operation]) if rng.random() < 0.15 else "") as node:
        ended = sides.run(node, {party: {"batch_size": 20} for party in sides.roots})
    assert both_succeeded(ended)
    assert sides.result("host.0") == sides.joined("host.0")


@pytest.mark.parametrize(
    ("result_to", "learns", "not_told"), [("guest", "guest.0", "host.0"), ("host", "host.0", "guest.0")]
)
def test_the_result_goes_to_one_party_alone(tmp_path: Path, result_to: str, learns: str, not_told: str) -> None:
    sides = Sides(tmp_path, people(50, 80, 1), people(40, 80, 2))
    with LocalNode() as node:
        ended = sides.run(node, {party: {"result_to": result_to} for party in sides.roots})
        topics = [headers["x-ptp-topic"] for headers in node.headers]
    assert both_succeeded(ended)
    assert sides.result(learns) == sides.joined(learns)
    assert sides.result(not_told) == [sides.tables[not_told][0]]
    assert sides.report(not_told)["common_identifiers"] is None
    # Nothing that would let the other one compute it was ever sent.
    assert f"task-1/{learns}-{not_told}:dual.enc" not in topics
    assert f"task-1/{not_told}-{learns}:dual.enc" in topics


def test_repeated_and_missing_identifiers(tmp_path: Path) -> None:
    guest = [["id", "n"], ["b", "1"], ["a", "2"], ["", "3"], ["b", "4"], ["c", "5"]]
    host = [["id", "m"], ["b", "x"], ["", "y"], ["a", "z"]]
    sides = Sides(tmp_path, guest, host)
    with LocalNode() as node:
        ended = sides.run(node)
    assert both_succeeded(ended)
    assert sides.result("guest.0") == [["id", "n"], ["a", "2"], ["b", "1"], ["b", "4"]]
    assert sides.result("host.0") == [["id", "m"], ["a", "z"], ["b", "x"]]
    report = sides.report("guest.0")
    assert (report["rows_without_identifier"], report["rows_repeating_an_identifier"]) == (1, 1)
    assert "warning: 1 rows have no identifier" in ended["guest.0"][1]


@pytest.mark.parametrize("host_ids", [[], ["z"]])
def test_nothing_in_common(tmp_path: Path, host_ids: list[str]) -> None:
    sides = Sides(tmp_path, [["id"], ["a"], ["b"]], [["id"], *([value] for value in host_ids)])
    with LocalNode() as node:
        assert both_succeeded(sides.run(node))
    assert sides.result("guest.0") == sides.result("host.0") == [["id"]]
    assert sides.report("guest.0")["common_identifiers"] == 0


def test_each_party_names_its_own_column(tmp_path: Path) -> None:
    sides = Sides(tmp_path, [["x", "client"], ["1", "a"], ["2", "b"]], [["customer"], ["b"]])
    with LocalNode() as node:
        assert both_succeeded(sides.run(node, {"guest.0": {"id": "client"}, "host.0": {"id": "customer"}}))
    assert sides.result("guest.0") == [["x", "client"], ["2", "b"]]


def test_parties_that_disagree_both_fail(tmp_path: Path) -> None:
    sides = Sides(tmp_path, [["id"], ["a"]], [["id"], ["a"]])
    with LocalNode() as node:
        ended = sides.run(node, {"guest.0": {"result_to": "guest"}})
    for code, output in ended.values():
        assert code == 1
        assert "error: the parties do not agree on result_to" in output
    assert not (sides.roots["guest.0"] / "job-1").exists()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"id": "nowhere"}, "has no column 'nowhere'; it has: id"),
        ({"duplicates": "refuse"}, "repeat an identifier"),
        ({"result_to": "everybody"}, "result_to must be one of"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"workers": "many"}, "workers must be a whole number"),
    ],
)
def test_faults_of_the_own_side_are_told_before_anything_is_sent(
    tmp_path: Path, parameters: dict[str, object], said: str
) -> None:
    write_table(tmp_path, [["id"], ["a"], ["a"]])
    code, output = run("sample_alignment", environment("guest.0", tmp_path, **parameters))
    assert code == 1
    assert said in output.splitlines()[-1]


@pytest.mark.parametrize("change", [{"config.node_id.host.1": "dave"}, {"config.self_role": "arbiter.0"}])
def test_other_constellations_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    write_table(tmp_path, [["id"], ["a"]])
    code, output = run("sample_alignment", {**environment("guest.0", tmp_path), **change})
    assert code == 1
    assert "guest and" in output


def greeting(items: int) -> dict[str, object]:
    return {
        "items": items,
        "result_to": "all",
        "protocol": "ecdh-psi",
        "version": 1,
        "suite": "curve25519/sha_256/direct_hash_as_point_x/uncompressed",
    }


@pytest.mark.parametrize(
    ("enc", "dual", "said"),
    [
        (bytes(32), None, "low order"),
        (b"\x09" + bytes(31) + b"\x10" + bytes(31), None, "more 'enc' points than the 1"),
        (b"", None, "sent 0 'enc' points, but it must be 1"),
        (b"\x09" + bytes(31), b"\x09" + bytes(31), "sent 1 'dual.enc' points, but it must be 2"),
        (b"\x09" + bytes(31), b"\x09" * 96, "more 'dual.enc' points than the 2"),
    ],
)
def test_a_party_that_lies_is_found_out(tmp_path: Path, enc: bytes, dual: bytes | None, said: str) -> None:
    write_table(tmp_path, [["id"], ["a"], ["b"]])
    with LocalNode() as node:
        process = start("sample_alignment", environment("guest.0", tmp_path, node.address))
        with Channel(Environment(environment("host.0", tmp_path, node.address))) as liar:
            liar.sender("guest.0", "hello").send_json(greeting(items=1))
            sender = liar.sender("guest.0", "enc")
            sender.send(CipherBatch(ENC, 0, last=False, ciphertext=enc).encode())
            sender.send(CipherBatch(ENC, 1, last=True, ciphertext=b"").encode())
            if dual is not None:
                liar.sender("guest.0", "dual.enc").send(CipherBatch("dual.enc", 0, last=True, ciphertext=dual).encode())
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said in output.splitlines()[-1]
    assert not (tmp_path / "job-1").exists()


def test_only_masked_points_leave_the_node(tmp_path: Path) -> None:
    sides = Sides(tmp_path, people(30, 40, 1), people(30, 40, 2))
    sent: list[bytes] = []

    class Listening(LocalNode):
        def put(self, key: tuple[str, str, str, str], message: bytes) -> None:
            sent.append(message)
            super().put(key, message)

    with Listening() as node:
        assert both_succeeded(sides.run(node))
    traffic = b"".join(sent)
    assert len(traffic) > 30 * 32 * 4
    assert not any(row[0].encode() in traffic for table in sides.tables.values() for row in table[1:])
