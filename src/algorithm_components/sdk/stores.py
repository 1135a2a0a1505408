"""Where the objects of `system.storage` are: files of this machine, or a bucket of an S3-compatible object store.

An object has partitions, of which this SDK writes one; it appears whole or not at all. Beside it may lie its metadata.
Object stores need the library `obstore`, which is loaded when one is first used.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from queue import Full, Queue
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from algorithm_components.sdk.environment import Address, ComponentError
from algorithm_components.sdk.libraries import library

CHUNK = 1024 * 1024
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
_FRUITLESS = 6
"""How often in a row a download may break off without a byte more."""
_PAUSE_S = 0.1
_PARTITION = re.compile(r"data_(0|[1-9][0-9]{0,8})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_LONGEST_METADATA = 4 * 1024 * 1024
_LONGEST_NAME = 255


class Store(Protocol):
    """Every method raises `ComponentError` that names the address; no message holds a password."""

    def partitions(self, address: Address) -> list[str]:
        """What `opened` and `file` take, in order; at least one."""
        ...

    def opened(self, partition: str) -> io.BufferedReader:
        """To be read from its beginning to its end, buffered. Close it."""
        ...

    def file(self, partition: str) -> Any:
        """A context manager of a path to read from in any order. May be a copy in the scratch directory."""
        ...

    def put(self, address: Address, chunks: Iterable[bytes]) -> None: ...

    def describe(self, address: Address, content: bytes) -> None:
        """Store the metadata of the object, which has to be there."""
        ...

    def description(self, address: Address) -> bytes | None: ...


def open_store(url: str) -> Store:
    """The store of a URL in the forms `file:///<directory>` and `s3://host:port?username=…&password=…[&bucket=…]`."""
    if url.startswith("file:///"):
        return FileStore(Path(url.removeprefix("file://")))
    if url.startswith("s3://"):
        return ObjectStore(url)
    # A URL may carry a password: only its kind may be shown.
    raise ComponentError(f"this component reads file:// and s3:// storage only (got {url.split(':', 1)[0][:20]}:)")


def checked(address: Address) -> Address:
    for part in (address.namespace, address.name):
        if not part or "/" in part or "\0" in part or part.startswith("."):
            raise ComponentError(f"{address} is not a storage address")
    return address


class FileStore:
    """`<root>/<namespace>/<name>`, one plain file for each object."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, address: Address) -> Path:
        checked(address)
        return self._root / address.namespace / address.name

    def partitions(self, address: Address) -> list[str]:
        path = self.path(address)
        try:
            path.stat()
        except OSError as error:
            raise ComponentError(f"{address} cannot be read: {error.strerror or error}") from None
        return [str(path)]

    def opened(self, partition: str) -> io.BufferedReader:
        path = Path(partition)
        try:
            return io.BufferedReader(io.FileIO(path), CHUNK)
        except OSError as error:
            raise ComponentError(f"{path.name} cannot be read: {error.strerror or error}") from None

    @contextmanager
    def file(self, partition: str) -> Iterator[Path]:
        yield Path(partition)

    def put(self, address: Address, chunks: Iterable[bytes]) -> None:
        path = self.path(address)
        try:
            # What it describes is about to be replaced.
            self._metadata(address).unlink(missing_ok=True)
            self._replace(path, chunks)
        except OSError as error:
            raise ComponentError(f"{address} cannot be written: {error.strerror or error}") from error

    def describe(self, address: Address, content: bytes) -> None:
        try:
            self._replace(self._metadata(address), [content])
        except OSError as error:
            raise ComponentError(f"{address}: its metadata cannot be written: {error.strerror or error}") from error

    def description(self, address: Address) -> bytes | None:
        try:
            with self._metadata(address).open("rb") as file:
                return file.read(_LONGEST_METADATA)
        except OSError:
            return None

    def _metadata(self, address: Address) -> Path:
        beside = f".metadata-{address.name}"
        if len(os.fsencode(beside)) > _LONGEST_NAME:
            beside = ".metadata-" + hashlib.sha256(os.fsencode(address.name)).hexdigest()
        return self.path(address).with_name(beside)

    def _replace(self, path: Path, chunks: Iterable[bytes]) -> None:
        pending = path.with_name(f".pending-{secrets.token_hex(8)}")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb", CHUNK) as file:  # noqa: PTH123 - a descriptor
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(descriptor)
            pending.replace(path)
        finally:
            # Only there if the object was not completed.
            pending.unlink(missing_ok=True)


