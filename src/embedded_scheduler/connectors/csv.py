"""Datasets in CSV files."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from embedded_scheduler.connectors.files import file_of, fingerprint_of, opened
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.connector import Column, Probe

_DELIMITERS = (",", ";", "\t", "|")
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "utf-8-sig": "utf-8", "gb18030": "gb18030", "gbk": "gb18030"}
_OPTIONS = frozenset({"path", "encoding", "delimiter"})
_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 16 * 1024 * 1024

_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS = 18
"""A longer whole number is an identifier (a bank card, say): as a number it would lose its last digits."""


class CsvConnector:
    """Reads a CSV file with one header line.

    Options: `path` (absolute), `encoding` (`utf-8`, the default, with or without a byte order mark; `gb18030`, which
    includes GBK), `delimiter` (one of `,` `;` tab `|`; by default the one that splits the header into most columns).
    Quoting is RFC 4180's. A row with too few or too many fields is refused, never padded or dropped: as many rows go
    in as come out.
    """

    @property
    def name(self) -> str:
        return "csv"

    @property
    def options_schema(self) -> Mapping[str, Any]:
        return {
            "title": "CSV file",
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "title": "file", "description": "absolute path on the node's machine"},
                "encoding": {"type": "string", "enum": ["utf-8", "gb18030"], "default": "utf-8"},
                "delimiter": {
                    "type": "string",
                    "enum": ["", ",", ";", "tab", "|"],
                    "default": "",
                    "description": "empty: the one that splits the header into most columns",
                },
            },
        }

    def probe(self, options: Mapping[str, Any]) -> Probe:
        source = _source(options)
        digest = hashlib.sha256()
        with opened("csv", source.path) as file:
            reader = _Reader(source, file, digest.update)
            types = [_TypeGuess() for _ in reader.header]
            rows = 0
            for row in reader:
                rows += 1
                for guess, value in zip(types, row, strict=True):
                    guess.see(value)
            size = file.tell()
        columns = tuple(Column(name, guess.type) for name, guess in zip(reader.header, types, strict=True))
        return Probe(columns=columns, rows=rows, size_bytes=size, fingerprint=digest.hexdigest())

    def rows(self, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        source = _source(options)
        with opened("csv", source.path) as file:
            for row in _Reader(source, file):
                yield tuple(row)

    def fingerprint(self, options: Mapping[str, Any]) -> str:
        """SHA-256 (hex) over the file's bytes."""
        return fingerprint_of("csv", _source(options).path)

    def plain_file(self, options: Mapping[str, Any]) -> Path | None:
        source = _source(options)
        if source.encoding != "utf-8":
            return None
        with opened("csv", source.path) as file:
            if file.read(len(_BOM)) == _BOM:
                return None
            file.seek(0)
            return source.path if _Reader(source, file).delimiter == "," else None


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    encoding: str
    delimiter: str
    """Empty = found out from the header."""


def _source(options: Mapping[str, Any]) -> _Source:
    path = file_of("csv", options, _OPTIONS)
    encoding = str(options.get("encoding") or "utf-8").lower()
    if encoding not in _ENCODINGS:
        raise InvalidRequest(say("csv_encoding", value=shorten(encoding)))
    delimiter = options.get("delimiter") or ""
    if delimiter in ("\\t", "tab"):
        delimiter = "\t"
    if delimiter and delimiter not in _DELIMITERS:
        raise InvalidRequest(say("csv_delimiter", value=shorten(delimiter)))
    return _Source(path, _ENCODINGS[encoding], str(delimiter))


