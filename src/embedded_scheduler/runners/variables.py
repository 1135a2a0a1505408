"""The environment of a component, as a runner completes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused
from embedded_scheduler.sentences import say

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"


def complete(environment: Mapping[str, str], work: PurePath, scratch: PurePath) -> dict[str, str]:
    """What a program needs besides; the given values win. `Refused` names a variable at fault."""
    whole = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "HOME": str(work), "TMPDIR": str(scratch), **environment}
    check(whole)
    return whole


def check(environment: Mapping[str, str]) -> None:
    """`Refused` names a variable that no environment can hold."""
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Refused(say("environment_name", name=shorten(name)))
        try:
            os.fsencode(name + value)
        except UnicodeEncodeError:
            raise Refused(say("environment_no_text", name=shorten(name))) from None
