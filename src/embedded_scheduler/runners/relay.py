"""The way from a sandbox to its node: a process outside that accepts what connects to the sandbox's own loopback.

It serves the listening socket that the sandbox made, and connects each connection to the node anew, so a node that
was killed and started again is found again. As in `attempt.py`, only C modules are imported.
"""

import _socket
import errno
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PIECE = 256 * 1024
_LONGEST_WAIT = 0.05
_BUSY = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Stream:
    """One direction of a connection. `held` waits for room at the target."""

    __slots__ = ("ended", "held", "source", "target")

    def __init__(self, source: "Any", target: "Any") -> None:
        self.source = source
        self.target = target
        self.held = b""
        self.ended = False
        """The source has said all; the target was told, or will be when nothing is held any more."""


class _Connection:
    """A connection of the component, and ours to the node."""

    __slots__ = ("inner", "inward", "outer", "outward")

    def __init__(self, inner: "Any", outer: "Any") -> None:
        self.inner = inner
        self.outer = outer
        self.outward = _Stream(inner, outer)
        self.inward = _Stream(outer, inner)

    @property
    def over(self) -> bool:
        return all(stream.ended and not stream.held for stream in (self.outward, self.inward))


def serve(listener: int, host: str, port: int) -> None:
    """Pass on every connection to `listener` (a descriptor) to the node; returns only with an error."""
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    listening = _socket.socket(family, _socket.SOCK_STREAM, 0, listener)
    listening.settimeout(0)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, _Connection] = {}
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener:
                _accept(listening, family, (host, port), poll, connections)
                continue
            connection = connections.get(descriptor)
            if connection is None:
                continue
            try:
                _move(connection.outward)
                _move(connection.inward)
            except OSError:
                _drop(connection, poll, connections)
                continue
            if connection.over:
                _drop(connection, poll, connections)
            else:
                _watch(connection, poll)


def _accept(
    listening: "Any", family: int, node: "tuple[str, int]", poll: select.epoll, connections: "dict[int, _Connection]"
) -> None:
    try:
        number, _ = listening._accept()
    except OSError as error:
        if error.errno in _SCARCE:
            # Until another connection is over: asking again at once would only burn the processor.
            select.select([], [], [], _LONGEST_WAIT)
        return
    inner = _socket.socket(family, _socket.SOCK_STREAM, 0, number)
    outer = None
    try:
        outer = _socket.socket(family, _socket.SOCK_STREAM)
        # On loopback this answers at once, either way.
        outer.connect(node)
    except OSError:
        # The node is not there just now: the component sees a connection that broke, and tries again.
        inner.close()
        if outer is not None:
            outer.close()
        return
    connection = _Connection(inner, outer)
    for end in (inner, outer):
        end.settimeout(0)
        end.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        connections[end.fileno()] = connection
        poll.register(end.fileno(), select.EPOLLIN)


def _move(stream: _Stream) -> None:
    """Pass on what there is, as far as there is room. Raises `OSError` for a connection that broke."""
    while True:
        if stream.held:
            sent = _attempted(stream.target.send, stream.held)
            if sent is None:
                return
            stream.held = stream.held[sent:]
            continue
        if stream.ended:
            return
        piece = _attempted(stream.source.recv, _PIECE)
        if piece is None:
            return
        if not piece:
            stream.ended = True
            stream.target.shutdown(_socket.SHUT_WR)
            return
        stream.held = piece


def _attempted(call: "Any", argument: "Any") -> "Any":
    """The call's result; None if it would have to wait."""
    try:
        return call(argument)
    except OSError as error:
        if error.errno in _BUSY:
            return None
        raise


def _watch(connection: _Connection, poll: select.epoll) -> None:
    for end, incoming, outgoing in (
        (connection.inner, connection.outward, connection.inward),
        (connection.outer, connection.inward, connection.outward),
    ):
        wanted = 0
        if not incoming.ended and not incoming.held:
            wanted |= select.EPOLLIN
        if outgoing.held:
            wanted |= select.EPOLLOUT
        poll.modify(end.fileno(), wanted)


def _drop(connection: _Connection, poll: select.epoll, connections: "dict[int, _Connection]") -> None:
    for end in (connection.inner, connection.outer):
        del connections[end.fileno()]
        poll.unregister(end.fileno())
        end.close()
