"""The node's SQLite database: one writer with group commit, two readers, transactions as closures."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import aiosqlite

from embedded_scheduler.clock import Clock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.sentences import say
from embedded_scheduler.store import migrate, queries

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
READERS = 2
LARGEST_GROUP = 512
"""Closures in one transaction: bounds how long the first of a burst waits for its answer."""

_OWN_FAULTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""A statement that breaks a constraint or a guard, or is wrong: the caller's affair, not the database's condition."""


class Reader:
    """Named statements on one consistent snapshot. Valid only while the closure it was given to runs."""

    __slots__ = ("_connection", "_statements", "now_ms")

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, str], now_ms: int) -> None:
        self._connection = connection
        self._statements = statements
        self.now_ms = now_ms
        """The clock (Unix epoch milliseconds) when the transaction started."""

    def one(self, name: str, /, **params: Any) -> sqlite3.Row | None:
        """The first row of the named statement, or None."""
        row: sqlite3.Row | None = self._execute(name, params).fetchone()
        return row

    def all(self, name: str, /, **params: Any) -> list[sqlite3.Row]:
        """Every row of the named statement."""
        return self._execute(name, params).fetchall()

    def _execute(self, name: str, params: Mapping[str, Any]) -> sqlite3.Cursor:
        sql = self._statements.get(name)
        if sql is None:
            raise LookupError(f"no SQL block is named {name}")
        return self._connection.execute(sql, params)


@dataclass(slots=True)
class ChainHead:
    """Sequence number and hash of the ledger's newest event as the open transaction sees it; None = not read yet."""

    value: tuple[int, str] | None = None


class Tx(Reader):
    """A transaction that may write. It is rolled back when its closure raises and durable once `write` returns."""

    __slots__ = ("chain", "published")

    def __init__(
        self, connection: sqlite3.Connection, statements: Mapping[str, str], now_ms: int, chain: ChainHead
    ) -> None:
        super().__init__(connection, statements, now_ms)
        self.chain = chain
        """For `ledger.append` alone."""
        self.published: list[int] = []
        """Sequence numbers of the events this closure appended; handed to `Database.on_commit`."""

    def run(self, name: str, /, **params: Any) -> sqlite3.Cursor:
        """Execute the named statement; the cursor tells `rowcount` and `lastrowid`."""
        return self._execute(name, params)


class _Thread:
    """One aiosqlite connection, used for whole closures.

    aiosqlite's public methods send one statement to its thread per await: two to four times slower than sqlite3, and
    a cancelled caller leaves a transaction open between two awaits. Its `_execute` runs any callable on the same
    thread as one step, which nothing can interrupt; this class is the only place that touches it.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.queued = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        return cls(
            await aiosqlite.connect(
                path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, cached_statements=512, uri=False
            )
        )

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work(connection)` on the thread. It is queued before the first suspension and then always runs."""
        self.queued += 1
        try:
            result: T = await self._connection._execute(  # type: ignore[no-untyped-call]
                lambda: work(self._connection._conn)
            )
        finally:
            self.queued -= 1
        return result

    async def close(self) -> None:
        await self._connection.close()


@dataclass(slots=True)
class _Pending(Generic[T]):
    """One `write` that waits for its group."""

    work: Callable[[Tx], T]
    future: asyncio.Future[T]
    committed: Callable[[T], None] | None = None
    result: T | None = None
    error: BaseException | None = None
    published: list[int] = field(default_factory=list)


