"""Datasets in JSON files: one object per line, or one array of objects."""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from embedded_scheduler.connectors.files import CHUNK, as_text, check_header, file_of, fingerprint_of, opened
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.connector import Column, Probe

_NAME = "json"
_SPACE = re.compile(r"[ \t\r\n]*")
_LONGEST_OBJECT = 16 * 1024 * 1024


class JsonConnector:
    """Reads a JSON file (UTF-8). Option: `path` (absolute).

    The first object's members are the columns; a later one may lack some, which are empty then, and has no others.
    Lists and objects within become JSON text. Memory is bounded by the longest object, which has at most 16 MiB.
    """

    @property
    def name(self) -> str:
        return _NAME

    @property
    def options_schema(self) -> Mapping[str, Any]:
        return {
            "title": "JSON file",
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {
                    "type": "string",
                    "title": "file",
                    "description": "absolute path on the node's machine; an object per line, or an array of objects",
                },
            },
        }

    def probe(self, options: Mapping[str, Any]) -> Probe:
        path = file_of(_NAME, options, {"path"})
        digest = hashlib.sha256()
        with opened(_NAME, path) as file:
            records = _Objects(path, file, digest.update)
            kinds: list[set[type]] = [set() for _ in records.header]
            rows = 0
            for record in records:
                rows += 1
                for seen, name in zip(kinds, records.header, strict=True):
                    seen.add(type(record.get(name)))
            size = file.tell()
        columns = tuple(Column(name, _type_of(seen)) for name, seen in zip(records.header, kinds, strict=True))
        return Probe(columns=columns, rows=rows, size_bytes=size, fingerprint=digest.hexdigest())

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        path = file_of(_NAME, options, {"path"})
        with opened(_NAME, path) as file:
            records = _Objects(path, file)
            for record in records:
                yield tuple(as_text(record.get(name)) for name in records.header)

    def fingerprint(self, options: Mapping[str, Any]) -> str:
        return fingerprint_of(_NAME, file_of(_NAME, options, {"path"}))

    def plain_file(self, options: Mapping[str, Any]) -> Path | None:  # noqa: ARG002 - it never is CSV
        return None


class _Objects:
    """The objects of a file, checked, by iteration (once); `header` from the first one."""

    def __init__(self, path: Path, file: BinaryIO, on_bytes: Callable[[bytes], object] | None = None) -> None:
        self._path = path
        self._file = file
        self._on_bytes = on_bytes
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._held, self._at, self._number = "", 0, 0
        self._all = self._objects()
        self._first = next(self._all, None)
        if self._first is None:
            raise InvalidRequest(say("json_no_objects", path=str(path)))
        self.header = check_header(f"json: {path}", self._first)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        known = frozenset(self.header)
        assert self._first is not None
        for number, record in enumerate(chain([self._first], self._all), start=1):
            if not known.issuperset(record):
                more = min(set(record) - known)
                raise InvalidRequest(say("json_more_members", path=str(self._path), number=number, name=shorten(more)))
            yield record

    def _objects(self) -> Iterator[dict[str, Any]]:
        in_array = self._look() == "["
        self._at += in_array
        while mark := self._look():
            if in_array and mark == "]":
                self._at += 1
                if self._look():
                    raise self._fault(say("json_after_end"))
                return
            yield self._object()
            if in_array and self._look() == ",":
                self._at += 1
                if self._look() == "]":
                    raise self._fault(say("json_comma"))
            elif in_array and self._look() != "]":
                raise self._fault(say("json_no_comma"))
        if in_array:
            raise self._fault(say("json_no_end"))

    def _object(self) -> dict[str, Any]:
        self._number += 1
        while True:
            try:
                record, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError):
                if len(self._held) - self._at <= _LONGEST_OBJECT and self._refill():
                    continue
                raise self._fault(say("json_broken")) from None
            if not isinstance(record, dict):
                raise self._fault(say("json_no_object"))
            if _HALVES.search(self._held, self._at, end) and not _is_text(record):
                raise self._fault(say("json_no_text"))
            self._at = end
            return record

    def _look(self) -> str:
        """The next character that is no blank; empty at the end of the file."""
        while True:
            found = _SPACE.match(self._held, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._refill():
                return ""

    def _refill(self) -> bool:
        """Read on; False at the end of the file."""
        piece = self._file.read(CHUNK)
        if self._on_bytes:
            self._on_bytes(piece)
        try:
            text = self._decode(piece, not piece)
        except UnicodeDecodeError:
            raise InvalidRequest(say("json_not_utf8", path=str(self._path), number=self._number)) from None
        self._held, self._at = self._held[self._at :] + text, 0
        return bool(piece)

    def _fault(self, what: Words) -> InvalidRequest:
        return InvalidRequest(say("json_at_object", path=str(self._path), number=self._number or 1, what=what))


def _not_a_number(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(parse_constant=_not_a_number, parse_float=_finite)
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


def _is_text(record: object) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _type_of(seen: set[type]) -> str:
    kinds = seen - {type(None)}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    return "float" if kinds and kinds <= {int, float} else "string"
