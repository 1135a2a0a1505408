"""The node itself: made, run, looked at; its console, and the demo."""

from __future__ import annotations

from pathlib import Path

from nodeconsole.cli.grammar.tree import NODE, Tree
from nodeconsole.cli.grammar.values import count, hours, port, seconds

TLS_MODES = ("mutual", "server", "off")


def add_node(tree: Tree) -> None:
    _add_init(tree)
    _add_consoles(tree)
    tree.command("serve", "run the node; print one line when it accepts requests")
    tree.command("bridge", "connect standard input and output with the node; run by ssh for `attach ssh://HOST`")
    _add_overviews(tree)
    _add_demo(tree)


def _add_init(tree: Tree) -> None:
    init = tree.command("init", "create the node of this home, or complete it")
    init.add_argument("--node-id", metavar="ID", help="name of this node for its partners (default: the host name)")
    init.add_argument("--listen", metavar="HOST:PORT", help="where partners reach this node")
    init.add_argument("--platform", metavar="HOST:PORT", help="loopback address for the own platform and components")
    init.add_argument("--tls", choices=TLS_MODES, help="TLS of the partner listener (default: mutual)")
    init.add_argument("--inst-id", metavar="ID", help="the institution's id, as partners see it (default: the node's)")
    init.add_argument("--inst-name", metavar="NAME", help="the institution's name, as partners' operators see it")
    init.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="encrypt the new signing key with its content"
    )
    init.add_argument("--csr", action="store_true", help="print a request for the institution's CA to sign")


def _add_consoles(tree: Tree) -> None:
    up = tree.command("up", "run the node with its console in this terminal")
    up.add_argument("--yes", action="store_true", help="create the node without asking when there is none")
    attach = tree.command("attach", "open the console of a running node")
    for parser in (up, attach):
        parser.add_argument("--read-only", action="store_true", help="change nothing from this console")
        parser.add_argument("--clean", action="store_true", help="remember nothing from earlier and for later")
    attach.add_argument("target", metavar=NODE, nargs="?", help="the same as --node")
    web = tree.command("web", "serve the console to a browser of this machine; prints a link that works once")
    web.add_argument("--port", type=port, default=0, metavar="N", help="on 127.0.0.1 (default: any)")
    web.add_argument("--read-only", action="store_true", help="change nothing from these consoles")


def _add_overviews(tree: Tree) -> None:
    tree.command("status", "show the node in short")
    tree.command("doctor", "check the node and say how to repair what is wrong; works also when it is down")
    tree.command("attention", "say what needs a person: decisions, failures, what ends, who does not answer")
    space = tree.command("space", "say what takes the disk, by kind, job and dataset, and what can be removed")
    space.add_argument("--limit", type=count, default=20, metavar="N", help="so many jobs and datasets (default: 20)")
    stats = tree.command("stats", "count jobs by outcome, flow and partner, and how long they ran")
    stats.add_argument("--hours", type=hours, default=24, metavar="N", help="the last N hours (default: 24)")
    top = tree.command("top", "watch the node: machine, jobs, partners; q ends it")
    top.add_argument("--every", type=seconds, default=2.0, metavar="SECONDS", help="ask so often (default: 2)")
    top.add_argument("--once", action="store_true", help="print it once")


def _add_demo(tree: Tree) -> None:
    demo = tree.command("demo", "run a real private set intersection between two nodes on this machine")
    demo.add_argument("--interactive", action="store_true", help="approve the job yourself in the host's console")
    demo.add_argument("--parties", type=int, choices=(2, 3), default=2, help="3 adds a coordinating arbiter")
    demo.add_argument("--keep", action="store_true", help="leave the nodes running and print how to attach")
    demo.add_argument("--end", action="store_true", help="end the nodes that --keep left running in --home")
    demo.add_argument(
        "--allow-exec", action="append", default=[], metavar="PATH", help="a program that the nodes may start besides"
    )
    demo.add_argument("--yes", action="store_true", help="do not ask")
