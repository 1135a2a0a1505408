"""A link of 300 ms and 10 kB/s as ssh's ProxyCommand: `python tests/support/slow_link.py HOST PORT`.

Standard library only and run as a file: it stands in for a wire, and starts as fast as one.
"""

from __future__ import annotations

import collections
import os
import select
import socket
import sys
import time

ONE_WAY_SECONDS = 0.15
BYTES_PER_SECOND = 10_000
_PIECE = 500
_QUEUE = 64 * 1024
"""What a router keeps: more is not read."""


class Wire:
    """One direction: what is read arrives later, and no faster than the wire carries it."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.queue: collections.deque[tuple[float, bytes]] = collections.deque()
        self.free = 0.0
        self.held = 0
        self.over = False

    def read(self) -> None:
        content = os.read(self.source, _PIECE)
        if not content:
            self.over = True
            return
        self.free = max(self.free, time.monotonic()) + len(content) / BYTES_PER_SECOND
        self.queue.append((self.free + ONE_WAY_SECONDS, content))
        self.held += len(content)

    def deliver(self) -> None:
        while self.queue and self.queue[0][0] <= time.monotonic():
            content = self.queue.popleft()[1]
            self.held -= len(content)
            while content:
                content = content[os.write(self.sink, content) :]


def main(host: str, port: int) -> None:
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wires = [Wire(0, connection.fileno()), Wire(connection.fileno(), 1)]
        while not any(wire.over and not wire.queue for wire in wires):
            now = time.monotonic()
            due = min((wire.queue[0][0] - now for wire in wires if wire.queue), default=1.0)
            sources = [wire.source for wire in wires if not wire.over and wire.held < _QUEUE]
            ready = select.select(sources, [], [], max(0.0, due))[0]
            for wire in wires:
                if wire.source in ready:
                    wire.read()
                wire.deliver()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
