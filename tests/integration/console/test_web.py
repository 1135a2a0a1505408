"""The console in a browser: who gets in, and that a real console is behind the door."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodeconsole.node_process import program

pytest.importorskip("textual_serve", reason="the extra [web] is not installed")
aiohttp = pytest.importorskip("aiohttp")

from tests.support.processes import processes_of  # noqa: E402
from tests.support.showcase import serving  # noqa: E402

from nodeconsole.web import COOKIE, listen, serve  # noqa: E402 - only where the extra is there


class Served:
    """A running server: its link, and what it listens on."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.address = link.split("/?", maxsplit=1)[0]
        self.host = self.address.removeprefix("http://")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with _served([sys.executable, "-c", "pass"]) as running:
        yield running


def _served(command: list[str]) -> _Running:
    return _Running(command)


class _Running:
    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Served:
        link: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(serve(self._command, listen(0), ready=link.set_result, stop=self._stop))
        return Served(await asyncio.wait_for(link, 10))

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, 20)


async def _get(url: str, **headers: str) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        await answer.read()
        return answer


async def _open_page(client: aiohttp.ClientSession, served: Served) -> aiohttp.ClientWebSocketResponse:
    """The connection of a page that was let in."""
    cookie = (await _get(served.link)).cookies[COOKIE].value
    headers = {"Origin": served.address, "Cookie": f"{COOKIE}={cookie}"}
    return await client.ws_connect(f"{served.address}/ws?width=80&height=24", headers=headers)


async def test_without_the_token_nobody_gets_in(served: Served) -> None:
    for path in ("/", "/ws", "/static/js/textual.js", "/download/x", "/?token=", "/?token=guess"):
        headers = {"Origin": served.address} if path == "/ws" else {}
        answer = await _get(served.address + path, **headers)
        assert answer.status == 401, path
        assert not answer.cookies


async def test_the_token_opens_once_and_leaves_the_address(served: Served) -> None:
    first = await _get(served.link)
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert (await _get(served.link)).status == 401
    page = await _get(served.address + "/", Cookie=f"{COOKIE}={cookie.value}")
    assert page.status == 200
    assert page.headers["X-Frame-Options"] == "DENY"
    assert (await _get(served.address + "/", Cookie=f"{COOKIE}=guess")).status == 401


async def test_other_hosts_and_origins_are_refused_with_the_cookie_too(served: Served) -> None:
    cookie = f"{COOKIE}={(await _get(served.link)).cookies[COOKIE].value}"
    assert (await _get(served.address + "/", Cookie=cookie, Host="evil.example")).status == 403
    assert (await _get(served.address + "/", Cookie=cookie, Origin="http://evil.example")).status == 403
    # A websocket of another page, and one that does not say whose it is.
    assert (await _get(served.address + "/ws", Cookie=cookie, Origin="http://evil.example")).status == 403
    assert (await _get(served.address + "/ws", Cookie=cookie)).status == 403


async def test_it_listens_on_loopback_only(served: Served) -> None:
    port = int(served.host.split(":")[1])
    with pytest.raises(OSError, match="in use"):
        listen(port)
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", port)) != 0


async def test_a_real_console_is_behind_the_door() -> None:
    with serving() as node:
        command = [*program(), "attach", "--clean", "--socket", str(node.home.socket)]
        async with _served(command) as running, aiohttp.ClientSession() as client:
            assert await _children_know_nothing_of(running.link)
            async with await _open_page(client, running) as console:
                painted = b""
                async with asyncio.timeout(30):
                    while b"psi-credit-daily" not in painted:
                        message = await console.receive()
                        painted += message.data if isinstance(message.data, bytes) else b""
                        if b"online" in painted and b"jobs" in painted:
                            await console.send_str(json.dumps(["stdin", "gj"]))
                assert await _children_know_nothing_of(running.link)


async def test_the_end_of_the_server_ends_the_consoles_of_open_pages() -> None:
    with serving() as node:
        command = [*program(), "attach", "--clean", "--socket", str(node.home.socket)]
        async with aiohttp.ClientSession() as client:
            running = _served(command)
            async with running as served:
                console = await _open_page(client, served)
                assert (await console.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY
                assert processes_of(node.home.socket)
                reading = asyncio.create_task(_to_the_end(console))
            await reading
    assert not processes_of(node.home.socket)


async def _to_the_end(console: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in console:
        pass


async def _children_know_nothing_of(link: str) -> bool:
    token = link.split("token=")[1].encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            for name in ("cmdline", "environ"):
                try:
                    if token in (entry / name).read_bytes():
                        return False
                except OSError:
                    continue
    return True


async def test_the_command_prints_the_link() -> None:
    process = await asyncio.create_subprocess_exec(
        *program(),
        "web",
        "--socket",
        "/nowhere/node.sock",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert line.startswith("http://127.0.0.1:")
    assert (await _get(line.strip())).status == 303
    process.terminate()
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert b"token" not in said
