"""Waiting for the end of any process, own child or not, without polling where the kernel can tell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_POLL_S = 0.05


async def ended(pid: int, still_the_same: Callable[[], bool]) -> None:
    """Return when the process is gone. `still_the_same` tells whether `pid` is (still) the process that is meant.

    A child of this process is collected, so that it does not stay as a zombie.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        # No such call in this kernel or sandbox, or no descriptor left.
        await _poll(pid, still_the_same)
        return
    try:
        # From here on the descriptor, not the number, names the process.
        if still_the_same():
            await _readable(descriptor)
        _collect(os.P_PIDFD, descriptor)
    finally:
        os.close(descriptor)


def collect(pid: int) -> bool:
    """Take the status of an own child that has ended. False if it runs; a process that is no child counts as ended."""
    return _collect(os.P_PID, pid)


def _collect(kind: int, which: int) -> bool:
    try:
        return os.waitid(kind, which, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    happened: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, happened)
    try:
        await happened
    finally:
        loop.remove_reader(descriptor)


def _resolve(happened: asyncio.Future[None]) -> None:
    if not happened.done():
        happened.set_result(None)


async def _poll(pid: int, still_the_same: Callable[[], bool]) -> None:
    while still_the_same() and not _child_ended(pid):  # noqa: ASYNC110 - nothing tells us
        await asyncio.sleep(_POLL_S)


def _child_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return False
