"""Runs the programs of an installation one after the other, in process groups of their own, and can end them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import Mapping, Sequence

from embedded_scheduler.engine.ports import PackReport
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.packs.interpreters import own_environment
from embedded_scheduler.sentences import say

_LONGEST_LINE = 1 << 16
_PROGRESS = re.compile(r"Progress (\d{1,18}) of (\d{1,18})", re.ASCII)
_REMEMBERED = 12
_STOPPED = say("installation_stopped")


class Children:
    def __init__(self) -> None:
        self._stopped = False
        self._group: int | None = None

    def admit(self) -> None:
        """A new installation begins."""
        self._stopped = False

    def stop(self) -> None:
        """End what runs; nothing else is started."""
        self._stopped = True
        self._end()

    async def run(
        self,
        command: Sequence[str],
        report: PackReport,
        settings: Mapping[str, str] | None = None,
        *,
        check: bool = True,
    ) -> None:
        """Run to its end; its output goes to the report, line by line. Cancelled, it ends the program.

        `Refused` if it fails, with what it complained about; without `check` only if it cannot be started.
        """
        if self._stopped:
            raise Refused(_STOPPED)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**own_environment(), **(settings or {})},
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise Unavailable(say("program_not_started", program=command[0], error=str(error.strerror))) from None
        self._group = process.pid
        said: deque[str] = deque(maxlen=_REMEMBERED)
        try:
            if process.stdout is not None:
                await _follow(process.stdout, report, said)
            code = await process.wait()
        except BaseException:
            self._end()
            await process.wait()
            raise
        finally:
            self._group = None
        if self._stopped:
            raise Refused(_STOPPED)
        if code != 0 and check:
            raise Refused(_complaint(said) or say("program_ended", program=command[0], code=code))

    def _end(self) -> None:
        if self._group is not None:
            try:
                os.killpg(self._group, signal.SIGKILL)
            except ProcessLookupError:
                return


async def _follow(output: asyncio.StreamReader, report: PackReport, said: deque[str]) -> None:
    while True:
        try:
            raw = await output.readline()
        except ValueError:
            # A line beyond all measure; the rest of it follows.
            continue
        if not raw:
            return
        line = raw.decode("utf-8", "replace").strip()
        found = _PROGRESS.fullmatch(line)
        if found is not None:
            report.progress(int(found[1]), int(found[2]))
        elif line:
            said.append(line)
            report.line(line)


def _complaint(said: Sequence[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return "; ".join(errors or list(said)[-1:])[:1500]
