"""Unread channel messages as files: what is stored survives the death of the process and is found again at start.

Layout under the root (`<home>/channel`):

    ~closed                                  one line per session that ended: "<ms> <mark> <session>"
    ~gone-<n>                                a session being removed
    <session>/~new/<n>                       messages being written; removed at start
    <session>/<queue>/~queue                 JSON {sender, topic}; the directory's name is derived from both
    <session>/<queue>/<seq>.<size>.<nonce>   one message (hexadecimal numbers): payload, metadata, trailer

A name carries all that the index needs, so a restart reads directories and no message. Files appear whole, by rename;
nothing is fsynced: messages outlive the process, and after a power loss the job is over anyway. A session's name is a
checked identifier, which cannot hold `~`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import struct
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)

_NEW = "~new"
_QUEUE = "~queue"
_CLOSED = "~closed"
_GONE = "~gone-"
_TRAILER = struct.Struct("<I4s")
_MAGIC = b"ncm1"
_NO_NONCE = "0"
REMEMBERED_NONCES = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored message. `sequence` grows with arrival, over all queues of the session."""

    sequence: int
    size: int
    nonce: str
    path: Path


@dataclass(slots=True)
class Queue:
    """Messages of one sender under one topic, oldest first."""

    sender: str
    topic: str
    directory: Path
    entries: deque[Entry] = field(default_factory=deque)


