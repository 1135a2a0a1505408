"""Entry point of the program: decides what to import, because most calls need little of it.

The command line alone never loads the scheduler, the scheduler never loads Textual, and a component's process (which is
this program again in the standalone executable) loads neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from embedded_scheduler.errors import NodeError
    from embedded_scheduler.home import Home
    from nodeconsole.cli.exits import Exit
    from nodeconsole.remote.dial import Dial
    from nodeconsole.remote.target import Place, SshTarget

ATTEMPT = "__attempt__"
"""First argument of a component's process: the second is its run directory."""

KEEPER = "__keeper__"
"""First argument of the process that keeps a component's container: the second is its run directory."""

INSIDE = "__inside__"
"""Only argument of the process that becomes a component within its sandbox."""

TEMPLATE = "__template__"
"""First argument of the process that components are forked from: then their package and the module search path."""


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """The exit code of one command line."""
    if argv and argv[0] in (ATTEMPT, TEMPLATE):
        return _attempt(argv[1:]) if argv[0] == ATTEMPT else _template(argv[1:])
    if argv[:1] == [KEEPER]:
        return _keeper(argv[1:])
    if argv == [INSIDE]:
        from embedded_scheduler.runners.attempt import inside  # noqa: PLC0415

        inside()
    if argv[:1] == ["bridge"] and not {"-h", "--help"} & set(argv):
        from nodeconsole.remote.bridge import main as bridge  # noqa: PLC0415

        bridge(argv[1:])
    from nodeconsole.cli.parser import parse  # noqa: PLC0415 - see above, as everywhere in this module

    args = parse(argv)
    handler = _HANDLERS.get(args.command, _command)
    return handler(args)


def _attempt(arguments: list[str]) -> int:
    from embedded_scheduler.runners.attempt import main as run_attempt  # noqa: PLC0415

    if len(arguments) == 1:
        run_attempt(arguments[0])
    sys.stderr.write(f"nodeconsole: {ATTEMPT} needs exactly one run directory\n")
    return 2


def _keeper(arguments: list[str]) -> int:
    from embedded_scheduler.runners.keeper import main as keep  # noqa: PLC0415

    if len(arguments) == 1:
        keep(arguments[0])
    sys.stderr.write(f"nodeconsole: {KEEPER} needs exactly one run directory\n")
    return 2


def _template(arguments: list[str]) -> int:
    from embedded_scheduler.runners.template import main as serve_forks  # noqa: PLC0415

    if arguments:
        serve_forks(arguments[0], arguments[1:])
        return 0
    sys.stderr.write(f"nodeconsole: {TEMPLATE} needs the package of the components; it is started by a node\n")
    return 2


def _command(args: argparse.Namespace) -> int:
    from nodeconsole.cli.main import run as run_command  # noqa: PLC0415

    return run_command(args)


def _partners_demo(args: argparse.Namespace) -> int:
    from nodeconsole.demo.command import run as run_demo  # noqa: PLC0415

    return run_demo(args)


def _completion(args: argparse.Namespace) -> int:
    from nodeconsole.cli.completion import script  # noqa: PLC0415
    from nodeconsole.cli.parser import build_parser  # noqa: PLC0415

    sys.stdout.write(script(args.shell, build_parser()))
    return 0


def _web(args: argparse.Namespace) -> int:
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("textual_serve") is None:
        from embedded_scheduler.extras import how_to_get  # noqa: PLC0415

        sys.stderr.write(f"nodeconsole: the console in a browser is an extra: {how_to_get('web')}\n")
        return 2
    from nodeconsole.web import run as serve_web  # noqa: PLC0415

    return serve_web(args)


def _manual(args: argparse.Namespace) -> int:  # noqa: ARG001 - it is the same for everybody
    from nodeconsole.cli.manual import page  # noqa: PLC0415
    from nodeconsole.cli.parser import build_parser  # noqa: PLC0415

    sys.stdout.write(page(build_parser()))
    return 0


def _init(args: argparse.Namespace) -> int:
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415
    from embedded_scheduler.home import Home  # noqa: PLC0415
    from embedded_scheduler.provision import certificate_request, provision  # noqa: PLC0415
    from nodeconsole.cli.output import Output  # noqa: PLC0415

    home = Home(args.home)
    try:
        done = provision(
            home,
            node_id=args.node_id,
            listen=args.listen,
            platform=args.platform,
            tls=args.tls,
            inst_id=args.inst_id,
            inst_name=args.inst_name,
            passphrase_file=args.passphrase_file.absolute() if args.passphrase_file else None,
        )
        csr = certificate_request(home, done.settings) if args.csr else ""
    except NodeError as error:
        return _refused(error)
    out = Output(as_json=args.json)
    if args.json:
        facts = {"node_id": done.settings.node_id, "home": str(home.path), "created": list(done.created)}
        facts |= {"csr": csr} if csr else {}
        out.document(facts | {"listen": done.settings.partner.listen, "platform": done.settings.platform.listen})
        return 0
    state = f"created in {home.path}" if done.created else f"is complete in {home.path}; nothing was changed"
    out.line(f"node {done.settings.node_id} {state}")
    out.raw(csr)
    named = f" --home {home.path}" if args.home_given else ""
    out.note(f"settings: {home.settings_file}; start it with `nodeconsole up{named}` or `nodeconsole serve{named}`")
    return 0


