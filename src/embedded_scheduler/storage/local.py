"""Tables and blobs as plain files `<root>/<namespace>/<name>` on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from embedded_scheduler.domain.table_metadata import BESIDE, TableMetadata, decode
from embedded_scheduler.errors import NotFound, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.storage import Stored
from embedded_scheduler.storage.names import check_address, check_component

_CHUNK = 1024 * 1024
_PENDING = ".pending-"
_LONGEST_METADATA = 4 * 1024 * 1024

T = TypeVar("T")


class LocalStorage:
    """Objects of one node. Directories are 0700, files 0600; symbolic links are never followed below the root.

    Operations go through directory descriptors, so that a component that replaces a directory by a link cannot make
    the node read or write elsewhere.
    """

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root).absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        with self._translated():
            self._discard_pending()

    @property
    def root_url(self) -> str:
        """What `url` answers; there is nothing to wait for."""
        return f"file://{self._root}"

    async def url(self) -> str:
        return self.root_url

    def path(self, namespace: str, name: str) -> Path:
        """Where the object is or would be; the names are checked."""
        check_address(namespace, name)
        return self._root / namespace / name

    def metadata_path(self, namespace: str, name: str) -> Path:
        check_address(namespace, name)
        return self._root / namespace / _metadata_name(name)

    def directory(self, namespace: str) -> Path:
        """Where the namespace's objects are; made if it is missing, `Unavailable` if something else is in its place."""
        check_component("namespace", namespace)
        with self._directory(namespace, create=True):
            return self._root / namespace

    async def write(self, namespace: str, name: str, chunks: AsyncIterator[bytes]) -> Stored:
        self.path(namespace, name)
        with self._pending(namespace) as (directory, pending):
            with self._translated():
                descriptor = os.open(pending, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                # Errors of the source itself (a connection, say) pass as they are.
                async for chunk in chunks:
                    with self._translated():
                        await _in_thread(_write_all, descriptor, chunk)
                with self._translated():
                    await _in_thread(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            with self._translated():
                os.replace(pending, name, src_dir_fd=directory, dst_dir_fd=directory)
                _remove(_metadata_name(name), directory)
                await _in_thread(os.fsync, directory)
            return self._stored(namespace, name, directory)

    async def read(self, namespace: str, name: str) -> AsyncIterator[bytes]:
        self.path(namespace, name)
        descriptor = self._open(namespace, name)
        try:
            while True:
                with self._translated():
                    chunk = await _in_thread(os.read, descriptor, _CHUNK)
                if not chunk:
                    return
                yield chunk
        finally:
            os.close(descriptor)

    async def stat(self, namespace: str, name: str) -> Stored | None:
        self.path(namespace, name)
        try:
            with self._directory(namespace, create=False) as directory:
                return self._stored(namespace, name, directory)
        except NotFound:
            return None

    async def list(self, namespace: str) -> list[Stored]:
        check_component("namespace", namespace)
        try:
            return [*await asyncio.to_thread(self._objects, namespace)]
        except NotFound:
            return []

    async def everything(self) -> AsyncIterator[Stored]:
        with self._translated():
            namespaces = await asyncio.to_thread(lambda: sorted(self._root.iterdir()))
        shared: dict[tuple[int, int], list[Stored]] = {}
        for directory in namespaces:
            for found, status in await asyncio.to_thread(_pieces, directory):
                yield found if status.st_nlink == 1 else dataclasses.replace(found, size=0)
                if status.st_nlink > 1:
                    names = shared.setdefault((status.st_dev, status.st_ino), [])
                    names.append(found)
                    if len(names) == status.st_nlink:
                        # All its names are here: it is nobody else's file.
                        yield names[0]

    async def delete(self, namespace: str, name: str) -> None:
        self.path(namespace, name)
        with self._lock, self._translated(), contextlib.suppress(NotFound, FileNotFoundError):
            with self._directory(namespace, create=False) as directory:
                _remove(_metadata_name(name), directory)
                os.unlink(name, dir_fd=directory)
                os.fsync(directory)
            # The last object of a job takes its directory along; any other object keeps it.
            with contextlib.suppress(OSError):
                self._root.joinpath(namespace).rmdir()

    async def link(self, namespace: str, name: str, source: Path) -> Stored | None:
        """A hard link to a regular file, or None where the system does not allow one."""
        self.path(namespace, name)
        with self._pending(namespace) as (directory, pending), self._translated():
            os.unlink(pending, dir_fd=directory)
            try:
                os.link(source, pending, dst_dir_fd=directory, follow_symlinks=True)
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.EOPNOTSUPP):
                    return None
                raise
            if not stat.S_ISREG(os.stat(pending, dir_fd=directory, follow_symlinks=False).st_mode):
                return None
            # If both names are links of one file already, this leaves the pending one, which is then removed.
            os.replace(pending, name, src_dir_fd=directory, dst_dir_fd=directory)
            _remove(_metadata_name(name), directory)
            return self._stored(namespace, name, directory)

    async def describe(self, metadata: TableMetadata) -> None:
        """In a file beside the table that no listing shows."""
        self.path(metadata.namespace, metadata.name)
        with self._pending(metadata.namespace) as (directory, pending), self._translated():
            descriptor = os.open(pending, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                _write_all(descriptor, metadata.encode())
            finally:
                os.close(descriptor)
            os.replace(pending, _metadata_name(metadata.name), src_dir_fd=directory, dst_dir_fd=directory)

    async def description(self, namespace: str, name: str) -> TableMetadata | None:
        self.path(namespace, name)
        try:
            with self._translated(), self._directory(namespace, create=False) as directory:
                beside = _metadata_name(name)
                if self._stored(namespace, beside, directory).size > _LONGEST_METADATA:
                    return None
                descriptor = os.open(beside, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
        except NotFound:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123, ASYNC230 - a descriptor of a small local file
            return decode(namespace, name, file.read(_LONGEST_METADATA))

    @contextlib.contextmanager
    def _pending(self, namespace: str) -> Iterator[tuple[int, str]]:
        """An empty file under a name of our own in the namespace's directory; removed if it is still there."""
        pending = f"{_PENDING}{secrets.token_hex(8)}"
        with contextlib.ExitStack() as stack:
            # As long as the file is there, nobody removes the directory.
            with self._lock, self._translated():
                directory = stack.enter_context(self._directory(namespace, create=True))
                os.close(os.open(pending, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory))
            try:
                yield directory, pending
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(pending, dir_fd=directory)

    def _open(self, namespace: str, name: str) -> int:
        with self._translated(), self._directory(namespace, create=False) as directory:
            self._stored(namespace, name, directory)
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)

    def _objects(self, namespace: str) -> Sequence[Stored]:
        with self._translated(), self._directory(namespace, create=False) as directory:
            found = []
            for name in sorted(os.listdir(directory)):  # noqa: PTH208 - pathlib cannot list a descriptor
                if not name.startswith("."):
                    with contextlib.suppress(NotFound):
                        found.append(self._stored(namespace, name, directory))
            return found

    def _stored(self, namespace: str, name: str, directory: int) -> Stored:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            raise NotFound(say("object_missing", namespace=namespace, name=name)) from None
        if not stat.S_ISREG(status.st_mode):
            raise NotFound(say("object_no_file", namespace=namespace, name=name))
        return Stored(namespace, name, status.st_size, status.st_mtime_ns // 1_000_000)

    @contextlib.contextmanager
    def _directory(self, namespace: str, *, create: bool) -> Iterator[int]:
        with self._translated():
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(namespace, 0o700, dir_fd=root)
                directory = os.open(namespace, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
            except OSError as error:
                # A link or a file in the place of a namespace is not one of ours.
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and not create:
                    raise NotFound(say("no_namespace", namespace=namespace)) from None
                raise
            finally:
                os.close(root)
        try:
            yield directory
        finally:
            os.close(directory)

    def _discard_pending(self) -> None:
        """What a crash left half-written. The node holds its home's lock, so nobody else is writing."""
        for leftover in self._root.glob(f"*/{_PENDING}*"):
            leftover.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise Unavailable(say("storage_full", path=str(self._root))) from error
            raise Unavailable(
                say("storage_unusable", path=str(self._root), error=str(error.strerror or error))
            ) from error


def _pieces(directory: Path) -> list[tuple[Stored, os.stat_result]]:
    """The files of a namespace, those with metadata and those that are being written included."""
    found = []
    if directory.is_symlink():
        return []
    # What is removed meanwhile, or is no directory, is nothing of ours.
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                name = entry.name.removeprefix(BESIDE)
                piece = Stored(directory.name, name, status.st_size, status.st_mtime_ns // 1_000_000)
                found.append((piece, status))
    return found


def _metadata_name(name: str) -> str:
    """The file with an object's table metadata. A name that leaves no room for the prefix is known by its digest."""
    beside = f"{BESIDE}{name}"
    return beside if len(os.fsencode(beside)) <= 255 else BESIDE + hashlib.sha256(os.fsencode(name)).hexdigest()


def _remove(name: str, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


async def _in_thread(work: Callable[..., T], *arguments: object) -> T:
    """Run blocking work; when cancelled, first let it end: it must not use a descriptor that was closed since."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise
