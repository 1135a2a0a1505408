"""Named nodes: `$XDG_CONFIG_HOME/nodeconsole/contexts.toml`, written by `nodeconsole context`, 0600."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeconsole.places import config_directory, replace_file
from nodeconsole.remote.target import PROGRAM, SCHEME, BadTarget, Place, check_program, local_socket, parse_ssh

_NAME = re.compile(r"[\w][\w.-]{0,63}")
_MEMBERS = {"node": str, "theme": str, "read_only": bool, "remote_program": str}


class ContextsFault(Exception):
    """The file cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Context:
    """One named node, as it is written in the file. `node` is an `ssh://` address, a home or a socket."""

    node: str
    theme: str = ""
    read_only: bool = False
    remote_program: str = ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """`current` is used where no node is named; empty = the node of this machine's home."""

    current: str = ""
    named: Mapping[str, Context] = field(default_factory=dict)


def contexts_file(environ: Mapping[str, str]) -> Path | None:
    """None where nobody has a home."""
    directory = config_directory(environ)
    return None if directory is None else directory / "contexts.toml"


def check_name(name: str) -> None:
    """`BadTarget` unless a context may have this name."""
    if not _NAME.fullmatch(name):
        raise BadTarget(f"{name!a} is not a name for a context: letters, digits, - _ and . only")


def find_place(text: str, contexts: Contexts, program: str = "") -> Place:
    """The node that a person named: an `ssh://` address, a path, or the name of a context; else `BadTarget`.

    `program` goes before the one of the context.
    """
    if text.startswith(SCHEME):
        return Place(parse_ssh(text, program or PROGRAM))
    context = contexts.named.get(text)
    if context is not None:
        found = find_place(context.node, Contexts(), program or context.remote_program)
        return Place(found.where, text, context.theme, context.read_only)
    if "/" in text or text.startswith(("~", ".")):
        return Place(local_socket(Path(text)))
    known = f"known are {', '.join(contexts.named)}" if contexts.named else "there are none yet"
    raise BadTarget(f"there is no context {text!a} ({known}); a node is also named by ssh://HOST or by a path")


def check_context(context: Context) -> None:
    """`BadTarget` unless it leads to a node."""
    if context.remote_program:
        check_program(context.remote_program)
    find_place(context.node, Contexts(), context.remote_program)


def read_contexts(path: Path | None) -> Contexts:
    """What the file says; nothing when there is none."""
    if path is None:
        return Contexts()
    import tomllib  # noqa: PLC0415 - every command reads this file, and most users have none

    try:
        with path.open("rb") as file:
            # Whoever can write it decides which machine the next decision is made on.
            if os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise ContextsFault(f"{path}: others may write to it: chmod 600 {path}")
            raw = tomllib.loads(file.read().decode("utf-8"))
    except FileNotFoundError:
        return Contexts()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContextsFault(f"{path}: {error}") from None
    tables = raw.pop("contexts", {})
    current = raw.pop("current", "")
    if raw or not isinstance(tables, dict) or not isinstance(current, str):
        raise ContextsFault(f"{path}: only `current` and tables `[contexts.NAME]` belong there")
    return Contexts(current, {name: _context(path, name, table) for name, table in tables.items()})


def _context(path: Path, name: str, table: object) -> Context:
    if not isinstance(table, dict) or not isinstance(table.get("node"), str):
        raise ContextsFault(f"{path}: [contexts.{name}] needs `node`")
    for member, value in table.items():
        kind = _MEMBERS.get(member)
        if kind is None or not isinstance(value, kind):
            raise ContextsFault(f"{path}: [contexts.{name}] {member} = {value!a}: one of {', '.join(_MEMBERS)}")
    return Context(**table)


def write_contexts(path: Path, contexts: Contexts) -> None:
    """Replace the file in one step; `OSError` if that cannot be."""
    replace_file(path, _text(contexts))


def _text(contexts: Contexts) -> str:
    from json import dumps as quoted  # noqa: PLC0415 - a JSON string is a string of TOML

    lines = ["# Nodes of this user's console. `nodeconsole context` writes this file anew; comments are lost.", ""]
    if contexts.current:
        lines += [f"current = {quoted(contexts.current)}", ""]
    for name, context in contexts.named.items():
        lines += [f"[contexts.{quoted(name)}]", f"node = {quoted(context.node)}"]
        lines += [f"theme = {quoted(context.theme)}"] if context.theme else []
        lines += ["read_only = true"] if context.read_only else []
        lines += [f"remote_program = {quoted(context.remote_program)}"] if context.remote_program else []
        lines.append("")
    return "\n".join(lines)
