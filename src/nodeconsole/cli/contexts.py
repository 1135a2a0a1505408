"""`nodeconsole context`: the named nodes of this user."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.remote.contexts import (
    Context,
    Contexts,
    ContextsFault,
    check_context,
    check_name,
    contexts_file,
    read_contexts,
    write_contexts,
)
from nodeconsole.remote.target import SCHEME, BadTarget


async def add(call: Invocation) -> Exit:
    """Add one, or change one."""
    args = call.args
    node = _lasting(args.address)
    context = Context(node, args.theme, args.read_only, args.remote_program or "")
    try:
        check_name(args.name)
        check_context(context)
    except BadTarget as error:
        raise CommandError(str(error), Exit.USAGE) from None
    contexts = _read()
    current = args.name if args.use else contexts.current
    _write(Contexts(current, {**contexts.named, args.name: context}))
    return _say(call, args.name, context, f"context {args.name} is {node}{', used from now on' if args.use else ''}")


async def use(call: Invocation) -> Exit:
    contexts = _read()
    if call.args.none:
        _write(replace(contexts, current=""))
        call.out.line("commands without --node go to the node of this machine")
        return Exit.OK
    context = _find(contexts, call.args.name)
    _write(replace(contexts, current=call.args.name))
    return _say(call, call.args.name, context, f"commands without --node go to {call.args.name} ({context.node})")


async def listing(call: Invocation) -> Exit:
    contexts = _read()
    if call.args.names:
        for name in contexts.named:
            call.out.line(name)
        return Exit.OK
    if call.out.as_json:
        rows = [{"name": name, "current": name == contexts.current, **asdict(c)} for name, c in contexts.named.items()]
        call.out.document(rows)
        return Exit.OK
    call.out.table(
        ("", "NAME", "NODE", "THEME", "READ-ONLY", "REMOTE PROGRAM"),
        [
            (
                "*" if name == contexts.current else "",
                name,
                c.node,
                c.theme,
                "yes" if c.read_only else "",
                c.remote_program,
            )
            for name, c in contexts.named.items()
        ],
        empty="no contexts: `nodeconsole context add NAME ssh://HOST`",
    )
    return Exit.OK


async def show(call: Invocation) -> Exit:
    contexts = _read()
    name = call.args.name or contexts.current
    if not name:
        raise CommandError("no context is in use; name one", Exit.NOT_FOUND)
    context = _find(contexts, name)
    if call.out.as_json:
        call.out.document({"name": name, "current": name == contexts.current, **asdict(context)})
        return Exit.OK
    call.out.facts(
        {
            "context": f"{name}{' (in use)' if name == contexts.current else ''}",
            "node": context.node,
            "theme": context.theme,
            "read-only": "yes" if context.read_only else "",
            "remote program": context.remote_program,
            "file": str(contexts_file(os.environ)),
        }
    )
    return Exit.OK


async def remove(call: Invocation) -> Exit:
    contexts = _read()
    name = call.args.name
    context = _find(contexts, name)
    left = {other: c for other, c in contexts.named.items() if other != name}
    _write(Contexts("" if contexts.current == name else contexts.current, left))
    return _say(call, name, context, f"context {name} is forgotten; its node is as it was")


def _lasting(address: str) -> str:
    """The address as it means the same from everywhere."""
    return address if address.startswith(SCHEME) else str(Path(address).expanduser().absolute())


def _say(call: Invocation, name: str, context: Context, text: str) -> Exit:
    call.out.done({"name": name, **asdict(context)}, text)
    return Exit.OK


def _find(contexts: Contexts, name: str) -> Context:
    context = contexts.named.get(name)
    if context is None:
        raise CommandError(f"there is no context {name!a}: `nodeconsole context list`", Exit.NOT_FOUND)
    return context


def _read() -> Contexts:
    try:
        return read_contexts(contexts_file(os.environ))
    except ContextsFault as fault:
        raise CommandError(str(fault)) from None


def _write(contexts: Contexts) -> None:
    path = contexts_file(os.environ)
    if path is None:
        raise CommandError("there is no place for contexts: set HOME or XDG_CONFIG_HOME")
    try:
        write_contexts(path, contexts)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None


COMMANDS: dict[str, Command] = {"add": add, "use": use, "list": listing, "show": show, "remove": remove}
