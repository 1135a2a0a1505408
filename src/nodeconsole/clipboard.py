"""Copying over any number of terminals in between: the text is handed to the outermost one (OSC 52), or to a file.

Whether a terminal takes it, nobody tells us. So it is never said that something was copied.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodeconsole.places import replace_file

How = Literal["osc52", "file", "off"]
MOST = 74_994
"""Encoded bytes that common terminals take at once."""
_SCREEN_PIECE = 76
"""GNU screen passes short device control strings only."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What to do with a text: write `sequence` to the terminal, or it lies in `path`; neither = copying is off."""

    sequence: str = ""
    path: Path | None = None


def way(environ: Mapping[str, str], preferred: str) -> How:
    """`NODECONSOLE_CLIPBOARD`, else as the settings say."""
    for wanted in (environ.get("NODECONSOLE_CLIPBOARD", ""), preferred):
        if wanted in ("osc52", "file", "off"):
            return wanted  # type: ignore[return-value]
    return "osc52"


def copy(text: str, how: How, environ: Mapping[str, str], directory: Path | None) -> Copy:
    """How `text` gets out; what is too long for a terminal goes to the file. OSError when that cannot be written."""
    if how == "off":
        return Copy()
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if how == "osc52" and len(encoded) <= MOST:
        return Copy(sequence=wrapped(f"\x1b]52;c;{encoded}\x07", environ))
    if directory is None:
        return Copy()
    path = directory / "clip.txt"
    replace_file(path, text)
    return Copy(path=path)


def wrapped(sequence: str, environ: Mapping[str, str]) -> str:
    """A sequence for the outermost terminal, in the envelope that tmux and screen pass on.

    Inside tmux it goes both ways: with `set-clipboard on` tmux takes the plain one, with `allow-passthrough on` it
    hands on the wrapped one.
    """
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith("tmux"):
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"{sequence}\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY") or term.startswith("screen"):
        pieces = [sequence[at : at + _SCREEN_PIECE] for at in range(0, len(sequence), _SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence
