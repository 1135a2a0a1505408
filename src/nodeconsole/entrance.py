"""`nodeconsole` without a command: the console of the node that is here, the first start, or a node to look at."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from embedded_scheduler.home import Home
from nodeconsole.remote.target import SCHEME
from nodeconsole.terminal_kind import hasten_escape

SHARED_SOCKET = Path("/run/nodeconsole/node.sock")
"""Where a node that runs as a service of this machine serves users who cannot enter its home."""

Run = Callable[[list[str]], int]
"""Carries out a command line of this program; returns its exit code."""


def enter(args: argparse.Namespace, *, attach: Callable[[argparse.Namespace], int], run: Run) -> int:
    """The exit code. `attach` opens the console of the node that was named or is usual."""
    if args.demo:
        return demo() if _has_terminal() else 2
    home = Home(args.home)
    if args.place.is_remote or _is_there(args.place.where):
        args.read_only = args.clean = False
        return attach(args)
    if home.settings_file.exists():
        return _offer_start(home, run)
    if not _at_terminal():
        sys.stderr.write(
            f"nodeconsole: there is no node in {home.path} yet: `nodeconsole up` creates one, `nodeconsole --demo`"
            " shows one that holds a month's history, `nodeconsole --help` lists the commands\n"
        )
        return 2
    return _first_run(home, run)


def _at_terminal() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    hasten_escape(os.environ)
    return True


def _has_terminal() -> bool:
    if _at_terminal():
        return True
    sys.stderr.write("nodeconsole: the console needs a terminal; `nodeconsole serve` runs the node without one\n")
    return False


def _is_there(socket: Path) -> bool:
    try:
        return socket.exists()
    except PermissionError:
        return False


def _offer_start(home: Home, run: Run) -> int:
    """The node is there and does not run."""
    if not _has_terminal():
        return 2
    sys.stderr.write(f"The node in {home.path} does not run. Start it here, as `nodeconsole up` does? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
        sys.stderr.write("nodeconsole: nothing was started; `nodeconsole serve` runs the node without its console\n")
        return 2
    return run(["up", "--home", str(home.path)])


def _first_run(home: Home, run: Run) -> int:
    """Ask five questions, then do what was answered."""
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415 - loaded when it is needed, as in the launcher
    from embedded_scheduler.provision import default_node_id, provision  # noqa: PLC0415
    from nodeconsole.first_run import FirstRunApp, look_around, remember  # noqa: PLC0415

    shared = str(SHARED_SOCKET) if _is_there(SHARED_SOCKET) else ""
    found = look_around(home.path, default_node_id(), shared, os.environ)
    answers = FirstRunApp(found).run()
    if answers is None:
        sys.stderr.write("nodeconsole: nothing was written\n")
        return 0
    try:
        remember(answers, found, os.environ)
        if answers.connect == "create":
            provision(home, node_id=answers.node_id, listen=found.listen, platform=found.platform)
    except (OSError, NodeError) as error:
        sys.stderr.write(f"nodeconsole: {error}\n")
        return 1
    tour = answers.tour == "yes"
    if tour or answers.connect == "demo":
        code = demo(tour=tour)
        if answers.connect == "demo" or code:
            return code
    match answers.connect:
        case "create":
            return run(["up", "--home", str(home.path)])
        case "found":
            return run(["attach", "--socket", shared])
        case _:
            return run(["attach", f"{SCHEME}{answers.address.removeprefix(SCHEME)}"])


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def demo(*, tour: bool = False) -> int:
    """The console on a node with a month's history, in a directory that goes away with it."""
    from embedded_scheduler.clock import SystemClock  # noqa: PLC0415
    from embedded_scheduler.server import BackgroundNode  # noqa: PLC0415
    from embedded_scheduler.showcase.exhibit import Exhibit  # noqa: PLC0415
    from embedded_scheduler.showcase.seed import fill  # noqa: PLC0415
    from nodeconsole.app import NodeConsoleApp  # noqa: PLC0415
    from nodeconsole.collector import keep_what_is_loaded  # noqa: PLC0415

    # Until the console takes care of them: the directory goes away also when the terminal does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with tempfile.TemporaryDirectory(prefix="nodeconsole-demo-") as directory:
        home = Home(Path(directory) / "node")
        sys.stderr.write("nodeconsole: writing a month's history for the demo node ...\n")
        asyncio.run(fill(home, now_ms=SystemClock().now_ms()))
        node = BackgroundNode(home, exhibit=Exhibit())
        node.start()
        try:
            # What is remembered of a node that goes away would be litter.
            app = NodeConsoleApp(home.socket, clean=True, tour=tour, settled=keep_what_is_loaded)
            app.run()
            return app.return_code or 0
        finally:
            node.stop()
