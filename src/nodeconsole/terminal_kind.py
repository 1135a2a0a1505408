"""What the environment says about the terminal. Loaded before the console is."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path


def encoding_of(environ: Mapping[str, str]) -> str:
    """The characters that the terminal reads, by the locale: UTF-8 if nothing is said, ASCII in a locale without."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    if not locale or "utf" in locale.lower():
        return "utf-8"
    try:
        return codecs.lookup(locale.partition(".")[2].partition("@")[0]).name
    except LookupError:
        return "ascii"


def forget_coercion() -> None:
    """Python sets LC_CTYPE=C.UTF-8 in a locale without UTF-8 (PEP 538). That is not what the operator said."""
    try:
        said = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return
    if not any(entry.startswith(b"LC_CTYPE=") for entry in said):
        os.environ.pop("LC_CTYPE", None)


def hasten_escape(environ: MutableMapping[str, str]) -> None:
    """A lone Escape waits 15 ms for the rest of another key's sequence, unless the operator's `ESCDELAY` says so.

    Textual waits 100 ms by itself, which is felt. Terminals send a sequence in one piece. To be called before Textual
    is loaded, which reads it once.
    """
    environ.setdefault("ESCDELAY", "15")


def unfit(environ: Mapping[str, str]) -> str:
    """Why this terminal cannot show the console; empty when it can."""
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        named = f"TERM={term}" if term else "TERM is not set"
        return (
            f"this terminal cannot place text on its screen ({named}): use the commands (`nodeconsole --help`), or set"
            " TERM to what it really is"
        )
    return ""
