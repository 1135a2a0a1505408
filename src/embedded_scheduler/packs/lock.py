"""The lock file of a pack: versions with their hashes, and nothing else.

A file of requirements may also hold options and addresses, by which whoever wrote it has pip build sources (which runs
their code, outside of any sandbox), ask another index, or read other files. So it is not handed on: what it pins is
read here, and pip gets that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(\[[A-Za-z0-9._, -]{1,256}\])?\s*==\s*[0-9][A-Za-z0-9.!+_-]{0,63}"
)
_HASH = re.compile(r"sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})")
_MARKER = re.compile(r"[A-Za-z0-9_.()<>=!~'\" ,-]{1,512}")
_COMMENT = re.compile(r"(^|\s)#.*$")


def pins(name: str, content: bytes) -> str:
    """What a lock file pins, a line each, as pip takes it; `InvalidRequest` shows the first line that is no pin."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(say("not_utf8_at", file=name, byte=error.start)) from None
    return "".join(f"{_pin(name, line)}\n" for line in _lines(text))


def _lines(text: str) -> Iterator[str]:
    """Those that say something, each with what a backslash at its end continues."""
    begun = ""
    for raw in text.splitlines():
        line = _COMMENT.sub("", raw).rstrip()
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        whole, begun = " ".join((begun + line).split()), ""
        if whole:
            yield whole
    if begun.strip():
        yield " ".join(begun.split())


def _pin(name: str, line: str) -> str:
    head, *hashes = line.split(" --hash=")
    requirement, semicolon, marker = head.partition(";")
    words = marker.split()
    if (
        not _REQUIREMENT.fullmatch(requirement.strip())
        or not hashes
        or not all(map(_HASH.fullmatch, hashes))
        or (semicolon and not _MARKER.fullmatch(marker))
        or any(word.startswith("-") for word in words)
    ):
        raise InvalidRequest(say("lock_line", file=name, line=shorten(line)))
    condition = f" ; {' '.join(words)}" if semicolon else ""
    return " ".join([requirement.strip() + condition, *(f"--hash={digest}" for digest in hashes)])
