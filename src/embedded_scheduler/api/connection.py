"""What a listener knows of a connection before its first request; every application finds it in the request's scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATE_KEY = "connection"


@dataclass(frozen=True, slots=True)
class Connection:
    """`remote` is the caller's address, empty for a unix socket. `certificate` is the fingerprint of the key in the
    certificate that the client proved to hold in the TLS handshake, empty without one. `uid` and `gid` are the
    credentials the kernel vouches for, None unless the connection came over a unix socket."""

    remote: str = ""
    tls: bool = False
    certificate: str = ""
    uid: int | None = None
    gid: int | None = None
    pid: int | None = None


UNKNOWN = Connection()


def connection_of(scope: Mapping[str, Any]) -> Connection:
    """The facts about the connection of a request; nothing is known of one that came by other ways than a listener."""
    found = (scope.get("state") or {}).get(STATE_KEY)
    if isinstance(found, Connection):
        return found
    client = scope.get("client") or ("",)
    return Connection(remote=client[0])
