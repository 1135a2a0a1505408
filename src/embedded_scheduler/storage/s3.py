"""Tables and blobs in a bucket of any S3-compatible object store.

The requests, their signatures, their repetition with back-off and the continuation of broken downloads (`Range` with
`If-Match`) are `obstore`'s, which is Apache Arrow's `object_store`. An object appears whole or not at all: a small one
by one request, a large one by a multipart upload that is aborted when its source fails or its writer is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from embedded_scheduler.domain.table_metadata import TableMetadata, decode
from embedded_scheduler.errors import InvalidRequest, NotFound, Unavailable
from embedded_scheduler.extras import how_to_get
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.storage import Stored
from embedded_scheduler.storage.layouts import LAYOUTS, LayoutName
from embedded_scheduler.storage.names import check_address, check_component
from embedded_scheduler.storage.s3_faults import fault

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, S3Store

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload; at most 10,000 parts make an object."""
_PARTS_AT_ONCE = 2
_CHUNK = 1024 * 1024
_LONGEST_METADATA = 4 * 1024 * 1024
_REGION = "us-east-1"
_FRUITLESS = 2
"""How often in a row a download may break off without a byte more."""
_PAUSE_S = 0.1

_RETRIES: Any = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket. `endpoint` is `https://host[:port]` or `http://host[:port]`, without the bucket."""

    endpoint: str
    bucket: str = "storage"
    region: str = _REGION
    virtual_host: bool = False
    """The bucket's name stands before the host's instead of before the key."""
    layout: LayoutName = "official"

    @property
    def tls(self) -> bool:
        return self.endpoint.startswith("https:")

    @property
    def address(self) -> str:
        """`host:port` of the store."""
        parts = urlsplit(self.endpoint)
        host = parts.hostname or ""
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    @property
    def reached(self) -> str:
        """`host:port` that requests go to."""
        return f"{self.bucket}.{self.address}" if self.virtual_host else self.address

    @property
    def _port(self) -> int:
        return urlsplit(self.endpoint).port or (443 if self.tls else 80)


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, secret: str) -> Credentials:
        """`<access key>:<secret key>`, as the node's secret `secret` holds them."""
        access_key, separator, secret_key = text.strip().partition(":")
        if not separator or not access_key or not secret_key:
            raise InvalidRequest(say("s3_secret", secret=secret))
        return cls(access_key, secret_key)


