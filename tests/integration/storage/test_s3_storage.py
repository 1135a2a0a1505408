"""The driver for object stores: keys, metadata, credentials, and what it does when something goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, Fault, Request, S3Server

from embedded_scheduler.domain.table_metadata import TableMetadata
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, NotFound, Refused, Unavailable
from embedded_scheduler.spi.storage import (
    CountedStorage,
    DescribingStorage,
    FileStorage,
    LinkingStorage,
    RemoteStorage,
    Storage,
)
from embedded_scheduler.storage.layouts import LayoutName
from embedded_scheduler.storage.s3 import PART, Place, S3Storage

MIB = 1024 * 1024
TABLE = TableMetadata(
    "job-guest-0", "t-out", count=2, columns=(("id", "string"), ("n", "integer")), created_ms=1_700_000_000_000
)


def opened(s3: S3Server, layout: LayoutName = "official", *, value: str = f"{ACCESS_KEY}:{SECRET_KEY}") -> S3Storage:
    async def reveal() -> str:
        return value

    return S3Storage(Place(s3.endpoint, layout=layout), "storage", reveal)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(storage: S3Storage, namespace: str, name: str) -> bytes:
    return b"".join([chunk async for chunk in storage.read(namespace, name)])


def reads(request: Request) -> bool:
    return request.method == "GET" and bool(request.key)


async def test_fulfils_the_contracts(s3: S3Server) -> None:
    storage = opened(s3)
    assert isinstance(storage, Storage)
    assert isinstance(storage, DescribingStorage)
    assert isinstance(storage, RemoteStorage)
    assert isinstance(storage, CountedStorage)
    assert not isinstance(storage, FileStorage | LinkingStorage)
    assert storage.reaches == (f"127.0.0.1:{s3.port}",)


@pytest.mark.parametrize(
    ("place", "start", "more"),
    [
        (Place("http://store:9000"), "s3://store:9000?", {}),
        (Place("https://store"), "s3://store:443?", {"tls": ["true"]}),
        (Place("http://[::1]:9000"), "s3://[::1]:9000?", {}),
        (
            Place("https://store:9", "b.c", "cn-north-1", virtual_host=True, layout="fate"),
            "s3://store:9?",
            {"tls": ["true"], "region": ["cn-north-1"], "style": ["virtual"], "layout": ["fate"]},
        ),
    ],
)
async def test_a_component_gets_the_form_of_the_specification(place: Place, start: str, more: dict[str, str]) -> None:
    async def reveal() -> str:
        return "AK:s/k+&=?#%\n"

    url = await S3Storage(place, "storage", reveal).url()
    assert url.startswith(start)
    expected = {"username": ["AK"], "password": ["s/k+&=?#%"], "bucket": [place.bucket], **more}
    assert parse_qs(urlsplit(url).query, strict_parsing=True) == expected


@pytest.mark.parametrize(
    ("layout", "data", "metadata"),
    [
        ("official", "job-guest-0/t-out/data_0", "job-guest-0/t-out/metadata"),
        ("fate", "job-guest-0/t-out/data_0", "job-guest-0/t-out/metadata"),
        ("guide", "job-guest-0-t-out", ".metadata/job-guest-0-t-out"),
    ],
)
async def test_keys_and_metadata_of_a_layout(layout: LayoutName, data: str, metadata: str, s3: S3Server) -> None:
    storage = opened(s3, layout)
    await storage.write("job-guest-0", "t-out", chunks(b"id,n\n"))
    assert await storage.description("job-guest-0", "t-out") is None
    await storage.describe(TABLE)
    assert set(s3.objects) == {data, metadata}
    assert await storage.description("job-guest-0", "t-out") == TABLE
    assert [stored.name for stored in await storage.list("job-guest-0")] == ["t-out"]
    kept = json.loads(s3.content(metadata))
    assert kept["column_info"] == [{"name": "id", "type": "string"}, {"name": "n", "type": "integer"}]
    assert kept["create_time"] == (1_700_000_000 if layout == "fate" else 1_700_000_000_000)
    assert ("options" in kept) == (layout == "fate")
    # What describes the old table does not describe the new one.
    await storage.write("job-guest-0", "t-out", chunks(b"other\n"))
    await storage.delete("job-guest-0", "t-out")
    assert not s3.objects or layout == "guide"


@pytest.mark.parametrize("layout", ["official", "fate", "guide"])
async def test_everything_is_counted_with_its_metadata(layout: LayoutName, s3: S3Server) -> None:
    storage = opened(s3, layout)
    await storage.write("job-0a1b-guest-0", "t-out", chunks(bytes(1000)))
    await storage.write("datasets", "my-table", chunks(bytes(50)))
    await storage.describe(replace(TABLE, namespace="job-0a1b-guest-0"))
    s3.put("of/somebody/else/entirely", bytes(7))
    found: dict[tuple[str, str], int] = {}
    async for piece in storage.everything():
        found[piece.namespace, piece.name] = found.get((piece.namespace, piece.name), 0) + piece.size
    assert found.keys() == {("job-0a1b-guest-0", "t-out"), ("datasets", "my-table")}
    assert found["datasets", "my-table"] == 50
    assert found["job-0a1b-guest-0", "t-out"] > 1000


async def test_what_others_stored_is_read(s3: S3Server) -> None:
    for number in (0, 2, 10):
        s3.put(f"n/table/data_{number}", f"part {number}\n".encode())
    s3.put("n/table/metadata", b'{"count": 3, "create_time": 1700000000, "column_info": [{"name": "a"}], "x": 1}')
    s3.put("n/table/data_x", b"not a partition")
    s3.put("n/other/deeper/data_0", b"not of this layout")
    storage = opened(s3)
    assert await read(storage, "n", "table") == b"part 0\npart 2\npart 10\n"
    found = await storage.description("n", "table")
    assert found is not None
    assert (found.count, found.created_ms, found.columns) == (3, 1_700_000_000_000, (("a", "string"),))
    assert [(stored.name, stored.size) for stored in await storage.list("n")] == [("table", 22)]
    await storage.write("n", "table", chunks(b"one partition"))
    assert await read(storage, "n", "table") == b"one partition"
    assert set(s3.objects) == {"n/table/data_0", "n/table/data_x", "n/other/deeper/data_0"}


async def test_a_namespace_that_begins_alike_is_another(s3: S3Server) -> None:
    for layout in ("official", "guide"):
        storage = opened(s3, layout)
        await storage.write("job-guest-1", "x", chunks(b"1"))
        await storage.write("job-guest-10", "x", chunks(b"2"))
        assert [stored.size for stored in await storage.list("job-guest-1")] == [1]


async def test_a_download_that_breaks_off_goes_on_where_it_was(s3: S3Server) -> None:
    content = bytes(range(256)) * 4096 * 12
    storage = opened(s3)
    await storage.write("n", "x", chunks(content))
    s3.faults.append(Fault(reads, times=2, cut_after=3 * MIB))
    s3.requests.clear()
    assert await read(storage, "n", "x") == content
    assert [request.range for request in s3.requests if request.key] == [
        "",
        f"bytes={3 * MIB}-{12 * MIB - 1}",
        f"bytes={6 * MIB}-{12 * MIB - 1}",
    ]


async def test_two_versions_are_never_mixed(s3: S3Server) -> None:
    storage = opened(s3)
    await storage.write("n", "x", chunks(b"a" * 12 * MIB))
    s3.faults.append(Fault(reads, cut_after=3 * MIB))
    s3.faults.append(Fault(reads, before=lambda: s3.put("n/x/data_0", b"b" * 12 * MIB)))
    with pytest.raises(Conflict, match="changed while it was read"):
        await read(storage, "n", "x")


async def test_a_download_may_break_off_as_often_as_it_gets_further(s3: S3Server) -> None:
    content = bytes(range(256)) * 4096 * 8
    s3.put("n/x/data_0", content)
    s3.faults.append(Fault(reads, times=7, cut_after=MIB + 1))
    assert await read(opened(s3), "n", "x") == content
    s3.faults.append(Fault(reads, cut_after=MIB + 1))
    s3.faults.append(Fault(reads, times=1000, cut_after=0))
    with pytest.raises(Unavailable, match="breaks connections off"):
        await read(opened(s3), "n", "x")


async def test_a_busy_store_is_asked_again(s3: S3Server) -> None:
    storage = opened(s3)
    s3.faults.append(Fault(lambda _: True, times=3, status=503, code="SlowDown"))
    await storage.write("n", "x", chunks(b"content"))
    s3.faults.append(Fault(lambda _: True, times=2, status=500, code="InternalError"))
    assert await read(storage, "n", "x") == b"content"


async def test_a_part_that_failed_is_sent_again(s3: S3Server) -> None:
    s3.faults.append(Fault(lambda request: request.part == 2, times=2, status=503, code="SlowDown"))
    content = b"p" * (2 * PART + 5)
    await opened(s3).write("n", "x", chunks(content[:MIB], content[MIB:]))
    assert s3.content("n/x/data_0") == content
    assert not s3.uploads


async def test_an_upload_that_cannot_go_on_is_aborted(s3: S3Server) -> None:
    s3.put("n/x/data_0", b"old")
    s3.faults.append(Fault(lambda request: request.part == 2, times=1000, status=403, code="AccessDenied"))
    with pytest.raises(Refused, match="rights to list, read, write and delete"):
        await opened(s3).write("n", "x", chunks(b"p" * PART, b"p" * PART))
    assert not s3.uploads
    assert s3.content("n/x/data_0") == b"old"


async def test_a_source_that_breaks_off_aborts_the_upload(s3: S3Server) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"p" * (2 * PART)
        raise ConnectionResetError("the sender is gone")

    with pytest.raises(ConnectionResetError):
        await opened(s3).write("n", "x", broken())
    assert not s3.uploads
    assert not s3.objects


async def test_a_cancelled_upload_is_aborted(s3: S3Server) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"p" * (2 * PART)
        waiting.set()
        await asyncio.Event().wait()

    async def cancel() -> None:
        await waiting.wait()
        writing.cancel()

    writing = asyncio.ensure_future(opened(s3).write("n", "x", endless()))
    await cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert s3.requests[0].method == "POST"
    assert not s3.uploads
    assert not s3.objects


@pytest.mark.parametrize(
    ("code", "status", "kind", "says"),
    [
        ("InvalidAccessKeyId", 403, Refused, "check the secret storage"),
        ("SignatureDoesNotMatch", 403, Refused, "does not accept the signature"),
        ("AccessDenied", 403, Refused, "rights to list, read, write and delete"),
        ("NoSuchBucket", 404, Refused, "create it, or change storage.bucket"),
        ("RequestTimeTooSkewed", 403, Unavailable, r"set them \(NTP\)"),
        ("AuthorizationHeaderMalformed", 400, Refused, "change storage.region"),
        ("QuotaExceeded", 400, Unavailable, "make room"),
    ],
)
async def test_what_a_refusal_means(code: str, status: int, kind: type[NodeError], says: str, s3: S3Server) -> None:
    s3.faults.append(Fault(lambda _: True, times=1000, status=status, code=code))
    storage = opened(s3)
    for call in (
        lambda: storage.write("n", "x", chunks(b"x")),
        lambda: read(storage, "n", "x"),
        lambda: storage.stat("n", "x"),
        lambda: storage.list("n"),
        storage.check,
        lambda: storage.describe(TABLE),
        lambda: opened(s3, "guide").stat("n", "x"),
    ):
        with pytest.raises(kind, match=says) as refused:
            await call()
        assert SECRET_KEY not in str(refused.value)


async def test_faults_of_this_side(s3: S3Server) -> None:
    with pytest.raises(Refused, match="check the secret storage"):
        await opened(s3, value="AKNOBODY:secret").check()
    with pytest.raises(Refused, match="the secret key in the secret storage is another"):
        await opened(s3, value=f"{ACCESS_KEY}:other").check()
    with pytest.raises(InvalidRequest, match="must be <access key>:<secret key>"):
        await opened(s3, value="no colon").check()
    s3.clock_ahead = timedelta(hours=1)
    with pytest.raises(Unavailable, match="clocks"):
        await opened(s3).check()


async def test_a_replaced_secret_counts_at_once(s3: S3Server) -> None:
    values = iter([f"{ACCESS_KEY}:old", f"{ACCESS_KEY}:{SECRET_KEY}"])

    async def reveal() -> str:
        return next(values)

    storage = S3Storage(Place(s3.endpoint), "storage", reveal)
    with pytest.raises(Refused):
        await storage.check()
    await storage.check()


async def test_a_store_that_is_not_there(s3: S3Server) -> None:
    async def reveal() -> str:
        return f"{ACCESS_KEY}:{SECRET_KEY}"

    place = Place(s3.endpoint)
    gone = S3Storage(Place("http://127.0.0.1:1"), "storage", reveal)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        await gone.check()
    with pytest.raises(Refused, match=f"{place.address} has no bucket elsewhere"):
        await S3Storage(Place(s3.endpoint, bucket="elsewhere"), "storage", reveal).check()
    with pytest.raises(NotFound):
        await read(opened(s3), "n", "nothing")
