"""A node for the console's measurements, with the arguments SOCKET JOBS LINES_PER_SECOND RUNNING LINES.

It serves `tests/support/fake_node.py` from a process of its own, so that it is not measured with the console. The log
of the newest job has so many lines and grows by so many a second; each of the running jobs comes a step further every
five seconds. Its only component has a hundred parameters. Ends with standard input.
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

from tests.support.fake_node import NOW_MS, FakeNode, log_line
from tests.support.self_descriptions import large

from embedded_scheduler.wire.console import ComponentRow

PARAMETERS = 100
WIDE = ComponentRow(
    provider="acme",
    name="wide_form",
    version="1",
    code="wide-form",
    title="wide",
    image_url="builtin:wide_form",
    roles=["guest"],
    registered_ms=NOW_MS,
    manifest=large(PARAMETERS),
)
LOG_TASK = "binning"
"""The task that the screen of the newest job begins with."""
_PACE = 0.05
_STEP_TURNS = 100


def main(socket: str, jobs: int, lines_per_second: int, running: int, lines: int) -> None:
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
    with FakeNode(Path(socket), jobs) as node:
        for number in range(running):
            node.change(number, state="RUNNING", outcome=None, tasks_done=0)
        if lines:
            node.seed_log(0, LOG_TASK, lines)
        node.components = [WIDE]
        print("ready", flush=True)
        each = int(lines_per_second * _PACE)
        for turn in itertools.count():
            if ended.wait(_PACE):
                return
            if each:
                node.write_log(0, LOG_TASK, [log_line(turn * each + place) for place in range(each)])
            if running and turn % _STEP_TURNS < running:
                node.change(turn % _STEP_TURNS, tasks_done=1 + turn // _STEP_TURNS % 2)


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]))
