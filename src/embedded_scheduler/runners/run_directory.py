"""The files of one attempt, `runs/<attempt id>/`: the whole truth about it, for the node that launched it and the next.

lock       held (as a lock of the open file, so it is inherited and freed by the kernel) while the shim lives
order      what to run, with the attempt's token; removed by the shim as soon as it has read it. Who renames it to
           order.taken is the shim, should two have been started
pid        which process the shim is
exit.json  how the attempt ended; written once, last
work, tmp  the component's directories
inputs     links to what it may read, so that nothing can be put in their place; only with a sandbox
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.attempt import (
    EXIT_FILE,
    IDENTITY_FILE,
    INPUTS,
    ORDER_FILE,
    SCRATCH,
    WORK,
    boot_id,
    close_log,
    replace_file,
    session_members,
    start_ticks,
)
from embedded_scheduler.sentences import Sentence, document, restored, say
from embedded_scheduler.spi.runner import END_OF_LOG, Exit

HOSTS_FILE = "hosts"

_ATTEMPT_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,199}")
# struct flock: type, whence, start, length, pid
_FLOCK = struct.Struct("@hhqqi4x")
_WHOLE_FILE = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process the shim is (or was), immune to a pid that is used again. `log` is the attempt's log."""

    boot: str
    pid: int
    start_ticks: int
    session: int
    leader_ticks: int | None
    log: Path

    @property
    def alive(self) -> bool:
        """The process runs and is the one that was recorded."""
        return self.boot == boot_id() and start_ticks(self.pid) == self.start_ticks

    def members(self) -> list[int]:
        """The live processes of the attempt's session, the shim among them.

        The kernel gives no new process the number of a session that still has members. So once the number is another
        process's, the attempt's session is empty and the number means somebody else.
        """
        if self.boot != boot_id() or start_ticks(self.session) not in (None, self.leader_ticks):
            return []
        return session_members(self.session)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    path: Path

    @classmethod
    def of(cls, runs: Path, attempt_id: str) -> RunDirectory:
        """The directory of an attempt below `runs`; `Refused` if its id could not be a directory's name."""
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise Refused(say("attempt_id", value=shorten(attempt_id)))
        return cls(runs / attempt_id)

    def create(self) -> None:
        """Make the directories, private to this user; refuses one that somebody else put there."""
        for directory in (self.path, self.path / WORK, self.path / SCRATCH):
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                found = directory.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                    raise Refused(say("run_directory_foreign", path=str(directory))) from None

    def acquire(self) -> int | None:
        """The attempt's lock as an open descriptor, or None if it is held. Freed when its last copy is closed."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def held(self) -> bool:
        """Whether a shim is alive (or being started). Looking never disturbs who takes the lock meanwhile."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
        finally:
            os.close(descriptor)
        kind: int = _FLOCK.unpack(answer)[0]
        return kind != fcntl.F_UNLCK

    def hold(self, files: Iterable[Path]) -> dict[Path, Path]:
        """Where each plain file is held for the component to read: its path to a link of this directory.

        A file that is missing, or is no plain file, is left out. An earlier component of the same job can put a
        symbolic link in the place of its result: the link is never followed. Where the storage is on another disk, the
        file itself is shown; only a component of the same job that runs at this moment could exchange it.
        """
        held = {}
        (self.path / INPUTS).mkdir(mode=0o700, exist_ok=True)
        for number, file in enumerate(files):
            link = self.path / INPUTS / str(number)
            link.unlink(missing_ok=True)
            try:
                os.link(file, link, follow_symlinks=False)
                place = link
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                place = file
            if stat.S_ISREG(place.lstat().st_mode):
                held[file] = place
            elif place is link:
                link.unlink()
        return held

    def write_hosts(self, names: Iterable[tuple[str, str]]) -> Path:
        """The machine's hosts file with some names, each with its address, before everything else."""
        try:
            before = Path("/etc/hosts").read_text("utf-8", "replace")
        except OSError:
            before = "127.0.0.1 localhost\n"
        path = self.path / HOSTS_FILE
        replace_file(str(path), ("".join(f"{host} {name}\n" for name, host in names) + before).encode())
        return path

    def write_order(self, content: bytes) -> None:
        replace_file(str(self.path / ORDER_FILE), content)

    def identity(self) -> Identity | None:
        try:
            raw = (self.path / IDENTITY_FILE).read_bytes()
        except FileNotFoundError:
            return None
        boot, pid, ticks, session, leader, log = os.fsdecode(raw).split("\n", 5)
        leader_ticks = None if leader == "None" else int(leader)
        return Identity(boot, int(pid), int(ticks), int(session), leader_ticks, Path(log))

    def exit(self) -> Exit | None:
        """How the attempt ended, if that was recorded."""
        try:
            raw = (self.path / EXIT_FILE).read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = json.loads(raw)
            fault = found.get("fault")
            error = restored(found.get("said"), found.get("error", ""))
            if fault is not None:
                error = say("program_not_started_because", error=os.strerror(fault))
            cause = found.get("cause", "")
            if found.get("starved"):
                cause, error = "memory", say("killed_for_memory")
            peak = found.get("peak") or None
            return Exit(found["code"], found["signal"], error=error, cause=cause, peak_bytes=peak)
        except (ValueError, KeyError, TypeError, AttributeError) as damage:
            return Exit(code=None, error=say("exit_unreadable", path=str(self.path / EXIT_FILE), error=str(damage)))

    def record(self, ending: Exit) -> None:
        """Write the exit file in the shim's place."""
        members = {
            "code": ending.code,
            "signal": ending.signal,
            "error": str(ending.error),
            "said": document(ending.error) if isinstance(ending.error, Sentence) else None,
            "cause": ending.cause,
            "peak": ending.peak_bytes,
        }
        replace_file(str(self.path / EXIT_FILE), json.dumps(members).encode(), durable=True)

    def close_log(self, log: Path, why: str) -> None:
        """Append the end line in the shim's place, unless it is there or the log is gone."""
        try:
            descriptor = os.open(log, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, 256, max(0, size - 256))
            if not tail.rstrip(b"\n").rpartition(b"\n")[2].startswith(END_OF_LOG.encode()):
                close_log(descriptor, f"{END_OF_LOG}, {why}")
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            return
