"""One call of the command line: its arguments, its output, its node."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_scheduler.home import Home
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.output import Output
from nodeconsole.client import Link, NodeClient
from nodeconsole.remote.dial import to_stderr
from nodeconsole.remote.target import Place, SshTarget

_LARGEST_FILE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Invocation:
    args: argparse.Namespace
    out: Output

    @property
    def home(self) -> Home:
        return Home(self.args.home)

    def client(self) -> NodeClient:
        """A client of the node; use it as an async context manager."""
        place: Place = self.args.place
        where = place.where
        if isinstance(where, SshTarget):
            # The person at the terminal may be asked for a password or about a new host.
            return NodeClient(Link(where, interactive=True, relay=to_stderr), read_only=place.read_only)
        return NodeClient(where, read_only=place.read_only)

    @property
    def is_remote(self) -> bool:
        """The node is on another machine: nothing of it can be read here."""
        place: Place = self.args.place
        return place.is_remote


Command = Callable[[Invocation], Coroutine[Any, Any, Exit]]


def read_document(name: str) -> dict[str, Any]:
    """The JSON object in a file (`-`: standard input); `CommandError` names the place of the first fault."""
    text = read_text(name)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise CommandError(f"{name}: line {error.lineno}, column {error.colno}: {error.msg}", Exit.USAGE) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CommandError(f"{name}: {reason}", Exit.USAGE) from None
    if not isinstance(value, dict):
        raise CommandError(f"{name}: not a JSON object", Exit.USAGE)
    return value


def read_text(name: str) -> str:
    """The text of a file (`-`: standard input); `CommandError` says why it cannot be read."""
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_LARGEST_FILE + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", Exit.USAGE) from None
    if len(content) > _LARGEST_FILE:
        raise CommandError(f"{name}: larger than 16 MiB", Exit.USAGE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: not UTF-8 (byte {error.start})", Exit.USAGE) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
