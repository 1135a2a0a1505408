"""The node's exceptions: facts plus a stable code; every API envelope owns one table from code to wire value."""

from __future__ import annotations

from enum import StrEnum

from embedded_scheduler.sentences import Words


class ErrorCode(StrEnum):
    """Stable identifiers of what went wrong; tests, envelopes and the console's texts key on them."""

    INVALID = "invalid"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    TOO_MANY = "too_many"
    INTERNAL = "internal"


class Spoken(Exception):
    """An exception whose text is for a person and says what to do: `words`, and `message` in English."""

    def __init__(self, words: Words) -> None:
        self.message = str(words)
        super().__init__(self.message)
        self.words = words


class NodeError(Spoken):
    """Base of every error the node raises on purpose."""

    code = ErrorCode.INTERNAL


class InvalidRequest(NodeError):
    """What was sent cannot be understood or breaks a rule of the specification."""

    code = ErrorCode.INVALID


class InvalidFlow(InvalidRequest):
    """A flow that is not a well-formed acyclic graph; the message names the component and the edge."""


class TooLarge(NodeError):
    """A body, a name or a structure beyond its limit."""

    code = ErrorCode.TOO_LARGE


class Unauthenticated(NodeError):
    """No credential, or one that is not valid here."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(NodeError):
    """The caller is known and may not do this."""

    code = ErrorCode.FORBIDDEN


class NotFound(NodeError):
    """The named thing does not exist on this node."""

    code = ErrorCode.NOT_FOUND


class Conflict(NodeError):
    """The request contradicts what is stored (other content under the same id, a decision already taken)."""

    code = ErrorCode.CONFLICT


class Refused(NodeError):
    """The node or its operator decided against it (policy, admission, a missing component)."""

    code = ErrorCode.REFUSED


class Unavailable(NodeError):
    """Cannot be served now (a partner or a disk is not there); the same request may work later."""

    code = ErrorCode.UNAVAILABLE


class TimedOut(NodeError):
    """Nothing answered within the limit; the message names the setting."""

    code = ErrorCode.TIMEOUT


class TooMany(NodeError):
    """The caller asked for more than its limit; the same request may work later."""

    code = ErrorCode.TOO_MANY


class StoreError(NodeError):
    """The database cannot be used: newer than this program, corrupted, read-only, locked by another node, disk full."""

    code = ErrorCode.UNAVAILABLE


class IllegalTransition(Conflict):
    """A lifecycle has no row for this state and trigger."""
