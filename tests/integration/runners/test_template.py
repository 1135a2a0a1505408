"""Forks of the template are what a fresh start is, and neither its end nor the node's costs an attempt."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import embedded_scheduler
from embedded_scheduler.runners.attempt import Order, start_ticks
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.runners.starting import Starter
from embedded_scheduler.spi.conformance import RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Limits, Runner
from nodeconsole import launcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.runners.conftest import Harness

SOURCES = str(Path(embedded_scheduler.__file__).parents[1])
PACKAGE = "trial_components"
SLOWLY = "start more slowly"


class Builtin:
    """`RunnerHarness` whose programs are built-in components: run in the fork itself, or by execve from it."""

    def __init__(self, harness: Harness, *, execve: bool) -> None:
        self._harness = harness
        self._execve = execve

    def runner(self) -> Runner:
        return self._harness.runner()

    def spec(
        self,
        attempt_id: str,
        program: str,
        *,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> LaunchSpec:
        body = (
            f"os.execve(sys.executable, [sys.executable, '-I', '-c', {program!r}], os.environ)"
            if self._execve
            else f"exec(compile({program!r}, 'program', 'exec'), {{'__name__': '__main__'}})"
        )
        address = self._harness.builtin(attempt_id.replace("-", "_"), f"import os, sys\ndef main():\n    {body}\n")
        return self._harness.at(address, attempt_id, environment, limits)


# What a process was started with stays in /proc/<pid>/environ: only execve can make that the component's.
CHECKS = [
    (check, execve)
    for check in RunnerConformance.checks()
    for execve in (False, True)
    if execve or check != "environment_is_exact"
]


@pytest.mark.parametrize(("check", "execve"), CHECKS)
async def test_runner_conformance_of_forks(
    check: str, execve: bool, harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await RunnerConformance(Builtin(harness, execve=execve)).run(check)
    assert SLOWLY not in caplog.text


def _runner(harness: Harness, *, python: str = sys.executable, template: bool = True) -> ProcessRunner:
    return ProcessRunner(
        harness.runs,
        components=PACKAGE,
        python=python,
        python_path=[str(harness.root / "packages"), *sys.path],
        reserve_bytes=0,
        template=template,
    )


def _without_template(harness: Harness) -> str:
    """An interpreter that ends when it is to become a template."""
    path = harness.root / "only-attempts"
    path.write_text(f'#!/bin/sh\ncase "$*" in *"template import"*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


def _template_of(runner: ProcessRunner) -> int:
    pid = runner._template.pid
    assert pid is not None
    return pid


async def _end(runner: ProcessRunner, spec: LaunchSpec) -> Exit:
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


def _descriptors(pid: int) -> list[int]:
    return sorted(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


QUIET = "def main():\n    print('ran')\n"
SLEEPER = "import time\ndef main():\n    print('up')\n    time.sleep(600)\n"
COUNTS = (
    "import time\n"
    "def main():\n"
    "    for i in range(200):\n"
    "        print('line', i)\n"
    "        time.sleep(.005)\n"
    "    return 6\n"
)
COUNTED = "".join(f"line {i}\n" for i in range(200)) + f"{END_OF_LOG}, exit 6\n"

FACTS = """
import json, os, resource, sys, threading

def main():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
    with open("/proc/self/fd/0", "rb") as empty:
        nothing = empty.read()
    print(json.dumps({
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
        "signals": [status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")],
        "umask": status["Umask"],
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name[:6] == "RLIMIT"},
        "cores": sorted(os.sched_getaffinity(0)),
        "nice": os.nice(0),
        "environment": dict(os.environ),
        "directory": os.path.relpath(os.getcwd(), os.path.dirname(os.path.dirname(os.getcwd()))).split(os.sep)[1:],
        "path": sys.path,
        "arguments": sys.argv,
        "flags": str(sys.flags),
        "own session": os.getsid(0) == os.getppid() == os.getpgid(0),
        "streams": [(s.encoding, s.errors, s.line_buffering, s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)],
        "nothing": len(nothing),
        "threads": threading.active_count(),
        "garbage": __import__("gc").isenabled(),
    }, sort_keys=True))
