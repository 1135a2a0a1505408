"""Messages about a task's log (control layer §5.4, §5.5)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from embedded_scheduler.wire.bfia.message import Identifier, Message

HIGHEST_LINE = 2**53
"""Beyond it JSON readers disagree on integers."""


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _none_for_empty(value: object) -> object:
    return None if value == "" else value


LogLevel = Annotated[Literal["info", "debug", "error"], BeforeValidator(_lower)]
LineNumber = Annotated[int, Field(ge=0, le=HIGHEST_LINE)]


class LogLineQuery(Message):
    """§5.4"""

    task_id: Identifier
    log_level: LogLevel


class LogQuery(LogLineQuery):
    """§5.5. `start` counts from 0; no `length` = to the end."""

    start: LineNumber
    length: Annotated[LineNumber | None, BeforeValidator(_none_for_empty)] = None


class LogLineCount(Message):
    num: int


class LogText(Message):
    """Bytes that are not UTF-8 are shown as \\xNN."""

    data: str
