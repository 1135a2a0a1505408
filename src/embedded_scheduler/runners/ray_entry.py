"""What a job of a Ray cluster starts for an attempt: the component in its limits, and the truth about its end.

Shipped to the cluster beside `attempt.py`, which knows how to become a component; both need nothing but the standard
library. Run in the unpacked package, with the attempt's id and the seconds between being told to end and being forced.

The output begins behind one line of its own (what Ray writes before is not the component's) and ends with the end line.
The process ends as the component did, so that what Ray says of it is true. What a component left behind is ended first.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from embedded_scheduler.runners.attempt import (
    LOCK_DESCRIPTOR,
    ORDER_FILE,
    SCRATCH,
    WORK,
    Ending,
    Order,
    adopt_orphans,
    become_component,
    close_log,
    end_leftovers,
)

BEGIN = "nodeconsole: output of "
NOT_STARTED = 127
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_LONGEST_PAUSE_S = 60.0


def main(attempt_id: str, grace_s: float) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    os.umask(0o077)
    order = _order()
    sys.stdout.write(f"{BEGIN}{attempt_id}\n")
    sys.stdout.flush()
    adopt_orphans()
    ending = _run(order, grace_s)
    end_leftovers(os.getsid(0))
    for directory in (WORK, SCRATCH):
        shutil.rmtree(directory, ignore_errors=True)
    close_log(1, f"{order.end_of_log}, {ending}")
    _end_likewise(ending)


def _order() -> Order:
    """What to run, completed by what only this machine knows. The file holds secrets: it is gone at once."""
    here = Path.cwd()
    file = here / ORDER_FILE
    order = Order.decode(file.read_bytes())
    file.unlink()
    for name, directory in (("HOME", WORK), ("TMPDIR", SCRATCH)):
        (here / directory).mkdir(exist_ok=True)
        order.environment.setdefault(name, str(here / directory))
    order.python = sys.executable
    order.path = [str(here), *(entry for entry in sys.path if entry not in ("", str(here)))]
    return order


def _run(order: Order, grace_s: float) -> Ending:
    if signal.SIGTERM in signal.sigpending():
        return Ending(signal=signal.SIGTERM)
    # The component closes this number: in a process of the node's machine it is the attempt's lock.
    os.dup2(os.open(os.devnull, os.O_RDONLY), LOCK_DESCRIPTOR)
    failures, failure = os.pipe() if order.kind != "builtin" else (None, None)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
        become_component(order, failure)
    if failure is not None:
        os.close(failure)
    status = _status(child, grace_s)
    fault = os.read(failures, 16) if failures is not None else b""
    if fault:
        return Ending(fault=int(fault))
    return Ending(code=status) if status >= 0 else Ending(signal=-status)


def _status(child: int, grace_s: float) -> int:
    """Wait for the component. Ray tells every process to end, so it is only forced here; orphans are collected too."""
    deadline = float("inf")
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid:
            continue
        pause = deadline - time.monotonic()
        if pause <= 0:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
            continue
        heard = signal.sigtimedwait(_HEARD, min(_LONGEST_PAUSE_S, pause))
        if heard is not None and heard.si_signo != signal.SIGCHLD and deadline == float("inf"):
            deadline = time.monotonic() + grace_s


def _end_likewise(ending: Ending) -> NoReturn:
    if ending.signal is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if ending.signal != signal.SIGKILL:
            signal.signal(ending.signal, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        os.kill(os.getpid(), ending.signal)
    os._exit(NOT_STARTED if ending.code is None else ending.code)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