"""


async def test_fork_finds_what_a_fresh_start_finds(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    environment = {"config.token": "t", "HOME": "/h", "TMPDIR": "/t"}
    address = harness.builtin("curious", FACTS)
    limits = Limits(memory_bytes=1 << 30, disk_bytes=1 << 20, cpu=1)
    found: list[dict[str, Any]] = []
    for number, limit in enumerate((Limits(), limits, Limits())):
        each = []
        for kind, runner in (
            ("fork", _runner(harness)),
            ("fresh", _runner(harness, python=_without_template(harness))),
            ("asked", _runner(harness, template=False)),
        ):
            attempt_id = f"{kind}-{number}"
            assert await _end(runner, harness.at(address, attempt_id, environment, limit)) == Exit(code=0)
            assert (SLOWLY in caplog.text) == (kind == "fresh")
            caplog.clear()
            each.append(json.loads(harness.log(attempt_id).split("\n")[0]))
        if limit.cpu:
            # Which core it is goes by the process id.
            assert [len(facts.pop("cores")) for facts in each] == [1, 1, 1]
        assert each[0] == each[1] == each[2]
        found.append(each[0])
    assert found[0]["descriptors"] == [0, 1, 2]
    assert found[1]["limits"]["RLIMIT_AS"] == [1 << 30, 1 << 30]
    assert found[0]["limits"]["RLIMIT_AS"] == list(resource.getrlimit(resource.RLIMIT_AS))


async def test_limits_of_one_attempt_do_not_stay_in_the_template(harness: Harness) -> None:
    address = harness.builtin("curious", FACTS)
    runner = _runner(harness)
    limits = Limits(memory_bytes=1 << 30, disk_bytes=1 << 20, cpu=1)
    assert (await _end(runner, harness.at(address, "a", limits=limits))).ok
    assert (await _end(runner, harness.at(address, "b"))).ok
    facts = json.loads(harness.log("b").split("\n")[0])
    assert facts["limits"]["RLIMIT_AS"] == list(resource.getrlimit(resource.RLIMIT_AS))
    assert facts["limits"]["RLIMIT_FSIZE"] == list(resource.getrlimit(resource.RLIMIT_FSIZE))
    assert facts["cores"] == sorted(os.sched_getaffinity(0))


async def test_only_what_belongs_to_an_attempt_is_open_in_it(harness: Harness) -> None:
    runner = _runner(harness)
    address = harness.builtin("sleeper", SLEEPER)
    specs = [harness.at(address, name, {"config.token": "s3cret"}) for name in ("a", "b")]
    for spec in specs:
        await runner.launch(spec)
        await harness.until_printed("up\n", spec.attempt_id)
    template = _template_of(runner)
    assert _descriptors(template) == [0, 1, 2, 3, 4]
    assert b"s3cret" not in Path(f"/proc/{template}/environ").read_bytes() + _command_line(template)
    for spec in specs:
        shim = harness.identity(spec.attempt_id).pid
        (component,) = set(harness.identity(spec.attempt_id).members()) - {shim}
        assert _command_line(shim) == _command_line(template), "it is a fork"
        assert (_descriptors(shim), _descriptors(component)) == ([0, 1, 2, 3], [0, 1, 2])
        await runner.terminate(runner.handle(spec), 5)


async def test_forks_draw_different_random_numbers(harness: Harness) -> None:
    address = harness.builtin(
        "dice", "import os, random\ndef main():\n    print(random.random(), os.urandom(8).hex())\n"
    )
    runner = _runner(harness)
    for name in ("a", "b", "c"):
        assert (await _end(runner, harness.at(address, name))).ok
    drawn = [word for name in ("a", "b", "c") for word in harness.log(name).split("\n")[0].split()]
    assert len(set(drawn)) == 6


async def test_template_killed_between_attempts(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    address = harness.builtin("quiet", QUIET)
    runner = _runner(harness)
    assert (await _end(runner, harness.at(address, "a"))).ok
    first = _template_of(runner)
    os.kill(first, signal.SIGKILL)
    await harness.until(lambda: start_ticks(first) is None)
    assert (await _end(runner, harness.at(address, "b"))).ok
    assert _template_of(runner) != first
    assert not Path(f"/proc/{first}").exists(), "it was collected"
    assert SLOWLY not in caplog.text


async def test_template_killed_during_an_attempt(harness: Harness) -> None:
    runner = _runner(harness)
    spec = harness.at(harness.builtin("counts", COUNTS), "a")
    await runner.launch(spec)
    await harness.until_printed("line 5\n")
    os.kill(_template_of(runner), signal.SIGKILL)
    assert (await _end(runner, harness.at(harness.builtin("quiet", QUIET), "b"))).ok
    assert await runner.observe(runner.handle(spec)) is None
    assert await runner.wait(runner.handle(spec)) == Exit(code=6)
    assert harness.log("a") == COUNTED


async def test_template_killed_with_requests_it_has_not_read(harness: Harness) -> None:
    address = harness.builtin("quiet", QUIET)
    runner = _runner(harness)
    assert (await _end(runner, harness.at(address, "a"))).ok
    template = _template_of(runner)
    os.kill(template, signal.SIGSTOP)
    await harness.until(lambda: _stopped(template))
    names = [f"b{number}" for number in range(5)]
    ends = [asyncio.ensure_future(_end(runner, harness.at(address, name))) for name in names]
    # Each sends its request in its first step.
    await asyncio.sleep(0)
    assert all(harness.directory(name).held() for name in names)
    os.kill(template, signal.SIGKILL)
    assert await asyncio.gather(*ends) == [Exit(code=0)] * 5
    assert [harness.log(name) for name in names] == [f"ran\n{END_OF_LOG}, exit 0\n"] * 5


async def test_template_that_hangs(harness: Harness) -> None:
    address = harness.builtin("quiet", QUIET)
    runner = _runner(harness)
    assert (await _end(runner, harness.at(address, "a"))).ok
    template = _template_of(runner)
    os.kill(template, signal.SIGSTOP)
    async with asyncio.timeout(20):
        assert (await _end(runner, harness.at(address, "b"))).ok
    assert harness.log("b") == f"ran\n{END_OF_LOG}, exit 0\n"
    assert not Path(f"/proc/{template}").exists()
    assert (await _end(runner, harness.at(address, "c"))).ok
    assert _template_of(runner) != template


async def test_template_that_has_no_descriptor_left(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    address = harness.builtin("quiet", QUIET)
    runner = _runner(harness)
    assert (await _end(runner, harness.at(address, "a"))).ok
    template = _template_of(runner)
    limit = resource.prlimit(template, resource.RLIMIT_NOFILE, (6, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    assert (await _end(runner, harness.at(address, "b"))).ok
    assert _template_of(runner) == template, "it refuses, and serves on"
    assert _descriptors(template) == [0, 1, 2, 3, 4]
    resource.prlimit(template, resource.RLIMIT_NOFILE, limit)
    assert (await _end(runner, harness.at(address, "c"))).ok
    assert SLOWLY not in caplog.text


async def test_template_that_cannot_start_is_not_tried_for_every_attempt(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    address = harness.builtin("quiet", QUIET)
    runner = _runner(harness, python=_without_template(harness))
    with caplog.at_level(logging.WARNING):
        for number in range(4):
            assert (await _end(runner, harness.at(address, f"a{number}"))).ok
    assert caplog.text.count(SLOWLY) == 1


async def test_two_shims_of_one_attempt_run_it_once(harness: Harness) -> None:
    """As when a template forks after all, and the node has lost patience and started the attempt afresh."""
    harness.builtin("quiet", QUIET)
    path = [str(harness.root / "packages"), *sys.path]
    starter = Starter(sys.executable, frozen=False, package=PACKAGE, path=path)
    run = harness.directory("a")
    run.create()
    lock = run.acquire()
    assert lock is not None
    order = Order(
        kind="builtin",
        target="quiet",
        log=str(harness.root / "log"),
        end_of_log=END_OF_LOG,
        python=sys.executable,
        package=PACKAGE,
        path=path,
        environment={},
    )
    run.write_order(order.encode())
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    shims = [starter.attempt(run.path, log, lock) for _ in range(6)]
    os.close(lock)
    os.close(log)
    assert [os.waitpid(shim, 0)[1] for shim in shims] == [0] * 6
    assert Path(order.log).read_text() == f"ran\n{END_OF_LOG}, exit 0\n"
    assert run.exit() == Exit(code=0)
    assert not run.held()


async def test_template_ends_with_its_runner(harness: Harness) -> None:
    runner = _runner(harness)
    spec = harness.at(harness.builtin("counts", COUNTS), "a")
    await runner.launch(spec)
    template = _template_of(runner)
    del runner
    gc.collect()
    assert not Path(f"/proc/{template}").exists(), "ended and collected"
    assert await harness.runner().wait(harness.runner().handle(spec)) == Exit(code=6)
    assert harness.log("a") == COUNTED


NODE = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = [{sources!r}, {packages!r}]
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.spi.runner import LaunchSpec

async def main():
    runs = Path({runs!r})
    runner = ProcessRunner(runs, components={package!r}, reserve_bytes=0)
    for name in "abc":
        await runner.launch(LaunchSpec(name, "builtin:counts", {{}}, runs / name, Path({logs!r}) / (name + ".log")))
    print(runner._template.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_attempts_outlive_a_killed_node_with_every_line(harness: Harness) -> None:
    address = harness.builtin("counts", COUNTS)
    source = NODE.format(
        sources=SOURCES,
        packages=str(harness.root / "packages"),
        runs=str(harness.runs),
        package=PACKAGE,
        logs=str(harness.root / "logs"),
    )
    node = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=subprocess.PIPE)
    assert node.stdout is not None
    template = int(await node.stdout.readline())
    born = start_ticks(template)
    assert born is not None
    node.kill()
    await node.wait()
    runner = _runner(harness)
    specs = [harness.at(address, name) for name in "abc"]
    assert [await runner.observe(runner.handle(spec)) for spec in specs] == [None] * 3
    await harness.until(lambda: start_ticks(template) != born)
    for spec in specs:
        await runner.launch(spec)
        assert await runner.wait(runner.handle(spec)) == Exit(code=6)
    assert [harness.log(name) for name in "abc"] == [COUNTED] * 3


async def test_standalone_executable_is_its_own_template(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    executable = harness.root / "nodeconsole"
    executable.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {SOURCES!r})\n"
        "from nodeconsole.launcher import main\nmain()\n"
    )
    executable.chmod(0o755)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "unpacked")
    source = "import json, os\ndef main():\n    print(json.dumps(dict(os.environ)))\n"
    runner = _runner(harness, python=str(executable))
    spec = harness.at(harness.builtin("curious", source), "a", {"PATH": "/p", "HOME": "/h", "TMPDIR": "/t"})
    assert (await _end(runner, spec)).ok
    template = _template_of(runner)
    assert b"\0__template__\0trial_components\0" in _command_line(template)
    assert b"_PYI_ARCHIVE_FILE=unpacked\0" in Path(f"/proc/{template}/environ").read_bytes()
    assert json.loads(harness.log("a").split("\n")[0]) == {
        "PATH": "/p",
        "HOME": "/h",
        "TMPDIR": "/t",
        "LANG": "C.UTF-8",
    }
    os.kill(template, signal.SIGSTOP)
    os.kill(template, signal.SIGKILL)
    assert (await _end(runner, harness.at("builtin:curious", "b"))).ok
    assert SLOWLY not in caplog.text


def test_template_without_arguments_says_who_starts_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.run(["__template__"]) == 2
    assert "it is started by a node" in capsys.readouterr().err
