"""`nodeconsole bridge`: stands between the pipes of an ssh session and the node's unix socket.

Runs as the user who logged in, so the node sees that user at the other end of its socket, with that user's role. It
opens no port and writes nothing. It ends when the session does.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import stat
import sys
from collections import deque
from typing import NoReturn

from nodeconsole.remote.frames import HELLO, LARGEST, WINDOW, Decoder, Frame, Garbled, Kind, data, frame

_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE
_FULL = 4 * LARGEST
"""So many bytes wait for the console: the node's sockets are not read meanwhile."""
_PATIENCE = 1024 * 1024
"""So many bytes wait for the node: the console's pipe is not read meanwhile."""


def main(arguments: list[str]) -> NoReturn:
    """`[--home DIR | --socket PATH]`; not read by the parser of all commands, which takes longer to load than this."""
    # Its reader may be gone: the write says so then.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or not options.keys() <= {"--home", "--socket"}:
        sys.stderr.write("nodeconsole: usage: nodeconsole bridge [--home DIR | --socket PATH]\n")
        sys.exit(2)
    path = find_socket(options.get("--home", ""), options.get("--socket", ""))
    with contextlib.suppress(OSError, Garbled):
        Bridge(path, sys.stdin.fileno(), sys.stdout.fileno()).run()
    # Nothing is left to tidy up, and the streams of the interpreter may be closed already.
    os._exit(0)


def find_socket(home: str, socket_path: str) -> str:
    """The socket of a home, or what is a socket itself where a home was named; the defaults are those of commands."""
    if not home and not socket_path:
        socket_path = os.environ.get("NODECONSOLE_SOCKET", "")
        home = os.environ.get("NODECONSOLE_HOME", "") or "~/.nodeconsole"
    place = os.path.abspath(os.path.expanduser(socket_path or home))
    return place if socket_path or _is_socket(place) else os.path.join(place, "node.sock")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


class _Stream:
    """One connection to the node."""

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self.connection = connection
        self.credit = WINDOW
        self.unsent: deque[bytes] = deque()
        self.watched = 0


class Bridge:
    """`path` is the node's socket; `source` and `sink` are descriptors of the pipes."""

    def __init__(self, path: str, source: int, sink: int) -> None:
        self._path = path
        self._source = source
        self._sink = sink
        self._selector = selectors.DefaultSelector()
        self._streams: dict[int, _Stream] = {}
        self._decoder = Decoder()
        self._out = bytearray()
        self._backlog = 0
        self._watched: dict[int, int] = {}

    def run(self) -> None:
        """Until the console closes its end; raises `OSError` or `Garbled` if the pipe breaks."""
        os.set_blocking(self._source, False)
        os.set_blocking(self._sink, False)
        self._out += HELLO
        while True:
            self._watch_pipes()
            for key, events in self._selector.select():
                if key.fd == self._sink and key.data is None and events & _WRITE:
                    self._flush()
                elif key.fd == self._source and key.data is None:
                    if not self._hear():
                        return
                elif isinstance(key.data, _Stream) and self._streams.get(key.data.number) is key.data:
                    self._serve(key.data, events)

    # The pipes.

    def _watch_pipes(self) -> None:
        """Wait only for what can be used now: nobody may make this program hold more than it can pass on."""
        self._watch(self._source, _READ if self._backlog < _PATIENCE else 0, None)
        self._watch(self._sink, _WRITE if self._out else 0, None)
        room = len(self._out) < _FULL
        for stream in self._streams.values():
            wanted = (_READ if room and stream.credit > 0 else 0) | (_WRITE if stream.unsent else 0)
            self._watch(stream.connection.fileno(), wanted, stream)

    def _watch(self, descriptor: int, wanted: int, owner: _Stream | None) -> None:
        before = self._watched.get(descriptor, 0)
        if wanted == before:
            return
        if not before:
            self._selector.register(descriptor, wanted, owner)
        elif wanted:
            self._selector.modify(descriptor, wanted, owner)
        else:
            self._selector.unregister(descriptor)
        self._watched[descriptor] = wanted

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            sent = os.write(self._sink, self._out)
            del self._out[:sent]

    def _hear(self) -> bool:
        """Take what the console sent; False at its end."""
        try:
            chunk = os.read(self._source, 64 * 1024)
        except BlockingIOError:
            return True
        for heard in self._decoder.feed(chunk):
            self._obey(heard)
        return bool(chunk)

    def _obey(self, heard: Frame) -> None:
        if heard.kind == Kind.OPEN:
            self._open(heard.stream)
            return
        stream = self._streams.get(heard.stream)
        if stream is None:
            # Both sides closed it at the same time, and this is the console's word about it.
            return
        if heard.kind == Kind.DATA:
            stream.unsent.append(heard.content)
            self._backlog += len(heard.content)
        elif heard.kind == Kind.CREDIT:
            stream.credit += heard.number
        else:
            self._close(stream)

    # The node.

    def _open(self, number: int) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.set_blocking(connection.fileno(), False)
        directory, name = os.path.split(self._path)
        try:
            # Relative to its directory, a path of any length fits into a socket address.
            os.chdir(directory)
            connection.connect(name)
        except OSError as error:
            connection.close()
            self._out += frame(Kind.CLOSE, number, b"%d" % (error.errno or 0))
            return
        self._streams[number] = _Stream(number, connection)

    def _serve(self, stream: _Stream, events: int) -> None:
        try:
            if events & _WRITE:
                self._pass_on(stream)
            if events & _READ and len(self._out) < _FULL:
                content = stream.connection.recv(min(stream.credit, LARGEST))
                if not content:
                    self._close(stream)
                    return
                stream.credit -= len(content)
                self._out += data(stream.number, content)
        except BlockingIOError:
            return
        except OSError as error:
            self._close(stream, error.errno or 0)

    def _pass_on(self, stream: _Stream) -> None:
        while stream.unsent:
            first = stream.unsent[0]
            sent = stream.connection.send(first)
            self._backlog -= sent
            if sent < len(first):
                stream.unsent[0] = first[sent:]
                return
            stream.unsent.popleft()

    def _close(self, stream: _Stream, errno: int = 0) -> None:
        self._watch(stream.connection.fileno(), 0, stream)
        self._backlog -= sum(map(len, stream.unsent))
        del self._streams[stream.number]
        stream.connection.close()
        self._out += frame(Kind.CLOSE, stream.number, b"%d" % errno if errno else b"")
