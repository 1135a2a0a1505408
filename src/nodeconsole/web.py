"""The console in a browser of this machine: textual-serve behind a door that it does not have.

textual-serve starts a console for whoever connects. Here nobody gets that far without the cookie that the one-time
token of the start is changed for; requests for another host name, or from a page of another origin, are refused first.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import logging
import secrets
import shlex
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.app_service import AppService
from textual_serve.server import Server

from nodeconsole.node_process import program

COOKIE = "nodeconsole"
TOKEN = "token"  # noqa: S105 - the name of the parameter
_HOST = "127.0.0.1"
_END_SECONDS = 3.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger(__name__)


class Door:
    """Who may pass. The token opens once; what it is changed for opens until the program ends."""

    def __init__(self, port: int) -> None:
        self._hosts = {f"{name}:{port}" for name in (_HOST, "localhost")}
        self._token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._used = False
        self.address = f"http://{_HOST}:{port}"

    @property
    def link(self) -> str:
        """What to open in the browser; a secret until it was."""
        return f"{self.address}/?{TOKEN}={self._token}"

    def refusal(self, request: web.Request) -> str:
        """Why the request is not even looked at: it is for somebody else, or from a page of somebody else."""
        host = request.headers.get("Host", "")
        if host not in self._hosts:
            return f"this is not {host[:100]}"
        origin = request.headers.get("Origin")
        if origin is None:
            return "a websocket must say where it comes from" if request.path == "/ws" else ""
        return "" if origin == f"http://{host}" else "this page may not ask for that"

    def knows(self, request: web.Request) -> bool:
        """It shows the cookie."""
        shown = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(shown.encode("utf-8", "replace"), self._session.encode())

    def takes(self, token: str) -> bool:
        """Whether this is the token, and for the first time."""
        right = hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode())
        if not right or self._used:
            return False
        self._used = True
        return True

    def admit(self) -> web.Response:
        """The cookie for the token; the browser goes on without the token in its address."""
        answer = web.Response(status=303, headers={"Location": "/", **_HEADERS})
        answer.set_cookie(COOKIE, self._session, httponly=True, samesite="Strict", path="/")
        return answer


def guard(door: Door) -> Middleware:
    """Lets nothing through that the door does not."""

    @web.middleware
    async def guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
        refused = door.refusal(request)
        if refused:
            return web.Response(status=403, text=f"{refused}\n", headers=_HEADERS)
        if door.knows(request):
            response = await handler(request)
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response
        if request.method == "GET" and request.path == "/" and door.takes(request.query.get(TOKEN, "")):
            return door.admit()
        text = "open the link that `nodeconsole web` printed; it works once, then in that browser only\n"
        return web.Response(status=401, text=text, headers=_HEADERS)

    return guarded


class ConsoleServer(Server):
    """textual-serve with the door in front of all its routes, and without its banner."""

    def __init__(self, command: list[str], door: Door, port: int) -> None:
        super().__init__(f"exec {shlex.join(command)}", _HOST, port, title="nodeconsole", public_url=door.address)
        self._door = door
        self._pages: set[web.WebSocketResponse] = set()

    async def make_app(self) -> web.Application:
        app = await self._make_app()
        app.middlewares.append(guard(self._door))
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Nothing is said here: the link is printed by whoever knows that somebody listens."""

    async def on_shutdown(self, app: web.Application) -> None:
        """Pages that are open would be waited for."""
        del app
        await asyncio.gather(*(page.close() for page in self._pages))

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """As long as the page is open; then its console ends, and is waited for, which textual-serve does not do."""
        self._pages.add(websocket)
        try:
            await super()._process_messages(websocket, app_service)
        finally:
            self._pages.discard(websocket)
            await app_service.stop()
            if app_service._process is not None:
                await _ended(app_service._process)


async def _ended(console: Process) -> None:
    """What it still says is read: it would wait for a reader for ever."""
    try:
        await asyncio.wait_for(console.communicate(), _END_SECONDS)
    except TimeoutError:
        console.kill()
        await console.communicate()


async def serve(
    command: list[str], listener: socket.socket, *, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve consoles that `command` starts until `stop`; `ready` gets the link."""
    port = listener.getsockname()[1]
    door = Door(port)
    server = ConsoleServer(command, door, port)
    # Requests are not logged: the first one holds the token.
    runner = web.AppRunner(await server.make_app(), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        ready(door.link)
        await stop.wait()
    finally:
        await runner.cleanup()


def listen(port: int) -> socket.socket:
    """A socket on loopback; OSError when the port is taken. 0 = any."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def run(args: argparse.Namespace) -> int:
    """`nodeconsole web`: until Ctrl+C or SIGTERM."""
    try:
        listener = listen(args.port)
    except OSError as error:
        sys.stderr.write(f"nodeconsole: port {args.port} of {_HOST}: {error.strerror}; choose another with --port\n")
        return 1

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(console_command(args), listener, ready=_say, stop=stop)

    asyncio.run(main())
    return 0


def console_command(args: argparse.Namespace) -> list[str]:
    """What starts a console of the node that was named."""
    where = args.place.where
    node = ["--socket", str(where)] if isinstance(where, Path) else ["--node", str(where)]
    return [*program(), "attach", *node, *(["--read-only"] if args.read_only else [])]


def _say(link: str) -> None:
    sys.stdout.write(f"{link}\n")
    sys.stdout.flush()
    sys.stderr.write("nodeconsole: open this link in a browser of this machine; it works once. Ctrl+C ends it.\n")
