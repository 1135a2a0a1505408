"""What the runners share whose attempts run in an engine elsewhere: the node follows them for as long as it waits.

The engine keeps the attempt and its output, so nothing of ours has to outlive the node. What the node knows of an
attempt is in its run directory, and another node process goes on from there:

lock         held by whoever follows the attempt; the others look for the exit file
journal      how far the attempt's output is in its log; there before the engine is told of the attempt
accepted     the engine has the attempt
exit.json    how it ended; written once, last

The output grows while somebody waits, and catches up when somebody waits again. The journal is written after the log:
bytes that the log has beyond it come again from the engine and are skipped, so the log holds each byte once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.errors import Conflict, NodeError, Refused, Unavailable
from embedded_scheduler.runners.attempt import close_log, replace_file
from embedded_scheduler.runners.kept import NOT_STARTED, STOPPED_FIRST
from embedded_scheduler.runners.run_directory import RunDirectory
from embedded_scheduler.sentences import Words, say, together
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, RunHandle

_log = logging.getLogger(__name__)

_JOURNAL = "journal"
_ACCEPTED = "accepted"
_FOLLOWED_ELSEWHERE_S = 0.05
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_OUTPUT_PAUSE_S = 0.2
_REST_TRIES = 5
_STOP_PATIENCE_S = 60.0
_STOP_AGAIN_S = 3.0
_LOOK_ON_S = 5.0
_LAST_OUTPUT_S = 5.0


_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What reading an answer ends in that is none of the engine's API."""
_NO_ANSWER = (NodeError, *_UNREADABLE)

STOPPED_WAITING = say("stopped_waiting")


class AwayError(Unavailable):
    """The engine gives no answer just now; the same question may have one later."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the engine says of an attempt. `ending` None = it is not over; `note` says why it does not run yet.

    `waiting`: it has no place in the engine yet, and what is told to end then, never begins.
    """

    ending: Exit | None = None
    note: str = ""
    waiting: bool = False


