"""Named places where a test may kill the node: between a fact and its consequence, where recovery has to hold."""

from __future__ import annotations

import os
import signal

POINTS = (
    "inbound.acted",  # a partner's request was carried out, its answer not sent
    "effect.before",  # an effect was taken from the outbox, nothing done yet
    "call.answered",  # the partner answered, the answer is not recorded
    "launch.stored",  # the attempt's handle is stored, nothing started
    "launch.started",  # the component runs, the node has not recorded it
    "exit.seen",  # the component ended, the node has not recorded it
    "terminate.done",  # the component was made to end, the node has not recorded it
)

_VARIABLE = "NODECONSOLE_CRASH_AT"


class _Trap:
    """`NODECONSOLE_CRASH_AT=<point>[:n]` kills the process the n-th time (default first) the point is reached."""

    def __init__(self, setting: str) -> None:
        self.point, _, count = setting.partition(":")
        self.left = int(count) if count else 1
        if self.point and self.point not in POINTS:
            raise ValueError(f"{_VARIABLE} names no crash point: {self.point}")

    def spring(self, point: str) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


_TRAP = _Trap(os.environ.get(_VARIABLE, ""))


def reached(point: str) -> None:
    """Say that `point` was reached; does nothing unless the environment asks for a crash there."""
    if _TRAP.point:
        _TRAP.spring(point)
