"""How a contained attempt gets to what it may reach, by the same name or address as outside.

Its own loopback is all its network. Each address is opened there: a numeric one where it is, a name at a loopback
address of its own, which the attempt's hosts file gives it. A relay outside connects each connection on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embedded_scheduler.addresses import parse_address
from embedded_scheduler.errors import NodeError, Refused
from embedded_scheduler.sentences import say

_FIRST_STAND_IN = int(ipaddress.IPv4Address("127.77.0.1"))


@dataclass(frozen=True, slots=True)
class Route:
    """One way out: `host:port` inside stands for `target` outside."""

    host: str
    port: int
    target: str


def routes_to(addresses: Iterable[str]) -> list[Route]:
    """The ways to some `host:port`s; `Refused` names one that cannot be reached from inside."""
    found = []
    for number, text in enumerate(dict.fromkeys(addresses)):
        if not text:
            continue
        try:
            address = parse_address(text, "an address that the component needs")
        except NodeError as error:
            raise Refused(error.words) from None
        found.append(Route(_inside(address.host, number), address.port, str(address)))
    return found


def host_names(routes: Sequence[Route]) -> list[tuple[str, str]]:
    """Host names among the routes, with their address inside."""
    found = []
    for route in routes:
        name = route.target.rpartition(":")[0].strip("[]")
        if name not in (route.host, "localhost"):
            found.append((name, route.host))
    return found


def _inside(host: str, number: int) -> str:
    """Where an address is found inside: numeric ones where they are; a name at a loopback address of its own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "127.0.0.1" if host.lower() == "localhost" else str(ipaddress.IPv4Address(_FIRST_STAND_IN + number))
    if address.version != 4 and not address.is_loopback:
        raise Refused(say("contained_ipv6", host=host))
    return str(address)
