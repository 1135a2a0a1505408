"""Who takes part, in which order, and that all parties were given the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.running import Task

ECDH, RR22 = "ecdh", "rr22"
ALL = "all"
_ROLES = ("guest", "host")
_MOST_PARTIES = 3


@dataclass(frozen=True, slots=True)
class Terms:
    """`parties` in the order of their ranks; `receivers` are those that learn the intersection."""

    parties: tuple[str, ...]
    own: str
    protocol: str
    receivers: tuple[str, ...]
    columns: int

    @property
    def rank(self) -> int:
        return self.parties.index(self.own)

    @property
    def receiver_rank(self) -> int:
        return self.parties.index(self.receivers[0])

    @property
    def learns(self) -> bool:
        return self.own in self.receivers


def terms_of(task: Task, columns: int) -> Terms:
    """`ComponentError` says what this job cannot have."""
    parties = tuple(party for party in task.environment.parties if party.partition(".")[0] in _ROLES)
    if task.party not in parties or not 1 < len(parties) <= _MOST_PARTIES:
        raise ComponentError(f"this alignment is between two or three guests and hosts (got {', '.join(parties)})")
    protocol = str(task.parameters["protocol"])
    if protocol == RR22 and len(parties) > 2:
        raise ComponentError("protocol rr22 is for two parties; use ecdh for three")
    wanted = str(task.parameters["result_to"])
    receivers = parties if wanted == ALL else tuple(p for p in parties if wanted in (p, p.partition(".")[0]))
    if wanted != ALL and len(receivers) != 1:
        raise ComponentError(f"result_to is {wanted}: it must be all, or mean one of {', '.join(parties)}")
    return Terms(parties, task.party, protocol, receivers, columns)


def agree(task: Task, terms: Terms, timeout: float) -> None:
    """Every party tells its terms, so that a difference is a sentence on both sides, not a protocol that hangs."""
    own = {"protocol": terms.protocol, "receivers": list(terms.receivers), "columns": terms.columns}
    others = [party for party in terms.parties if party != terms.own]
    for party in others:
        task.channel.sender(party, "terms").send_json(own)
    for party in others:
        theirs: Any = task.channel.receiver(party, "terms").receive_json(timeout=timeout)
        for name, value in own.items():
            found = theirs.get(name) if isinstance(theirs, dict) else None
            if found != value:
                raise ComponentError(f"{party} was given other terms: {name} is {found!r} there and {value!r} here")
