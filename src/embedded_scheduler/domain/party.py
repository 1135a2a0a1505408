"""Who takes part in a job: a node in a role."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("guest", "host", "arbiter")


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """`role.index` held by a node. The index is the position in `config.role.<role>`."""

    role: str
    index: int
    node_id: str

    @property
    def key(self) -> str:
        """`guest.0`: how parameters, environments and sessions name it."""
        return f"{self.role}.{self.index}"


def matches_role(party: Party, wanted: str) -> bool:
    """Whether a role as a partner wrote it (`guest`, `guest.0`, `GUEST`, empty = any) means this party."""
    role = wanted.strip().lower()
    return role in ("", party.role, party.key)
