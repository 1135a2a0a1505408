"""How a node is named: `ssh://[user@]host[:port][/home]`, or a path of this machine."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

SCHEME = "ssh://"
PROGRAM = "nodeconsole"
_KEEP_ALIVE_SECONDS = 15
_CONNECT_SECONDS = 20
# Nothing that a shell, an option or ssh's configuration (ProxyCommand gets host and user) could read as something else.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?")
_OPTIONS = (
    # Only what the console needs: nothing of this machine is offered to the other one, whatever the user's file says.
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "EscapeChar=none",
    # A log is text, and most links that are slow are slower than a processor.
    "Compression=yes",
    f"ServerAliveInterval={_KEEP_ALIVE_SECONDS}",
    "ServerAliveCountMax=3",
    f"ConnectTimeout={_CONNECT_SECONDS}",
)


class BadTarget(ValueError):
    """This does not name a node; the message says why."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A node of another machine. Empty or 0 = what ssh's own configuration and the other machine say.

    `home` is the directory of the node there, or its socket. `program` are the words that start nodeconsole there.
    """

    host: str
    user: str = ""
    port: int = 0
    home: str = ""
    program: str = PROGRAM

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        path = quote(f"/{self.home}" if self.home.startswith("~") else self.home)
        return f"{SCHEME}{user}{host}{port}{path}"

    def ssh(self, *, batch: bool) -> list[str]:
        """The command that runs the bridge there; `batch`: ssh must not ask anybody anything."""
        words = ["ssh"]
        for option in (*_OPTIONS, *(["BatchMode=yes"] if batch else [])):
            words += ["-o", option]
        if self.port:
            words += ["-p", str(self.port)]
        if self.user:
            words += ["-l", self.user]
        return [*words, "--", self.host, self.bridge_command()]

    def bridge_command(self) -> str:
        """For the login shell of the remote user, whichever it is: it has to understand quotes and `exec`.

        Sessions of ssh without a terminal often lack the directories where people install programs for themselves.
        """
        script = 'PATH=$PATH:/usr/local/bin:$HOME/.local/bin; exec "$@"'
        bridge = ["bridge", *(["--home", self.home] if self.home else [])]
        program = " ".join(_quoted(word) for word in shlex.split(self.program))
        return f"exec /bin/sh -c {shlex.quote(script)} sh {program} {shlex.join(bridge)}"


def _quoted(word: str) -> str:
    """A word for the remote shell; `~/` at its beginning is the remote user's home."""
    return f'"$HOME"/{shlex.quote(word[2:])}' if word.startswith("~/") else shlex.quote(word)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is and how to look at it. `name` is that of its context, or empty."""

    where: Path | SshTarget
    name: str = ""
    theme: str = ""
    read_only: bool = False

    @property
    def is_remote(self) -> bool:
        """The node is on another machine: nothing of it can be read here."""
        return isinstance(self.where, SshTarget)

    @property
    def label(self) -> str:
        return self.name or str(self.where)


def parse_ssh(text: str, program: str = PROGRAM) -> SshTarget:
    """The target of an `ssh://` address, or `BadTarget`."""
    rest = text.removeprefix(SCHEME)
    authority, slash, path = rest.partition("/")
    user, at, address = authority.rpartition("@")
    host, port = _host_and_port(address)
    if at and not _USER.fullmatch(user):
        hint = ": ssh asks for passwords itself" if ":" in user else ""
        raise BadTarget(f"{user!a} is not a user name{hint}")
    home = unquote(slash + path, errors="strict")
    home = home.removeprefix("/") if home.startswith(("/~/", "/~")) and home[2:3] in ("", "/") else home
    check_program(program)
    if not home.isprintable():
        raise BadTarget("the directory has a control character")
    return SshTarget(host, user, port, "" if home == "/" else home, program)


def _host_and_port(address: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:]*))(?::(?P<port>\d{1,5}))?", address)
    if found is None:
        raise BadTarget(f"{address!a} is not HOST or HOST:PORT (an IPv6 address stands in brackets)")
    host, port = found["six"] or found["host"] or "", int(found["port"] or 0)
    if not _HOST.fullmatch(host):
        raise BadTarget(f"{host!a} is not the name or address of a machine")
    if found["port"] and not 0 < port < 65536:
        raise BadTarget(f"{port} is not a port")
    return host, port


def check_program(program: str) -> None:
    """`BadTarget` unless these words can start something on the other machine."""
    try:
        words = shlex.split(program)
    except ValueError as error:
        raise BadTarget(f"the remote program {program!a}: {error}") from None
    if not words or words[0].startswith("-") or not program.isprintable():
        raise BadTarget(f"{program!a} does not name a program")


def local_socket(path: Path) -> Path:
    """The socket of a node of this machine that was named by its socket or by its home."""
    path = path.expanduser().absolute()
    return path / "node.sock" if path.is_dir() else path
