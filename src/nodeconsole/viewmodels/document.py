"""JSON data for reading: as JSON, or indented without its punctuation; and where a word occurs in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable

_ENTRY = re.compile(r'^(\s*(?:- )*)("(?:[^"\\]|\\.)*"|[^\s":]+)(:)(\s|$)')


def as_document(row: object) -> object:
    """A message of the node as data."""
    dump = getattr(row, "model_dump", None)
    return dump(mode="json") if dump is not None else row


def json_lines(document: object) -> list[str]:
    """JSON, a member or an item per line."""
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False)
    return [printable(line) for line in text.split("\n")]


def yaml_lines(document: object) -> list[str]:
    """The same, the way YAML writes it: texts in quotes only where they would mean something else."""
    return [printable(line) for line in _block(document, "")]


def _block(value: object, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines = []
        for key, item in value.items():
            inner = _block(item, indent + "  ")
            name = f"{indent}{_scalar(str(key))}:"
            lines += [f"{name} {inner[0].strip()}"] if _is_flat(item) else [name, *inner]
        return lines
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        lines = []
        for item in value:
            inner = _block(item, indent + "  ")
            lines += [f"{indent}- {inner[0].lstrip()}", *inner[1:]]
        return lines
    return [indent + _scalar(value)]


def _is_flat(value: object) -> bool:
    return isinstance(value, str) or not isinstance(value, Mapping | Sequence) or not value


def _scalar(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    plain = value and value == value.strip() and value[0] not in "-?:,[]{}#&*!|>'\"%@`" and ": " not in value
    if not plain or " #" in value or not value.isprintable() or _reads_otherwise(value):
        return json.dumps(value, ensure_ascii=False)
    return value


def _reads_otherwise(text: str) -> bool:
    if text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "~") or text.endswith(":"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def places(lines: Sequence[str], wanted: str) -> list[int]:
    """Numbers of the lines in which `wanted` occurs; a word in lower case is found however it is written."""
    if not wanted:
        return []
    if wanted == wanted.lower():
        return [number for number, line in enumerate(lines) if wanted in line.lower()]
    return [number for number, line in enumerate(lines) if wanted in line]


def marked(line: str, wanted: str) -> Line:
    """The line with what was searched for standing out."""
    text = line.lower() if wanted == wanted.lower() else line
    spans: list[Span] = []
    at = 0
    # Some letters change their length with their case; then places in the one are none in the other.
    while wanted and len(text) == len(line) and (start := text.find(wanted, at)) >= 0:
        spans += [Span(line[at:start]), Span(line[start : start + len(wanted)], "match")]
        at = start + len(wanted)
    return tuple(span for span in (*spans, Span(line[at:])) if span.text)


def coloured(line: str) -> Line:
    """A line of either form: the name before the colon stands out from the value."""
    found = _ENTRY.match(line)
    if found is None:
        return (Span(line),)
    name = found.end(2)
    return (Span(line[: found.end(1)]), Span(line[found.end(1) : name], "accent"), Span(line[name:]))
