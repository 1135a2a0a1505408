"""The console in terminals of all kinds, and when they are resized, paused, closed or cannot show much."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.fake_node import FakeNode, job_id, log_line
from tests.support.pty_console import PtyConsole

from nodeconsole.node_process import NodeProcess, free_addresses

FIRST = job_id(0)[:12]
RESTORED = "\x1b[?1049l"
SHOWN = "\x1b[?25h"
_COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:[34][0-8]|9[0-7]|10[0-7])[0-9;]*m")


@pytest.fixture(scope="module")
def node() -> Iterator[FakeNode]:
    with TemporaryDirectory(prefix="nc") as directory, FakeNode(Path(directory) / "s", jobs=300) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A console that was left in the list of jobs, and files of nobody else."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}


def looking(node: FakeNode, environment: dict[str, str], **options: object) -> PtyConsole:
    extra = options.pop("extra", {})
    assert isinstance(extra, dict)
    arguments = ["attach", "--socket", str(node.socket)]
    return PtyConsole(arguments, environment=environment | extra, **options)  # type: ignore[arg-type]


def in_jobs(console: PtyConsole) -> None:
    console.until("online")
    console.send("gj")
    console.until(FIRST)
    console.quiet(0.4)


@pytest.mark.parametrize("controlling", [True, False])
def test_a_closed_terminal_ends_the_console(node: FakeNode, environment: dict[str, str], controlling: bool) -> None:
    """With the kernel's signal, and without: then the end of the input is all there is."""
    with looking(node, environment, controlling=controlling) as console:
        in_jobs(console)
        began = time.monotonic()
        console.close_terminal()
        assert console.ended(within=5.0) == 128 + signal.SIGHUP
        assert time.monotonic() - began < 2.0
        assert console.errors() == ""


def test_up_stops_its_node_in_order_when_the_terminal_is_closed(environment: dict[str, str], tmp_path: Path) -> None:
    listen, platform = free_addresses(2)
    with TemporaryDirectory(prefix="nc") as directory:
        process = NodeProcess("alice", Path(directory), listen=listen, platform=platform, tls="off")
        asyncio.run(process.create())
        with PtyConsole(["up", "--home", directory], environment=environment) as console:
            console.until("online")
            console.close_terminal()
            assert console.ended() == 128 + signal.SIGHUP
            assert console.errors() == ""
        assert "has stopped" in process.home.node_log.read_text()
        assert not process.home.socket.exists()


def test_the_system_ends_it_and_the_terminal_is_as_before(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment) as console:
        in_jobs(console)
        console.forget()
        console.interrupt(signal.SIGTERM)
        assert console.ended(within=5.0) == 128 + signal.SIGTERM
        left = console.received.decode()
        assert RESTORED in left
        assert SHOWN in left
        assert console.errors() == ""


def test_a_console_at_rest_sends_nothing(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment) as console:
        in_jobs(console)
        # The clock in the top line is the only thing that moves.
        time.sleep(3 if time.time() % 60 > 57 else 0)
        before = console.cpu_seconds()
        assert console.read(2.0) == 0
        assert console.cpu_seconds() - before < 0.2


@pytest.mark.parametrize(
    "term", ["xterm-256color", "xterm", "screen-256color", "tmux-256color", "linux", "vt100", "xterm-kitty"]
)
def test_it_shows_and_leaves_in_terminals_of_the_usual_kinds(
    node: FakeNode, environment: dict[str, str], term: str
) -> None:
    with looking(node, environment, extra={"TERM": term}) as console:
        in_jobs(console)
        console.send("\x11")
        assert console.ended() == 0
        assert RESTORED in console.received.decode()
        assert console.errors() == ""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_is_told_so(node: FakeNode, environment: dict[str, str], term: str) -> None:
    with looking(node, environment, extra={"TERM": term}) as console:
        assert console.ended() == 2
        assert "cannot place text on its screen" in console.errors()
        assert b"\x1b" not in console.received


def test_without_utf8_only_ascii_is_sent(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment, extra={"LANG": "C"}) as console:
        in_jobs(console)
        assert console.received.isascii()
        assert "R running" in console.text
        assert "????????-???? " in console.text, "a Chinese name is as wide as it is, and not another name"


def test_chinese_in_its_older_encoding(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment, extra={"LANG": "zh_CN.GBK"}) as console:
        console.until("alice")
        console.quiet(0.4)
        console.send("gj")
        console.quiet(0.4)
        assert "样本对齐".encode("gbk") in console.received


def test_no_color_is_no_colour(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment, extra={"NO_COLOR": "1"}) as console:
        in_jobs(console)
        assert not _COLOUR.search(bytes(console.received))


def test_sixteen_colours_get_no_others(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment, extra={"TERM": "linux"}) as console:
        in_jobs(console)
        assert b"38;2;" not in console.received
        assert b"38;5;" not in console.received


def test_a_terminal_with_wide_signs_gets_those_that_fit(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment, cells=2) as console:
        in_jobs(console)
        assert "R running" in console.text
    with looking(node, environment, cells=1) as console:
        in_jobs(console)
        assert "● running" in console.text