class Journal:
    """How far an attempt's output is in its log.

    `position` is the engine's own word for the place in its output; "" = the beginning.
    """

    def __init__(self, path: Path, log: Path, size: int, position: str) -> None:
        self._path = path
        self.log = log
        self._size = size
        self.position = position
        self._repeated = max(0, log.stat().st_size - size) if log.exists() else 0

    @classmethod
    def begin(cls, run: RunDirectory, log: Path) -> Journal:
        """The journal of an attempt; a new one if there is none, which begins behind what the node wrote itself."""
        found = cls.load(run)
        if found is not None:
            return found
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600))
        made = cls(run.path / _JOURNAL, log, log.stat().st_size, "")
        made._save()
        return made

    @classmethod
    def load(cls, run: RunDirectory) -> Journal | None:
        try:
            raw = json.loads((run.path / _JOURNAL).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return cls(run.path / _JOURNAL, Path(raw["log"]), int(raw["size"]), str(raw["position"]))

    def take(self, output: bytes, position: str) -> None:
        """Append what the attempt wrote before `position`."""
        self._size += len(output)
        skipped = min(self._repeated, len(output))
        self._repeated -= skipped
        self._append(output[skipped:])
        self.position = position
        self._save()

    def note(self, text: str) -> None:
        """Append a line of the node's own."""
        # Saved first: should the node end in between, the line is lost, and no output is taken for it.
        line = (text + "\n").encode("utf-8", "replace")
        if self._tail(1) not in (b"", b"\n"):
            line = b"\n" + line
        self._size += len(line)
        self._save()
        self._append(line)

    def end_line(self) -> str:
        """The rest of the line that ends a complete log, such as `exit 0`; empty = the log is not complete."""
        last = self._tail(256).rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8", "replace")
        return last.removeprefix(f"{END_OF_LOG}, ") if last.startswith(f"{END_OF_LOG}, ") else ""

    def close(self, how: str) -> None:
        """Append the end line, unless the attempt brought it along."""
        if self.end_line():
            return
        descriptor = os.open(self.log, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            close_log(descriptor, f"{END_OF_LOG}, {how}")
        finally:
            os.close(descriptor)

    def _append(self, content: bytes) -> None:
        if not content:
            return
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
            file.write(content)

    def _tail(self, length: int) -> bytes:
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            return file.read()

    def _save(self) -> None:
        content = {"log": str(self.log), "size": self._size, "position": self.position}
        replace_file(str(self._path), json.dumps(content).encode())


class FollowingRunner(ABC):
    """Launches, follows, ends and forgets attempts that an engine keeps; how it is spoken to is the subclass's.

    `runs` is the directory that holds one directory per attempt. An engine that gives no answer for `patience_s` is
    taken for lost, and the attempts that it had for failed.
    """

    name: ClassVar[str]
    output_ends: ClassVar[bool]
    """Whether what is followed ends with the attempt, and is gone with it; else the rest is fetched afterwards."""
    advice: ClassVar[Words]
    """What the operator can do when the engine gives no answer."""

    def __init__(self, runs: Path, *, patience_s: float) -> None:
        self._runs = runs.absolute()
        self._patience_s = patience_s
        self._seen: dict[str, set[str]] = {}
        """Of attempts that this object follows: whether their state and their output are being followed by now."""

    @abstractmethod
    def handle(self, spec: LaunchSpec) -> RunHandle: ...

    async def launch(self, spec: LaunchSpec) -> None:
        """Hand the attempt to the engine unless it has it. `Refused`: never here; `Unavailable`: not just now."""
        run = RunDirectory.of(self._runs, spec.attempt_id)
        if spec.run_directory.absolute() != run.path:
            raise Refused(
                say("attempt_elsewhere", attempt=spec.attempt_id, path=str(run.path), given=str(spec.run_directory))
            )
        run.create()
        if run.exit() is not None or _accepted(run):
            return
        Journal.begin(run, spec.log_path.absolute())
        handle = self.handle(spec)
        try:
            await self._submit(spec, handle)
        except AwayError as away:
            raise AwayError(together((away.words, self.advice))) from away
        replace_file(str(run.path / _ACCEPTED), b"", durable=True)
        if run.exit() is not None:
            # Stopped while it was on its way.
            await self._stop(handle, 0)

    async def wait(self, handle: RunHandle) -> Exit:
        run = RunDirectory.of(self._runs, handle.attempt_id)
        while (ending := run.exit()) is None:
            journal = Journal.load(run)
            if journal is None:
                return Exit(code=None, error=NOT_STARTED)
            lock = run.acquire()
            if lock is None:
                await asyncio.sleep(_FOLLOWED_ELSEWHERE_S)
                continue
            try:
                # Another one may have followed it further, or to its end, meanwhile.
                journal = Journal.load(run) or journal
                found = run.exit() or await self._follow(handle, run, journal)
            finally:
                os.close(lock)
            if found is None:
                return Exit(code=None, error=NOT_STARTED)
        return ending

    async def observe(self, handle: RunHandle) -> Exit | None:
        run = RunDirectory.of(self._runs, handle.attempt_id)
        if run.exit() is None and Journal.load(run) is not None:
            try:
                seen = await self._looked(handle)
            except AwayError:
                return None
            if (seen is None and _accepted(run)) or (seen is not None and seen.ending is not None):
                return await self.wait(handle)
        return run.exit()

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:
        """End the attempt, also one that was not started: a launch that comes later starts nothing.

        `Unavailable` if the engine gives no answer, or has not ended the attempt long after the grace.
        """
        run = RunDirectory.of(self._runs, handle.attempt_id)
        if run.exit() is not None:
            return
        if Journal.load(run) is None or (not _accepted(run) and await self._looked(handle) is None):
            run.create()
            run.record(Exit(code=None, error=STOPPED_FIRST))
            return
        deadline = asyncio.get_running_loop().time() + grace_seconds + _STOP_PATIENCE_S
        while run.exit() is None:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(say("attempt_stays", attempt=handle.attempt_id, where=self._where(handle)))
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(self.wait(handle))
                if self.output_ends:
                    # What such an engine kept of the attempt goes with it, so somebody has to look on.
                    await self._looked_on(handle, run)
                await self._stop(handle, grace_seconds)
                await asyncio.wait({waiting}, timeout=grace_seconds + _STOP_AGAIN_S)
                waiting.cancel()
            if run.exit() is None:
                seen = await self._looked(handle)
                if seen is not None and seen.waiting:
                    self._stopped_waiting(run)

    async def forget(self, handle: RunHandle) -> None:
        run = RunDirectory.of(self._runs, handle.attempt_id)
        if run.exit() is None and Journal.load(run) is not None:
            raise Conflict(say("attempt_runs", attempt=handle.attempt_id))
        if run.path.exists():
            try:
                await self._remove(handle)
            except (Unavailable, Refused) as error:
                _log.warning("what %s left behind is not removed: %s", self._where(handle), error)
            await asyncio.to_thread(run.remove)

    async def _looked(self, handle: RunHandle) -> Sighting | None:
        """What the engine says just now; `AwayError` too when that cannot be read."""
        try:
            return await self._look(handle)
        except _UNREADABLE as error:
            raise AwayError(say("about", name=self._where(handle), what=_why(error))) from error

    async def _looked_on(self, handle: RunHandle, run: RunDirectory) -> None:
        """Return when what becomes of the attempt cannot be missed any more, or soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_ON_S):
                while run.exit() is None and len(self._seen.get(handle.attempt_id, ())) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(_FOLLOWED_ELSEWHERE_S)

    def _stopped_waiting(self, run: RunDirectory) -> None:
        run.record(Exit(code=None, error=STOPPED_WAITING))
        journal, lock = Journal.load(run), run.acquire()
        if lock is not None:
            # Nobody follows it who would.
            if journal is not None:
                journal.close("not started")
            os.close(lock)

    # What the engine is asked. Each may raise `AwayError`.

    @abstractmethod
    async def _submit(self, spec: LaunchSpec, handle: RunHandle) -> None:
        """Have the attempt run; nothing happens if the engine has it already."""

    @abstractmethod
    async def _look(self, handle: RunHandle) -> Sighting | None:
        """None = the engine knows no such attempt."""

    @abstractmethod
    def _output(self, handle: RunHandle, position: str, *, follow: bool) -> AsyncGenerator[tuple[bytes, str]]:
        """What was written after `position`, in pieces, each with the position behind it; `follow` = and what comes.

        An empty piece says that from here on nothing can be missed.
        """

    @abstractmethod
    async def _stop(self, handle: RunHandle, grace_seconds: float) -> None:
        """Have it ended; may be repeated, and be too late."""

    @abstractmethod
    async def _remove(self, handle: RunHandle) -> None:
        """Remove what an ended attempt left with the engine; may be repeated."""

    @abstractmethod
    def _where(self, handle: RunHandle) -> str:
        """Where it runs, for a person."""

    def _ending(self, ending: Exit, end_line: str) -> Exit:
        """How it ended, given what the engine says and how the log says that it ended (may be empty)."""
        del end_line
        return ending

    async def _sightings(self, handle: RunHandle, journal: Journal) -> AsyncGenerator[Sighting | None]:
        """What the engine says, again and again; sooner when the log says that it is over."""
        pause = _FIRST_PAUSE_S
        while True:
            yield await self._look(handle)
            await asyncio.sleep(_FIRST_PAUSE_S if journal.end_line() else pause)
            pause = min(_LONGEST_PAUSE_S, pause * 1.3)

    # Following

    async def _follow(self, handle: RunHandle, run: RunDirectory, journal: Journal) -> Exit | None:
        """Copy the output until the attempt is over and record how; None if the engine never got it."""
        over, seen = asyncio.Event(), self._seen.setdefault(handle.attempt_id, set())
        try:
            async with asyncio.TaskGroup() as group:
                copying = group.create_task(self._copy(handle, journal, over), name=f"output:{handle.attempt_id}")
                found = await self._until_over(handle, run, journal)
                over.set()
                if self.output_ends:
                    await asyncio.wait({copying}, timeout=_LAST_OUTPUT_S)
                copying.cancel()
        finally:
            seen.clear()
            self._seen.pop(handle.attempt_id, None)
        if found is None:
            return None
        if run.exit() is not None:
            journal.close("not started")
            return found
        await self._copy_rest(handle, journal)
        ending = self._ending(found, journal.end_line())
        journal.close(_in_words(ending))
        run.record(ending)
        return ending

    async def _until_over(self, handle: RunHandle, run: RunDirectory, journal: Journal) -> Exit | None:
        loop = asyncio.get_running_loop()
        heard, noted, pause = loop.time(), "", _FIRST_PAUSE_S
        while True:
            try:
                async with aclosing(self._sightings(handle, journal)) as sightings:
                    async for seen in sightings:
                        heard, pause = loop.time(), _FIRST_PAUSE_S
                        self._seen[handle.attempt_id].add("state")
                        if (recorded := run.exit()) is not None:
                            return recorded
                        if seen is None:
                            return Exit(code=None, error=self._unknown(handle)) if _accepted(run) else None
                        if seen.ending is not None:
                            return seen.ending
                        if seen.note and seen.note != noted:
                            noted = seen.note
                            journal.note(f"nodeconsole: {noted}")
            except _NO_ANSWER as error:
                if loop.time() - heard > self._patience_s:
                    return Exit(
                        code=None, error=say("attempt_lost", seconds=f"{self._patience_s:.0f}", error=_why(error))
                    )
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    def _unknown(self, handle: RunHandle) -> Words:
        return say("attempt_unknown_there", where=self._where(handle))

    async def _copy(self, handle: RunHandle, journal: Journal, over: asyncio.Event) -> None:
        while True:
            try:
                await self._take(handle, journal, follow=True)
            except _NO_ANSWER as error:
                _log.debug("output of %s: %s", handle.attempt_id, _why(error))
            self._seen[handle.attempt_id].add("output")
            if over.is_set():
                return
            await asyncio.sleep(_OUTPUT_PAUSE_S)

    async def _take(self, handle: RunHandle, journal: Journal, *, follow: bool) -> None:
        async with aclosing(self._output(handle, journal.position, follow=follow)) as pieces:
            async for output, position in pieces:
                self._seen.get(handle.attempt_id, set()).add("output")
                if output:
                    journal.take(output, position)

    async def _copy_rest(self, handle: RunHandle, journal: Journal) -> None:
        reason = ""
        for _ in range(_REST_TRIES):
            try:
                await self._take(handle, journal, follow=False)
            except _NO_ANSWER as error:
                reason = _why(error)
            else:
                return
            await asyncio.sleep(_OUTPUT_PAUSE_S)
        journal.note(f"nodeconsole: the rest of the output is lost: {reason}")


def _why(error: Exception) -> str:
    if isinstance(error, NodeError):
        return error.message
    return f"what it answers cannot be read ({type(error).__name__}: {error})"


def _accepted(run: RunDirectory) -> bool:
    return (run.path / _ACCEPTED).exists()


def _in_words(ending: Exit) -> str:
    if ending.code is not None:
        return f"exit {ending.code}"
    return f"signal {ending.signal}" if ending.signal is not None else "lost"