class Reading:
    """An open message. The bytes stay readable when the message is removed meanwhile."""

    def __init__(self, file: BinaryIO, size: int, metadata: Mapping[str, str]) -> None:
        self._file = file
        self._left = size
        self.size = size
        self.metadata = metadata

    def read(self, amount: int) -> bytes:
        """The next bytes of the payload, at most `amount`; empty at its end."""
        data = self._file.read(min(amount, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


class Draft:
    """A message that is being written. Nothing of it is visible before `SpooledSession.commit`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._pending = bytearray()
        self.size = 0

    @property
    def pending(self) -> int:
        """Bytes added and not yet in the file."""
        return len(self._pending)

    @property
    def on_disk(self) -> bool:
        return self._file is not None

    def add(self, chunk: bytes) -> None:
        self._pending += chunk
        self.size += len(chunk)

    def flush(self) -> None:
        """Write what was added. Blocks on the disk."""
        if self._file is None:
            self._file = self._create()
        with memoryview(self._pending) as view:
            written = 0
            while written < len(view):  # an unbuffered write may be short
                written += self._file.write(view[written:])
        self._pending.clear()

    def finish(self, metadata: Mapping[str, str]) -> Path:
        """Complete the file; the caller renames it. Blocks on the disk."""
        note = json.dumps(dict(metadata)).encode() if metadata else b""
        self._pending += note + _TRAILER.pack(len(note), _MAGIC)
        self.flush()
        self._close()
        return self._path

    def discard(self) -> None:
        self._pending.clear()
        if self._file is not None:
            self._close()
            self._path.unlink(missing_ok=True)

    def _create(self) -> BinaryIO:
        try:
            return open(self._path, "xb", buffering=0, opener=_private)
        except FileNotFoundError:
            _make_directory(self._path.parent)
            return open(self._path, "xb", buffering=0, opener=_private)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_directory(path: Path) -> None:
    """`<session>/<name>`, both private: `parents=True` would leave the outer one open to other users."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.mkdir(exist_ok=True, mode=0o700)


class SpooledSession:
    """The messages of one session. `unread` is the sum of their payload sizes in bytes, `messages` their number; both
    count a message that is being read until it is removed."""

    def __init__(self, root: Path, session_id: str) -> None:
        self.session_id = session_id
        self.directory = root / session_id
        self.unread = 0
        self.messages = 0
        self.queues: dict[tuple[str, str], Queue] = {}
        self._sequence = 0
        self._drafts = 0
        self._nonces: OrderedDict[str, None] = OrderedDict()

    def load(self) -> None:
        """Build the index from the directory, and remove what a crash left half-written."""
        shutil.rmtree(self.directory / _NEW, ignore_errors=True)
        with os.scandir(self.directory) as found:
            names = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        for name in names:
            self._load_queue(self.directory / name)

    def _load_queue(self, directory: Path) -> None:
        try:
            described = json.loads((directory / _QUEUE).read_text("utf-8"))
            queue = Queue(str(described["sender"]), str(described["topic"]), directory)
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("channel queue %s cannot be read and is left out: %s", directory, error)
            return
        entries = [entry for path in directory.iterdir() if (entry := _entry_at(path)) is not None]
        queue.entries.extend(sorted(entries, key=lambda entry: entry.sequence))
        self.queues[queue.sender, queue.topic] = queue
        self.messages += len(queue.entries)
        for entry in queue.entries:
            self.unread += entry.size
            self._sequence = max(self._sequence, entry.sequence)
            self._remember(entry.nonce)

    def draft(self) -> Draft:
        self._drafts += 1
        return Draft(self.directory / _NEW / f"{os.getpid():x}-{self._drafts:x}")

    def knows(self, nonce: str) -> bool:
        """Whether a message with this nonce (see `nonce_key`) was stored here, as far as is remembered."""
        return nonce != _NO_NONCE and nonce in self._nonces

    def commit(self, draft: Draft, sender: str, topic: str, nonce: str, metadata: Mapping[str, str]) -> Entry:
        """Make the message visible as the youngest of its queue. Blocks on the disk."""
        written = draft.finish(metadata)
        queue = self._queue(sender, topic)
        self._sequence += 1
        path = queue.directory / f"{self._sequence:016x}.{draft.size:x}.{nonce}"
        written.rename(path)
        entry = Entry(self._sequence, draft.size, nonce, path)
        queue.entries.append(entry)
        self.unread += entry.size
        self.messages += 1
        self._remember(nonce)
        return entry

    def _queue(self, sender: str, topic: str) -> Queue:
        queue = self.queues.get((sender, topic))
        if queue is None:
            digest = hashlib.sha256(f"{sender}\n{topic}".encode("utf-8", "surrogatepass")).hexdigest()
            queue = Queue(sender, topic, self.directory / digest[:32])
            _make_directory(queue.directory)
            temporary = queue.directory / f"{_QUEUE}.new"
            with open(temporary, "wb", opener=_private) as file:
                file.write(json.dumps({"sender": sender, "topic": topic}).encode())
            temporary.rename(queue.directory / _QUEUE)
            self.queues[sender, topic] = queue
        return queue

    def _remember(self, nonce: str) -> None:
        if nonce != _NO_NONCE:
            self._nonces[nonce] = None
            if len(self._nonces) > REMEMBERED_NONCES:
                self._nonces.popitem(last=False)

    def candidates(self, topic: str, sender: str | None) -> Iterator[Queue]:
        """Queues with a message of this topic, the one with the oldest message first; `sender` None = any."""
        if sender is not None:
            queue = self.queues.get((sender, topic))
            return iter([queue] if queue is not None and queue.entries else [])
        found = [queue for (_, name), queue in self.queues.items() if name == topic and queue.entries]
        return iter(sorted(found, key=lambda queue: queue.entries[0].sequence))

    def open(self, entry: Entry) -> Reading | None:
        """The message for reading; None when its file is damaged or gone."""
        try:
            file = entry.path.open("rb")
        except FileNotFoundError:
            return None
        try:
            return self._check(file, entry)
        except (OSError, ValueError, struct.error) as error:
            file.close()
            logger.warning("channel message %s is damaged and is dropped: %s", entry.path, error)
            return None

    def _check(self, file: BinaryIO, entry: Entry) -> Reading:
        file.seek(-_TRAILER.size, os.SEEK_END)
        length, magic = _TRAILER.unpack(file.read(_TRAILER.size))
        if magic != _MAGIC or file.tell() != entry.size + length + _TRAILER.size:
            raise ValueError("its end is missing")
        metadata: dict[str, str] = {}
        if length:
            file.seek(entry.size)
            metadata = json.loads(file.read(length))
        file.seek(0)
        return Reading(file, entry.size, metadata)

    def remove(self, entry: Entry) -> None:
        """Forget a message that was taken off its queue, and its file."""
        self.unread -= entry.size
        self.messages -= 1
        entry.path.unlink(missing_ok=True)

    def drop_queue(self, queue: Queue) -> None:
        """Remove a queue with its messages."""
        self.queues.pop((queue.sender, queue.topic), None)
        self.unread -= sum(entry.size for entry in queue.entries)
        self.messages -= len(queue.entries)
        queue.entries.clear()
        shutil.rmtree(queue.directory, ignore_errors=True)


def nonce_key(sender: str, nonce: str) -> str:
    """What is kept of a sender's nonce: 16 hexadecimal digits, `0` for none."""
    if not nonce:
        return _NO_NONCE
    return hashlib.blake2b(f"{sender}\n{nonce}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _entry_at(path: Path) -> Entry | None:
    parts = path.name.split(".")
    try:
        sequence, size, nonce = int(parts[0], 16), int(parts[1], 16), parts[2]
    except (ValueError, IndexError):
        return None
    return Entry(sequence, size, nonce, path)


class Spool:
    """All sessions of a node, and which sessions are over."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._over: dict[str, tuple[int, str]] = {}
        self._detached = 0

    def load(self) -> list[SpooledSession]:
        """What is on disk: live sessions, indexed. Directories of closed sessions are removed. Blocks on the disk."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._over = dict(self._read_marks())
        sessions = []
        with os.scandir(self.root) as found:
            names = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        for name in names:
            if name in self._over or name.startswith(_GONE):
                shutil.rmtree(self.root / name, ignore_errors=True)
                continue
            session = SpooledSession(self.root, name)
            session.load()
            sessions.append(session)
        return sessions

    def _read_marks(self) -> Iterator[tuple[str, tuple[int, str]]]:
        marks: dict[str, tuple[int, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.root / _CLOSED).read_text("utf-8", "replace").splitlines():
                parts = line.split(" ")
                if len(parts) != 3 or not parts[0].isdecimal():
                    continue  # the last line of a process that died while writing it
                if parts[1] == REOPENED:
                    marks.pop(parts[2], None)
                else:
                    marks[parts[2]] = (int(parts[0]), parts[1])
        return iter(marks.items())

    def mark(self, session_id: str) -> str | None:
        """`CLOSED`, `RELEASED`, or None while the session is usable."""
        found = self._over.get(session_id)
        return None if found is None else found[1]

    def set_mark(self, session_id: str, mark: str, now_ms: int) -> None:
        """Remember across restarts that a session is over (or, with `REOPENED`, that it is not)."""
        if mark == REOPENED:
            self._over.pop(session_id, None)
        else:
            self._over[session_id] = (now_ms, mark)
        with open(self.root / _CLOSED, "ab", buffering=0, opener=_private) as file:
            file.write(f"{now_ms} {mark} {session_id}\n".encode())

    def forget_marks(self, before_ms: int) -> None:
        """Drop marks set before that time (Unix epoch milliseconds) and rewrite their file without them."""
        self._over = {name: found for name, found in self._over.items() if found[0] >= before_ms}
        temporary = self.root / f"{_CLOSED}.new"
        with open(temporary, "wb", opener=_private) as file:
            for name, (at_ms, mark) in self._over.items():
                file.write(f"{at_ms} {mark} {name}\n".encode())
        temporary.rename(self.root / _CLOSED)

    def detach(self, session_id: str) -> Path | None:
        """Take a session's messages away at once; the directory that is left to `erase`, if there was one."""
        self._detached += 1
        away = self.root / f"{_GONE}{os.getpid():x}-{self._detached:x}"
        try:
            return (self.root / session_id).rename(away)
        except FileNotFoundError:
            return None

    def erase(self, detached: Path) -> None:
        """Remove what was detached. Blocks on the disk."""
        shutil.rmtree(detached, ignore_errors=True)


CLOSED = "closed"
RELEASED = "released"
REOPENED = "reopened"
