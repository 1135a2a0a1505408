"""Server-sent events: batches as they come, heartbeats, and an end when the node stops."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel
from quart import Response

from embedded_scheduler.engine.bus import Bus, Subscription

HEARTBEAT_SECONDS = 15.0
HEARTBEAT = b":\n\n"
END = b"event: end\ndata: {}\n\n"


def frame(message: BaseModel) -> bytes:
    """One event. A message's JSON has no line feed, so it is one `data:` line."""
    return b"data: " + message.model_dump_json().encode() + b"\n\n"


def stream_response(chunks: AsyncIterator[bytes], content_type: str = "text/event-stream") -> Response:
    """A body sent as it is made, for as long as it takes."""
    response = Response(chunks, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response


class Streams:
    """The open streams of one node."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._open: set[Subscription] = set()
        self._closing = False

    @property
    def closing(self) -> bool:
        """The node is stopping: a stream ends at its next turn."""
        return self._closing

    @contextlib.contextmanager
    def open(self) -> Iterator[Subscription]:
        """Wake-ups for one stream: after every commit, and when the node stops."""
        with self._bus.subscribe() as subscription:
            self._open.add(subscription)
            try:
                yield subscription
            finally:
                self._open.discard(subscription)

    def close(self) -> None:
        """Let every stream end now, and new ones at once."""
        self._closing = True
        for subscription in self._open:
            subscription.offer(0)
