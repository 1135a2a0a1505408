"""Hosts a node: the lock of its home, its listeners, its log file, signals, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import fcntl
import logging
import logging.handlers
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from embedded_scheduler.addresses import Address, parse_address, parse_loopback, parse_told
from embedded_scheduler.config import OperatorsSection, Settings, load_settings
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.listener import BACKLOG, Listener, Patience
from embedded_scheduler.node import Node
from embedded_scheduler.security.identity import Identity, find_passphrase, load_identity
from embedded_scheduler.security.tls import KeyPair, ServerTls
from embedded_scheduler.showcase.exhibit import Exhibit

_LOG = logging.getLogger(__name__)

_LONGEST_ADDRESS = 107
"""Bytes of a path that fit into a unix socket address (108 with the final NUL)."""
_DESCRIPTORS = 65_536
_LOG_BYTES = 5 * 1024 * 1024
_LOG_FILES = 3


@dataclass(frozen=True, slots=True)
class Running:
    """What a node says once it accepts requests; addresses are the real ones where port 0 was asked for."""

    node_id: str
    listen: str
    platform: str
    socket: Path

    @property
    def line(self) -> str:
        return (
            f"node {self.node_id} is ready: partners at {self.listen}, platform at {self.platform}, "
            f"console at {self.socket}"
        )


Ready = Callable[[Running], None]


def serve(home: Home, output: TextIO | None = None) -> None:
    """Run the node until SIGTERM or SIGINT; prints one line when it accepts requests.

    Raises `NodeError` when it cannot start. Components that run go on after the end.
    """
    out = output or sys.stdout

    def announce(running: Running) -> None:
        # Nobody may be reading (any more); the node works all the same.
        with contextlib.suppress(OSError, ValueError):
            out.write(running.line + "\n")
            out.flush()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await host(home, ready=announce, stop=stop)

    asyncio.run(main())


async def host(home: Home, *, ready: Ready, stop: asyncio.Event, exhibit: Exhibit | None = None) -> None:
    """Run the node of `home` until `stop` is set, as one to look at with `exhibit`.

    Raises `NodeError` when it cannot start.
    """
    settings = load_settings(home)
    _allow_many_connections()
    with _locked(home), _logging(home, settings), contextlib.ExitStack() as open_sockets:
        partner = _listen(parse_address(settings.partner.listen, "partner.listen"), "partner.listen")
        open_sockets.enter_context(partner)
        platform = _listen(parse_loopback(settings.platform.listen, "platform.listen"), "platform.listen")
        open_sockets.enter_context(platform)
        remote = [
            open_sockets.enter_context(_listen(parse_told(address, "platform.remote"), "platform.remote"))
            for address in (settings.platform.remote,)
            if address
        ]
        settings = _with_real_ports(settings, partner, platform)
        console = open_sockets.enter_context(_listen_unix(home.socket))
        open_sockets.callback(home.socket.unlink, missing_ok=True)
        consoles = [console, *_listen_for_users(settings.operators, open_sockets)]
        identity = load_identity(home.identity, passphrase=find_passphrase(settings.identity.passphrase_file))
        tls = _tls(settings, identity)
        node = Node(home, settings, identity, tls=tls, exhibit=exhibit)
        await node.start()
        try:
            running = Running(settings.node_id, settings.partner.listen, settings.platform.listen, home.socket)
            _LOG.info("%s", running.line)
            await _serve_until(
                stop,
                [
                    Listener(
                        node.partner_app,
                        partner,
                        tls=tls,
                        prefix=settings.partner.path_prefix,
                        most=settings.limits.connections,
                        most_each=settings.limits.connections_per_address,
                        per_second=settings.limits.connections_per_second,
                    ),
                    # Callers of this machine: a console that is paused, or a component that reads slowly, is no attack.
                    Listener(node.platform_app, platform, patience=Patience(answer=None)),
                    *(Listener(node.platform_app, bound, patience=Patience(answer=None)) for bound in remote),
                    *(Listener(node.console_app, bound, patience=Patience(answer=None)) for bound in consoles),
                ],
                started=lambda: ready(running),
                stopping=node.refuse_streams,
            )
        finally:
            await node.stop()
            _LOG.info("node %s has stopped", settings.node_id)


def _tls(settings: Settings, identity: Identity) -> ServerTls | None:
    """TLS of the partner listener, None for plain HTTP; `InvalidRequest` where that would be open to others."""
    partner = settings.partner
    if partner.tls != "off":
        pair = identity.pair
        if partner.certificate or partner.key:
            pair = KeyPair(Path(partner.certificate), Path(partner.key))
        return ServerTls(pair, mutual=partner.tls == "mutual")
    if not parse_address(partner.listen, "partner.listen").is_loopback and not partner.allow_plain_http:
        raise InvalidRequest(
            f"partner.tls is off and partner.listen = {partner.listen} can be reached from other machines: use TLS, "
            "listen on 127.0.0.1 behind something that ends TLS, or set partner.allow_plain_http = true"
        )
    return None


async def _serve_until(
    stop: asyncio.Event,
    listeners: list[Listener],
    *,
    started: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """Serve everything until `stop`."""
    drain = asyncio.Event()
    up = [asyncio.Event() for _ in listeners]
    async with asyncio.TaskGroup() as group:
        for listener, event in zip(listeners, up, strict=True):
            group.create_task(listener.serve(event, drain))
        for event in up:
            await event.wait()
        started()
        await stop.wait()
        stopping()
        drain.set()


def _allow_many_connections() -> None:
    """As many open files as the system lets this process have: connections that others open and leave idle must not
    use up what the database needs. The usual 1024 are a default for programs that cannot count further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# -- sockets ----------------------------------------------------------------------------------------------------------


