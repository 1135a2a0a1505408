"""Datasets: what components of the node may read, and what partners see of it."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import Tree
from nodeconsole.cli.grammar.values import names, pair

ACCESS = ("approval", "permit")


def add_datasets(tree: Tree) -> None:
    datasets = tree.group("dataset", "the data that components of this node may read")
    add = datasets.command("add", "register a CSV file or a table of a SQLite file")
    add.add_argument("name", metavar="NAME")
    add.add_argument("path", metavar="PATH")
    add.add_argument("--connector", metavar="NAME", help="csv, parquet, json or sqlite (default: by the file's ending)")
    add.add_argument("--table", help="table of a SQLite file")
    add.add_argument("--option", type=pair, action="append", default=[], metavar="KEY=VALUE")
    add.add_argument("--secret", type=pair, action="append", default=[], metavar="KEY=NAME", help="a stored secret")
    add.add_argument("--description", default="")
    datasets.command("list", "list datasets")
    show = datasets.command("show", "show a dataset and its columns")
    remove = datasets.command("remove", "forget a dataset; its file stays")
    publish = datasets.command("publish", "let partners see a dataset and ask for it")
    publish.add_argument("--to", nargs="+", default=[], metavar="NODE_ID", help="these partners only (default: all)")
    publish.add_argument("--columns", type=names, default=[], metavar="NAME[,NAME]", help="show these columns only")
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