class Database:
    """See `open`. All methods belong to the event loop that opened it."""

    def __init__(self, path: Path, clock: Clock, backups: Path, writer: _Thread, readers: Sequence[_Thread]) -> None:
        self.path = path
        self.on_commit: Callable[[Sequence[int]], None] | None = None
        """Called on the loop's thread with the events of each commit, after the fsync, before the writers resume."""
        self._clock = clock
        self._backups = backups
        self._writer = writer
        self._readers = readers
        self._statements = queries.statements()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: list[_Pending[Any]] = []
        self._drain_queued = False
        self._chain = ChainHead()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, backups: Path | None = None) -> Self:
        """Create, check and migrate the database, then open it.

        Raises `StoreError` when it is newer than this program, corrupted (naming the newest of `backups`, by default
        the directory `backups` beside it), read-only, locked, or not a database of this program. Before an existing
        one is migrated, a copy is put into `backups`.
        """
        folder = backups if backups is not None else path.parent / "backups"
        opened: list[_Thread] = []
        try:
            _create_private(path)
            opened.append(await _Thread.open(path))
            await opened[0].run(lambda connection: _prepare(connection, path, folder, clock))
            for _ in range(READERS):
                opened.append(await _Thread.open(path))
                await opened[-1].run(_configure_reader)
        except BaseException as error:
            for thread in reversed(opened):
                await thread.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise explain(error, path, folder) from error
            raise
        return cls(path, clock, folder, opened[0], opened[1:])

    async def close(self) -> None:
        """Finish what is queued, then close. Later calls raise `StoreError`; closing twice does nothing."""
        self._closed = True
        # The writer goes last: the last connection to close folds the write-ahead log into the database file.
        for thread in (*self._readers, self._writer):
            await thread.close()

    async def write(self, work: Callable[[Tx], T], *, committed: Callable[[T], None] | None = None) -> T:
        """Run `work(tx)` in a transaction on the writer's thread; return its result once it is on disk.

        Whatever `work` raises undoes its own changes only and is raised here. Writes that wait at the same time
        share one commit. A call that was made is carried out even if its caller is cancelled. `StoreError` says that
        nothing was stored (disk full, …); the same call may succeed later.

        `committed` gets the result on the loop's thread once it is on disk: in the order of the commits, and also when
        the caller was cancelled meanwhile. It is for what has to follow a change and must not raise.
        """
        self._check_open()
        pending: _Pending[T] = _Pending(work, self._loop.create_future(), committed)
        with self._lock:
            self._waiting.append(pending)
            first, self._drain_queued = not self._drain_queued, True
        try:
            if first:
                # Runs on the writer's thread after the group before; everyone who arrives until then joins.
                await self._writer.run(self._drain)
            return await pending.future
        finally:
            _mark_retrieved(pending.future)

    async def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work(reader)` on a reader's thread; all its statements see one committed state."""
        self._check_open()
        thread = min(self._readers, key=lambda candidate: candidate.queued)
        try:
            return await thread.run(lambda connection: self._read(connection, work))
        except sqlite3.Error as error:
            if isinstance(error, _OWN_FAULTS):
                raise
            raise explain(error, self.path, self._backups) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(say("database_closed"))

    def _read(self, connection: sqlite3.Connection, work: Callable[[Reader], T]) -> T:
        connection.execute("BEGIN")
        try:
            return work(Reader(connection, self._statements, self._clock.now_ms()))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    # What follows runs on the writer's thread, except `_settle`.

    def _drain(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
            self._drain_queued = False
        for start in range(0, len(group), LARGEST_GROUP):
            batch = group[start : start + LARGEST_GROUP]
            try:
                self._commit(connection, batch)
            except BaseException as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
                self._fail(connection, batch, error)
            self._loop.call_soon_threadsafe(self._settle, batch)

    def _commit(self, connection: sqlite3.Connection, batch: Sequence[_Pending[Any]]) -> None:
        now_ms = self._clock.now_ms()
        done: list[_Pending[Any]] = []
        for pending in batch:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            if self._carry_out(connection, pending, now_ms, isolated=len(batch) > 1):
                done.append(pending)
            elif not connection.in_transaction:
                # SQLite itself gave up the whole transaction (disk full, I/O error): the others' work went with it.
                self._fail(connection, done, _collateral(pending.error))
                done.clear()
        if connection.in_transaction:
            connection.execute("COMMIT")

    def _carry_out(
        self, connection: sqlite3.Connection, pending: _Pending[Any], now_ms: int, *, isolated: bool
    ) -> bool:
        tx = Tx(connection, self._statements, now_ms, self._chain)
        head = self._chain.value
        if isolated:
            connection.execute("SAVEPOINT closure")
        try:
            pending.result = pending.work(tx)
            pending.published = tx.published
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who gets it
            pending.error = error
            self._chain.value = head
            if connection.in_transaction:
                connection.execute("ROLLBACK TO closure" if isolated else "ROLLBACK")
        if isolated and connection.in_transaction:
            connection.execute("RELEASE closure")
        return pending.error is None

    def _fail(
        self, connection: sqlite3.Connection, batch: Iterable[_Pending[Any]], error: BaseException | None
    ) -> None:
        """Nothing of `batch` is stored; who has no error of its own gets this one."""
        self._chain.value = None
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for pending in batch:
            if pending.error is None:
                pending.error = error
            pending.published = []

    def _settle(self, batch: Sequence[_Pending[Any]]) -> None:
        published = [seq for pending in batch for seq in pending.published]
        try:
            if published and self.on_commit is not None:
                self.on_commit(published)
        finally:
            for pending in batch:
                try:
                    if pending.error is None and pending.committed is not None:
                        pending.committed(pending.result)
                finally:
                    self._resolve(pending)

    def _resolve(self, pending: _Pending[Any]) -> None:
        if pending.future.done():
            return
        error = pending.error
        if error is None:
            pending.future.set_result(pending.result)
        elif isinstance(error, sqlite3.Error) and not isinstance(error, _OWN_FAULTS):
            explained = explain(error, self.path, self._backups)
            explained.__cause__ = error
            pending.future.set_exception(explained)
        elif isinstance(error, StopIteration):
            # A future cannot carry one: it would end the coroutine that awaits it.
            pending.future.set_exception(RuntimeError(f"{pending.work!r} let StopIteration escape"))
        else:
            pending.future.set_exception(error)


def explain(error: sqlite3.Error | OSError, path: Path, backups: Path) -> StoreError:
    """What SQLite or the system said about the database, as a sentence that tells the operator what to do."""
    if isinstance(error, OSError):
        place = error.filename or path
        return StoreError(say("database_not_opened", path=str(place), error=str(error.strerror)))
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            text = say("database_full", path=str(path))
        case sqlite3.SQLITE_IOERR:
            text = say("database_disk", path=str(path), fault=name)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            text = say("database_read_only", path=str(path))
        case sqlite3.SQLITE_CANTOPEN:
            text = say("database_cannot_open", path=str(path))
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            text = migrate.corrupted(path, backups, str(error))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            text = say("database_locked", path=str(path))
        case _:
            text = say("database_failed", path=str(path), error=str(error), fault=name)
    return StoreError(text)


def _collateral(error: BaseException | None) -> BaseException | None:
    """What the others of a group are told when the fault of one took the whole transaction with it."""
    if isinstance(error, _OWN_FAULTS):
        return StoreError(say("commit_failed"))
    return error


def _create_private(path: Path) -> None:
    """SQLite would create the file with the umask's mode; its companions copy the mode of this file."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _prepare(connection: sqlite3.Connection, path: Path, backups: Path, clock: Clock) -> None:
    connection.row_factory = sqlite3.Row
    migrate.check(connection, path, backups)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(say("database_no_memory", path=str(path)))
    connection.execute("PRAGMA synchronous = FULL")
    # Keeps a burst's write-ahead log from occupying its peak size for ever.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    migrate.apply(connection, path, backups, clock)
    connection.execute("PRAGMA foreign_keys = ON")


def _configure_reader(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    """A caller that was cancelled does not want the answer; without this the loop would report it as lost."""
    if not future.cancel() and not future.cancelled():
        future.exception()