def test_resizing_again_and_again(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment) as console:
        in_jobs(console)
        for number in range(60):
            console.resize(20 + number * 3 % 180, 3 + number * 7 % 60)
            console.interrupt(signal.SIGWINCH)
            console.read(0.005)
        console.resize(100, 30)
        console.interrupt(signal.SIGWINCH)
        console.quiet(0.5)
        console.forget()
        console.send("\x0c")
        console.until(FIRST)
        console.until("? help")
        assert console.process.poll() is None


def test_pasted_text_is_text_and_never_keys(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment) as console:
        in_jobs(console)
        console.send("\x1b[200~S:q\n\x11\x1b[201~")
        console.quiet(0.4)
        console.forget()
        console.send("/")
        console.quiet(0.3)
        console.send("\x1b[200~psi-credit\x1b[201~")
        console.until("psi-credit")
        console.send("\x1b")
        console.quiet(0.3)
        assert not any(request.startswith("POST") for request in node.requests)


def test_suspended_the_terminal_is_the_shells_and_comes_back(node: FakeNode, environment: dict[str, str]) -> None:
    with looking(node, environment) as console:
        in_jobs(console)
        console.forget()
        console.interrupt(signal.SIGTSTP)
        limit = time.monotonic() + 5
        while "T (stopped)" not in Path(f"/proc/{console.process.pid}/status").read_text():
            assert time.monotonic() < limit
            console.read(0.02)
        console.read(0.1)
        assert RESTORED in console.received.decode()
        console.forget()
        console.interrupt(signal.SIGCONT)
        console.until(FIRST)
        assert "\x1b[?1049h" in console.received.decode()
        console.send("\x11")
        assert console.ended() == 0


def test_a_killed_node_is_missed_at_once_and_found_again(environment: dict[str, str]) -> None:
    listen, platform = free_addresses(2)
    with TemporaryDirectory(prefix="nc") as directory:
        process = NodeProcess("alice", Path(directory), listen=listen, platform=platform, tls="off")
        asyncio.run(process.create())
        asyncio.run(process.start())
        try:
            with PtyConsole(["attach", "--home", directory], environment=environment) as console:
                console.until("online")
                console.quiet(0.5)
                console.forget()
                killed = time.monotonic()
                process.kill()
                assert console.until("OFFLINE") - killed < 2.0
                console.forget()
                asyncio.run(process.start())
                console.until("online")
                assert console.process.poll() is None
        finally:
            asyncio.run(process.stop())


def test_keys_are_answered_while_a_log_runs_through(node: FakeNode, environment: dict[str, str]) -> None:
    """20,000 lines a second. The bound is generous; the benchmarks measure."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(0.05):
            node.write_log(0, "psi", [log_line(number + i) for i in range(1000)])
            number += 1000

    writer = threading.Thread(target=write)
    with looking(node, environment, size=(100, 30)) as console:
        in_jobs(console)
        console.send("\r")
        console.until("psi")
        console.quiet(0.4)
        console.send("l")
        writer.start()
        try:
            console.until("bucket")
            latencies = []
            for number in range(30):
                console.read(0.03)
                console.forget()
                pressed = time.monotonic()
                console.send(":" if number % 2 == 0 else "\x1b")
                while console.read(0.004) == 0 and time.monotonic() - pressed < 5:
                    pass
                latencies.append(time.monotonic() - pressed)
        finally:
            stop.set()
            writer.join()
    assert statistics.quantiles(latencies, n=20)[-1] < 0.6, latencies


@pytest.mark.skipif(shutil.which("screen") is None, reason="screen is not installed")
def test_inside_gnu_screen(node: FakeNode, environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m nodeconsole attach --socket {node.socket}; echo left with $? > {tmp_path}/left"
    kept = {"PATH": os.environ["PATH"], "SCREENDIR": str(tmp_path / "screens"), "LANG": "C.UTF-8", "TERM": "xterm"}
    (tmp_path / "screens").mkdir(mode=0o700)

    def screen(*words: str) -> None:
        subprocess.run(["screen", "-S", "nc", *words], env=kept | environment, check=True, capture_output=True)

    def shows(text: str) -> None:
        hardcopy, limit = tmp_path / "hardcopy", time.monotonic() + 15
        while not (hardcopy.exists() and text in hardcopy.read_text("utf-8", "replace")):
            assert time.monotonic() < limit, hardcopy.read_text("utf-8", "replace") if hardcopy.exists() else "nothing"
            time.sleep(0.1)
            screen("-p", "0", "-X", "hardcopy", str(hardcopy))

    screen("-U", "-d", "-m", "sh", "-c", f"{command}; exec cat")
    try:
        shows("online")
        screen("-p", "0", "-X", "stuff", "gj")
        shows(FIRST)
        screen("-p", "0", "-X", "stuff", "\x11")
        shows("")
        limit = time.monotonic() + 10
        while not (tmp_path / "left").exists():
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert (tmp_path / "left").read_text() == "left with 0\n"
    finally:
        screen("-X", "quit")