class S3Storage:
    """Objects of one node. `reveal` opens the secret `secret` for each operation, so that a replaced one counts."""

    def __init__(self, place: Place, secret: str, reveal: Callable[[], Awaitable[str]]) -> None:
        self._place = place
        self._secret = secret
        self._reveal = reveal
        self._layout = LAYOUTS[place.layout]
        self._client: tuple[Credentials, S3Store] | None = None
        self._obstore = _library()

    async def url(self) -> str:
        """The specification's form; what it has no word for is added only where it is not the default."""
        place, credentials = self._place, await self._credentials()
        members = {"username": credentials.access_key, "password": credentials.secret_key, "bucket": place.bucket}
        if place.tls:
            members["tls"] = "true"
        if place.region != _REGION:
            members["region"] = place.region
        if place.virtual_host:
            members["style"] = "virtual"
        if place.layout != "official":
            members["layout"] = place.layout
        return f"s3://{place.address}?{urlencode(members, quote_via=quote, safe='')}"

    @property
    def reaches(self) -> tuple[str, ...]:
        return (self._place.reached,)

    @property
    def described(self) -> str:
        return f"bucket {self._place.bucket} of {self._place.endpoint} (layout {self._place.layout})"

    async def check(self) -> None:
        """Look into the bucket once."""
        store = await self._store()
        with self._translated():
            async for _ in self._obstore.list(store, chunk_size=1):
                return

    async def write(self, namespace: str, name: str, chunks: AsyncIterator[bytes]) -> Stored:
        check_address(namespace, name)
        store = await self._store()
        key = self._layout.data(namespace, name)
        first = bytearray()
        async for chunk in chunks:
            first += chunk
            if len(first) >= PART:
                await self._upload(store, key, bytes(first), chunks)
                break
        else:
            with self._translated():
                await self._obstore.put_async(store, key, bytes(first), use_multipart=False)
        found = await self._keys(store, namespace, name)
        # What an earlier object left: further partitions, and metadata that does not describe this one.
        await self._remove(store, [each["path"] for each in found if each["path"] != key])
        written = next((each for each in found if each["path"] == key), None)
        if written is None:
            raise Unavailable(say("s3_not_shown", address=self._place.address, namespace=namespace, name=name))
        return _stored(namespace, name, [written])

    async def read(self, namespace: str, name: str) -> AsyncIterator[bytes]:
        """The partitions one after the other."""
        check_address(namespace, name)
        store = await self._store()
        partitions = self._partitions(namespace, await self._keys(store, namespace, name))
        if name not in partitions:
            raise NotFound(say("object_missing", namespace=namespace, name=name))
        for partition in partitions[name]:
            async for chunk in self._content(store, partition["path"]):
                yield chunk

    async def stat(self, namespace: str, name: str) -> Stored | None:
        check_address(namespace, name)
        store = await self._store()
        partitions = self._partitions(namespace, await self._keys(store, namespace, name))
        return _stored(namespace, name, partitions[name]) if name in partitions else None

    async def list(self, namespace: str) -> list[Stored]:
        check_component("namespace", namespace)
        store = await self._store()
        partitions = self._partitions(namespace, await self._keys(store, namespace))
        return [_stored(namespace, name, partitions[name]) for name in sorted(partitions)]

    async def everything(self) -> AsyncIterator[Stored]:
        """Of the whole bucket what lies where this layout puts things; a thousand keys for a request."""
        store = await self._store()
        batches, pages = aiter(self._obstore.list(store)), _Pages(self._place.address)
        while True:
            with self._translated():
                batch = await anext(batches, None)
            if batch is None:
                return
            for each in pages.checked(batch):
                address = self._layout.address(each["path"])
                if address is not None:
                    modified_ms = int(each["last_modified"].timestamp() * 1000)
                    yield Stored(*address, each["size"], modified_ms)

    async def delete(self, namespace: str, name: str) -> None:
        check_address(namespace, name)
        store = await self._store()
        await self._remove(store, [each["path"] for each in await self._keys(store, namespace, name)])

    async def describe(self, metadata: TableMetadata) -> None:
        check_address(metadata.namespace, metadata.name)
        store = await self._store()
        key = self._layout.metadata(metadata.namespace, metadata.name)
        with self._translated():
            await self._obstore.put_async(store, key, metadata.encode(fate=self._layout.fate), use_multipart=False)

    async def description(self, namespace: str, name: str) -> TableMetadata | None:
        check_address(namespace, name)
        store = await self._store()
        content = bytearray()
        try:
            with self._translated():
                result = await self._obstore.get_async(store, self._layout.metadata(namespace, name))
                if result.meta["size"] > _LONGEST_METADATA:
                    return None
                async for chunk in result.stream(_CHUNK):
                    content += chunk
        except NotFound:
            return None
        return decode(namespace, name, bytes(content))

    # Requests

    async def _content(self, store: S3Store, key: str) -> AsyncIterator[bytes]:
        """What breaks off goes on where it was, as long as it gets any further, and never with another version."""
        reading, fruitless = _Reading(key), 0
        while True:
            before = reading.at
            try:
                async for chunk in self._going_on(store, reading):
                    yield chunk
            except Unavailable:
                fruitless = fruitless + 1 if reading.at == before else 0
                if not reading.tag or fruitless > _FRUITLESS:
                    raise
                await asyncio.sleep(_PAUSE_S * 2**fruitless)
            else:
                return

    async def _going_on(self, store: S3Store, reading: _Reading) -> AsyncIterator[bytes]:
        with self._translated():
            result = await self._obstore.get_async(store, reading.key, options=reading.options)
        reading.tag, size = result.meta["e_tag"] or "", result.meta["size"]
        stream = result.stream(_CHUNK)
        while True:
            # Only the store's own errors are translated, not those of whoever takes the bytes.
            with self._translated():
                chunk = await anext(stream, None)
            if chunk is None:
                break
            reading.at += len(chunk)
            yield bytes(chunk)
        if reading.at < size:
            raise Unavailable(say("s3_short", key=reading.key, bytes=size - reading.at))

    async def _upload(self, store: S3Store, key: str, first: bytes, rest: AsyncIterator[bytes]) -> None:
        source = _Source(first, rest)
        upload = asyncio.ensure_future(
            self._obstore.put_async(store, key, source, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE)
        )
        try:
            # The upload itself is never cancelled: it would not be aborted.
            with self._translated():
                await asyncio.shield(upload)
        except asyncio.CancelledError:
            source.stop()
            while not upload.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([upload])
            upload.exception()
            raise

    async def _keys(self, store: S3Store, namespace: str, name: str = "") -> Sequence[ObjectMeta]:
        """What the layout has of a namespace, or of one address, metadata included."""
        layout = self._layout
        directory = layout.directory(namespace, name)
        found: list[ObjectMeta] = []
        pages = _Pages(self._place.address)
        with self._translated():
            if directory:
                async for batch in self._obstore.list(store, prefix=directory):
                    found += [each for each in pages.checked(batch) if layout.place(namespace, each["path"])]
                return found
            if name:
                keys = (layout.data(namespace, name), layout.metadata(namespace, name))
                return [each for key in keys if (each := await self._head(store, key)) is not None]
            prefix = layout.prefix(namespace)
            # Keys come in order: those of a prefix stand together.
            async for batch in self._obstore.list(store, offset=prefix):
                matching = [each for each in pages.checked(batch) if each["path"].startswith(prefix)]
                found += [each for each in matching if layout.place(namespace, each["path"])]
                if len(matching) < len(batch):
                    break
        return found

    async def _head(self, store: S3Store, key: str) -> ObjectMeta | None:
        try:
            found: ObjectMeta = await self._obstore.head_async(store, key)
        except (FileNotFoundError, self._obstore.exceptions.BaseError) as error:
            # The answer to HEAD does not say why not; that to a listing does.
            await self.check()
            if not isinstance(error, FileNotFoundError):
                raise
            return None
        return found

    async def _remove(self, store: S3Store, keys: Sequence[str]) -> None:
        for key in keys:
            with self._translated(), contextlib.suppress(FileNotFoundError):
                await self._obstore.delete_async(store, key)

    def _partitions(self, namespace: str, keys: Sequence[ObjectMeta]) -> dict[str, tuple[ObjectMeta, ...]]:
        """The partitions of each object, in order."""
        found: dict[str, dict[int, ObjectMeta]] = {}
        for each in keys:
            place = self._layout.place(namespace, each["path"])
            if place is not None and place.partition is not None:
                found.setdefault(place.name, {})[place.partition] = each
        return {name: tuple(parts[number] for number in sorted(parts)) for name, parts in found.items()}

    # The client

    async def _credentials(self) -> Credentials:
        return Credentials.parse(await self._reveal(), self._secret)

    async def _store(self) -> S3Store:
        credentials = await self._credentials()
        if self._client is None or self._client[0] != credentials:
            self._client = credentials, self._open(credentials)
        return self._client[1]

    def _open(self, credentials: Credentials) -> S3Store:
        from obstore.store import S3Store  # noqa: PLC0415 - an extra

        place = self._place
        scheme = "https" if place.tls else "http"
        return S3Store(
            place.bucket,
            config={
                "endpoint": f"{scheme}://{place.reached}",
                "region": place.region,
                "access_key_id": credentials.access_key,
                "secret_access_key": credentials.secret_key,
                "virtual_hosted_style_request": place.virtual_host,
                "checksum_algorithm": "SHA256",
                # Not every compatible store knows the deletion of many.
                "disable_bulk_delete": True,
            },
            client_options=_client_options(allow_http=not place.tls),
            retry_config=_RETRIES,
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, self._obstore.exceptions.BaseError) as error:
            hidden = (self._client[0].secret_key,) if self._client else ()
            raise fault(
                error, at=self._place.address, bucket=self._place.bucket, secret=self._secret, hidden=hidden
            ) from None


