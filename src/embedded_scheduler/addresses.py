"""Addresses that a node listens on, as its settings write them: `HOST:PORT`, `[IPv6]:PORT`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from embedded_scheduler.errors import InvalidRequest

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """Port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Only programs on this machine can reach it."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_every(self) -> bool:
        """All addresses of this machine; it is none that others could be told."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


def parse_address(text: str, setting: str) -> Address:
    """`InvalidRequest` names `setting` and shows the form."""
    host, separator, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = bare != host
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else -1
    if not separator or not 0 <= number <= 65535 or not _is_host(bare, bracketed=bracketed):
        raise InvalidRequest(f"{setting}: {text[:80]!a} is not HOST:PORT, for example 127.0.0.1:9380 or [::1]:9380")
    return Address(bare, number)


def parse_loopback(text: str, setting: str) -> Address:
    """An address that only this machine reaches; `InvalidRequest` for any other."""
    address = parse_address(text, setting)
    if not address.is_loopback:
        raise InvalidRequest(
            f"{setting}: {address} can be reached from other machines; this listener is for 127.0.0.1 or [::1] only"
        )
    return address


def parse_told(text: str, setting: str) -> Address:
    """An address that others are told to call; `InvalidRequest` for one that says nothing to them."""
    address = parse_address(text, setting)
    if address.is_every or not address.port:
        raise InvalidRequest(
            f"{setting}: other machines are told to call {address}: name the address of this machine that they reach,"
            " and a port"
        )
    return address


def origin_of(host: str) -> str:
    """What callers are counted by: the address, for IPv6 its /64; what is no address as it is.

    One customer gets a /64: each address of it for itself would be no limit.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _is_host(host: str, *, bracketed: bool) -> bool:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return not bracketed and _HOST.fullmatch(host) is not None
    return (version == 6) == bracketed
