"""What a person meets who types `nodeconsole` for the first time, in a real terminal."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.support.terminal import Terminal

from embedded_scheduler.wire.console import DatasetRequest
from nodeconsole.client import NodeClient
from nodeconsole.node_process import NodeProcess, free_addresses, program

T = TypeVar("T")

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, 80, 24)
    yield made
    made.end()


def _run(terminal: Terminal, tmp_path: Path, *words: str) -> Path:
    """Start the program with a home and a place for temporary files of its own; where its exit code is written."""
    outcome = tmp_path / "outcome"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    settings = f"HOME={tmp_path} XDG_STATE_HOME={tmp_path}/state XDG_CONFIG_HOME={tmp_path}/config TMPDIR={scratch}"
    terminal.start(f"sh -c '{settings} {shlex.join([*program(), *words])}; echo $? > {outcome}; exec cat'")
    return outcome


def _ended(terminal: Terminal, outcome: Path) -> str:
    limit = time.monotonic() + 30
    while not outcome.exists() or not outcome.read_text():
        assert time.monotonic() < limit, terminal.screen()
        time.sleep(0.05)
    return outcome.read_text().strip()


def test_the_demo_shows_a_node_and_leaves_nothing_behind(terminal: Terminal, tmp_path: Path) -> None:
    outcome = _run(terminal, tmp_path, "--demo")
    screen = terminal.shows("DEMO", "psi-credit-daily", within=60)
    assert "sgb-train-v12" in screen
    assert list((tmp_path / "scratch").iterdir())
    terminal.press("C-q")
    assert _ended(terminal, outcome) == "0"
    assert not list((tmp_path / "scratch").iterdir())
    assert not (tmp_path / ".nodeconsole").exists()


def test_a_first_start_with_enter_alone_makes_a_node(terminal: Terminal, tmp_path: Path) -> None:
    outcome = _run(terminal, tmp_path)
    terminal.shows("step 1 of 5")
    for number in range(1, 6):
        terminal.shows(f"step {number} of 5")
        assert not (tmp_path / ".nodeconsole").exists()
        terminal.press("Enter")
    terminal.shows("DEMO", "tour 1 of 6", within=60)
    terminal.press("C-q")
    terminal.shows("online", "nothing needs you", within=60)
    assert (tmp_path / ".nodeconsole" / "node.toml").exists()
    terminal.press("C-q")
    assert _ended(terminal, outcome) == "0"


class Partner:
    """Another company's node on this machine, and the operator at the other end of the phone."""

    def __init__(self, directory: Path) -> None:
        listen, platform = free_addresses(2)
        self._node = NodeProcess("bank-b", directory / "bank-b", listen=listen, platform=platform)
        asyncio.run(self._start(directory))

    async def _start(self, directory: Path) -> None:
        await self._node.create()
        await self._node.start()
        table = directory / "buyers.csv"
        table.write_text("id,spent\n" + "".join(f"{number},{number}\n" for number in range(20, 60)))
        async with self._node.client() as client:
            await client.add_dataset(
                DatasetRequest(name="buyers", namespace="sales", connector="csv", options={"path": str(table)})
            )

    def invite(self) -> str:
        return asyncio.run(self._ask(lambda client: client.invite())).code

    def hears_and_confirms(self, words: str) -> None:
        async def confirm(client: NodeClient) -> None:
            [contract] = await client.contracts()
            await client.confirm_contract(contract.contract_id, words)

        asyncio.run(self._ask(confirm))

    def submits(self, document: dict[str, Any]) -> str:
        return asyncio.run(self._ask(lambda client: client.submit(document))).job_id

    def outcome_of(self, job_id: str) -> str | None:
        return asyncio.run(self._ask(lambda client: client.job(job_id))).job.outcome

    def ends(self) -> None:
        self._node.kill()

    async def _ask(self, request: Callable[[NodeClient], Awaitable[T]]) -> T:
        async with self._node.client() as client:
            return await request(client)


def _joint(us: str, task: dict[str, Any], guest: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """A job of one task that the partner initiates as guest."""
    name = str(task["name"])
    return {
        "flow_id": f"joint-{name}",
        "dag": {"version": "2.0", "components": [task | {"provider": "nodeconsole", "version": "1.0.0", "input": []}]},
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": "bank-b"},
            "role": {"guest": ["bank-b"], "host": [us]},
            "task_params": {"guest": {"0": {name: guest}}, "host": {"0": {name: host}}},
        },
    }


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Partner]:
    made = Partner(tmp_path)
    yield made
    made.ends()


