"""Which names may be parts of a storage address."""

from __future__ import annotations

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

_LONGEST = 255


def check_component(what: str, value: str) -> str:
    """`value` as one path component, or `InvalidRequest` naming `what`.

    Refused: empty, a leading dot (kept for the storage's own files), a slash, control characters, what is not text,
    and more than 255 bytes.
    """
    if not value:
        raise InvalidRequest(say("name_empty", what=what))
    try:
        length = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidRequest(say("name_no_text", what=what, value=shorten(value))) from None
    if length > _LONGEST:
        raise InvalidRequest(say("name_long", what=what, most=_LONGEST, length=length))
    if value.startswith(".") or "/" in value or not value.isprintable():
        raise InvalidRequest(say("name_form", what=what, value=shorten(value)))
    return value


def check_address(namespace: str, name: str) -> None:
    check_component("namespace", namespace)
    check_component("name", name)