class _Reader:
    """Rows of a file, checked. Lines are counted in the file, as an editor shows them."""

    def __init__(self, source: _Source, file: BinaryIO, on_bytes: Callable[[bytes], object] | None = None) -> None:
        self._source = source
        self._file = file
        self._on_bytes = on_bytes
        self._line = 0
        self._blank = 0
        lines = self._lines()
        first = next(lines, "")
        if not first.strip():
            raise self._fault(1, say("csv_no_header") if not first else say("csv_header_empty"))
        self.delimiter = source.delimiter or _most_columns(first)
        self._rows = csv.reader(_chain(first, lines), delimiter=self.delimiter, strict=True)
        self.header = self._checked_header(self._next() or [])

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.header)
        while True:
            before = self._line + 1
            row = self._next()
            if row is None:
                return
            if not row:
                self._blank = self._blank or before
                continue
            if self._blank:
                raise self._fault(self._blank, say("csv_line_empty"))
            if len(row) != width:
                raise self._fault(before, say("csv_fields", count=len(row), width=width))
            yield row

    def _next(self) -> list[str] | None:
        start = self._line + 1
        try:
            return next(self._rows, None)
        except csv.Error as error:
            raise self._fault(start, say("csv_quoting", error=str(error))) from None

    def _lines(self) -> Iterator[str]:
        # Decoded line by line: neither encoding uses the byte of a line feed inside a character, and so a fault can
        # be given its line.
        while raw := self._file.readline(_LONGEST_LINE + 1):
            if self._on_bytes:
                self._on_bytes(raw)
            if self._line == 0:
                raw = raw.removeprefix(_BOM)
            self._line += 1
            if len(raw) > _LONGEST_LINE:
                raise self._fault(self._line, say("csv_line_long", most=_LONGEST_LINE))
            if b"\0" in raw:
                raise self._fault(self._line, say("csv_nul"))
            try:
                yield raw.decode(self._source.encoding)
            except UnicodeDecodeError:
                other = "gb18030" if self._source.encoding == "utf-8" else "utf-8"
                raise self._fault(
                    self._line,
                    say("csv_wrong_encoding", encoding=self._source.encoding, other=other),
                ) from None

    def _checked_header(self, header: Sequence[str]) -> tuple[str, ...]:
        seen: dict[str, int] = {}
        for position, name in enumerate(header, start=1):
            if not name.strip():
                raise self._fault(1, say("csv_column_unnamed", position=position))
            if not name.isprintable():
                raise self._fault(1, say("csv_column_control", position=position, name=shorten(name)))
            if name in seen:
                raise self._fault(1, say("csv_column_twice", first=seen[name], second=position, name=shorten(name)))
            seen[name] = position
        return tuple(header)

    def _fault(self, line: int, what: Words) -> InvalidRequest:
        return InvalidRequest(say("csv_at_line", path=str(self._source.path), line=line, what=what))


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _most_columns(header: str) -> str:
    widths: dict[str, int] = {}
    for delimiter in _DELIMITERS:
        # What one of them cannot read, another may; if none can, the file is read on and the fault is told then.
        with suppress(csv.Error):
            widths[delimiter] = len(next(csv.reader([header], delimiter=delimiter), []))
    return max(_DELIMITERS, key=lambda delimiter: widths.get(delimiter, 0))


def _is_integer(value: str) -> bool:
    digits = value[1:] if value[0] == "-" else value
    # A leading zero makes it an identifier (a postcode, an account), not a number.
    return (
        digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and (digits[0] != "0" or len(digits) == 1)
    )


def _is_float(value: str) -> bool:
    if not _FLOAT.fullmatch(value):
        return False
    whole = value.lstrip("+-")
    if whole.isdigit() and len(whole) > _MOST_DIGITS:
        return False
    return not (len(whole) > 1 and whole[0] == "0" and whole[1].isdigit())


def _is_boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


class _TypeGuess:
    """The narrowest type that fits every value seen; empty values fit every type."""

    __slots__ = ("_candidates",)

    def __init__(self) -> None:
        self._candidates: list[tuple[str, Callable[[str], bool]]] | None = None

    def see(self, value: str) -> None:
        if not value:
            return
        if self._candidates is None:
            # Each is contained in the next one, so what was seen before fits that too.
            self._candidates = (
                [("boolean", _is_boolean)] if _is_boolean(value) else [("integer", _is_integer), ("float", _is_float)]
            )
        while self._candidates and not self._candidates[0][1](value):
            self._candidates.pop(0)

    @property
    def type(self) -> str:
        return self._candidates[0][0] if self._candidates else "string"
