"""An object store that lists the same page for ever: nobody waits for the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embedded_scheduler.errors import Unavailable
from embedded_scheduler.storage.layouts import LayoutName
from embedded_scheduler.storage.s3 import Place, S3Storage, _Pages

pytest.importorskip("obstore")

_KEY = "<Contents><Key>{}</Key><Size>3</Size><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>x</ETag></Contents>"


@pytest.fixture
def address() -> Iterator[str]:
    keys = "".join(_KEY.format(f"ns/table_{number}/data_0") for number in range(3)) + _KEY.format("ns-table")
    page = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>storage</Name><IsTruncated>true</IsTruncated>'
        f"<NextContinuationToken>again</NextContinuationToken>{keys}</ListBucketResult>"
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def _secret() -> str:
    return "key:secret"


@pytest.mark.parametrize("layout", ["official", "guide"])
async def test_a_listing_that_goes_round_in_a_circle_ends(address: str, layout: LayoutName) -> None:
    storage = S3Storage(Place(address, layout=layout), "s3", _secret)
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable, match="again and again"):
            await storage.list("ns")
        with pytest.raises(Unavailable, match="again and again"):
            async for _ in storage.everything():
                pass


@pytest.mark.parametrize(("before", "round_"), [(0, 1), (0, 1000), (5, 3), (700, 64), (1, 999)])
def test_every_circle_is_found_and_nothing_else(before: int, round_: int) -> None:
    def read(*numbers: int) -> None:
        pages = _Pages("x")
        for number in numbers:
            pages.checked([{"path": str(number)}])  # type: ignore[list-item,typeddict-item]

    read(*range(3000))
    circle = [*range(before), *(before + number % round_ for number in range(5000))]
    with pytest.raises(Unavailable):
        read(*circle)