class ObjectStore:
    """A bucket. Keys are `<namespace>/<name>/data_<n>` and `…/metadata`, or with `layout=guide` `<namespace>-<name>`.

    Of the URL: `bucket` (default `storage`); beyond the specification `tls=true`, `region`, `style=virtual`, `layout`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        members = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or not members.get("username") or not members.get("password"):
            raise ComponentError("system.storage must be s3://host:port?username=…&password=…&bucket=…")
        tls = members.get("tls", "").lower() == "true"
        bucket = members.get("bucket") or "storage"
        virtual = members.get("style") == "virtual"
        self._flat = members.get("layout") == "guide"
        self.fate = members.get("layout") == "fate"
        self._at = f"{host}:{port or (443 if tls else 80)}"
        shown = f"[{host}]" if ":" in host else host
        name = f"{bucket}.{shown}" if virtual else shown
        self._obstore = library("obstore")
        library("obstore.exceptions")
        self._store = library("obstore.store").S3Store(
            bucket,
            config={
                "endpoint": f"{'https' if tls else 'http'}://{name}:{port or (443 if tls else 80)}",
                "region": members.get("region") or "us-east-1",
                "access_key_id": members["username"],
                "secret_access_key": members["password"],
                "virtual_hosted_style_request": virtual,
                "checksum_algorithm": "SHA256",
                "disable_bulk_delete": True,
            },
            client_options={"connect_timeout": "10s", "read_timeout": "120s", "timeout": "24h", "allow_http": not tls},
            retry_config={
                "max_retries": 5,
                "retry_timeout": timedelta(minutes=3),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=15),
                    "base": 2,
                },
            },
        )

    def partitions(self, address: Address) -> list[str]:
        if self._flat:
            return [self._key(address)]
        numbers: dict[int, str] = {}
        for key in self._beside(address):
            found = _PARTITION.fullmatch(key.rpartition("/")[2])
            if found:
                numbers[int(found[1])] = key
        if not numbers:
            raise ComponentError(f"{address} cannot be read: the object store has nothing there")
        return [numbers[number] for number in sorted(numbers)]

    def opened(self, partition: str) -> io.BufferedReader:
        return io.BufferedReader(_Download(self, partition), CHUNK)

    def get(self, key: str, options: Any) -> Any:
        with self.explained(f"{key} cannot be read"):
            return self._obstore.get(self._store, key, options=options)

    @contextmanager
    def file(self, partition: str) -> Iterator[Path]:
        with tempfile.NamedTemporaryFile() as copy:
            with self.opened(partition) as source:
                while chunk := source.read(CHUNK):
                    copy.write(chunk)
            copy.flush()
            yield Path(copy.name)

    def put(self, address: Address, chunks: Iterable[bytes]) -> None:
        key = self._key(address)
        rest = iter(chunks)
        first = bytearray()
        for chunk in rest:
            first += chunk
            if len(first) >= _PART:
                break
        with self.explained(f"{address} cannot be written"):
            if len(first) < _PART:
                self._obstore.put(self._store, key, bytes(first), use_multipart=False)
            else:
                self._upload(key, chain([bytes(first)], rest))
        # What an earlier object left: further partitions, and metadata that does not describe this one.
        with self.explained(f"{address}: what was there before cannot be removed"):
            for other in [each for each in self._beside(address) if each != key]:
                self._obstore.delete(self._store, other)

    def _upload(self, key: str, chunks: Iterable[bytes]) -> None:
        """In parts, by a thread of its own: the library cannot be used by what it takes its bytes from, and that may
        read from the store itself. A source that fails makes the upload fail, which aborts it."""
        feed: Queue[bytes | _BrokenOffError | None] = Queue(2)

        def taken() -> Iterator[bytes]:
            while (piece := feed.get()) is not None:
                if isinstance(piece, _BrokenOffError):
                    raise piece
                yield piece

        with ThreadPoolExecutor(1) as thread:
            upload = thread.submit(
                self._obstore.put, self._store, key, taken(), chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )
            try:
                for piece in chain(chunks, [None]):
                    _offer(feed, piece, upload)
                upload.result()
            except BaseException:
                _offer(feed, _BrokenOffError(), upload)
                raise

    def describe(self, address: Address, content: bytes) -> None:
        with self.explained(f"{address}: its metadata cannot be written"):
            self._obstore.put(self._store, self._metadata(address), content, use_multipart=False)

    def description(self, address: Address) -> bytes | None:
        try:
            result = self._obstore.get(self._store, self._metadata(address))
            return bytes(result.bytes()) if result.meta["size"] <= _LONGEST_METADATA else None
        except (FileNotFoundError, self._obstore.exceptions.BaseError):
            return None

    def _key(self, address: Address) -> str:
        checked(address)
        separator, end = ("-", "") if self._flat else ("/", "/data_0")
        return f"{address.namespace}{separator}{address.name}{end}"

    def _metadata(self, address: Address) -> str:
        checked(address)
        if self._flat:
            return f".metadata/{address.namespace}-{address.name}"
        return f"{address.namespace}/{address.name}/metadata"

    def _beside(self, address: Address) -> list[str]:
        """The keys of an address."""
        checked(address)
        if self._flat:
            return []
        with self.explained(f"{address} cannot be listed"):
            pages = self._obstore.list(self._store, prefix=f"{address.namespace}/{address.name}")
            return [each["path"] for page in pages for each in page]

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            why = "no such bucket" if _code(error) == "NoSuchBucket" else "nothing is there"
            raise ComponentError(f"{what}: the object store {self._at} says {why}") from None
        except self._obstore.exceptions.BaseError as error:
            # The error's own text is long, and may quote what was sent.
            raise ComponentError(f"{what}: the object store {self._at} {_reason(error)}") from None


class _BrokenOffError(Exception):
    """What was to be stored will not come."""


def _offer(feed: Queue[bytes | _BrokenOffError | None], piece: bytes | _BrokenOffError | None, upload: Any) -> None:
    """Wait for room, as long as there is somebody who takes."""
    while not upload.done():
        try:
            feed.put(piece, timeout=0.2)
        except Full:
            continue
        return


class _Download(io.RawIOBase):
    """The bytes of an object as a file. What breaks off goes on where it was, as long as it gets any further, and never
    with another version."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._at = self._size = self._fruitless = 0
        self._tag = ""
        self._held = memoryview(b"")
        self._chunks = self._open()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = memoryview(self._next())
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def _next(self) -> bytes:
        while True:
            try:
                chunk = self._piece()
            except ComponentError:
                if self._fruitless > _FRUITLESS:
                    raise
                time.sleep(_PAUSE_S * 2**self._fruitless)
                self._fruitless += 1
                self._chunks = self._open()
                continue
            self._fruitless = 0
            self._at += len(chunk)
            return chunk

    def _piece(self) -> bytes:
        with self._store.explained(f"{self._key} cannot be read"):
            chunk: bytes = next(self._chunks, b"")
        if not chunk and self._at < self._size:
            raise ComponentError(f"{self._key} came with {self._size - self._at} bytes too few")
        return chunk

    def _open(self) -> Iterator[bytes]:
        going_on = {"range": {"offset": self._at}, "if_match": self._tag} if self._at else None
        result = self._store.get(self._key, going_on)
        self._size, self._tag = result.meta["size"], result.meta["e_tag"] or ""
        return iter(result.stream(min_chunk_size=CHUNK))


def _code(error: Exception) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    text, code = str(error), _code(error)
    if code:
        return f"refuses: {code}"
    status = re.search(r"status code: (\d{3})", text)
    if status:
        return f"answers with status {status[1]}"
    if "InvalidCertificate" in text:
        return "shows a certificate that is not trusted here"
    return "cannot be reached, or breaks connections off"