def _listen(address: Address, setting: str) -> socket.socket:
    """A bound socket that no child process inherits; `Unavailable` names the setting to change."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise Unavailable(f"{setting}: this machine has no address {address.host}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"{setting} = {address}: {error.strerror}; free that port or change {setting} in node.toml"
        ) from None
    listener.settimeout(0)
    return listener


def _with_real_ports(settings: Settings, partner: socket.socket, platform: socket.socket) -> Settings:
    """Settings in which port 0 is replaced by what the system chose."""

    def real(text: str, listener: socket.socket) -> str:
        return str(Address(parse_address(text, "listen").host, listener.getsockname()[1]))

    return settings.model_copy(
        update={
            "partner": settings.partner.model_copy(update={"listen": real(settings.partner.listen, partner)}),
            "platform": settings.platform.model_copy(update={"listen": real(settings.platform.listen, platform)}),
        }
    )


def _listen_for_users(operators: OperatorsSection, open_sockets: contextlib.ExitStack) -> Iterator[socket.socket]:
    """The socket for users who cannot enter the home, if there is to be one; they are judged by role."""
    if not operators.socket:
        return
    path = Path(operators.socket)
    _check_public(path)
    bound = open_sockets.enter_context(_listen_unix(path))
    open_sockets.callback(path.unlink, missing_ok=True)
    try:
        if operators.socket_group:
            shutil.chown(path, group=_group(operators.socket_group))
        path.chmod(0o660 if operators.socket_group else 0o666)
    except (OSError, LookupError) as error:
        raise Unavailable(
            f"operators.socket_group = {operators.socket_group!a} cannot be given to {path} ({error}): name a group"
            " that exists and that the node's user is a member of"
        ) from None
    yield bound


def _group(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def _check_public(path: Path) -> None:
    """Nobody but the node's user may be able to put a socket of their own there, and no other node may own it."""
    if not path.is_absolute():
        raise InvalidRequest(f"operators.socket = {str(path)!a} must be an absolute path")
    try:
        status = path.parent.stat()
    except OSError as error:
        raise Unavailable(f"operators.socket: {path.parent}: {error.strerror}; create that directory") from None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        raise InvalidRequest(
            f"operators.socket: others may write to {path.parent} and could put their own socket there: choose a"
            " directory of the node's user, such as a RuntimeDirectory of the service"
        )
    if _is_served(path):
        raise Conflict(f"operators.socket: another program serves {path}: give each node a path of its own")


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            with _bindable(path) as address:
                probe.connect(address)
        except OSError:
            return False
    return True


