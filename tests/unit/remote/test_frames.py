"""The protocol of the bridge, and the bridge itself between two pipes and a socket."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeconsole.remote.bridge import find_socket
from nodeconsole.remote.frames import HELLO, LARGEST, WINDOW, Decoder, Frame, Garbled, Kind, credit, data, frame

_FRAMES = st.tuples(st.sampled_from([Kind.OPEN, Kind.DATA, Kind.CLOSE]), st.integers(0, 65535), st.binary(max_size=99))


@given(st.lists(_FRAMES), st.integers(1, 40))
def test_frames_survive_any_cutting(frames: list[tuple[Kind, int, bytes]], step: int) -> None:
    text = b"".join(frame(*parts) for parts in frames)
    decoder = Decoder()
    found = [one for at in range(0, len(text), step) for one in decoder.feed(text[at : at + step])]
    assert found == [Frame(*parts) for parts in frames]


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\n", bytes(5), b"\x03\x00\x01\x00\x01x", b"\x02\x00\x01\xff\xff"])
def test_anything_else_is_noticed(text: bytes) -> None:
    with pytest.raises(Garbled):
        Decoder().feed(text)


class _Console:
    """The console's end of a bridge, which is a process as on the other machine."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "nodeconsole", "bridge", "--socket", str(path)]
        self._bridge = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._decoder = Decoder()
        self._waiting: list[Frame] = []
        assert self._bridge.stdout is not None
        assert self._bridge.stdout.read(len(HELLO)) == HELLO

    def send(self, content: bytes) -> None:
        assert self._bridge.stdin is not None
        self._bridge.stdin.write(content)

    def next(self) -> Frame:
        assert self._bridge.stdout is not None
        while not self._waiting:
            chunk = self._bridge.stdout.read(65536)
            assert chunk, "the bridge ended"
            self._waiting += self._decoder.feed(chunk)
        return self._waiting.pop(0)

    def end(self) -> None:
        assert self._bridge.stdin is not None
        self._bridge.stdin.close()
        assert self._bridge.wait(5) == 0
        assert self._bridge.stdout is not None
        self._bridge.stdout.close()


@pytest.fixture
def listener() -> Iterator[tuple[Path, socket.socket]]:
    with TemporaryDirectory(prefix="nc") as directory, socket.socket(socket.AF_UNIX) as bound:
        path = Path(directory) / "s"
        bound.bind(str(path))
        bound.listen()
        bound.settimeout(5)
        yield path, bound


def test_streams_go_through_side_by_side(listener: tuple[Path, socket.socket]) -> None:
    path, bound = listener
    console = _Console(path)
    console.send(frame(Kind.OPEN, 1) + data(1, b"one") + frame(Kind.OPEN, 2) + data(2, b"two" * 9000))
    first, second = bound.accept()[0], bound.accept()[0]
    with first, second:
        assert first.recv(100) == b"one"
        got = b""
        while len(got) < 27_000:
            got += second.recv(65536)
        assert got == b"two" * 9000
        second.sendall(b"answer 2")
        assert console.next() == Frame(Kind.DATA, 2, b"answer 2")
        first.sendall(b"answer 1")
        assert console.next() == Frame(Kind.DATA, 1, b"answer 1")
        first.close()
        assert console.next() == Frame(Kind.CLOSE, 1)
        console.send(frame(Kind.CLOSE, 2))
        assert console.next() == Frame(Kind.CLOSE, 2)
        assert second.recv(10) == b""
    console.end()


def test_a_stream_gets_no_more_than_its_credit_and_others_pass_it(listener: tuple[Path, socket.socket]) -> None:
    path, bound = listener
    console = _Console(path)
    console.send(frame(Kind.OPEN, 1))
    log = bound.accept()[0]
    feeder = threading.Thread(target=lambda: log.sendall(bytes(4 * WINDOW)))
    feeder.start()
    got = 0
    while got < WINDOW:
        got += len(console.next().content)
    console.send(frame(Kind.OPEN, 2))
    short = bound.accept()[0]
    short.sendall(b"short answer")
    assert console.next() == Frame(Kind.DATA, 2, b"short answer")
    for _ in range(3):
        console.send(credit(1, WINDOW))
        got = 0
        while got < WINDOW:
            part = console.next()
            assert len(part.content) <= LARGEST
            got += len(part.content)
    feeder.join(5)
    log.close()
    console.send(credit(1, WINDOW))
    assert console.next() == Frame(Kind.CLOSE, 1)
    short.close()
    console.end()


def test_a_node_that_is_not_there_costs_its_stream_only(tmp_path: Path) -> None:
    console = _Console(tmp_path / ("long" * 40) / "node.sock")
    console.send(frame(Kind.OPEN, 7) + data(7, b"lost"))
    assert console.next().errno == errno.ENOENT
    console.send(frame(Kind.OPEN, 8))
    assert console.next() == Frame(Kind.CLOSE, 8, b"%d" % errno.ENOENT)
    console.end()


def test_the_socket_is_found_as_commands_find_it(
    monkeypatch: pytest.MonkeyPatch, listener: tuple[Path, socket.socket]
) -> None:
    for name in ("NODECONSOLE_HOME", "NODECONSOLE_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/li")
    assert find_socket("", "") == "/home/li/.nodeconsole/node.sock"
    assert find_socket("~/other", "") == "/home/li/other/node.sock"
    assert find_socket("", "/run/s") == "/run/s"
    assert find_socket(str(listener[0]), "") == str(listener[0])
    monkeypatch.setenv("NODECONSOLE_HOME", "/srv/node")
    assert find_socket("", "") == "/srv/node/node.sock"


def test_the_bridge_loads_nothing_heavy() -> None:
    """A remote machine starts it for every link; how long that takes is in the benchmarks."""
    listing = "import sys, nodeconsole.launcher, nodeconsole.remote.bridge; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "argparse", "httpx", "pydantic", "textual", "embedded_scheduler", "pathlib", "json"}
    assert heavy.isdisjoint(done.stdout.split())
