"""What a person may do on this node: look, decide, or everything."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each role includes those before it."""

    VIEWER = "viewer"
    APPROVER = "approver"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = (Role.VIEWER, Role.APPROVER, Role.ADMIN)
_OF_ACTION = {
    "logs": Role.VIEWER,
    "approve": Role.APPROVER,
    "reject": Role.APPROVER,
    "revoke": Role.APPROVER,
    "confirm": Role.APPROVER,
    "refuse": Role.APPROVER,
}


def role_for(action: str) -> Role:
    """The role that an action offered by the node (`approve`, `stop`, …) needs."""
    return _OF_ACTION.get(action, Role.ADMIN)
