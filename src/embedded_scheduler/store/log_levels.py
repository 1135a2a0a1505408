"""Of what level a line of a log is, judged by the usual ways of writing it."""

from __future__ import annotations

import re
from typing import Literal

Level = Literal["debug", "info", "warn", "error"]
"""A filter: debug = every line, info, warn and error = that level and above."""

DEBUG, INFO, WARN, ERROR = 0, 1, 2, 3
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")
"""In order; the place of a name is its number."""

HEAD = 120
"""Bytes of a line that are looked at for its level."""

_DEBUG_WORDS = rb"TRACE|DEBUG|DEBU|DBG|VERBOSE"
_INFO_WORDS = rb"INFO|INF|NOTICE"
_WARN_WORDS = rb"WARNING|WARN|WRN"
_ERROR_WORDS = rb"ERROR|ERRO|ERR|CRITICAL|CRIT|FATAL|FATA|SEVERE|PANIC|EMERG|ALERT"


def _any_case(words: bytes) -> bytes:
    """The alternatives with letter pairs instead of a flag: a case-insensitive search loses its fast first step."""
    return re.sub(rb"[A-Z]", lambda letter: b"[" + letter.group() + letter.group().lower() + b"]", words)


_D, _I, _W, _E = (_any_case(words) for words in (_DEBUG_WORDS, _INFO_WORDS, _WARN_WORDS, _ERROR_WORDS))

# Each pattern has its level as the number of its group: (debug) (info) (warn) (error), repeated if need be.
_START = re.compile(
    # glog: `E1122 15:08:00.123456  42 file.cc:7] …` (it has no debug), or `error: …`, `Warning[W1]: …`
    rb"(?:(?!)()|(I)\d{4} \d\d:\d\d|(W)\d{4} \d\d:\d\d|([EF])\d{4} \d\d:\d\d"
    rb"|("
    + _D
    + rb")(?:\[\w*\])?:|("
    + _I
    + rb")(?:\[\w*\])?:|("
    + _W
    + rb")(?:\[\w*\])?:|("
    + _E
    + rb")(?:\[\w*\])?:)"
)
_WORD = re.compile(
    # Upper-case words that stand alone. Begins with a set of letters, so that the search skips over the others
    # quickly; a lower-case letter may come directly before, as the end of a terminal colour sequence does.
    rb"[TDVINWECFSPA](?<![A-Z0-9_].)(?:"
    + b"|".join(
        b"(" + b"|".join(b"(?<=" + word[:1] + b")" + word[1:] for word in words.split(b"|")) + b")"
        for words in (_DEBUG_WORDS, _INFO_WORDS, _WARN_WORDS, _ERROR_WORDS)
    )
    + rb")(?![A-Za-z0-9_])"
)
_STRUCTURED = re.compile(
    # `[info]`, `<warn>`, `|error|`, `file.c:1:2: error: …`, `level=error`, `"severity": "WARNING"`,
    # `"levelname":"error"`. Begins with characters that are rare in a line, for the same reason.
    rb"[\[<|=:](?:(?<=[\[<|])\s*(?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb"))\s*[\]>|:]"
    rb"|(?<=:) (?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb")):"
    rb"|(?<=[ely\"'][=:])(?:(?<=evel[=:])|(?<=evel[\"'][=:])|(?<=evelname[=:])|(?<=evelname[\"'][=:])"
    rb"|(?<=lvl[=:])|(?<=lvl[\"'][=:])|(?<=everity[=:])|(?<=everity[\"'][=:]))\s*[\"']?"
    rb"(?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb"))(?![A-Za-z0-9_]))"
)
_TRACEBACK = b"Traceback (most recent call last)"
_CONTINUATION = re.compile(
    # What belongs to the line above it without being indented: the parts of a traceback. The group is atomic, or a
    # long word would be tried at each of its ends.
    rb"$|\s|(?>[A-Za-z_][\w.]*)(?:(?<=Error)|(?<=Exception)|(?<=Exit)|(?<=Interrupt)|(?<=Warning)|(?<=Group))(?::|$)"
    rb"|Caused by\b|\.\.\. \d+ more|During handling of the above|The above exception was"
)


def level_of(line: bytes, previous: int) -> int:
    """Level of one line (`DEBUG` to `ERROR`) from its first `HEAD` bytes and the level of the line before.

    The first of the usual spellings counts; a continuation inherits; anything else is `INFO`.
    """
    match = _START.match(line, 0, HEAD)
    if match is None:
        match = _WORD.search(line, 0, HEAD)
        structured = _STRUCTURED.search(line, 0, match.start() if match else HEAD)
        match = structured or match
    if match is not None and match.lastindex:
        return (match.lastindex - 1) % 4
    if line.startswith(_TRACEBACK):
        return ERROR
    return previous if _CONTINUATION.match(line, 0, HEAD) else INFO
