"""The tree of commands and options. Help, shell completion and dispatch all read this one tree."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nodeconsole import __version__
from nodeconsole.cli.exits import EXPLAINED, Exit
from nodeconsole.cli.text import span_ms
from nodeconsole.exports import FORMS
from nodeconsole.keymap import PRESETS
from nodeconsole.remote.contexts import Contexts, ContextsFault, contexts_file, find_place, read_contexts
from nodeconsole.remote.target import BadTarget, Place

PROFILES = ("seed", "official-1.2", "legacy", "fate", "kuscia")
JOB_ORDERS = ("id", "flow", "status", "parties", "tasks", "age", "duration")
JOB_STATES = ("PENDING", "READY", "REJECTED", "RUNNING", "FINISHED")
LOG_LEVELS = ("debug", "info", "error")
TLS_MODES = ("mutual", "server", "off")
ALGORITHMS = ("ED25519", "SHA256_RSA", "SHA256_ECDSA")
SIGNING = ("required", "verify-if-present", "off")
ACCESS = ("approval", "permit")
GRANT_KINDS = ("dataset", "project", "flow", "job", "model")
SHELLS = ("bash", "zsh", "fish")
TOKEN_SCOPES = ("jobs:read", "jobs:write", "components:write", "logs:read", "all")

NODE = "NAME|ssh://HOST|PATH"
"""Stands for a node in help; completion offers the names of contexts."""
HERE = ("init", "up", "serve", "demo", "bridge", "backup", "restore", "completion", "man", "keys", "context")
"""Commands about this machine, whatever node others go to."""

_DEFAULT_HOME = "~/.nodeconsole"


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"nodeconsole: {message} (see `{self.prog} --help`)\n")


# argparse has no public name for what add_subparsers returns.
Commands = argparse._SubParsersAction


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
    chosen = given or os.environ.get("NODECONSOLE_HOME") or _DEFAULT_HOME
    return Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 - keep symbolic links as the operator wrote them


def _socket(given: str | None, home: Path, *, chosen: bool) -> Path:
    """A home that was typed goes before the environment's socket."""
    path = given or (None if chosen else os.environ.get("NODECONSOLE_SOCKET"))
    return Path(path).expanduser().absolute() if path else home / "node.sock"


