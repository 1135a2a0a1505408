"""The bare stack, Quart on Hypercorn with nothing behind it: `python -m benchmarks.bare_server HOST:PORT`."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, Response, request

PRINTER = "import sys\nfor n in range(int(sys.argv[1])): print('INFO line', n, 'of a component that says something')"
"""What writes the log lines of both sides of the comparison."""


def application() -> Quart:
    app = Quart(__name__)

    @app.post("/echo")
    async def echo() -> Response:
        body = json.loads(await request.get_data())
        answer = json.dumps({"code": 200, "msg": "ok", "data": {"status": body.get("status", "SUCCESS")}})
        return Response(answer, content_type="application/json")

    @app.get("/lines/<int:count>")
    async def lines(count: int) -> Response:
        response = Response(_printed(count), content_type="text/event-stream")
        response.timeout = None
        return response

    return app


async def _printed(count: int) -> AsyncIterator[bytes]:
    """The lines of a child, one server-sent event per block read from its pipe."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", PRINTER, str(count), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    rest = b""
    while block := await child.stdout.read(256 * 1024):
        whole, newline, tail = (rest + block).rpartition(b"\n")
        rest = tail if newline else rest + block
        page = json.dumps({"lines": whole.decode().split("\n")}) if newline else ""
        if page:
            yield b"data: " + page.encode() + b"\n\n"
    await child.wait()
    yield b"event: end\ndata: {}\n\n"


async def main(address: str) -> None:
    config = Config()
    config.bind = [address]
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_max_requests = 1_000_000
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await serve(application(), config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
