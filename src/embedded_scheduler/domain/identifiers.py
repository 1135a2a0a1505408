"""Which identifiers and names are accepted, and those derived from others."""

from __future__ import annotations

import hashlib
import re

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DOTS = frozenset({".", ".."})


def check_id(what: str, value: object) -> str:
    """`value` as an identifier (`[A-Za-z0-9_.:-]{1,128}`, not `.` or `..`), or `InvalidRequest` naming `what`."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or value in _DOTS:
        raise InvalidRequest(say("bad_identifier", what=what, value=shorten(value)))
    return value


def check_component_name(value: object) -> str:
    """An instance name in a flow; no dot, since edges are written `<name>.<output>`."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidRequest(say("bad_component_name", value=shorten(value)))
    return value


def shorten(value: object, limit: int = 60) -> str:
    """`value` for an error message: printable, quoted and short, whatever was sent."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def task_id_for(job_id: str, task_name: str) -> str:
    """The coordinator's task id, `task-<32 hex>`. Derived, so that planning twice names the same task."""
    digest = hashlib.sha256(f"{job_id}\n{task_name}".encode()).hexdigest()
    return f"task-{digest[:32]}"


def is_text(value: str) -> bool:
    """Half a surrogate pair passes JSON's grammar, and can neither be stored nor sent in any other form."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
