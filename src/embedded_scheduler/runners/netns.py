"""Sockets that listen in the network of another process, such as a container that has no network but its loopback.

A child enters the namespaces and hands the listening sockets out; this process stays where it is. Only the standard
library, as in `keeper.py`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from embedded_scheduler.errors import Spoken
from embedded_scheduler.sentences import say

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_SET_ADDRESS, _SET_MASK = 0x8916, 0x891C
_BACKLOG = 128
_LONGEST_FAULT = 4096


class NoEntryError(Spoken):
    """The namespaces of a process cannot be entered, or nothing can listen there."""


def listeners(pid: int, addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """One listening socket for each `(host, port)`, in the network of process `pid`; hosts are numeric.

    An IPv4 address that is not of the loopback is given to it first: so a program there finds a service at the
    address that it has outside.
    """
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with own:
        child = os.fork()
        if child == 0:
            own.close()
            _hand_out(other, pid, addresses)
        other.close()
        answer, descriptors, _, _ = socket.recv_fds(own, _LONGEST_FAULT, len(addresses))
    os.waitpid(child, 0)
    found = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    if answer != b"ok" or len(found) != len(addresses):
        for each in found:
            each.close()
        raise NoEntryError(answer.decode("utf-8", "replace") or say("no_entry"))
    return found


def _hand_out(other: socket.socket, pid: int, addresses: Sequence[tuple[str, int]]) -> NoReturn:
    try:
        _enter(pid)
        made = [_listening(number, host, port) for number, (host, port) in enumerate(addresses)]
        socket.send_fds(other, [b"ok"], [each.fileno() for each in made])
    except OSError as error:
        other.send((error.strerror or str(error)).encode())
    finally:
        os._exit(0)


def _enter(pid: int) -> None:
    """Join the network of a process; through its user namespace where that is needed, as with rootless engines."""
    process = Path("/proc") / str(pid) / "ns"
    network = os.open(process / "net", os.O_RDONLY)
    try:
        _join(network, _NEW_NET)
    except PermissionError:
        user = os.open(process / "user", os.O_RDONLY)
        _join(user, _NEW_USER)
        _join(network, _NEW_NET)


def _join(descriptor: int, kind: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _listening(number: int, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL or family != socket.AF_INET:
            raise
        _give_address(number, host)
        made.bind((host, port))
    made.listen(_BACKLOG)
    return made


def _give_address(number: int, host: str) -> None:
    """Give the loopback one more IPv4 address. struct ifreq: name, family, port, address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for call, address in ((_SET_ADDRESS, host), (_SET_MASK, "255.255.255.255")):
            request = struct.pack("16sHH4s8x", f"lo:{number}".encode(), socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, call, request)
