"""This program on this machine: named nodes, keys, shell completion, the manual."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import NODE, Tree

SHELLS = ("bash", "zsh", "fish")
KEY_PRESETS = ("k9s", "vim", "plain")
"""As in `keymap`, which is not loaded for this: it would take an eighth of the start of every command."""


def add_contexts(tree: Tree) -> None:
    contexts = tree.group("context", "nodes by name: where they are and how to look at them")
    add = contexts.command("add", "name a node, or change what a name stands for")
    add.add_argument("name", metavar="NAME")
    add.add_argument("address", metavar="ADDRESS", help="ssh://[USER@]HOST[:PORT][/HOME], or a home or socket here")
    add.add_argument("--theme", default="", help="colours of the console for this node")
    add.add_argument("--read-only", action="store_true", help="look only: nothing can be changed by this name")
    add.add_argument("--use", action="store_true", help="use it from now on")
    use = contexts.command("use", "choose the node of commands that name none")
    which = use.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar=NODE, nargs="?", help="a context")
    which.add_argument("--none", action="store_true", help="the node of this machine again")
    listing = contexts.command("list", "list contexts")
    listing.add_argument("--names", action="store_true", help="names only, one a line")
    contexts.command("show", "show a context").add_argument(
        "name", metavar=NODE, nargs="?", help="default: the one in use"
    )
    contexts.command("remove", "forget a context; its node stays as it is").add_argument("name", metavar=NODE)


def add_program(tree: Tree) -> None:
    keys = tree.command("keys", "print the keys of the console, as you have bound them")
    keys.add_argument("--preset", choices=KEY_PRESETS, help="as a preset has them")
    keys.add_argument("--markdown", action="store_true", help="the page of the docs, with every preset")
    completion = tree.command("completion", "print the completion script of a shell")
    completion.add_argument("shell", choices=SHELLS)
    tree.command("man", "print the manual page; `nodeconsole man | man -l -` reads it")
