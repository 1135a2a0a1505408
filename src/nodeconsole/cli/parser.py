"""The tree of commands and options. Help, shell completion and dispatch all read this one tree."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from nodeconsole import __version__
from nodeconsole.cli.exits import EXPLAINED
from nodeconsole.cli.grammar import administration, components, datasets, jobs, node, partners, program
from nodeconsole.cli.grammar.tree import DEFAULT_HOME, Parser, Tree, shared_options
from nodeconsole.remote.contexts import Contexts, ContextsFault, contexts_file, find_place, read_contexts
from nodeconsole.remote.target import BadTarget, Place

HERE = ("init", "up", "serve", "demo", "bridge", "backup", "restore", "completion", "man", "keys", "context")
"""Commands about this machine, whatever node others go to."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line with `home` as an absolute `Path`; exits like argparse does for mistakes and help.

    `home_given` tells whether `--home` was typed; `place` is where the node's console answers.
    """
    parser = build_parser()
    for argument in argv:
        if not _is_text(argument):
            parser.error("an argument is not valid UTF-8")
    arguments = parser.parse_args(argv)
    arguments.home_given = arguments.home is not None
    arguments.home = _home(arguments.home)
    try:
        arguments.place = _place(arguments)
    except (BadTarget, ContextsFault) as error:
        parser.error(str(error))
    return arguments


def build_parser() -> Parser:
    # Below the top nothing is set by default: it would overwrite what was typed before the command.
    shared = shared_options(argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    parser = Parser(
        prog="nodeconsole",
        description="A privacy-computing interconnection node for small parties, run from the terminal.",
        epilog="exit codes: " + "; ".join(f"{code.value} {text}" for code, text in EXPLAINED.items()),
        parents=[shared_options(None, as_json=False)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nodeconsole {__version__}")
    parser.add_argument(
        "--demo", action="store_true", help="open the console on a node to look at; it goes away at the end"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    tree = Tree(commands, shared)
    node.add_node(tree)
    jobs.add_jobs(tree)
    datasets.add_datasets(tree)
    components.add_components(tree)
    partners.add_peers(tree)
    administration.add_identity(tree)
    partners.add_grants(tree)
    partners.add_messages(tree)
    administration.add_policy(tree)
    administration.add_tokens(tree)
    administration.add_secrets(tree)
    administration.add_backup(tree)
    administration.add_ledger(tree)
    program.add_contexts(tree)
    program.add_program(tree)
    return parser


def _place(arguments: argparse.Namespace) -> Place:
    """What was typed goes before the environment, and that before the context in use."""
    if arguments.command in HERE:
        if arguments.node:
            raise BadTarget(f"`{arguments.command}` works on this machine: name its node by --home")
        return Place(_socket(arguments.socket, arguments.home, chosen=arguments.home_given))
    asked = getattr(arguments, "target", None) or arguments.node
    typed_here = arguments.home_given or arguments.socket
    if asked and typed_here:
        raise BadTarget("--home and --socket name a node of this machine: leave them out, or leave out the other name")
    environment = os.environ
    if not asked and not typed_here:
        asked = environment.get("NODECONSOLE_NODE", "")
    named_here = typed_here or environment.get("NODECONSOLE_HOME") or environment.get("NODECONSOLE_SOCKET")
    contexts = Contexts() if named_here and not asked else read_contexts(contexts_file(environment))
    asked = asked or ("" if named_here else contexts.current)
    if asked:
        return find_place(asked, contexts, arguments.remote_program or "")
    return Place(_socket(arguments.socket, arguments.home, chosen=arguments.home_given))


def _is_text(argument: str) -> bool:
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in argument


def _home(given: str | None) -> Path:
    chosen = given or os.environ.get("NODECONSOLE_HOME") or DEFAULT_HOME
    return Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 - keep symbolic links as the operator wrote them


def _socket(given: str | None, home: Path, *, chosen: bool) -> Path:
    """A home that was typed goes before the environment's socket."""
    path = given or (None if chosen else os.environ.get("NODECONSOLE_SOCKET"))
    return Path(path).expanduser().absolute() if path else home / "node.sock"
