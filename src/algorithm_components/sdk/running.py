"""What surrounds a component's own work: parameters checked, the channel closed, faults told, the exit code.

def main() -> int:
    return run(count_rows, manifest_of("row_counts"))

def count_rows(task: Task) -> None:
    with task.tables.read(task.input("data")) as table:
        ...
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from algorithm_components.sdk.channel import Channel
from algorithm_components.sdk.environment import Address, ComponentError, Environment
from algorithm_components.sdk.log import Log
from algorithm_components.sdk.parameters import Parameters
from algorithm_components.sdk.report import Progress, call_back, write_report
from algorithm_components.sdk.report_form import Report
from algorithm_components.sdk.tables import Tables

STOPPED = 128 + signal.SIGTERM
"""Exit code of a component that was asked to end, as a shell would report it."""


class _StoppedError(BaseException):
    """SIGTERM came. No `Exception`: what a component does about its own faults must not keep it alive."""


class Task:
    """One party's part of one task: what it is given, and what it may do. Made by `run`."""

    def __init__(self, manifest: Mapping[str, Any], environment: Environment) -> None:
        self.environment = environment
        self.log = Log()
        self.parameters = Parameters(manifest, environment)
        self.tables = Tables.of(environment)
        self.channel = Channel(environment)

    @property
    def party(self) -> str:
        """This party, `<role>.<index>`."""
        return self.environment.self_party

    @property
    def role(self) -> str:
        return self.environment.self_role

    @property
    def others(self) -> tuple[str, ...]:
        """The other parties of the job, in lexicographic order."""
        return tuple(party for party in self.environment.parties if party != self.party)

    def input(self, name: str = "data") -> Address:
        """Where an input lies, by its formal name; `ComponentError` if the job connects none."""
        return self.environment.dataset(name)

    def output(self, name: str) -> Address | None:
        """Where an output goes, by its formal name; None if the flow does not ask for it."""
        return self.environment.outputs.get(name)

    def write_table(self, name: str, header: tuple[str, ...] | list[str], rows: Any) -> None:
        """Store a table as the output `name`; a flow that does not ask for it leaves it out."""
        address = self.output(name)
        if address is None:
            self.log.warning(f"the flow declares no output for {name}: it is not stored")
        else:
            count = self.tables.write(address, header, rows)
            self.log.info(f"{name}: {count} rows")

    def write_report(self, name: str, report: Report | Mapping[str, Any]) -> None:
        """Store a report or metrics as the output `name`; a flow that does not ask for it leaves it out."""
        address = self.output(name)
        if address is not None:
            write_report(self.tables, address, report)

    def progress(self, what: str, total: int) -> Progress:
        """Lines of the log about how far the work is."""
        return Progress(what, total)


def run(work: Callable[[Task], None], manifest: Mapping[str, Any], environment: Environment | None = None) -> int:
    """Do the work and return the exit code: 0, 1 with the reason as the last log line, or 143 after SIGTERM.

    The node is told how it goes by callback; a callback that does not arrive changes nothing.
    """
    environment = Environment() if environment is None else environment
    log = Log()
    try:
        with _ended_by_sigterm():
            task = Task(manifest, environment)
            for name in task.parameters.unknown:
                nearest = task.parameters.nearest(name)
                meant = f"; did you mean {nearest}?" if nearest else ""
                log.warning(f"parameter {name} is not declared and has no effect{meant}")
            with task.channel:
                call_back(environment, "RUNNING")
                work(task)
    except ComponentError as error:
        log.error(str(error))
    except _StoppedError:
        log.warning("stopped: the node asked this component to end")
        return STOPPED
    except Exception as error:  # noqa: BLE001 - the author's mistake, whatever it is, belongs into the log
        traceback.print_exception(error)
        log.error(f"{type(error).__name__}: {error}")
    else:
        call_back(environment, "SUCCESS")
        return 0
    call_back(environment, "FAILED")
    return 1


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the work like an exception, so that files and connections are closed on the way out."""
    if threading.current_thread() is not threading.main_thread():
        # Tests run several parties in one process.
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        # A second signal, while things are being closed, must not interrupt that.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _StoppedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
