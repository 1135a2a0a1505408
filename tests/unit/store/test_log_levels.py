"""How the level of a log line is told from its beginning."""

from __future__ import annotations

import pytest

from embedded_scheduler.store.log_levels import DEBUG, ERROR, HEAD, INFO, WARN, level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"2026-01-01 12:00:00,123 INFO root: started", INFO),
        (b"2026-01-01 12:00:00,123 DEBUG root: started", DEBUG),
        (b"2026-01-01T00:00:00.1Z ERROR mod: x", ERROR),
        (b"DEBUG:root:x", DEBUG),
        (b"WARNING:root:ERROR follows", WARN),
        (b"CRITICAL - x", ERROR),
        (b"TRACE x", DEBUG),
        (b"2026 [WARN ] x", WARN),
        (b"[error] bad", ERROR),
        (b"[Debug] bad", DEBUG),
        (b"[2026-01-01][error][net] x", ERROR),
        (b"[info] got ERROR from the peer", INFO),
        (b"<error> x", ERROR),
        (b"12:00 | debug | x", DEBUG),
        (b'time="x" level=warn msg=ERROR', WARN),
        (b'ts=1 lvl=dbg msg="x"', DEBUG),
        (b'{"ts":1,"level":"error","msg":"x"}', ERROR),
        (b'{"severity": "CRITICAL"}', ERROR),
        (b'{"levelname": "debug"}', DEBUG),
        (b"E1122 15:08:00.123 42 f.cc:1] INFO", ERROR),
        (b"I1122 15:08:00.123 42 f.cc:1] got ERROR", INFO),
        (b"W1122 15:08:00.123 42 f.cc:1] got ERROR", WARN),
        (b"F1122 15:08:00.123 42 f.cc:1] x", ERROR),
        (b"ERRO[0000] x", ERROR),
        (b"DEBU[0000] x", DEBUG),
        (b"error: no such file", ERROR),
        (b"Error: no such file", ERROR),
        (b"warning[W1]: x", WARN),
        (b"nodeconsole: error: could not start", ERROR),
        (b"file.c:1:2: warning: unused ERROR", WARN),
        (b"12:00: debug: x", DEBUG),
        (b"result: errors: 3", INFO),
        (b"\x1b[31mERROR\x1b[0m x", ERROR),
        (b"plain line", INFO),
        (b"no error found in debug mode", INFO),
        (b"ERROR_CODE is set, PREDEBUG too, INFOS", INFO),
        (b"\xff\xfe\x00 ERROR \xff", ERROR),
        (b"Traceback (most recent call last):", ERROR),
    ],
)
@pytest.mark.parametrize("previous", [DEBUG, INFO, WARN, ERROR])
def test_a_spelling_tells_the_level_whatever_came_before(line: bytes, level: int, previous: int) -> None:
    assert level_of(line, previous) == level


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"    at com.example.Main(Main.java:1)",
        b"\tindented",
        b"ValueError: boom",
        b"package.module.CustomException",
        b"KeyboardInterrupt",
        b"Caused by: java.io.IOException",
        b"... 12 more",
        b"During handling of the above exception, another exception occurred:",
    ],
)
@pytest.mark.parametrize("previous", [DEBUG, INFO, WARN, ERROR])
def test_a_continuation_inherits(line: bytes, previous: int) -> None:
    assert level_of(line, previous) == previous


def test_only_the_beginning_of_a_line_counts() -> None:
    assert level_of(b"x" * (HEAD - 6) + b" ERROR", INFO) == ERROR
    assert level_of(b"x" * HEAD + b" ERROR", INFO) == INFO
