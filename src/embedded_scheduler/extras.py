"""Libraries that only some nodes need: the extras of the package. What to do where one is not there."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires

from embedded_scheduler.sentences import Sentence, say

_PACKAGE = "nodeconsole"


def how_to_get(extra: str) -> Sentence:
    """What to type on this machine for an extra, or that the standalone executable cannot be given it."""
    if getattr(sys, "frozen", False):
        return say("extra_not_in_executable", extra=extra)
    return say("extra_install", command=shlex.join([sys.executable, "-m", "pip", "install", *_requirements(extra)]))


def _requirements(extra: str) -> list[str]:
    """By name and bounds, so that the command is right from a checkout too, and never brings another `nodeconsole`."""
    try:
        declared = requires(_PACKAGE) or []
    except PackageNotFoundError:
        declared = []
    wanted = re.compile(rf"""([^;]+);\s*extra\s*==\s*['"]{re.escape(extra)}['"]""")
    found = [match[1].strip() for match in map(wanted.fullmatch, declared) if match]
    return found or [f"{_PACKAGE}[{extra}]"]