def _listen_unix(path: Path) -> socket.socket:
    """A console socket, mode 0600 from its first moment; one that is there is stale (in the home: its lock is held)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise Conflict(f"{path} is not a socket; remove it")
        path.unlink(missing_ok=True)
        with _bindable(path) as address:
            # The umask is the process's own, and so are the files that threads create now: never wider than 0600.
            before = os.umask(0o177)
            try:
                listener.bind(address)
            finally:
                os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(f"{path}: {error.strerror}; check the permissions of {path.parent}") from None
    except NodeError:
        listener.close()
        raise
    listener.settimeout(0)
    return listener


@contextlib.contextmanager
def _bindable(path: Path) -> Iterator[str]:
    """`path`, or the same place by a name that is short enough for a socket address."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


# -- one node per home ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Hold the home; `Conflict` names the process that does already. The kernel lets go when this process ends."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{home.path} cannot be written ({error.strerror}): the node needs its home to be writable by "
            f"{os.geteuid()} (the user it runs as)"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(
                f"a node runs on {home.path} already (process {holder}): "
                f"use `nodeconsole attach --home {home.path}`, or stop it first"
            ) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise Unavailable(f"{home.lock} cannot be written: {error.strerror}; free space on that disk") from None
        yield
    finally:
        os.close(descriptor)


# -- the node's own log -----------------------------------------------------------------------------------------------


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log that only the owner reads and that never disturbs the node: a full disk loses lines, nothing else."""

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=_private)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        """Nowhere to complain to."""


class _OneLine(logging.Formatter):
    """What others sent cannot begin a line of its own in the log, nor speak to the terminal of whoever reads it."""

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have left its own form of the traceback in the record, which would be used as it is.
        own = copy.copy(record)
        own.exc_text = None
        return super().format(own)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name logging calls
        return _shown(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        # A traceback has lines of its own; its last one quotes what was sent.
        return "\n".join(f"  {_shown(line)}" for line in super().formatException(ei).split("\n"))


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


@contextlib.contextmanager
def _logging(home: Home, settings: Settings) -> Iterator[None]:
    try:
        handler = _LogFile(home.node_log, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES)
    except OSError as error:
        raise Unavailable(f"{home.node_log} cannot be written: {error.strerror}") from None
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    # At info they log every request with its address, or what this module says better.
    for chatty in ("httpx", "httpcore", "aiosqlite", "hypercorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


# -- a node beside the console, in one process ------------------------------------------------------------------------


class BackgroundNode:
    """A node in a thread with its own event loop, so that a slow repaint of the console cannot delay it."""

    def __init__(self, home: Home, *, exhibit: Exhibit | None = None) -> None:
        self._home = home
        self._exhibit = exhibit
        self._settled = threading.Event()
        self._running: Running | None = None
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="node", daemon=True)

    def start(self) -> Running:
        """Start it and wait until it accepts requests; raises what kept it from starting."""
        self._thread.start()
        self._settled.wait()
        if self._running is None:
            self._thread.join()
            raise self._failure or RuntimeError("the node ended at once")
        return self._running

    def stop(self) -> None:
        """End it in order and wait; raises what it failed with while it ran, if it did."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may close between the check and the call
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that started this one
            self._failure = error
        finally:
            self._settled.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await host(self._home, ready=self._ready, stop=self._stop, exhibit=self._exhibit)

    def _ready(self, running: Running) -> None:
        self._running = running
        self._settled.set()
