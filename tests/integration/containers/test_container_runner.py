"""The container runner keeps the contract of every runner, and its own promises, with a real engine."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.containers.conftest import PYTHON_IMAGE, talker
from tests.support import container_engine
from tests.support.registry import registry

from embedded_scheduler.config import MIB, ContainerSection
from embedded_scheduler.errors import Unavailable
from embedded_scheduler.runners.confinement import container_name
from embedded_scheduler.runners.run_directory import RunDirectory
from embedded_scheduler.spi.conformance import RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Limits

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Harness, Machine

    from embedded_scheduler.runners.container import ContainerRunner


@pytest.mark.parametrize("check", RunnerConformance.checks())
async def test_runner_conformance(check: str, harness: Harness) -> None:
    await RunnerConformance(harness).run(check)


async def _end_of(runner: ContainerRunner, spec: LaunchSpec) -> Exit:
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


# What a container sees


REPORT = """
import json, os, socket
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__ + ' ' + str(error.errno)
    return ''
print('REPORT ' + json.dumps({
    'user': [os.geteuid(), os.getegid()], 'capabilities': status['CapEff'], 'privileges': status['NoNewPrivs'],
    'root': tried(lambda: open('/here', 'w')), 'temporary': tried(lambda: open('/tmp/here', 'w')),
    'input': open(INPUT).read(), 'change': tried(lambda: open(INPUT, 'w')),
    'beside': os.listdir(os.path.dirname(INPUT)),
    'output': tried(lambda: open(OUTPUT + '/result', 'w').write('42')),
    'log': tried(lambda: open(os.environ['config.log.path'] + '/own.log', 'w').write('x')),
    'processes': [name for name in os.listdir('/proc') if name.isdigit()],
    'interfaces': [name for _, name in socket.if_nameindex()],
}), flush=True)
"""


def _report(harness: Harness, attempt_id: str) -> Any:
    return json.loads(re.findall("^REPORT (.*)$", harness.log(attempt_id), re.MULTILINE)[0])


async def test_a_container_sees_its_inputs_its_outputs_and_no_more(harness: Harness) -> None:
    own, results = harness.root / "storage" / "own", harness.root / "storage" / "job-guest-0"
    for directory in (own, results):
        directory.mkdir(parents=True)
    (own / "table").write_text("id\n1\n")
    (own / "other").write_text("secret")
    program = f"INPUT, OUTPUT = {str(own / 'table')!r}, {str(results)!r}{REPORT}"
    spec = harness.spec("a", program, environment={"config.log.path": str(harness.root / "logs")})
    spec = replace(spec, reads=(own / "table",), writes=(results,))
    assert (await _end_of(harness.runner(), spec)).ok, harness.log("a")
    found = _report(harness, "a")
    assert found["user"] == [os.geteuid(), os.getegid()]
    assert (int(found["capabilities"], 16), found["privileges"].strip()) == (0, "1")
    assert (found["root"], found["change"]) == (f"OSError {errno.EROFS}", f"OSError {errno.EROFS}")
    assert (found["temporary"], found["output"], found["log"]) == ("", "", "")
    assert (found["input"], found["beside"]) == ("id\n1\n", ["table"])
    assert (results / "result").read_text() == "42"
    assert len(found["processes"]) == 2  # the engine's init and the program
    assert found["interfaces"] == ["lo"]
    assert [path.name for path in (harness.root / "logs").iterdir()] == ["a.log"]


async def test_a_table_whose_name_looks_like_options_is_a_table(harness: Harness) -> None:
    """Podman takes mounts apart at their commas."""
    own = harness.root / "storage" / "own"
    own.mkdir(parents=True)
    tables = [own / name for name in ("customers, 2024", "x,src=..,rw", 'quoted"name')]
    for table in tables:
        table.write_text(f"id\n{table.name}\n")
    program = (
        f"for path in {[str(table) for table in tables]!r}:\n"
        "    print('READ', open(path).read().split(chr(10))[1], flush=True)\n"
        "    try:\n"
        "        open(path, 'w')\n"
        "    except OSError as error:\n"
        "        print('REFUSED', error.errno, flush=True)\n"
    )
    spec = replace(harness.spec("a", program), reads=tuple(tables))
    assert (await _end_of(harness.runner(), spec)).ok, harness.log("a")
    assert re.findall("^READ (.*)$", harness.log("a"), re.MULTILINE) == [table.name for table in tables]
    assert harness.log("a").count(f"REFUSED {errno.EROFS}\n") == 3


async def test_a_container_reaches_the_node_what_it_needs_and_nothing_else(harness: Harness) -> None:
    with talker(b"node") as node, talker(b"store") as store, talker(b"closed") as closed:
        program = (
            "import socket\n"
            "def said(address):\n"
            "    try:\n"
            "        return socket.create_connection(address, 5).recv(9).decode()\n"
            "    except OSError as error:\n"
            "        return type(error).__name__\n"
            f"print('SAID', *[said(a) for a in {[node, store, closed]!r}], said(('192.0.2.1', 80)), flush=True)\n"
        )
        spec = replace(harness.spec("a", program), node_address=_text(node), reaches=(_text(store),))
        assert (await _end_of(harness.runner(), spec)).ok
    # The very first connection finds the node: the way to it is there before the program begins.
    assert "SAID node store ConnectionRefusedError OSError\n" in harness.log("a")


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


async def test_what_prints_without_end_is_ended_at_its_disk_limit(harness: Harness) -> None:
    """It ignores the request to end, too, and prints what ends a log."""
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"sys.stdout.write({END_OF_LOG!r} + ', exit 0\\n')\n"
        "while True: sys.stdout.write('x' * 65535 + '\\n')\n"
    )
    ending = await _end_of(harness.runner(), harness.spec("a", program, limits=Limits(disk_bytes=4 * MIB)))
    assert (ending.code, ending.signal, ending.cause) == (None, signal.SIGKILL, "disk")
    assert "printed more than the 4 MiB" in ending.error
    log = (harness.root / "logs" / "a.log").read_bytes()
    assert 4 * MIB < len(log) < 4 * MIB + 4096
    assert log.endswith(f"{END_OF_LOG}, signal 9\n".encode())


async def test_what_printed_too_much_and_ended_by_itself_ended_so(harness: Harness) -> None:
    spec = harness.spec("a", "print('x' * (2 << 20))", limits=Limits(disk_bytes=MIB))
    ending = await _end_of(harness.runner(), spec)
    log = harness.log("a")
    assert ending == Exit(code=0) or ending.cause == "disk", ending
    assert log.count("x" * MIB) == 1
    if ending.ok:
        assert "beyond its disk limit is not kept" in log


async def test_running_out_of_memory_is_said_with_the_limit(harness: Harness) -> None:
    program = "x = bytearray(1 << 30); x[::4096] = b'1' * len(x[::4096])"
    spec = harness.spec("a", program, limits=Limits(memory_bytes=64 * MIB))
    ending = await _end_of(harness.runner(), spec)
    assert (ending.code, ending.signal, ending.cause) == (None, signal.SIGKILL, "memory")
    assert "it may use 64 MiB" in ending.error
    assert f"nodeconsole: error: {ending.error}\n" in harness.log("a")


# Whatever dies


COUNTING = "import time\nfor i in range(40): print('line', i, flush=True); time.sleep(0.05)"


async def test_a_keeper_that_is_killed_is_replaced_and_the_log_goes_on_where_it_stopped(harness: Harness) -> None:
    spec = harness.spec("a", COUNTING)
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "line 5\n" in harness.log("a"))
    identity = RunDirectory(spec.run_directory).identity()
    assert identity is not None
    for pid in identity.members():
        os.kill(pid, signal.SIGKILL)
    fresh = harness.runner()
    assert (await fresh.wait(fresh.handle(spec))).ok
    assert re.findall("^line (.*)$", harness.log("a"), re.MULTILINE) == [str(number) for number in range(40)]
    assert harness.log("a").count(END_OF_LOG) == 1


async def test_a_keeper_that_is_killed_does_not_keep_the_attempt_from_being_ended(harness: Harness) -> None:
    spec = harness.spec("a", "import time; print('up', flush=True); time.sleep(600)")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "up\n" in harness.log("a"))
    identity = RunDirectory(spec.run_directory).identity()
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    fresh = harness.runner()
    await fresh.terminate(fresh.handle(spec), 5.0)
    ending = await fresh.observe(fresh.handle(spec))
    assert ending is not None
    assert ending.signal == signal.SIGTERM
    assert harness.engine.api.container(container_name("alice", harness.root, "a")) is None


async def test_a_container_that_runs_costs_its_engine_next_to_nothing(harness: Harness) -> None:
    """Podman's answer to Docker's way of waiting takes half a core as long as the container runs."""
    spec = harness.spec("a", COUNTING)
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "line 5\n" in harness.log("a"))
    before = harness.engine.cpu_seconds()
    await harness.until(lambda: "line 35\n" in harness.log("a"))
    # Of one and a half seconds.
    assert harness.engine.cpu_seconds() - before < 0.3
    assert (await runner.wait(runner.handle(spec))).ok


async def test_a_container_that_somebody_removes_ends_its_attempt(harness: Harness) -> None:
    spec = harness.spec("a", "import time; print('up', flush=True); time.sleep(600)")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "up\n" in harness.log("a"))
    harness.engine.api.remove(container_name("alice", harness.root, "a"))
    ending = await runner.wait(runner.handle(spec))
    # An engine ends it first; who looks before it is away as well sees what ended it.
    assert ending.signal == signal.SIGKILL or (ending.code, ending.cause) == (None, "engine")
    assert ending.signal == signal.SIGKILL or "somebody removed it" in ending.error


async def test_an_engine_that_comes_up_late_is_waited_for(harness: Harness, machine: Machine) -> None:
    spec = harness.spec("a", COUNTING)
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "line 5\n" in harness.log("a"))
    identity = RunDirectory(spec.run_directory).identity()
    assert identity is not None
    # As after a restart of the machine: nobody keeps the attempt, and the engine is not there yet.
    machine.engine.kill()
    os.kill(identity.pid, signal.SIGKILL)
    fresh = harness.runner()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(fresh.wait(fresh.handle(spec)))
        await harness.until(lambda: RunDirectory(spec.run_directory).identity() not in (None, identity))
        await asyncio.to_thread(machine.engine.restart)
    assert waiting.result().ok, harness.log("a")
    assert re.findall("^line (.*)$", harness.log("a"), re.MULTILINE) == [str(number) for number in range(40)]


async def test_an_engine_that_comes_back_finds_its_container_still_kept(harness: Harness, machine: Machine) -> None:
    spec = harness.spec("a", COUNTING)
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "line 5\n" in harness.log("a"))
    machine.engine.restart()
    assert (await runner.wait(runner.handle(spec))).ok
    assert re.findall("^line (.*)$", harness.log("a"), re.MULTILINE) == [str(number) for number in range(40)]


async def test_an_engine_that_stays_away_fails_the_attempt_and_what_it_left_is_removed(
    harness: Harness, machine: Machine
) -> None:
    harness.settings = harness.settings.model_copy(update={"engine_patience": 0.5})
    spec = harness.spec("a", "import time; print('up', flush=True); time.sleep(600)")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: "up\n" in harness.log("a"))
    machine.engine.kill()
    try:
        ending = await runner.wait(runner.handle(spec))
        assert (ending.code, ending.cause) == (None, "engine")
        assert f"no answer from the container engine at {machine.engine.socket}" in str(ending.error)
        with pytest.raises(Unavailable, match="no answer from the container engine"):
            await harness.runner().launch(harness.spec("b", "print('never')"))
        found = await harness.runner().diagnose()
        assert found is not None
        assert (found.level, "no answer" in str(found.text)) == ("error", True)
    finally:
        machine.engine.restart()
    name = container_name("alice", harness.root, "a")
    left = machine.engine.api.container(name)
    assert left is not None
    assert left["State"]["Running"]
    asked: list[str] = []

    async def is_over(attempt_id: str) -> bool:
        asked.append(attempt_id)
        return len(asked) > 1

    await runner.tidy(is_over)
    assert machine.engine.api.container(name) is not None
    await runner.tidy(is_over)
    assert machine.engine.api.container(name) is None
    assert asked == ["a", "a"]


# Images


LOGIN = "puller:s3cret-word"


def _says(word: str) -> bytes:
    return container_engine.layer_of(container_engine.shell_files(f"echo {word}"))


def _image_spec(harness: Harness, attempt_id: str, image: str) -> LaunchSpec:
    log = harness.root / "logs" / f"{attempt_id}.log"
    return LaunchSpec(attempt_id, image, {}, harness.runs / attempt_id, log, secrets={"psi-registry": LOGIN})


async def test_an_image_is_pulled_with_its_login_and_its_tag_keeps_what_it_meant(
    harness: Harness, machine: Machine
) -> None:
    credentials = {machine.registry: "psi-registry"}
    harness.settings = harness.settings.model_copy(update={"credentials": credentials})
    image = f"{machine.registry}/team/kept:1"
    runner = harness.runner()
    assert list(runner.secrets_for(image)) == ["psi-registry"]
    with registry(machine.registry, LOGIN) as store:
        first = store.put("team/kept", "1", _says("first"), container_engine.SHELL_CONFIG)
        assert (await _end_of(runner, _image_spec(harness, "a", image))).ok, harness.log("a")
        store.put("team/kept", "1", _says("second"), container_engine.SHELL_CONFIG)
        machine.engine.api.remove_image(image)
        assert (await _end_of(runner, _image_spec(harness, "b", image))).ok, harness.log("b")
        harness.settings = harness.settings.model_copy(update={"pull": "always"})
        assert (await _end_of(harness.runner(), _image_spec(harness, "c", image))).ok, harness.log("c")
    exact = f"{machine.registry}/team/kept@{first}"
    assert f"nodeconsole: pulling {image}\nnodeconsole: the image is {exact}\nfirst\n" in harness.log("a")
    assert f"nodeconsole: pulling {exact}\nnodeconsole: the image is {exact}\nfirst\n" in harness.log("b")
    assert "\nsecond\n" in harness.log("c")
    kept = b"".join(path.read_bytes() for path in harness.root.rglob("*") if path.is_file())
    assert b"s3cret-word" not in kept


@pytest.mark.parametrize(
    ("update", "tag", "expected"),
    [
        ({}, "1", "Store the registry's login"),
        ({"pull": "never"}, "1", 'container.pull is "never"'),
        ({"credentials": "right"}, "absent", "cannot be pulled"),
    ],
)
async def test_an_image_that_cannot_be_had_says_what_to_do(
    harness: Harness, machine: Machine, update: dict[str, Any], tag: str, expected: str
) -> None:
    if "credentials" in update:
        update = {"credentials": {machine.registry: "psi-registry"}}
    harness.settings = harness.settings.model_copy(update=update)
    with registry(machine.registry, LOGIN) as store:
        store.put("team/refused", "1", _says("never"), container_engine.SHELL_CONFIG)
        spec = _image_spec(harness, "a", f"{machine.registry}/team/refused:{tag}")
        ending = await _end_of(harness.runner(), spec)
    assert (ending.code, ending.cause) == (None, "image")
    assert expected in ending.error
    assert "s3cret-word" not in ending.error


async def test_images_that_nobody_used_for_long_are_removed(harness: Harness, machine: Machine) -> None:
    harness.settings = harness.settings.model_copy(update={"credentials": {machine.registry: "psi-registry"}})
    image = f"{machine.registry}/team/old:1"
    with registry(machine.registry, LOGIN) as store:
        store.put("team/old", "1", _says("old"), container_engine.SHELL_CONFIG)
        assert (await _end_of(harness.runner(), _image_spec(harness, "a", image))).ok, harness.log("a")

    async def is_over(attempt_id: str) -> bool:
        return True

    await harness.runner().tidy(is_over)
    assert machine.engine.api.image(image) is not None
    for pin in (harness.root / "images").iterdir():
        os.utime(pin, (0, 0))
    await harness.runner().tidy(is_over)
    assert machine.engine.api.image(image) is None


# The runner's own words


async def test_a_runner_whose_settings_allow_nothing_has_nothing_to_say(harness: Harness) -> None:
    harness.settings = ContainerSection()
    runner = harness.runner()
    assert (runner.containment(), await runner.diagnose()) == (None, None)
    assert 'add "localhost" or' in str(runner.accepts(PYTHON_IMAGE))


async def test_doctor_says_which_engine_there_is_and_how_it_contains(harness: Harness) -> None:
    runner = harness.runner()
    found = await runner.diagnose()
    assert found is not None
    assert found.level == "ok"
    assert re.fullmatch(rf"Podman [0-9.]+, rootful at {harness.engine.socket}", str(found.text))
    level = runner.containment()
    assert level is not None
    assert (level.level, "have no privileges" in str(level.text) or "as root" in str(level.text)) == ("sandbox", True)
    harness.settings = harness.settings.model_copy(update={"socket": "/nowhere/engine.sock"})
    missing = await harness.runner().diagnose()
    assert missing is not None
    assert (missing.level, "/nowhere/engine.sock" in str(missing.text)) == ("error", True)
    assert "there is no container engine here" in str(harness.runner().accepts(PYTHON_IMAGE))
    assert [harness.runner().away(image) for image in (PYTHON_IMAGE, "elsewhere.example/psi:1")] == [True, False]


# What was used


_USES = (
    "import time\n"
    "held = bytearray(96 << 20)\n"
    "held[::4096] = b'1' * len(held[::4096])\n"
    "print('held', flush=True)\n"
    "{then}"
)


@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("", 0),
        ("del held; time.sleep(1.2); raise SystemExit(3)", 3),
        # Pages of files are no use of memory: the kernel takes them back when it needs them.
        (
            "file = open('/tmp/big', 'wb', 0); [file.write(bytes(1 << 20)) for _ in range(100)]; time.sleep(1)",
            0,
        ),
    ],
)
async def test_the_most_memory_of_a_container_is_told(harness: Harness, then: str, code: int) -> None:
    spec = harness.spec("a", _USES.format(then=then))
    ending = await _end_of(harness.runner(), spec)
    assert ending.code == code, harness.log("a")
    assert ending.peak_bytes is not None
    assert 96 << 20 < ending.peak_bytes < 150 << 20, ending.peak_bytes >> 20
    # Kept with how it ended.
    later = await harness.runner().observe(harness.runner().handle(spec))
    assert later is not None
    assert later.peak_bytes == ending.peak_bytes
