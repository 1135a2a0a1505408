"""The template: a process that has loaded what every built-in component needs, and forks once per attempt.

Starting an interpreter costs several times what a short component does. The fork becomes the attempt's shim
(`attempt.py`) exactly as a fresh start would be: leader of its own session, the log as stdout and stderr, the lock as
descriptor 3, nothing else open, default signals. The template knows no order, no token and nothing of the node; it
collects no endings, and neither its own end nor the node's touches an attempt. It ends when the node's end of the
socket is closed.

Requests come as one packet each: a number, the run directory, and the log's and the lock's descriptors. The answer is
the number and 0, sent by the fork once its identity file is written (or cannot be), or the errno of a fork that failed.

As in `attempt.py`, only C modules are imported here: what is loaded stays in every attempt.
"""

import _signal  # type: ignore[import-not-found]  # see attempt.py
import _socket
import errno
import gc
import os
import sys

from embedded_scheduler.runners import attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SOCKET_DESCRIPTOR = attempt.LOCK_DESCRIPTOR + 1
NUMBER_BYTES = 8
ERRNO_BYTES = 4
LONGEST_REQUEST = NUMBER_BYTES + 4096

_DESCRIPTOR_BYTES = 4
_DESCRIPTORS = 2
_LOADED = ("json", "resource", "_ctypes")
_LOADED_COMPONENTS = ("probe",)


def main(package: str, path: "Sequence[str]") -> None:
    """Serve the node at descriptor 4. `package` and `path`: of the built-in components. Returns when the node is gone.

    In a fork it does not return: an attempt ends by itself.
    """
    os.chdir("/")
    sys.path[:] = path
    _load(package)
    # The kernel collects the endings; the node follows each attempt by its identity.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    # Collecting garbage would write to, and so copy, every page that the forks share.
    gc.collect()
    gc.freeze()
    node = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, SOCKET_DESCRIPTOR)
    while True:
        request, descriptors = _receive(node)
        if not request:
            node.close()
            return
        number, run_directory = request[:NUMBER_BYTES], os.fsdecode(request[NUMBER_BYTES:])
        fault = errno.EMFILE if len(descriptors) != _DESCRIPTORS else 0
        if not fault:
            try:
                child = os.fork()
            except OSError as error:
                fault = error.errno or errno.EAGAIN
            else:
                # Not in a `finally`, nor within one: what is raised there ends the fork as it ends a fresh start.
                if child == 0:
                    _become_shim(node, number, run_directory, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if fault:
            _answer(node, number, fault)


def _load(package: str) -> None:
    for name in (*_LOADED, *(f"{package}.{component}.component" for component in _LOADED_COMPONENTS)):
        try:
            __import__(name)
        except Exception:  # noqa: BLE001, S112 - whoever needs it will fail alike, and say so in its own log
            continue


def _receive(node: "Any") -> tuple[bytes, list[int]]:
    """One request; empty when the node is gone."""
    room = _socket.CMSG_SPACE(_DESCRIPTORS * _DESCRIPTOR_BYTES)
    try:
        request, ancillary, _, _ = node.recvmsg(LONGEST_REQUEST, room)
    except ConnectionResetError:
        return b"", []
    descriptors = []
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            for start in range(0, len(data) - _DESCRIPTOR_BYTES + 1, _DESCRIPTOR_BYTES):
                descriptors.append(int.from_bytes(data[start : start + _DESCRIPTOR_BYTES], sys.byteorder))  # noqa: PERF401
    return request, descriptors


def _become_shim(node: "Any", number: bytes, run_directory: str, log: int, lock: int) -> None:
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(lock, attempt.LOCK_DESCRIPTOR)
    os.close(log)
    os.close(lock)

    def begun() -> None:
        _answer(node, number, 0)
        node.close()

    try:
        attempt.main(run_directory, begun)
    finally:
        # Only if the shim failed before it could say so itself.
        if node.fileno() >= 0:
            begun()


def _answer(node: "Any", number: bytes, fault: int) -> None:
    try:
        node.send(number + fault.to_bytes(ERRNO_BYTES, sys.byteorder), _socket.MSG_DONTWAIT)
    except OSError:
        # The node is gone, or so busy that its patience will end: it looks for the identity file then.
        return
