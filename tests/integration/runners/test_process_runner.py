"""The process runner keeps the contract of every runner, and its own promises, with real processes."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded_scheduler.errors import Conflict, Refused
from embedded_scheduler.runners.attempt import WORK
from embedded_scheduler.runners.kept import NOT_STARTED, STILLBORN, STOPPED_FIRST
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.spi.conformance import RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Limits, Runner

if TYPE_CHECKING:
    from tests.integration.runners.conftest import Harness


@pytest.mark.parametrize("check", RunnerConformance.checks())
async def test_runner_conformance(check: str, harness: Harness) -> None:
    await RunnerConformance(harness).run(check)


async def test_both_outputs_keep_their_order(harness: Harness) -> None:
    program = "import os\nfor i in range(50): os.write(2 if i % 2 else 1, b'%d ' % i)"
    await _run(harness, harness.spec("a", program))
    assert harness.log("a").partition("\n")[0].split() == [str(number) for number in range(50)]


async def _run(harness: Harness, spec: LaunchSpec) -> Exit:
    return await _end_of(harness.runner(), spec)


async def _end_of(runner: Runner, spec: LaunchSpec) -> Exit:
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> list[str]:
    """Children of this process, zombies included."""
    return [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


# Built-in components


async def test_builtin_runs_in_its_directory_with_its_environment(harness: Harness) -> None:
    address = harness.builtin(
        "curious",
        "import json, os, sys\n"
        "def main():\n"
        "    print(json.dumps([dict(os.environ), os.getcwd(), sys.argv, os.path.isdir(os.environ['TMPDIR'])]))\n"
        "    print('initial', open('/proc/self/environ').read().count('secret'))\n"
        "    return 3\n",
    )
    given = {"config.token": "secret", "PATH": "/own/bin"}
    assert await _run(harness, harness.at(address, "a", given)) == Exit(code=3)
    first, second, last, _ = harness.log("a").split("\n")
    environment, directory, arguments, has_scratch = json.loads(first)
    home = str(harness.runs / "a" / WORK)
    expected = given | {"LANG": "C.UTF-8", "HOME": home, "TMPDIR": str(harness.runs / "a" / "tmp")}
    assert (environment, directory, arguments, has_scratch) == (expected, home, ["curious"], True)
    assert second == "initial 0"
    assert last == f"{END_OF_LOG}, exit 3"


@pytest.mark.parametrize(
    ("body", "code", "printed"),
    [
        ("return None", 0, ""),
        ("raise ValueError('my fault')", 1, "ValueError: my fault"),
        ("import sys; sys.exit(9)", 9, ""),
        ("import sys; sys.exit('no data')", 1, "no data"),
        ("return True", 1, ""),
        ("import does_not_exist", 1, "ModuleNotFoundError"),
        ("import atexit; atexit.register(print, 'handler ran')", 0, "handler ran"),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(.1), print('thread done'))).start()",
            0,
            "thread done",
        ),
        ("import sys; sys.stdout.write('not flushed')", 0, "not flushed"),
    ],
)
async def test_builtin_ends_like_a_program(harness: Harness, body: str, code: int, printed: str) -> None:
    address = harness.builtin("part", f"def main():\n    {body}\n")
    assert await _run(harness, harness.at(address, "a")) == Exit(code=code)
    assert printed in harness.log("a")
    assert "attempt.py" not in harness.log("a"), "the shim's own frames tell an author nothing"


async def test_builtin_with_an_error_in_its_module(harness: Harness) -> None:
    address = harness.builtin("torn", "def main(:\n")
    assert await _run(harness, harness.at(address, "a")) == Exit(code=1)
    assert "SyntaxError" in harness.log("a")


async def test_builtin_prints_line_by_line(harness: Harness) -> None:
    source = "import time\ndef main():\n    print('at once')\n    time.sleep(600)\n"
    spec = harness.at(harness.builtin("slow", source), "a")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until_printed("at once\n")
    await runner.terminate(runner.handle(spec), 5)
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, signal=signal.SIGTERM)


async def test_builtin_may_use_a_process_pool(harness: Harness) -> None:
    source = (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def main():\n"
        "    with ProcessPoolExecutor(2) as pool:\n"
        "        print(sum(pool.map(abs, range(-50, 0))))\n"
    )
    assert (await _run(harness, harness.at(harness.builtin("pool", source), "a"))).ok
    assert harness.log("a").startswith("1275\n")


# Addresses


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("builtin:absent", "no built-in component"),
        ("builtin:../x", "no built-in component"),
        ("builtin:", "no built-in component"),
        ("exec:relative/path", "absolute path"),
        ("exec:/bin/../bin/true", "absolute path"),
        ("exec://bin/true", "may not be started here"),
        ("exec:/bin/true ", "may not be started here"),
        ("exec:/bin/true\0x", "absolute path"),
        ("exec:/bin/echo", "may not be started here: add it to components.allow_exec"),
        ("exec:module:os", "may not be started here"),
        ("exec:module:-c", "not the name of a Python module"),
        ("exec:module:surely_absent", "not installed"),
        ("exec:/absent/program", "No such file"),
        ("exec:/etc", "not an executable file"),
        ("registry.example.com/psi:1.0", "neither a builtin:, an exec: nor a pack: address"),
    ],
)
async def test_address_is_refused_with_a_reason(harness: Harness, address: str, why: str) -> None:
    runner = harness.runner(allow_exec=["/bin/true", "/absent/program", "/etc", "module:surely_absent"])
    assert why in runner.accepts(address)
    with pytest.raises(Refused, match=re.escape(why)):
        await runner.launch(harness.at(address, "a"))
    assert await runner.observe(runner.handle(harness.at(address, "a"))) is None


async def test_another_name_of_an_allowed_program_is_refused(harness: Harness, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/bin/true")
    runner = harness.runner(allow_exec=["/bin/true"])
    assert runner.accepts("exec:/bin/true") == ""
    assert "may not be started" in runner.accepts(f"exec:{link}")


async def test_program_that_everybody_can_change_is_refused(harness: Harness) -> None:
    path = harness.executable("open", "")
    path.chmod(0o777)
    assert "chmod o-w" in harness.runner().accepts(f"exec:{path}")


async def test_module_runs_in_the_interpreter_of_the_node(harness: Harness) -> None:
    runner = harness.runner(allow_exec=["module:this"])
    spec = harness.at("exec:module:this", "a")
    await runner.launch(spec)
    assert (await runner.wait(runner.handle(spec))).ok
    assert "Namespaces are one honking great idea" in harness.log("a")


async def test_program_that_cannot_be_executed(harness: Harness) -> None:
    path = harness.executable("broken", "")
    path.write_bytes(b"\x7fELF not really")
    ending = await _run(harness, harness.at(f"exec:{path}", "a"))
    assert ending == Exit(None, error=f"the component's program could not be started: {os.strerror(errno.ENOEXEC)}")
    assert harness.log("a") == (
        f"nodeconsole: {path} could not be started: {os.strerror(errno.ENOEXEC)}\n{END_OF_LOG}, not started\n"
    )


# What a launch refuses


@pytest.mark.parametrize(
    "hostile", ["", ".", "..", "../x", "a/b", "/etc", "a\0b", "a\nb", "x" * 201, ".hidden", "é", "a b"]
)
async def test_hostile_attempt_id_is_refused(harness: Harness, hostile: str) -> None:
    runner = harness.runner()
    address = harness.builtin("fine", "def main():\n    pass\n")
    spec = LaunchSpec(hostile, address, {}, harness.runs / "a", harness.root / "logs" / "a.log")
    for call in (runner.launch(spec), runner.wait(runner.handle(spec)), runner.forget(runner.handle(spec))):
        with pytest.raises(Refused, match="attempt id"):
            await call
    with pytest.raises(Refused, match="attempt id"):
        await runner.terminate(runner.handle(spec), 0)
    assert list(harness.runs.iterdir()) == []


async def test_longest_attempt_id_works(harness: Harness) -> None:
    attempt_id = "job-1:task_2.guest.0-" + "x" * 179
    assert (await _run(harness, harness.at(harness.builtin("fine", "def main():\n    pass\n"), attempt_id))).ok


@pytest.mark.parametrize("name", ["", "a=b", "a\0b", "a\udc41\ud800"])
async def test_impossible_variable_is_refused(harness: Harness, name: str) -> None:
    spec = harness.at(harness.builtin("fine", "def main():\n    pass\n"), "a", {name: "the secret"})
    with pytest.raises(Refused, match="environment variable") as caught:
        await harness.runner().launch(spec)
    assert "the secret" not in caught.value.message


async def test_launch_without_disk_space_is_refused_with_numbers(harness: Harness) -> None:
    address = harness.builtin("fine", "def main():\n    pass\n")
    free = shutil.disk_usage(harness.runs).free
    spec = harness.at(address, "a", limits=Limits(disk_bytes=free * 2))
    with pytest.raises(Refused, match=r"needs [\d,]+ MiB of disk space and .* has [\d,]+ MiB free"):
        await harness.runner().launch(spec)
    with pytest.raises(Refused, match="MiB free"):
        await harness.runner(reserve_bytes=free * 2).launch(harness.at(address, "a"))
    assert (await _run(harness, harness.at(address, "a"))).ok, "once there is room, the same attempt may start"


async def test_run_directory_of_somebody_else_is_refused(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (harness.runs / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="not a directory of this node"):
        await harness.runner().launch(harness.at(harness.builtin("fine", "def main():\n    pass\n"), "a"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_log_that_is_a_link_is_refused(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    spec = harness.at(harness.builtin("fine", "def main():\n    print('x')\n"), "a")
    spec.log_path.parent.mkdir()
    spec.log_path.symlink_to(tmp_path / "victim")
    with pytest.raises(Refused, match="cannot be started"):
        await harness.runner().launch(spec)
    assert (tmp_path / "victim").read_text() == "kept"
    assert not harness.directory("a").held()


# Secrets and descriptors


async def test_files_are_private_and_the_token_does_not_stay(harness: Harness) -> None:
    source = "import os, time\ndef main():\n    open('result', 'w').close()\n    print('up')\n    time.sleep(600)\n"
    spec = harness.at(harness.builtin("sleeper", source), "a", {"config.token": "s3cret-token"})
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until_printed("up\n")
    for path in [harness.runs / "a", *(harness.runs / "a").rglob("*"), spec.log_path]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert path.is_dir() or b"s3cret" not in path.read_bytes(), path
    for pid in harness.identity("a").members():
        assert b"s3cret" not in _command_line(pid)
    await runner.terminate(runner.handle(spec), 5)


async def test_component_gets_no_descriptor_of_the_node(harness: Harness) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.set_inheritable(True)
        spec = harness.spec("a", "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])")
        assert (await _run(harness, spec)).ok
        # Descriptor 3 is the script, opened by the interpreter.
        assert harness.log("a").split("\n")[0] in ("['0', '1', '2']", "['0', '1', '2', '3']")
        address = harness.builtin("curious", "import os\ndef main():\n    print(os.listdir('/proc/self/fd'))\n")
        assert (await _run(harness, harness.at(address, "b"))).ok
        assert str(listener.fileno()) not in json.loads(harness.log("b").split("\n")[0].replace("'", '"'))


# Ending


async def test_leftovers_are_ended_when_the_main_process_is_gone(harness: Harness) -> None:
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setpgid(0, 0)\n"
        "    print('left', flush=True)\n"
        "    time.sleep(600)\n"
        "time.sleep(0.2)\n"
    )
    assert await _run(harness, harness.spec("a", program)) == Exit(code=0)
    assert harness.identity("a").members() == []


async def test_terminate_reaches_other_process_groups_of_the_session(harness: Harness) -> None:
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setpgid(0, 0)\n"
        "    print('up', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "time.sleep(600)\n"
    )
    spec = harness.spec("a", program)
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until_printed("up\n")
    await runner.terminate(runner.handle(spec), 0.1)
    assert harness.identity("a").members() == []
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, signal=signal.SIGKILL)


async def test_terminate_at_once_after_launch_loses_no_signal(harness: Harness) -> None:
    address = harness.builtin("sleeper", "import time\ndef main():\n    time.sleep(600)\n")
    runner = harness.runner()
    for number in range(10):
        spec = harness.at(address, f"a{number}")
        await runner.launch(spec)
        async with asyncio.timeout(20):
            await runner.terminate(runner.handle(spec), 60)
        assert await runner.observe(runner.handle(spec)) == Exit(code=None, signal=signal.SIGTERM)


async def test_terminate_before_launch_prevents_it(harness: Harness) -> None:
    spec = harness.at(harness.builtin("loud", "def main():\n    print('ran')\n"), "a")
    runner = harness.runner()
    await runner.terminate(runner.handle(spec), 1)
    await runner.launch(spec)
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, error=STOPPED_FIRST)
    assert not spec.log_path.exists()


async def test_wait_for_what_was_not_started_says_so_and_a_launch_may_follow(harness: Harness) -> None:
    spec = harness.at(harness.builtin("fine", "def main():\n    pass\n"), "a")
    runner = harness.runner()
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, error=NOT_STARTED)
    assert (await _run(harness, spec)).ok


async def test_forget_refuses_what_runs(harness: Harness) -> None:
    spec = harness.at(harness.builtin("sleeper", "import time\ndef main():\n    time.sleep(600)\n"), "a")
    runner = harness.runner()
    await runner.launch(spec)
    with pytest.raises(Conflict, match="still runs"):
        await runner.forget(runner.handle(spec))
    await runner.terminate(runner.handle(spec), 5)
    await runner.forget(runner.handle(spec))
    assert not (harness.runs / "a").exists()


async def test_interpreter_that_does_not_start(harness: Harness) -> None:
    # Not a Python at all: it ends at once and writes nothing.
    runner = ProcessRunner(harness.runs, components="trial_components", python="/bin/true", reserve_bytes=0)
    spec = harness.at(harness.builtin("fine", "def main():\n    pass\n"), "a")
    await runner.launch(spec)
    assert await runner.wait(runner.handle(spec)) == Exit(code=None, error=STILLBORN)
    absent = ProcessRunner(harness.runs, components="trial_components", python="/absent/python", reserve_bytes=0)
    with pytest.raises(Refused, match="No such file"):
        await absent.launch(harness.at("builtin:fine", "b"))
    assert await _run(harness, harness.at("builtin:fine", "b")) == Exit(code=0)


async def test_damaged_exit_file_is_an_ending_with_an_explanation(harness: Harness) -> None:
    spec = harness.at(harness.builtin("fine", "def main():\n    pass\n"), "a")
    assert (await _run(harness, spec)).ok
    (harness.runs / "a" / "exit.json").write_text("[]")
    ending = await harness.runner().wait(harness.runner().handle(spec))
    assert not ending.ok
    assert "exit.json cannot be read" in ending.error


# Many


async def test_two_hundred_attempts_at_once(harness: Harness) -> None:
    address = harness.builtin("tell", "import os\ndef main():\n    print(os.environ['config.task_id'])\n    return 7\n")
    runner = harness.runner()
    assert await _end_of(runner, harness.at(address, "first", {"config.task_id": "first"})) == Exit(code=7)
    descriptors, children = _open_descriptors(), _children()

    async def one(number: int) -> Exit:
        return await _end_of(runner, harness.at(address, f"a{number}", {"config.task_id": f"task-{number}"}))

    endings = await asyncio.gather(*(one(number) for number in range(200)))
    assert endings == [Exit(code=7)] * 200
    logs = [harness.log(f"a{number}") for number in range(200)]
    assert logs == [f"task-{number}\n{END_OF_LOG}, exit 7\n" for number in range(200)]
    assert _open_descriptors() == descriptors
    assert _children() == children, "the template alone"


def test_runner_is_a_runner(harness: Harness) -> None:
    assert isinstance(ProcessRunner(harness.runs), Runner)
