"""Runs one parsed command against the node and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from importlib import import_module

from nodeconsole.cli.exits import CommandError, Exit, exit_for
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import Output
from nodeconsole.cli.text import clean
from nodeconsole.client import ClientError, NodeUnreachable

_JOB_VIEWS = ("graph", "timeline", "events", "task", "why", "results", "runs")
_KEEPING = ("keep", "release", "discard")
_KIT = ("new", "test", "build", "sdk")
_PACKS = ("install", "upgrade", "packs", "verify", "uninstall", "pack")


def run(args: argparse.Namespace) -> int:
    """The exit code. Never raises for what a node, a file or a person does."""
    call = Invocation(args, Output(as_json=args.json))
    try:
        code = asyncio.run(_command(args)(call))
        sys.stdout.flush()
    except (ClientError, NodeUnreachable, CommandError) as error:
        call.out.end_progress()
        return complain(error.message, _exit(error))
    except KeyboardInterrupt:
        call.out.end_progress()
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except OSError as error:
        return complain(f"cannot write the output: {error.strerror}", Exit.FAILED)
    return code


def complain(message: str, code: Exit) -> int:
    """One line on standard error; returns the code."""
    sys.stderr.write(f"nodeconsole: {clean(message)}\n")
    return code


def _exit(error: ClientError | NodeUnreachable | CommandError) -> Exit:
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, NodeUnreachable):
        return Exit.UNREACHABLE
    return exit_for(error.code)


_MODULES = {
    "job": "jobs",
    "dataset": "datasets",
    "component": "components",
    "peer": "peers",
    "identity": "identity",
    "grant": "grants",
    "message": "messages",
    "policy": "policy",
    "token": "tokens",
    "backup": "backup",
    "restore": "backup",
    "keys": "keys",
    "secret": "secrets",
    "context": "contexts",
    "ledger": "ledger",
    "space": "space",
    "stats": "pulse",
    "attention": "pulse",
    "top": "pulse",
}
"""Where the first word's commands are, by the name of the module; the others are in `node`."""


def _command(args: argparse.Namespace) -> Command:
    """Only the module of the asked command is imported."""
    verb = getattr(args, "verb", None)
    name = _MODULES.get(args.command, "node")
    if args.command == "job" and verb in _JOB_VIEWS:
        name = "job_views"
    elif args.command == "job" and verb in _KEEPING:
        name = "space"
    elif args.command == "component" and verb in _KIT:
        name = "component_kit"
    elif args.command == "component" and verb in _PACKS:
        name = "packs"
    commands: Mapping[str, Command] = import_module(f"nodeconsole.cli.{name}").COMMANDS
    return commands[verb or args.command]
