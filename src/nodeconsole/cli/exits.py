"""Exit codes. Scripts rely on them: never change a number, only add."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the command line answers to the shell."""

    OK = 0
    FAILED = 1
    """The command did not do its work; the message says why."""
    USAGE = 2
    """What was typed, or the file that was given, is not valid."""
    UNREACHABLE = 3
    """No node answers on the socket of this home."""
    NOT_FOUND = 4
    REFUSED = 5
    """The node said no: a rule, a policy, or a conflict with what is stored."""
    UNSUCCESSFUL = 6
    """`job submit --wait`: the job ended, but not with success."""
    INTERRUPTED = 130
    """Ctrl+C."""
    BROKEN_PIPE = 141
    """The reader of the output went away."""


EXPLAINED = {
    Exit.OK: "done",
    Exit.FAILED: "failed; the message says why",
    Exit.USAGE: "wrong usage or invalid input",
    Exit.UNREACHABLE: "no node answers in this home",
    Exit.NOT_FOUND: "no such job, dataset, component or partner",
    Exit.REFUSED: "refused by the node, or in conflict with what is stored",
    Exit.UNSUCCESSFUL: "the job ended without success (job submit --wait)",
}

_BY_CODE = {
    "invalid": Exit.USAGE,
    "too_large": Exit.USAGE,
    "not_found": Exit.NOT_FOUND,
    "conflict": Exit.REFUSED,
    "refused": Exit.REFUSED,
    "forbidden": Exit.REFUSED,
    "unauthenticated": Exit.REFUSED,
}


def exit_for(code: str) -> Exit:
    """The exit code for a stable error code of the node."""
    return _BY_CODE.get(code, Exit.FAILED)


class CommandError(Exception):
    """A command gives up: one line for the person, one exit code for the shell."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