def _shared(home: object, *, as_json: object) -> Parser:
    """The options that every command takes, with these defaults."""
    shared = Parser(add_help=False)
    shared.add_argument(
        "--home",
        metavar="DIR",
        default=home,
        help=f"the node's directory (default: $NODECONSOLE_HOME, then {_DEFAULT_HOME})",
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


def build_parser() -> Parser:
    # Below the top nothing is set by default: it would overwrite what was typed before the command.
    shared = _shared(argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    parser = Parser(
        prog="nodeconsole",
        description="A privacy-computing interconnection node for small parties, run from the terminal.",
        epilog="exit codes: " + "; ".join(f"{code.value} {text}" for code, text in EXPLAINED.items()),
        parents=[_shared(None, as_json=False)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nodeconsole {__version__}")
    parser.add_argument(
        "--demo", action="store_true", help="open the console on a node to look at; it goes away at the end"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    tree = _Tree(commands, shared)
    _add_node(tree)
    _add_jobs(tree)
    _add_datasets(tree)
    _add_components(tree)
    _add_peers(tree)
    _add_identity(tree)
    _add_grants(tree)
    _add_messages(tree)
    _add_policy(tree)
    _add_tokens(tree)
    _add_secrets(tree)
    _add_backup(tree)
    _add_ledger(tree)
    _add_contexts(tree)
    keys = tree.command("keys", "print the keys of the console, as you have bound them")
    keys.add_argument("--preset", choices=tuple(PRESETS), help="as a preset has them")
    keys.add_argument("--markdown", action="store_true", help="the page of the docs, with every preset")
    completion = tree.command("completion", "print the completion script of a shell")
    completion.add_argument("shell", choices=SHELLS)
    tree.command("man", "print the manual page; `nodeconsole man | man -l -` reads it")
    return parser


class _Tree:
    """Adds commands that all take the shared options."""

    def __init__(self, commands: Commands[Parser], shared: Parser) -> None:
        self._commands = commands
        self._shared = shared

    def command(self, name: str, text: str) -> Parser:
        return self._commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", parents=[self._shared], allow_abbrev=False
        )

    def group(self, name: str, text: str) -> _Tree:
        commands = self.command(name, text).add_subparsers(dest="verb", metavar="VERB", required=True)
        return _Tree(commands, self._shared)


def _add_node(tree: _Tree) -> None:
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
    up = tree.command("up", "run the node with its console in this terminal")
    up.add_argument("--yes", action="store_true", help="create the node without asking when there is none")
    attach = tree.command("attach", "open the console of a running node")
    for parser in (up, attach):
        parser.add_argument("--read-only", action="store_true", help="change nothing from this console")
        parser.add_argument("--clean", action="store_true", help="remember nothing from earlier and for later")
    web = tree.command("web", "serve the console to a browser of this machine; prints a link that works once")
    web.add_argument("--port", type=_port, default=0, metavar="N", help="on 127.0.0.1 (default: any)")
    web.add_argument("--read-only", action="store_true", help="change nothing from these consoles")
    tree.command("serve", "run the node; print one line when it accepts requests")
    attach.add_argument("target", metavar=NODE, nargs="?", help="the same as --node")
    tree.command("bridge", "connect standard input and output with the node; run by ssh for `attach ssh://HOST`")
    tree.command("status", "show the node in short")
    tree.command("doctor", "check the node and say how to repair what is wrong; works also when it is down")
    attention = "say what needs a person: decisions, failures, what ends, who does not answer"
    tree.command("attention", attention)
    space = tree.command("space", "say what takes the disk, by kind, job and dataset, and what can be removed")
    space.add_argument("--limit", type=_count, default=20, metavar="N", help="so many jobs and datasets (default: 20)")
    stats = tree.command("stats", "count jobs by outcome, flow and partner, and how long they ran")
    stats.add_argument("--hours", type=_hours, default=24, metavar="N", help="the last N hours (default: 24)")
    top = tree.command("top", "watch the node: machine, jobs, partners; q ends it")
    top.add_argument("--every", type=_seconds, default=2.0, metavar="SECONDS", help="ask so often (default: 2)")
    top.add_argument("--once", action="store_true", help="print it once")
    demo = tree.command("demo", "run a real private set intersection between two nodes on this machine")
    demo.add_argument("--interactive", action="store_true", help="approve the job yourself in the host's console")
    demo.add_argument("--parties", type=int, choices=(2, 3), default=2, help="3 adds a coordinating arbiter")
    demo.add_argument("--keep", action="store_true", help="leave the nodes running and print how to attach")
    demo.add_argument("--end", action="store_true", help="end the nodes that --keep left running in --home")
    demo.add_argument(
        "--allow-exec", action="append", default=[], metavar="PATH", help="a program that the nodes may start besides"
    )
    demo.add_argument("--yes", action="store_true", help="do not ask")


def _add_jobs(tree: _Tree) -> None:
    jobs = tree.group("job", "submit, decide, watch and stop jobs")
    submit = jobs.command("submit", "submit a job file {flow_id, dag, config}; - reads standard input")
    submit.add_argument("file", metavar="FILE")
    submit.add_argument("--wait", action="store_true", help="wait for the end; exit code 6 unless it succeeded")
    submit.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="with --wait: give up after this time")
    check = jobs.command("check", "say what would become of a job file, without submitting it")
    check.add_argument("file", metavar="FILE")
    _add_job_list(jobs)
    show = jobs.command("show", "show a job, its tasks, and why it waits")
    diff = jobs.command("diff", "how a job differs from the last approved run of its flow, or from another job")
    matching = jobs.command("components", "whether the partners of a job have its components, in the same version")
    approve = jobs.command("approve", "let this node take part in a job")
    wait = jobs.command("wait", "wait for the end of a job; exit code 6 unless it succeeded")
    wait.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="give up after this time")
    reject = jobs.command("reject", "refuse to take part in a job")
    stop = jobs.command("stop", "stop a job, or one task and everything after it")
    rerun = jobs.command("rerun", "run a finished job of this node again, as a new job")
    keep = jobs.command("keep", "keep a job's results on this node for good")
    release = jobs.command("release", "let a job's results be removed when they are old enough")
    discard = jobs.command("discard", "remove a job's results from this node now")
    discard.add_argument("--yes", action="store_true", help="do so; without it, only say what would be removed")
    logs = jobs.command("logs", "print the log of a task")
    graph = jobs.command("graph", "draw a job's tasks and what they read from one another")
    timeline = jobs.command("timeline", "show when each party worked on each task")
    events = jobs.command("events", "list what happened to a job, oldest first")
    task = jobs.command("task", "show a task: where its time went, parameters, attempts")
    results = jobs.command("results", "list what the tasks of a job stored on this node, show or save it")
    runs = jobs.command("runs", "show the newest jobs of a flow, task by task")
    for parser in (
        show,
        diff,
        matching,
        approve,
        wait,
        reject,
        stop,
        rerun,
        keep,
        release,
        discard,
        logs,
        graph,
        timeline,
        events,
        task,
        results,
    ):
        parser.add_argument("job", metavar="JOB", help="a job's id, or a beginning of it that fits no other")
    for parser in (approve, reject, stop):
        parser.add_argument("--reason", default="", help="kept in the ledger; partners may see it")
    diff.add_argument("other", metavar="OTHER", nargs="?", help="compare with this job instead")
    stop.add_argument("--task", default="", metavar="NAME")
    graph.add_argument("--level", choices=("dot", "name", "box"), default="name", help="how much each task shows")
    task.add_argument("task", metavar="TASK")
    results.add_argument("--task", default="", metavar="NAME", help="the beginning of what this task stored")
    results.add_argument("--rows", type=_count, default=20, metavar="N", help="of a table (default: 20)")
    results.add_argument("--columns", action="store_true", help="list the columns of the tables instead")
    results.add_argument("--save", metavar="DIRECTORY", help="save all of it as files (administrators)")
    results.add_argument(
        "--as", dest="form", choices=FORMS, default="", help="with --save: reports and tables in this form"
    )
    runs.add_argument("flow", metavar="FLOW")
    runs.add_argument("--limit", type=_count, default=20, metavar="N")
    runs.add_argument("--before", metavar="CURSOR", help="go on below a page")
    _add_log_options(logs)


def _add_log_options(logs: Parser) -> None:
    logs.add_argument("task", metavar="TASK", nargs="?", help="may be left out when the job has one task")
    logs.add_argument("--party", metavar="ROLE.N", help="which share, when this node holds several")
    logs.add_argument("--level", choices=LOG_LEVELS, default="debug", help="this level and above")
    logs.add_argument("--start", type=int, metavar="N", help="first line, from 0; below 0 counts from the end")
    logs.add_argument("--limit", type=_count, metavar="N", help="at most this many lines")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the log is complete")


def _add_job_list(jobs: _Tree) -> None:
    listing = jobs.command("list", "list jobs, newest first")
    listing.add_argument(
        "filter",
        metavar="FILTER",
        nargs="*",
        help="psi !psi ~psi re:^psi status:failed party:bob age:<2h dur:>10m mine",
    )
    listing.add_argument("--sort", choices=JOB_ORDERS, help="by a column instead, over all jobs")
    listing.add_argument("--falling", action="store_true", help="with --sort: the largest first")
    listing.add_argument("--state", type=_states, metavar="STATE[,STATE]", help=", ".join(JOB_STATES))
    listing.add_argument("--flow", metavar="FLOW_ID")
    listing.add_argument("--query", "-q", metavar="FILTER", default="", help="as FILTER")
    listing.add_argument("--needs-decision", action="store_true", help="only those that wait for this node's decision")
    listing.add_argument("--limit", type=_count, default=50, metavar="N")
    listing.add_argument("--before", metavar="CURSOR", help="go on after this row of an earlier list")


def _add_datasets(tree: _Tree) -> None:
    datasets = tree.group("dataset", "the data that components of this node may read")
    add = datasets.command("add", "register a CSV file or a table of a SQLite file")
    add.add_argument("name", metavar="NAME")
    add.add_argument("path", metavar="PATH")
    add.add_argument("--connector", metavar="NAME", help="csv, parquet, json or sqlite (default: by the file's ending)")
    add.add_argument("--table", help="table of a SQLite file")
    add.add_argument("--option", type=_pair, action="append", default=[], metavar="KEY=VALUE")
    add.add_argument("--secret", type=_pair, action="append", default=[], metavar="KEY=NAME", help="a stored secret")
    add.add_argument("--description", default="")
    datasets.command("list", "list datasets")
    show = datasets.command("show", "show a dataset and its columns")
    remove = datasets.command("remove", "forget a dataset; its file stays")
    publish = datasets.command("publish", "let partners see a dataset and ask for it")
    publish.add_argument("--to", nargs="+", default=[], metavar="NODE_ID", help="these partners only (default: all)")
    publish.add_argument("--columns", type=_names, default=[], metavar="NAME[,NAME]", help="show these columns only")
    publish.add_argument("--access", choices=ACCESS, default="approval", help="permit: a job needs one to be created")
    publish.add_argument("--description", default="", help="for partners (default: the dataset's own)")
    publish.add_argument("--category", default="")
    unpublish = datasets.command("unpublish", "let partners see a dataset no more; what was granted stays granted")
    datasets.command("published", "list what partners may see")
    theirs = datasets.command("partners", "list what partners let this node see, asked now")
    theirs.add_argument("node_id", metavar="NODE_ID", nargs="?", help="one partner (default: all)")
    rescan = datasets.command("rescan", "read the source of a dataset again: its columns, rows and fingerprint of now")
    usage = datasets.command("usage", "which of the newest jobs read a dataset here")
    datasets.command("connectors", "list the kinds of sources that datasets can be read from, with their options")
    for parser in (show, remove, publish, unpublish, rescan, usage):
        parser.add_argument("name", metavar="NAME", help="NAME or NAMESPACE#NAME")
    for parser in (add, show, remove, publish, unpublish, rescan, usage):
        parser.add_argument("--namespace", default="default", metavar="NS")


def _add_components(tree: _Tree) -> None:
    components = tree.group("component", "the programs that this node can run")
    description = "the self-description (JSON) or the folder that holds it; - reads standard input"
    register = components.command("register", "register a component by its self-description")
    register.add_argument("file", metavar="FILE|DIR", help=description)
    register.add_argument(
        "--image", metavar="URL", help="builtin:NAME, exec:PATH or an image reference (default: what DIR has built)"
    )
    runner = "the runner that is to run it, such as process, container or ray; '' = by the node's rules"
    register.add_argument("--runner", metavar="NAME", help=f"{runner} (default: as it was)")
    check = components.command("check", "say what registering a self-description would do, and what is wrong with it")
    check.add_argument("file", metavar="FILE|DIR", help=description)
    check.add_argument("--image", default="", metavar="URL", help="the address to check with it")
    check.add_argument("--runner", metavar="NAME", help=runner)
    check.add_argument(
        "--strict", action="store_true", help="exit code 1 if anything is wrong, also what nodes read over"
    )
    bundle = components.command("import", "register all self-descriptions in a folder or an archive")
    bundle.add_argument("path", metavar="PATH", help="a folder, or a .zip, .tar or .tar.gz file")
    bundle.add_argument(
        "--image",
        default="",
        metavar="URL",
        help="address of those that bring none; {provider}, {name}, {version} and {code} are filled in",
    )
    bundle.add_argument("--check", action="store_true", help="say what would be registered, and register nothing")
    _add_component_kit(components)
    _add_packs(components)
    listing = components.command("list", "list components")
    listing.add_argument("--of", metavar="NODE_ID", help="those that a partner says it has, asked now")
    verbs = {
        "show": "show a component",
        "remove": "forget a component",
        "enable": "let a component run again",
        "disable": "let no job use a component, without forgetting it",
    }
    for verb, text in verbs.items():
        parser = components.command(verb, text)
        if verb in ("enable", "disable"):
            parser.add_argument("--reason", default="", help="kept in the ledger")
        parser.add_argument("component", metavar="COMPONENT", help=_WHICH_COMPONENT)
    export = components.command("export", "print a component's self-description as it was sent, or save several")
    export.add_argument("component", metavar="COMPONENT", nargs="*", help=_WHICH_COMPONENT)
    export.add_argument("--all", action="store_true", help="all that are not built in")
    export.add_argument("--to", metavar="PATH", help="a folder or a new archive; `component import` reads it")


_WHICH_COMPONENT = "PROVIDER/NAME/VERSION, or NAME when it is unique"


def _add_component_kit(components: _Tree) -> None:
    new = components.command("new", "make a folder with a small component to start from")
    new.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    new.add_argument("directory", metavar="DIR", nargs="?", help="where (default: NAME)")
    new.add_argument("--provider", default="example", help="who makes it (default: %(default)s)")
    new.add_argument(
        "--roles", type=_names, default="guest,host", metavar="ROLES", help="who takes part (default: %(default)s)"
    )
    test = components.command("test", "run a component for all parties at once, without a node")
    test.add_argument("directory", metavar="FILE|DIR", nargs="?", default=".", help="the component (default: here)")
    test.add_argument(
        "--data",
        type=_pair,
        action="append",
        default=[],
        metavar="PARTY[:INPUT]=FILE",
        help="what a party reads (default: data/ROLE.csv of the folder)",
    )
    test.add_argument("--parameters", metavar="FILE", help="JSON: parameters of all, or by common, role and party")
    test.add_argument(
        "--set", type=_pair, action="append", default=[], metavar="[PARTY:]NAME=VALUE", help="one parameter"
    )
    test.add_argument(
        "--parties", type=_names, metavar="ROLES", help="guest,host,host (default: each declared role once)"
    )
    test.add_argument(
        "--image", metavar="URL", help="a program that is built otherwise: exec:PATH, or a container image"
    )
    test.add_argument(
        "--engine", metavar="PATH", default="", help="socket of the container engine (default: the usual)"
    )
    test.add_argument("--python", metavar="PATH", help="what runs it (default: .venv of the folder, else the system's)")
    test.add_argument("--output", metavar="DIR", help="where logs and results go (default: .trial in the folder)")
    test.add_argument(
        "--conformance", action="store_true", help="all that a component must do, such as to end in time and to retry"
    )
    test.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="(default: %(default)g)")
    build = components.command("build", "make one executable file of a component and the SDK")
    build.add_argument("directory", metavar="FILE|DIR", nargs="?", default=".", help="the component (default: here)")
    build.add_argument("--output", metavar="FILE", help="(default: dist/NAME.pyz in the folder)")
    build.add_argument("--python", metavar="PATH", help="what runs it (default: the system's python3)")
    sdk = components.command("sdk", "write the SDK as a wheel, for images and virtual environments")
    sdk.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where to (default: here)")


def _add_packs(components: _Tree) -> None:
    install = components.command("install", "install components that bring an environment of their own: a pack")
    upgrade = components.command("upgrade", "install a newer version of a pack beside the old one")
    for parser in (install, upgrade):
        parser.add_argument("pack", metavar="NAME|FILE|DIR", help="a pack of this program, an archive, or a folder")
        parser.add_argument(
            "--python", default="", metavar="PATH", help="the interpreter (default: the first that fits)"
        )
        parser.add_argument(
            "--index-url", default="", metavar="URL", help="package index or mirror (default: as pip is set up there)"
        )
        parser.add_argument(
            "--wheels",
            default="",
            metavar="DIR",
            help="take all wheels from a directory of the node's machine: offline",
        )
    upgrade.add_argument("--remove-old", action="store_true", help="remove the other versions afterwards")
    components.command("packs", "list installed packs")
    verify = components.command("verify", "compare the files of packs with what was installed")
    verify.add_argument("pack", metavar="PACK", nargs="?", help=f"{_WHICH_PACK} (default: all)")
    uninstall = components.command("uninstall", "remove packs and their components, or stop installing them")
    uninstall.add_argument("packs", metavar="PACK", nargs="+", help=_WHICH_PACK)
    pack = components.command("pack", "make one file of a pack's folder, for other nodes")
    pack.add_argument("directory", metavar="DIR", nargs="?", default=".", help="with pack.toml (default: here)")
    pack.add_argument("--output", metavar="FILE", help="(default: FOLDER-VERSION.pack)")


_WHICH_PACK = "NAME/VERSION, or NAME when there is one version"


def _add_peers(tree: _Tree) -> None:
    peers = tree.group("peer", "the partners of this node")
    add = peers.command("add", "add a partner, or change one")
    add.add_argument("node_id", metavar="NODE_ID")
    add.add_argument("url", metavar="URL", help="base address of the partner's node, e.g. https://node.example:9380")
    add.add_argument("--profile", choices=PROFILES, default="seed", help="which implementation the partner runs")
    add.add_argument("--approval", choices=("auto", "manual"), default="manual", help="what happens to its jobs here")
    add.add_argument("--option", type=_pair, action="append", default=[], metavar="KEY=VALUE", help="override a trait")
    trust = add.add_mutually_exclusive_group()
    trust.add_argument("--signing", choices=SIGNING, default="required", help="must its requests be signed")
    trust.add_argument("--unsigned", action="store_true", help="it cannot sign: believe whoever uses its name")
    trust.add_argument("--certificate", metavar="FILE", help="trust this certificate (PEM), which came by another way")
    trust.add_argument("--public-key", metavar="FILE", help="trust this public key (PEM), which came by another way")
    add.add_argument("--algorithm", choices=ALGORITHMS, default="ED25519", help="of --public-key")
    tls = "what its TLS server shows: identity (the key of its contract), ca, or the fingerprint of a gateway's key"
    add.add_argument("--tls", default="identity", metavar="identity|ca|FINGERPRINT", help=tls)
    change = peers.command("set", "change one thing about a partner, and leave the rest as it is")
    change.add_argument("node_id", metavar="NODE_ID")
    change.add_argument("--url", metavar="URL", help="where its node is")
    change.add_argument("--profile", choices=PROFILES)
    change.add_argument("--approval", choices=("auto", "manual"), help="what happens to its jobs here")
    change.add_argument(
        "--option", type=_pair, action="append", default=[], metavar="KEY=VALUE", help="override a trait"
    )
    change.add_argument("--unset", action="append", default=[], metavar="KEY", help="the profile's own trait again")
    change.add_argument("--signing", choices=SIGNING, help="must its requests be signed")
    change.add_argument("--tls", metavar="identity|ca|FINGERPRINT")
    _add_link_test(peers)
    _add_contracts(peers)
    peers.command("list", "list partners")
    for verb, text in (("show", "show a partner"), ("remove", "forget a partner")):
        peers.command(verb, text).add_argument("node_id", metavar="NODE_ID")


def _add_link_test(peers: _Tree) -> None:
    test = peers.command("test", "find out what the link to another node lets through, before any trust")
    test.add_argument("target", metavar="ADDRESS|CODE", nargs="?", help="base address, invitation code or test code")
    test.add_argument("--quick", action="store_true", help="5 MB instead of 50, no wait of two minutes")
    test.add_argument("--sheet", choices=("en", "zh"), help="print the page for the network department instead")
    test.add_argument("--listen", type=_count, metavar="MINUTES", help="print a code with which another node can test")


def _add_contracts(peers: _Tree) -> None:
    invite = peers.command("invite", "make a code with which one partner can apply here")
    invite.add_argument(
        "--expires", type=_span, default=24 * 3_600_000, metavar="SPAN", help="30m, 24h, 7d (default: 24h)"
    )
    join = peers.command("join", "apply at the partner that gave you this code")
    join.add_argument("code", metavar="CODE", help="- reads it from standard input")
    join.add_argument("--yes-i-compared", metavar="WORDS", default="", help="the six words, as the partner read them")
    apply = peers.command("apply", "apply at a node that gives out no codes")
    apply.add_argument("node_id", metavar="NODE_ID")
    apply.add_argument("url", metavar="URL", help="base address of that node")
    apply.add_argument("--fingerprint", default="", metavar="HEX", help="of its key, if you know it beforehand")
    for parser in (invite, join, apply):
        parser.add_argument("--address", default="", metavar="URL", help="where the partner reaches this node")
    contracts = peers.command("contracts", "list contracts, applications and invitations")
    contracts.add_argument("--all", action="store_true", help="also those that have ended")
    peers.command("revoke", "take an invitation back").add_argument("invitation", metavar="INVITATION")
    confirm = peers.command("confirm", "trust a partner: you have compared the six words with its operator")
    confirm.add_argument("--words", default="", metavar="WORDS", help="as the partner read them (default: asked for)")
    refuse = peers.command("refuse", "refuse an application, or one whose words differ")
    terminate = peers.command("terminate", "end a contract: nothing of that partner is accepted from then on")
    for parser in (confirm, refuse, terminate):
        parser.add_argument("reference", metavar="NODE_ID", help="the partner, or the id of a contract")
    for parser in (refuse, terminate):
        parser.add_argument("--reason", default="", help="kept in the ledger")


def _add_identity(tree: _Tree) -> None:
    identity = tree.group("identity", "the key and certificate of this node")
    identity.command("show", "show who this node is, and its files")
    export = identity.command("export", "write what partners and CAs may have; never the private key")
    what = export.add_mutually_exclusive_group()
    what.add_argument("--certificate", action="store_const", dest="what", const="certificate", default="certificate")
    what.add_argument("--public-key", action="store_const", dest="what", const="public-key")
    what.add_argument(
        "--csr", action="store_const", dest="what", const="csr", help="a request for the institution's CA"
    )
    export.add_argument("--output", "-o", metavar="FILE", help="default: standard output")
    imported = identity.command("import-certificate", "use a certificate that a CA made for this node's key")
    imported.add_argument("file", metavar="FILE", help="PEM; - reads standard input")
    rotate = identity.command("rotate", "make a new key, tell all partners, then use it")
    rotate.add_argument("--force", action="store_true", help="do not wait for partners that do not answer")


def _add_grants(tree: _Tree) -> None:
    grants = tree.group("grant", "what partners ask this node for, and this node asks them for")
    listing = grants.command("list", "list requests, newest first")
    listing.add_argument("--direction", choices=("in", "out"), help="in: of partners, out: of this node")
    listing.add_argument("--pending", action="store_true", help="only those that wait for this node's decision")
    listing.add_argument("--limit", type=_count, default=50, metavar="N")
    request = grants.command("request", "ask a partner for a dataset, project, flow, job or model")
    request.add_argument("kind", choices=GRANT_KINDS, metavar="KIND", help=", ".join(GRANT_KINDS))
    request.add_argument("node_id", metavar="NODE_ID")
    request.add_argument("resource", metavar="ID", help="the dataset, project … by the partner's name for it")
    request.add_argument("--name", default="", help="of a project, flow or job")
    request.add_argument("--project", default="", metavar="ID", help="of a model: the project that will use it")
    request.add_argument("--file", metavar="FILE", help="further members of the request (JSON), e.g. the dag of a flow")
    show = grants.command("show", "show a request, its permit and its messages")
    approve = grants.command("approve", "grant what a partner asks for")
    approve.add_argument("--level", type=_version, metavar="N", help="level of the permit (default: 1)")
    for parser in (request, approve):
        parser.add_argument("--times", type=_count, metavar="N", help="for so many jobs")
        parser.add_argument("--until", metavar="DATE", help="a date, or a span such as 12h, 30d, 2w")
    reject = grants.command("reject", "refuse what a partner asks for")
    revoke = grants.command("revoke", "end what was granted")
    revoke.add_argument("--stop-jobs", action="store_true", help="also stop the jobs that were admitted with it")
    refresh = grants.command("refresh", "ask the partner how a request of this node stands")
    for parser in (show, approve, reject, revoke, refresh):
        parser.add_argument("grant", metavar="REQUEST", help="a request's id, or a beginning of it that fits no other")
    for parser in (approve, reject, revoke):
        parser.add_argument("--reason", default="", help="kept in the ledger")


def _add_messages(tree: _Tree) -> None:
    messages = tree.group("message", "what was sent to partners, and how far it has come")
    listing = messages.command("list", "list messages, newest first")
    listing.add_argument("--to", metavar="NODE_ID")
    listing.add_argument("--limit", type=_count, default=50, metavar="N")
    resend = messages.command("resend", "send a message again now")
    export = messages.command("export", "write a message to a signed file, for a partner that cannot be reached")
    export.add_argument("--output", "-o", metavar="FILE", required=True)
    for parser in (resend, export):
        parser.add_argument("message", type=_count, metavar="MESSAGE", help="its number")
    take = messages.command("import", "handle a message of a partner from a file, or the answer to one of ours")
    take.add_argument("file", metavar="FILE")
    take.add_argument("--answer", metavar="FILE", help="where to write the answer (default: FILE.answer)")


def _add_policy(tree: _Tree) -> None:
    policy = tree.group("policy", "what is approved or refused without asking")
    policy.command("show", "print the policy in force")
    put = policy.command("set", "put a policy into force")
    put.add_argument("file", metavar="FILE", help="TOML; - reads standard input")
    put.add_argument("--expect", type=_version, metavar="VERSION", help="only if this version is in force; 0 = none is")
    test = policy.command("test", "say what a policy would do; changes nothing")
    test.add_argument("job", metavar="JOBFILE", nargs="?", help="a job file {flow_id, dag, config}")
    test.add_argument("--last", type=_count, metavar="N", help="the last jobs that partners created here instead")
    test.add_argument("--policy", metavar="FILE", help="try this one instead of the one in force")
    test.add_argument("--coordinator", metavar="NODE_ID", default="", help="who drives the job (default: as it says)")


def _add_secrets(tree: _Tree) -> None:
    secrets = tree.group("secret", "passwords that connectors need, kept sealed")
    put = secrets.command("set", "store a secret; it is read from standard input, without echo at a terminal")
    put.add_argument("--from-file", metavar="FILE", help="read it from a file instead")
    secrets.command("list", "list names and dates; values are never shown")
    remove = secrets.command("remove", "forget a secret")
    for parser in (put, remove):
        parser.add_argument("name", metavar="NAME")


def _add_backup(tree: _Tree) -> None:
    backup = tree.command("backup", "write one file with all that makes this node; works while it runs")
    restore = tree.command("restore", "make a node in an empty home from a backup")
    for parser in (backup, restore):
        parser.add_argument("file", metavar="FILE")
        parser.add_argument(
            "--passphrase-file", metavar="FILE", help="seals the keys (default: $NODECONSOLE_PASSPHRASE, else none)"
        )
    backup.add_argument("--with-storage", action="store_true", help="results and prepared datasets too")


def _add_tokens(tree: _Tree) -> None:
    tokens = tree.group("token", "what your own programs show at the platform listener")
    create = tokens.command("create", "print a new token, once")
    create.add_argument("name", metavar="NAME", help="the ledger says platform:NAME")
    create.add_argument("--scope", action="append", choices=TOKEN_SCOPES, help="may be repeated (default: all)")
    create.add_argument("--expires", type=_span, metavar="SPAN", help="such as 90d or 12h (default: never)")
    listing = tokens.command("list", "list tokens and when they were used last")
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    revoke = tokens.command("revoke", "end a token now")
    revoke.add_argument("name", metavar="NAME")


def _add_ledger(tree: _Tree) -> None:
    ledger = tree.group("ledger", "the record of everything that happened on this node")
    listing = ledger.command("list", "show events, newest first")
    listing.add_argument(
        "--actor", default="", metavar="WHO", help="operator:ann, peer:bank-b, platform …, or the name"
    )
    listing.add_argument("--subject", default="", metavar="WHAT", help="a kind such as job or contract, or an id")
    listing.add_argument("--event", default="", metavar="NAME", help="job.approved, or one half of such a name")
    listing.add_argument("--partner", default="", metavar="NODE_ID", help="what a partner did, and what was about it")
    listing.add_argument("--job", default="", metavar="JOB", help="of one job; the beginning of its id is enough")
    listing.add_argument("--since", metavar="WHEN", help="2h, 7d, 2026-11-28, 2026-11-28T12:00")
    listing.add_argument("--until", metavar="WHEN", help="the same")
    listing.add_argument("--limit", type=_count, default=50, metavar="N")
    ledger.command("verify", "check the chain of the ledger")
    export = ledger.command("export", "print the ledger as JSON lines")
    export.add_argument("--output", "-o", metavar="FILE", help="write to a file (0600) instead")


def _add_contexts(tree: _Tree) -> None:
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


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _hours(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= 24 * 366:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours up to {24 * 366}")
    return int(text)


def _span(text: str) -> int:
    """In milliseconds."""
    found = span_ms(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a span such as 30m, 12h, 90d or 2w")
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _version(text: str) -> int:
    if not text.isdecimal() or int(text) >= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version")
    return int(text)


def _states(text: str) -> str:
    states = [part.strip().upper() for part in text.split(",") if part.strip()]
    unknown = [state for state in states if state not in JOB_STATES]
    if unknown or not states:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(JOB_STATES)}")
    return ",".join(states)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