def _serve(args: argparse.Namespace) -> int:
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415
    from embedded_scheduler.home import Home  # noqa: PLC0415
    from embedded_scheduler.server import serve  # noqa: PLC0415

    try:
        serve(Home(args.home))
    except NodeError as error:
        return _refused(error)
    return 0


def _up(args: argparse.Namespace) -> int:
    """The node in a thread, the console in this one; the node ends with the console."""
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415
    from embedded_scheduler.home import Home  # noqa: PLC0415

    home = Home(args.home)
    try:
        if not home.settings_file.exists() and not _create(home, agreed=args.yes):
            return 2
        if not _has_terminal():
            return 2
        from embedded_scheduler.server import BackgroundNode  # noqa: PLC0415

        node = BackgroundNode(home)
        node.start()
        try:
            return _console(args, args.place)
        finally:
            node.stop()
    except NodeError as error:
        return _refused(error)


def _create(home: Home, *, agreed: bool) -> bool:
    """Create the node on first use; asks at a terminal, and never without one."""
    from embedded_scheduler.provision import default_node_id, provision  # noqa: PLC0415

    if not agreed:
        if not sys.stdin.isatty():
            sys.stderr.write(
                f"nodeconsole: {home.path} is not a node: run `nodeconsole init --home {home.path}`, or add --yes\n"
            )
            return False
        sys.stderr.write(f"There is no node in {home.path} yet.\nCreate node {default_node_id()} there? [Y/n] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
            sys.stderr.write("nodeconsole: nothing was created; `nodeconsole init` lets you choose name and ports\n")
            return False
    provision(home)
    return True


def _enter(args: argparse.Namespace) -> int:
    from nodeconsole.entrance import enter  # noqa: PLC0415

    return enter(args, attach=_attach, run=run)


def _attach(args: argparse.Namespace) -> int:
    from nodeconsole.remote.target import SshTarget  # noqa: PLC0415

    where = args.place.where
    if isinstance(where, SshTarget):
        return _attach_by_ssh(args, where) if _has_terminal() else 2
    if not _is_there(where):
        sys.stderr.write(
            f"nodeconsole: no node answers on {where} (there is no socket, or it is not yours to use): "
            f"start it with `nodeconsole serve --home {where.parent}`\n"
        )
        return 3
    return _console(args, args.place) if _has_terminal() else 2


def _attach_by_ssh(args: argparse.Namespace, target: SshTarget) -> int:
    """ssh may ask for a password or about the host's key; that is over before the console takes the terminal."""
    from nodeconsole.remote.dial import Dial, LinkFailure, to_stderr  # noqa: PLC0415

    dial: Dial | None = None
    try:
        dial = Dial(target, interactive=True, relay=to_stderr)
        import nodeconsole.app  # noqa: F401, PLC0415 - loaded while ssh is on its way

        rest = dial.wait()
    except LinkFailure as failure:
        from nodeconsole.cli.exits import Exit  # noqa: PLC0415
        from nodeconsole.cli.main import complain  # noqa: PLC0415

        return complain(f"{failure.message} ({target})", Exit.UNREACHABLE)
    except KeyboardInterrupt:
        if dial is not None:
            dial.abandon()
        return 130
    return _console(args, args.place, begun=(dial, rest))


def _is_there(socket: Path) -> bool:
    try:
        return socket.exists()
    except PermissionError:
        return False


def _has_terminal() -> bool:
    # In a browser, textual-serve says which driver stands in for the terminal.
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    if sys.stdin.isatty() and sys.stdout.isatty():
        from nodeconsole.terminal_kind import forget_coercion, hasten_escape, unfit  # noqa: PLC0415

        forget_coercion()
        hasten_escape(os.environ)
        why = unfit(os.environ)
        if why:
            sys.stderr.write(f"nodeconsole: {why}\n")
        return not why
    sys.stderr.write("nodeconsole: the console needs a terminal; `nodeconsole serve` runs the node without one\n")
    return False


def _console(args: argparse.Namespace, place: Place, *, begun: tuple[Dial, bytes] | None = None) -> int:
    """`begun` is an ssh session that is open already."""
    from nodeconsole.app import NodeConsoleApp  # noqa: PLC0415
    from nodeconsole.collector import keep_what_is_loaded  # noqa: PLC0415

    app = NodeConsoleApp(place, begun=begun, read_only=args.read_only, clean=args.clean, settled=keep_what_is_loaded)
    app.run(mouse=app.session.files.preferences.mouse)
    return app.return_code or 0


def _refused(error: NodeError) -> int:
    from nodeconsole.cli.main import complain  # noqa: PLC0415

    return complain(error.message, _exit_code(error))


def _exit_code(error: NodeError) -> Exit:
    from nodeconsole.cli.exits import exit_for  # noqa: PLC0415

    return exit_for(error.code)


_HANDLERS: Mapping[str | None, Callable[[argparse.Namespace], int]] = {
    None: _enter,
    "init": _init,
    "serve": _serve,
    "up": _up,
    "attach": _attach,
    "demo": _partners_demo,
    "completion": _completion,
    "man": _manual,
    "web": _web,
}
"""What needs more than a client of a running node."""