@dataclass(slots=True)
class _Reading:
    """How far a download has come, and of which version."""

    key: str
    at: int = 0
    tag: str = ""

    @property
    def options(self) -> GetOptions | None:
        return {"range": {"offset": self.at}, "if_match": self.tag} if self.at else None


class _Pages:
    """Finds out that a store sends the same pages of a listing again and again: no key comes twice in one.

    Only one key is remembered, a later one each time that twice as many have come (Brent's way to find a cycle).
    """

    def __init__(self, at: str) -> None:
        self._at = at
        self._count, self._remember = 0, 1
        self._key = ""

    def checked(self, batch: Sequence[ObjectMeta]) -> Sequence[ObjectMeta]:
        """The same, or `Unavailable`."""
        for each in batch:
            if each["path"] == self._key:
                raise Unavailable(say("s3_circle", address=self._at))
            self._count += 1
            if self._count == self._remember:
                self._key, self._remember = each["path"], self._remember * 2
        return batch


class _Source:
    """What an upload is fed with; `stop` makes it fail at the place where it waits, so that the upload is aborted."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest
        self._stopped = False
        self._step: asyncio.Task[Any] | None = None

    def stop(self) -> None:
        self._stopped = True
        if self._step is not None:
            self._step.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        self._first = b""
        while not self._stopped:
            self._step = asyncio.current_task()
            try:
                chunk = await anext(self._rest, None)
            finally:
                self._step = None
            if chunk is None:
                return
            yield chunk
        raise asyncio.CancelledError


def _stored(namespace: str, name: str, partitions: Sequence[ObjectMeta]) -> Stored:
    modified = max(part["last_modified"] for part in partitions)
    return Stored(namespace, name, sum(part["size"] for part in partitions), int(modified.timestamp() * 1000))


def _client_options(*, allow_http: bool) -> ClientConfig:
    return {
        "connect_timeout": "5s",
        "read_timeout": "60s",
        "timeout": "24h",
        "pool_idle_timeout": "30s",
        "allow_http": allow_http,
    }


def _library() -> Any:
    try:
        import obstore  # noqa: PLC0415 - an extra
        import obstore.exceptions  # noqa: PLC0415
    except ImportError:
        raise InvalidRequest(say("needs_obstore", how=how_to_get("s3"))) from None
    return obstore
