"""What console and bridge say to each other: several streams of bytes over one pair of pipes.

The bridge says `HELLO` once; a login script of the remote user may print something before. From then on both sides send
frames. The console opens a stream with a number that is free and may send at once; the bridge connects it to the
node's socket. Each side closes a stream by one `CLOSE`; its number is free again when both have. The bridge sends no
more bytes of a stream than the console has given it credit for, so that a long log does not stand in the way of a
short answer.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

HELLO = b"NODECONSOLE-BRIDGE 1\n"
HELLO_ANY = b"NODECONSOLE-BRIDGE "
"""What every version begins with."""
WINDOW = 32 * 1024
"""Credit of a new stream in bytes: a second or less on a link of 10 kB/s with compression, 100 kB/s at 300 ms."""
LARGEST = 4096
"""Bytes of a frame's content."""
STREAMS = 1 << 16

_HEAD = struct.Struct("!BHH")
_CREDIT = struct.Struct("!I")


class Kind(IntEnum):
    OPEN = 1
    DATA = 2
    CREDIT = 3
    """How many more bytes of the stream the bridge may send."""
    CLOSE = 4
    """From the bridge, the content is the number of the system's error; empty when the node closed the connection."""


class Frame(NamedTuple):
    kind: int
    stream: int
    content: bytes = b""

    @property
    def number(self) -> int:
        """The content of CREDIT."""
        return int(_CREDIT.unpack(self.content)[0])

    @property
    def errno(self) -> int:
        """The content of CLOSE; 0 = no error."""
        return int(self.content) if self.content.isdigit() else 0


class Garbled(Exception):
    """What arrived is not a frame."""


def frame(kind: Kind, stream: int, content: bytes = b"") -> bytes:
    """One frame as bytes; `content` has at most `LARGEST`."""
    return _HEAD.pack(kind, stream, len(content)) + content


def data(stream: int, content: bytes) -> bytes:
    """`content` of any size, as frames."""
    pieces = range(0, len(content), LARGEST)
    return b"".join(frame(Kind.DATA, stream, content[at : at + LARGEST]) for at in pieces)


def credit(stream: int, number: int) -> bytes:
    return frame(Kind.CREDIT, stream, _CREDIT.pack(number))


class Decoder:
    """Frames out of chunks of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes; `Garbled` if something else stands in their place."""
        rest = self._rest
        rest += chunk
        found: list[Frame] = []
        at = 0
        while len(rest) - at >= _HEAD.size:
            kind, stream, size = _HEAD.unpack_from(rest, at)
            if not Kind.OPEN <= kind <= Kind.CLOSE or size > LARGEST or (kind == Kind.CREDIT and size != _CREDIT.size):
                raise Garbled
            end = at + _HEAD.size + size
            if len(rest) < end:
                break
            found.append(Frame(kind, stream, bytes(rest[at + _HEAD.size : end])))
            at = end
        del rest[:at]
        return found
