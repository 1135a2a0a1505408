"""Why an attempt failed, as one of a few classes: what other parties may know, and what can be counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from embedded_scheduler.sentences import Words, say


class FailureCause(StrEnum):
    """What ended an attempt. `EXIT`: its own code, for reasons that it alone knows."""

    MEMORY = "memory"
    DISK = "disk"
    TIME = "time"
    SIGNAL = "signal"
    REFUSED = "refused"
    """It was never started."""
    IMAGE = "image"
    ENGINE = "engine"
    """What ran it is gone or lost track of it."""
    REPORTED = "reported"
    """It ended well, and said by callback that it had failed."""
    EXIT = "exit"


class Stage(StrEnum):
    START = "start"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Failure:
    """What the other parties of a job get to know: no path, no data, no line of a log."""

    stage: Stage
    cause: FailureCause
    exit_code: int | None = None

    @property
    def words(self) -> Words:
        """`out of memory (exit code 1)`"""
        what = _WORDS[self.cause]
        return what if self.exit_code is None else say("failure_code", what=what, code=self.exit_code)

    @property
    def document(self) -> dict[str, Any]:
        """As it is sent (docs/protocol-signing.md)."""
        code = {} if self.exit_code is None else {"exit_code": self.exit_code}
        return {"stage": self.stage.value, "class": self.cause.value, **code}


_WORDS = {
    FailureCause.MEMORY: say("failure_memory"),
    FailureCause.DISK: say("failure_disk"),
    FailureCause.TIME: say("failure_time"),
    FailureCause.SIGNAL: say("failure_signal"),
    FailureCause.REFUSED: say("failure_refused"),
    FailureCause.IMAGE: say("failure_image"),
    FailureCause.ENGINE: say("failure_engine"),
    FailureCause.REPORTED: say("failure_reported"),
    FailureCause.EXIT: say("failure_exit"),
}


def read_failure(document: object) -> Failure | None:
    """What a partner says; None if it says nothing that is understood."""
    if not isinstance(document, Mapping):
        return None
    stage, cause, code = document.get("stage"), document.get("class"), document.get("exit_code")
    if not isinstance(stage, str) or not isinstance(cause, str):
        return None
    if stage not in set(Stage) or cause not in set(FailureCause):
        return None
    known = isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= 255
    return Failure(Stage(stage), FailureCause(cause), code if known else None)


_EVIDENCE: tuple[tuple[FailureCause, re.Pattern[str]], ...] = (
    (FailureCause.MEMORY, re.compile(r"MemoryError|bad_alloc|Cannot allocate memory|OutOfMemory|out of memory", re.I)),
    (FailureCause.DISK, re.compile(r"No space left on device|Disk quota exceeded|File too large", re.I)),
)
"""What programs say last when something ran out; the errors of the system are in English here (LANG=C.UTF-8)."""


def evidence(last_lines: str) -> FailureCause | None:
    """What the end of a log shows to have run out; the last mention counts."""
    found = [(match.start(), cause) for cause, sign in _EVIDENCE for match in sign.finditer(last_lines)]
    return max(found)[1] if found else None
