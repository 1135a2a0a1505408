"""Components: those that the node can run, how one is made, and packs of them."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import Tree
from nodeconsole.cli.grammar.values import names, pair, seconds

_WHICH_COMPONENT = "PROVIDER/NAME/VERSION, or NAME when it is unique"
_WHICH_PACK = "NAME/VERSION, or NAME when there is one version"


def add_components(tree: Tree) -> None:
    components = tree.group("component", "the programs that this node can run")
    _add_registering(components)
    _add_kit(components)
    _add_packs(components)
    _add_registered(components)


def _add_registering(components: Tree) -> None:
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


def _add_registered(components: Tree) -> None:
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


def _add_kit(components: Tree) -> None:
    new = components.command("new", "make a folder with a small component to start from")
    new.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    new.add_argument("directory", metavar="DIR", nargs="?", help="where (default: NAME)")
    new.add_argument("--provider", default="example", help="who makes it (default: %(default)s)")
    new.add_argument(
        "--roles", type=names, default="guest,host", metavar="ROLES", help="who takes part (default: %(default)s)"
    )
    test = components.command("test", "run a component for all parties at once, without a node")
    test.add_argument("directory", metavar="FILE|DIR", nargs="?", default=".", help="the component (default: here)")
    test.add_argument(
        "--data",
        type=pair,
        action="append",
        default=[],
        metavar="PARTY[:INPUT]=FILE",
        help="what a party reads (default: data/ROLE.csv of the folder)",
    )
    test.add_argument("--parameters", metavar="FILE", help="JSON: parameters of all, or by common, role and party")
    test.add_argument(
        "--set", type=pair, action="append", default=[], metavar="[PARTY:]NAME=VALUE", help="one parameter"
    )
    test.add_argument(
        "--parties", type=names, metavar="ROLES", help="guest,host,host (default: each declared role once)"
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
    test.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help="(default: %(default)g)")
    build = components.command("build", "make one executable file of a component and the SDK")
    build.add_argument("directory", metavar="FILE|DIR", nargs="?", default=".", help="the component (default: here)")
    build.add_argument("--output", metavar="FILE", help="(default: dist/NAME.pyz in the folder)")
    build.add_argument("--python", metavar="PATH", help="what runs it (default: the system's python3)")
    sdk = components.command("sdk", "write the SDK as a wheel, for images and virtual environments")
    sdk.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where to (default: here)")


def _add_packs(components: Tree) -> None:
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
