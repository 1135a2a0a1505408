"""How requests get to a store: the bucket before the host's name, and TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.storage.conftest import SECRET
from tests.support.certificates import Authority
from tests.support.s3_server import S3Server

from embedded_scheduler.errors import Refused
from embedded_scheduler.storage.s3 import Place, S3Storage


async def reveal() -> str:
    return SECRET


async def content() -> AsyncIterator[bytes]:
    yield b"content"


async def test_the_bucket_before_the_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server("abc", virtual_host="store.test").running() as server:
        # The name exists nowhere: as its proxy, the server gets what is addressed to it.
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        place = Place(server.endpoint, bucket="abc", virtual_host=True)
        storage = S3Storage(place, "storage", reveal)
        assert storage.reaches == (f"abc.store.test:{server.port}",)
        await storage.write("n", "x", content())
        assert [part async for part in storage.read("n", "x")] == [b"content"]
        assert {request.host for request in server.requests} == {f"abc.store.test:{server.port}"}
        assert set(server.objects) == {"n/x/data_0"}


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[S3Server, Path]]:
    authority = Authority(tmp_path)
    certificate, key, _ = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with S3Server(tls=context).running() as server:
        yield server, authority.file


async def test_a_certificate_of_nobody_known_is_refused(tls: tuple[S3Server, Path]) -> None:
    server, _ = tls
    with pytest.raises(Refused, match=r"cannot be trusted \(UnknownIssuer\): .* add its CA"):
        await S3Storage(Place(server.endpoint), "storage", reveal).check()


async def test_a_ca_of_this_machine_is_trusted(tls: tuple[S3Server, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    server, authority = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    storage = S3Storage(Place(server.endpoint), "storage", reveal)
    await storage.write("n", "x", content())
    assert "tls=true" in await storage.url()
