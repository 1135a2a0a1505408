"""What a stored result can be turned into, and the turning."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from nodeconsole.exports import FORMS
from nodeconsole.viewmodels.report import fault_of, is_report

_LARGEST_REPORT = 64 * 1024 * 1024
_FIELD_LIMIT = 16 * 1024 * 1024
_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class ExportError(Exception):
    """The result cannot be given this form; the text says why."""


@dataclass(frozen=True, slots=True)
class About:
    """Where a result comes from: what pages and pictures say beside it."""

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)


def form_of(path: Path) -> str:
    """What a file's name asks for; empty = the bytes as they are stored."""
    suffix = path.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMS else ""


def convert(stored: Path, out: BinaryIO, form: str, about: About) -> None:
    """Write the result in the file `stored` to `out`: a report (JSON of the SDK's form) in any of FORMS, a table (CSV
    with a header line) in any but a picture. `ExportError` says what cannot be. Blocks.

    Tables are read row by row, so memory does not grow with them.
    """
    document = _document(stored)
    if document is None:
        _convert_table(stored, out, form, about)
    else:
        _convert_report(document, out, form, about)


def _document(stored: Path) -> Mapping[str, Any] | None:
    """The report; None = it is no JSON object, but perhaps a table."""
    with stored.open("rb") as file:
        if not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return None
    if stored.stat().st_size > _LARGEST_REPORT:
        raise ExportError("a report of more than 64 MiB is saved as it is only")
    try:
        document = json.loads(stored.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ExportError(f"it is no JSON: {error}") from None
    if not is_report(document):
        fault = fault_of(document) or "it does not follow the report form"
        raise ExportError(f"it can be saved as it is only: {fault}")
    found: Mapping[str, Any] = document
    return found


def _convert_report(document: Mapping[str, Any], out: BinaryIO, form: str, about: About) -> None:
    if form == "json":
        # A member that the form does not know may hold half of a surrogate pair, which only an escape can say.
        out.write(json.dumps(document, ensure_ascii=False, indent=2).encode(errors="backslashreplace") + b"\n")
    elif form == "csv":
        from nodeconsole.exports.tidy import tidy_rows  # noqa: PLC0415 - one of four

        _write_csv(out, tidy_rows(document))
    elif form == "html":
        from nodeconsole.exports.page import report_page  # noqa: PLC0415

        out.writelines(part.encode() for part in report_page(document, about))
    else:
        from nodeconsole.exports.picture import draw  # noqa: PLC0415

        draw(document, out, about)


def _convert_table(stored: Path, out: BinaryIO, form: str, about: About) -> None:
    if form == "png":
        raise ExportError("a table makes no picture: save it as csv, json or html")
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with stored.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if not header:
                raise ExportError("it is no table: it has no header line")
            _TABLE_FORMS[form](out, header, rows, about)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ExportError(f"it is no table: {error}") from None


def _table_csv(out: BinaryIO, header: list[str], rows: Iterator[list[str]], _about: About) -> None:
    _write_csv(out, (row for rows_ in ([header], rows) for row in rows_))


def _table_json(out: BinaryIO, header: list[str], rows: Iterator[list[str]], _about: About) -> None:
    out.write(b"[")
    separator = b"\n"
    for row in rows:
        out.write(separator + json.dumps(dict(zip(header, row, strict=False)), ensure_ascii=False).encode())
        separator = b",\n"
    out.write(b"\n]\n")


def _table_html(out: BinaryIO, header: list[str], rows: Iterator[list[str]], about: About) -> None:
    from nodeconsole.exports.page import table_page  # noqa: PLC0415

    out.writelines(part.encode() for part in table_page(header, rows, about))


_TABLE_FORMS: Mapping[str, Callable[[BinaryIO, list[str], Iterator[list[str]], About], None]] = {
    "csv": _table_csv,
    "json": _table_json,
    "html": _table_html,
}


class _Encoded:
    """A text file for the `csv` module over a binary one."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        return self._out.write(text.encode())


def _write_csv(out: BinaryIO, rows: Iterator[list[Any]] | Iterator[list[str]]) -> None:
    csv.writer(_Encoded(out), lineterminator="\n").writerows(map(_harmless, row) for row in rows)


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would compute (and by that perhaps send away) gets an apostrophe before it."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
