"""Runs one parsed command against the node and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from nodeconsole.cli.exits import CommandError, Exit, exit_for
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import Output
from nodeconsole.cli.text import clean
from nodeconsole.client import ClientError, NodeUnreachable

_JOB_VIEWS = ("graph", "timeline", "events", "task", "results", "runs")


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


def _command(args: argparse.Namespace) -> Command:
    """Only the module of the asked command is imported."""
    match args.command:
        case "job" if args.verb in _JOB_VIEWS:
            from nodeconsole.cli.job_views import COMMANDS  # noqa: PLC0415
        case "job":
            from nodeconsole.cli.jobs import COMMANDS  # noqa: PLC0415
        case "dataset":
            from nodeconsole.cli.datasets import COMMANDS  # noqa: PLC0415
        case "component":
            from nodeconsole.cli.components import COMMANDS  # noqa: PLC0415
        case "peer":
            from nodeconsole.cli.peers import COMMANDS  # noqa: PLC0415
        case "identity":
            from nodeconsole.cli.identity import COMMANDS  # noqa: PLC0415
        case "grant":
            from nodeconsole.cli.grants import COMMANDS  # noqa: PLC0415
        case "message":
            from nodeconsole.cli.messages import COMMANDS  # noqa: PLC0415
        case "policy":
            from nodeconsole.cli.policy import COMMANDS  # noqa: PLC0415
        case "token":
            from nodeconsole.cli.tokens import COMMANDS  # noqa: PLC0415
        case "backup" | "restore":
            from nodeconsole.cli.backup import COMMANDS  # noqa: PLC0415

            return COMMANDS[args.command]
        case "secret":
            from nodeconsole.cli.secrets import COMMANDS  # noqa: PLC0415
        case "context":
            from nodeconsole.cli.contexts import COMMANDS  # noqa: PLC0415
        case "ledger":
            from nodeconsole.cli.ledger import COMMANDS  # noqa: PLC0415
        case "stats" | "attention" | "top":
            from nodeconsole.cli.pulse import COMMANDS  # noqa: PLC0415

            return COMMANDS[args.command]
        case _:
            from nodeconsole.cli.node import COMMANDS  # noqa: PLC0415

            return COMMANDS[args.command]
    return COMMANDS[args.verb]
