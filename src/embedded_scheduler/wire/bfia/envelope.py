"""The answer `{code, msg, data}` (control layer §2.3): written for partners and the platform, read from partners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.errors import ErrorCode, NodeError
from embedded_scheduler.sentences import say
from embedded_scheduler.wire.bfia.decoding import decode_object

SUCCESS_CODES = frozenset({0, 200})
"""The texts disagree (prose 200, samples and v1.2.0 0): both are read as success."""
ANSWER_DEPTH = 64
NO_DATA: Mapping[str, Any] = {}

ERROR_CODES: Mapping[ErrorCode, int] = {
    ErrorCode.INVALID: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.REFUSED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.TOO_MANY: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
}
"""The specification says "else = error" and no more; these read like HTTP's."""


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """How one partner needs our answers."""

    success_code: int = 200
    omit_job_status: bool = False
    """status_all carries `status` alone: its reader takes every other member for a task or stops there."""
    ready_as_pending: bool = False
    """It does not know the word READY."""
    failure_class: bool = True
    """Beside FAILED it is told why, as a class."""
    patient_poll: bool = True
    """It tolerates a failed poll; otherwise trouble of our own is answered as PENDING."""


def success(code: int, data: Mapping[str, Any]) -> bytes:
    return _encode({"code": code, "msg": "success", "data": data})


def failure(code: int, text: str) -> bytes:
    """`message` repeats `msg` for readers of that key; `data` is always there."""
    return _encode({"code": code, "msg": text, "message": text, "data": NO_DATA})


def _encode(value: Mapping[str, Any]) -> bytes:
    # ASCII only: no reader can stumble over its encoding, and half surrogates cannot arise.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner answered. `data` is None when it was there and not an object."""

    code: int
    text: str
    data: Mapping[str, Any] | None

    @property
    def ok(self) -> bool:
        return self.code in SUCCESS_CODES


class Unreadable(NodeError):
    """A partner's answer that is not an envelope."""

    code = ErrorCode.UNAVAILABLE


def read_answer(body: bytes) -> Answer:
    """The envelope in `body`, or `Unreadable`. `code` may be a number or its text, `msg` may be called `message`,
    `data` may be missing or null (read as `{}`)."""
    try:
        raw = decode_object(body, depth=ANSWER_DEPTH)
    except NodeError as error:
        raise Unreadable(say("answer_not_read", why=error.message.replace("the body", "it"))) from None
    code = _code(raw.get("code"))
    if code is None:
        raise Unreadable(say("answer_no_code"))
    data = raw.get("data")
    if data is None:
        data = NO_DATA
    return Answer(code=code, text=_text(raw), data=data if isinstance(data, Mapping) else None)


def _code(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) <= 12:
        return int(value)
    return None


def _text(raw: Mapping[str, Any]) -> str:
    for name in ("msg", "message"):
        value = raw.get(name)
        if isinstance(value, str) and value:
            printable = "".join(character if character.isprintable() else " " for character in value[:500])
            return printable.strip()
    return ""