def test_the_first_hour_of_an_operator_by_keys_alone(terminal: Terminal, tmp_path: Path, partner: Partner) -> None:
    """Create a node, join a partner, register data and a component, approve a job, watch it, stop one, and read in the
    audit log who did what: every step as the screen itself suggests it."""
    (tmp_path / "customers.csv").write_text("id,age\n" + "".join(f"{n},{n + 20}\n" for n in range(40)))
    manifest = json.loads(files("algorithm_components.probe").joinpath("manifest.json").read_text())
    (tmp_path / "tally.json").write_text(json.dumps(manifest | {"componentName": "tally", "title": "Tally"}))
    outcome = _run(terminal, tmp_path)

    # A node: five questions, no tour.
    for number in range(1, 5):
        terminal.shows(f"step {number} of 5")
        terminal.press("Enter")
    terminal.shows("step 5 of 5")
    terminal.press("j")
    terminal.shows("(o) No tour")
    terminal.press("Enter")
    us = terminal.shows("online", "nothing needs you", within=60).split()[0]

    # A partner: their code, then six words over the phone.
    terminal.press("g", "o")
    terminal.shows("No partners yet")
    terminal.press("J")
    terminal.shows("Join a partner?")
    terminal.type(partner.invite())
    terminal.press("Enter")
    terminal.shows("press Y")
    terminal.press("Y")
    words = terminal.shows("THE SIX WORDS").split("THE SIX WORDS")[1].split("\n")[1].strip()
    partner.hears_and_confirms(words)
    terminal.press("A")
    terminal.shows("as its operator reads them out")
    terminal.type(words)
    terminal.press("Enter")
    terminal.shows("in force")

    # Data.
    terminal.press("g", "d")
    terminal.shows("No datasets yet")
    terminal.press("N")
    _register_data(terminal, tmp_path / "customers.csv")

    # A component of their own.
    terminal.press("g", "c")
    terminal.shows("sample_alignment")
    terminal.press("N")
    terminal.shows("self-description")
    terminal.type(str(tmp_path / "tally.json"))
    terminal.press("Enter")
    terminal.shows("image URL", "must be given")
    terminal.press("Enter")
    terminal.type("builtin:probe")
    terminal.press("Enter", "F10")
    terminal.shows("Register this component?")
    terminal.press("Y")
    terminal.shows("tally", "components  ")

    # A job that the partner asks for: read the card, approve, watch it end.
    intersection = {"name": "psi_0", "componentName": "sample_alignment"}
    intersection |= {"output": [{"key": "train_data", "type": "dataset"}, {"key": "report", "type": "report"}]}
    theirs = {"namespace": "sales", "name": "buyers", "id": "id"}
    ours = {"namespace": "default", "name": "customers", "id": "id"}
    joint = partner.submits(_joint(us, intersection, theirs, ours))
    terminal.shows("1 waiting for your decision")
    terminal.press("!")
    terminal.shows("KIND", "joint-psi_0")
    terminal.press("Enter")
    terminal.shows("WHAT LEAVES", "customers")
    _approve(terminal, joint)
    terminal.shows("decision  ✓ done", within=60)
    terminal.press("g", "j")
    terminal.shows("joint-psi_0", "STATE")
    terminal.press("Enter")
    terminal.shows("component nodeconsole/sample_alignment")
    terminal.press("l")
    terminal.shows("complete")
    terminal.press("q", "q")
    assert partner.outcome_of(joint) == "succeeded"

    # One that does not end by itself: approved, then stopped.
    waiting = partner.submits(
        _joint(us, {"name": "wait_0", "componentName": "probe", "output": []}, {"sleep": 600}, {"sleep": 600})
    )
    terminal.shows("1 waiting for your decision")
    terminal.press("!")
    terminal.shows("KIND", "joint-wait_0")
    terminal.press("Enter")
    terminal.shows("asked by", "WHAT LEAVES")
    _approve(terminal, waiting)
    terminal.shows("decision  ● running", within=60)
    terminal.press("g", "j")
    terminal.shows("joint-wait_0", "STATE")
    terminal.press("g", "g", "S")
    terminal.shows("Stop this job?")
    terminal.press("Enter")
    terminal.shows("press Y")
    terminal.press("Y")
    terminal.shows("stopped", within=60)

    # Who did what.
    terminal.press("g", "u")
    screen = terminal.shows("approved", waiting[:12])
    assert "operator" in screen
    terminal.press("C-q")
    assert _ended(terminal, outcome) == "0"


def _approve(terminal: Terminal, job_id: str) -> None:
    terminal.press("A")
    terminal.shows("the end of the id", job_id[-4:])
    terminal.type(job_id[-4:])
    terminal.press("Enter", "Enter")


def _register_data(terminal: Terminal, table: Path) -> None:
    """The form of a CSV file: what must be given, then F10."""
    terminal.shows("kind of source", "CSV file")
    terminal.press("Enter")
    terminal.shows("errors 2")
    terminal.press("Enter")
    terminal.type(table.stem)
    terminal.press("Enter")
    terminal.shows("errors 1")
    terminal.press("e", "Enter")
    terminal.type(str(table))
    terminal.press("Enter")
    terminal.shows("errors 0")
    terminal.press("F10")
    terminal.shows("press Y")
    terminal.press("Y")
    terminal.shows("[datasets]", table.stem, "40")
