"""Text for terminals: nothing that a terminal would act on, columns counted as it counts them."""

from __future__ import annotations

import io
import json

import pytest

from nodeconsole.cli.output import Output, bar
from nodeconsole.cli.text import clean, cut, pad, size, span, width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("任务 运行中", "任务 运行中"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\x00", "a\\x0ab\\x09c\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("line\u2028sep", "line\\u2028sep"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_width_counts_columns() -> None:
    assert width("abc") == 3
    assert width("任务") == 4
    assert width("e\u0301") == 1
    assert width("ＡＢ") == 4


def test_cut_never_halves_a_wide_character() -> None:
    assert cut("任务运行", 8) == "任务运行"
    assert cut("任务运行", 7) == "任务.."
    assert cut("任务运行", 6) == "任务.."
    assert width(cut("任务运行", 5)) <= 5
    assert cut("abcdef", 1) == "."
    assert pad("任", 4) == "任  "


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ""),
        (0, "0ms"),
        (350, "350ms"),
        (4_200, "4.2s"),
        (185_000, "3m05s"),
        (7_800_000, "2h10m"),
        (442_800_000, "5d03h"),
    ],
)
def test_span(milliseconds: int | None, text: str) -> None:
    assert span(milliseconds) == text


def test_size() -> None:
    assert [size(count) for count in (0, 1023, 1024, 1536, 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "1.0 GiB",
    ]


def test_bar_is_full_only_when_everything_is_done() -> None:
    assert bar(0, 4, 8) == "........"
    assert bar(3, 4, 8) == "######.."
    assert bar(199, 200, 8) == "#######."
    assert bar(4, 4, 8) == "########"


def test_a_table_lines_up_whatever_is_in_it() -> None:
    stdout = io.StringIO()
    Output(as_json=False, stdout=stdout, stderr=io.StringIO()).table(
        ("NAME", "STATE"), [("任务", "RUNNING"), ("x\x1b", "DONE")], empty="none"
    )
    assert stdout.getvalue() == "NAME   STATE\n任务   RUNNING\nx\\x1b  DONE\n"


def test_a_table_is_cut_to_a_terminal_and_never_for_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    row = ("j" * 36, "short", "w" * 60)
    pipe, terminal = io.StringIO(), Terminal()
    for stdout in (pipe, terminal):
        Output(as_json=False, stdout=stdout, stderr=io.StringIO()).table(("A", "B", "C"), [row], empty="none")
    assert "w" * 60 in pipe.getvalue()
    assert all(width(line) <= 40 for line in terminal.getvalue().splitlines())
    assert "short" in terminal.getvalue(), "the widest columns give way first"


def test_an_empty_table_says_what_to_do_on_standard_error() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    Output(as_json=False, stdout=stdout, stderr=stderr).table(("A",), [], empty="nothing yet: add one")
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "nothing yet: add one\n")


def test_json_is_one_line_for_a_pipe_and_never_holds_control_characters() -> None:
    stdout = io.StringIO()
    Output(as_json=True, stdout=stdout, stderr=io.StringIO()).document({"text": "任\x1b\x9b\u202e"})
    assert stdout.getvalue().count("\n") == 1
    assert not any(char in stdout.getvalue() for char in "\x1b\x9b\u202e")
    assert json.loads(stdout.getvalue()) == {"text": "任\x1b\x9b\u202e"}


def test_progress_is_for_terminals_alone() -> None:
    quiet, terminal = io.StringIO(), Terminal()
    for stderr in (quiet, terminal):
        out = Output(as_json=False, stdout=io.StringIO(), stderr=stderr)
        out.progress("half")
        out.end_progress()
    assert quiet.getvalue() == ""
    assert terminal.getvalue() == "\r\x1b[Khalf\r\x1b[K"
