"""Nothing of an attempt is lost when the node, the shim or the machine goes away."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import embedded_scheduler
from embedded_scheduler.runners.attempt import boot_id, start_ticks
from embedded_scheduler.runners.kept import LOST, NOT_STARTED
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec

if TYPE_CHECKING:
    from tests.integration.runners.conftest import Harness

SOURCES = str(Path(embedded_scheduler.__file__).parents[1])

NODE = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {sources!r})
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.spi.runner import LaunchSpec

async def main():
    runner = ProcessRunner(Path({runs!r}), allow_exec=[{program!r}], reserve_bytes=0)
    spec = LaunchSpec("a", "exec:" + {program!r}, {{}}, Path({runs!r}) / "a", Path({log!r}))
    await runner.launch(spec)
    print("launched", flush=True)
    await runner.wait(runner.handle(spec))

asyncio.run(main())
"""


async def _killed_node(harness: Harness, spec: LaunchSpec) -> None:
    """A node process that launches the attempt and is killed the moment it has."""
    source = NODE.format(
        sources=SOURCES, runs=str(harness.runs), program=spec.image_url.removeprefix("exec:"), log=str(spec.log_path)
    )
    node = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=subprocess.PIPE)
    assert node.stdout is not None
    assert await node.stdout.readline() == b"launched\n"
    node.kill()
    await node.wait()


async def test_component_outlives_a_killed_node_with_every_line(harness: Harness) -> None:
    program = (
        "import time\nfor i in range(300):\n    print('line', i, flush=True)\n    time.sleep(.003)\nraise SystemExit(6)"
    )
    spec = harness.spec("a", program)
    await _killed_node(harness, spec)
    runner = harness.runner()
    assert await runner.observe(runner.handle(spec)) is None
    await runner.launch(spec)
    assert await runner.wait(runner.handle(spec)) == Exit(code=6)
    assert harness.log("a") == "".join(f"line {i}\n" for i in range(300)) + f"{END_OF_LOG}, exit 6\n"


async def test_attempt_that_ended_while_no_node_was_there(harness: Harness) -> None:
    spec = harness.spec("a", "print('short')")
    await _killed_node(harness, spec)
    await harness.until((harness.runs / "a" / "exit.json").exists)
    runner = harness.runner()
    assert await runner.observe(runner.handle(spec)) == Exit(code=0)
    assert await runner.wait(runner.handle(spec)) == Exit(code=0)


async def test_adopted_attempt_is_terminated(harness: Harness) -> None:
    spec = harness.spec("a", "import time; print('up', flush=True); time.sleep(600)")
    await _killed_node(harness, spec)
    runner = harness.runner()
    await harness.until_printed("up\n")
    await runner.terminate(runner.handle(spec), 5)
    assert await runner.observe(runner.handle(spec)) == Exit(code=None, signal=signal.SIGTERM)


async def test_node_killed_between_order_and_start(harness: Harness) -> None:
    spec = harness.spec("a", "print('ran')")
    run = harness.directory("a")
    run.create()
    run.write_order(b"half an ord")
    runner = harness.runner()
    assert await runner.observe(runner.handle(spec)) is None
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, error=NOT_STARTED)
    await runner.launch(spec)
    assert (await runner.wait(runner.handle(spec))).ok
    assert harness.log("a").startswith("ran\n")


async def test_killed_shim_is_a_lost_attempt_without_survivors(harness: Harness) -> None:
    spec = harness.spec("a", "import time; print('up', end='', flush=True); time.sleep(600)")
    runner = harness.runner()
    await runner.launch(spec)
    waiting = asyncio.ensure_future(runner.wait(runner.handle(spec)))
    await harness.until_printed("up")
    identity = harness.identity("a")
    assert len(identity.members()) == 2
    os.kill(identity.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        assert await waiting == Exit(code=None, error=LOST)
    assert identity.members() == []
    assert harness.log("a") == f"up\n{END_OF_LOG}, lost\n"
    again = harness.runner()
    await again.launch(spec)
    assert await again.wait(again.handle(spec)) == Exit(code=None, error=LOST), "a lost attempt is not run again"
    assert harness.log("a").count("up") == 1


async def test_group_signal_does_not_take_the_exit_status_away(harness: Harness) -> None:
    spec = harness.spec("a", "import time; print('up', flush=True); time.sleep(600)")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until_printed("up\n")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        try:
            os.killpg(harness.identity("a").session, number)
        except ProcessLookupError:
            break
    ending = await runner.wait(runner.handle(spec))
    assert ending.signal == signal.SIGHUP


@pytest.fixture
def stranger() -> subprocess.Popen[bytes]:
    """A process that has nothing to do with any attempt, leader of its own session."""
    return subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)


@pytest.mark.parametrize("boot", ["this", "another"])
async def test_process_with_a_reused_pid_is_neither_awaited_nor_harmed(
    harness: Harness, stranger: subprocess.Popen[bytes], boot: str
) -> None:
    with stranger:
        spec = harness.spec("a", "print('never')")
        run = harness.directory("a")
        run.create()
        (run.path / "lock").touch()
        ticks = start_ticks(stranger.pid)
        assert ticks is not None
        # As left behind by a shim that had this pid: started earlier in this boot, or at the same time in another.
        recorded = ticks - 1 if boot == "this" else ticks
        that_boot = boot_id() if boot == "this" else "00000000-0000-0000-0000-000000000000"
        lines = (that_boot, stranger.pid, recorded, stranger.pid, recorded, harness.root / "logs" / "a.log")
        (run.path / "pid").write_text("\n".join(str(line) for line in lines))
        runner = harness.runner()
        async with asyncio.timeout(5):
            await runner.terminate(runner.handle(spec), 1)
            assert await runner.wait(runner.handle(spec)) == Exit(code=None, error=LOST)
        assert stranger.poll() is None
        stranger.kill()


async def test_survivors_of_a_killed_shim_are_ended_by_the_next_node(harness: Harness) -> None:
    program = (
        "import os, signal, time\n"
        "signal.signal(15, signal.SIG_IGN)\n"
        "os.fork()\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    spec = harness.spec("a", program)
    first = harness.runner()
    await first.launch(spec)
    await harness.until_printed("up\nup\n")
    identity = harness.identity("a")
    os.kill(identity.pid, signal.SIGKILL)
    second = harness.runner()
    await harness.until(lambda: not harness.directory("a").held())
    assert await second.observe(second.handle(spec)) == Exit(code=None, error=LOST)
    assert identity.members() == []
    assert await first.wait(first.handle(spec)) == Exit(code=None, error=LOST)


async def test_full_log_disk_does_not_cost_the_exit_status(harness: Harness) -> None:
    address = harness.builtin("tell", "def main():\n    return 5\n")
    spec = dataclasses.replace(harness.at(address, "a"), log_path=Path("/dev/full"))
    runner = harness.runner()
    await runner.launch(spec)
    assert await runner.wait(runner.handle(spec)) == Exit(code=5)


async def test_output_lost_on_a_full_log_disk_is_a_failure(harness: Harness) -> None:
    address = harness.builtin("tell", "import sys\ndef main():\n    sys.stdout.write('no line end')\n")
    spec = dataclasses.replace(harness.at(address, "a"), log_path=Path("/dev/full"))
    runner = harness.runner()
    await runner.launch(spec)
    assert await runner.wait(runner.handle(spec)) == Exit(code=120)
