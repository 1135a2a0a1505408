"""The parser that commands are added to, and the options that all of them take."""

from __future__ import annotations

import argparse
from typing import NoReturn

from nodeconsole.cli.exits import Exit

NODE = "NAME|ssh://HOST|PATH"
"""Stands for a node in help; completion offers the names of contexts."""
DEFAULT_HOME = "~/.nodeconsole"


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"nodeconsole: {message} (see `{self.prog} --help`)\n")


# argparse has no public name for what add_subparsers returns.
Commands = argparse._SubParsersAction


def shared_options(home: object, *, as_json: object) -> Parser:
    """The options that every command takes, with these defaults."""
    shared = Parser(add_help=False)
    shared.add_argument(
        "--home",
        metavar="DIR",
        default=home,
        help=f"the node's directory (default: $NODECONSOLE_HOME, then {DEFAULT_HOME})",
    )
    shared.add_argument(
        "--socket",
        metavar="PATH",
        default=home,
        help="socket of the node, for users who cannot enter its home (default: $NODECONSOLE_SOCKET, then the home's)",
    )
    shared.add_argument(
        "--node",
        metavar=NODE,
        default=home,
        help="a context, ssh://[USER@]HOST[:PORT][/HOME], or a path (default: $NODECONSOLE_NODE, the context in use)",
    )
    shared.add_argument(
        "--remote-program",
        metavar="WORDS",
        default=home,
        help="what starts nodeconsole on the machine of an ssh:// node",
    )
    shared.add_argument("--json", action="store_true", default=as_json, help="print JSON")
    return shared


class Tree:
    """Adds commands that all take the shared options."""

    def __init__(self, commands: Commands[Parser], shared: Parser) -> None:
        self._commands = commands
        self._shared = shared

    def command(self, name: str, text: str) -> Parser:
        return self._commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", parents=[self._shared], allow_abbrev=False
        )

    def group(self, name: str, text: str) -> Tree:
        commands = self.command(name, text).add_subparsers(dest="verb", metavar="VERB", required=True)
        return Tree(commands, self._shared)
