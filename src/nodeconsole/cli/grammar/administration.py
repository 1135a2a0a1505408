"""Administration: identity, policy, tokens, secrets, backups, the ledger."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import Tree
from nodeconsole.cli.grammar.values import count, span, version

TOKEN_SCOPES = ("jobs:read", "jobs:write", "components:write", "logs:read", "all")


def add_identity(tree: Tree) -> None:
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


def add_policy(tree: Tree) -> None:
    policy = tree.group("policy", "what is approved or refused without asking")
    policy.command("show", "print the policy in force")
    put = policy.command("set", "put a policy into force")
    put.add_argument("file", metavar="FILE", help="TOML; - reads standard input")
    put.add_argument("--expect", type=version, metavar="VERSION", help="only if this version is in force; 0 = none is")
    test = policy.command("test", "say what a policy would do; changes nothing")
    test.add_argument("job", metavar="JOBFILE", nargs="?", help="a job file {flow_id, dag, config}")
    test.add_argument("--last", type=count, metavar="N", help="the last jobs that partners created here instead")
    test.add_argument("--policy", metavar="FILE", help="try this one instead of the one in force")
    test.add_argument("--coordinator", metavar="NODE_ID", default="", help="who drives the job (default: as it says)")


def add_secrets(tree: Tree) -> None:
    secrets = tree.group("secret", "passwords that connectors need, kept sealed")
    put = secrets.command("set", "store a secret; it is read from standard input, without echo at a terminal")
    put.add_argument("--from-file", metavar="FILE", help="read it from a file instead")
    secrets.command("list", "list names and dates; values are never shown")
    remove = secrets.command("remove", "forget a secret")
    for parser in (put, remove):
        parser.add_argument("name", metavar="NAME")


def add_backup(tree: Tree) -> None:
    backup = tree.command("backup", "write one file with all that makes this node; works while it runs")
    restore = tree.command("restore", "make a node in an empty home from a backup")
    for parser in (backup, restore):
        parser.add_argument("file", metavar="FILE")
        parser.add_argument(
            "--passphrase-file", metavar="FILE", help="seals the keys (default: $NODECONSOLE_PASSPHRASE, else none)"
        )
    backup.add_argument("--with-storage", action="store_true", help="results and prepared datasets too")


def add_tokens(tree: Tree) -> None:
    tokens = tree.group("token", "what your own programs show at the platform listener")
    create = tokens.command("create", "print a new token, once")
    create.add_argument("name", metavar="NAME", help="the ledger says platform:NAME")
    create.add_argument("--scope", action="append", choices=TOKEN_SCOPES, help="may be repeated (default: all)")
    create.add_argument("--expires", type=span, metavar="SPAN", help="such as 90d or 12h (default: never)")
    listing = tokens.command("list", "list tokens and when they were used last")
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    revoke = tokens.command("revoke", "end a token now")
    revoke.add_argument("name", metavar="NAME")


def add_ledger(tree: Tree) -> None:
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
    listing.add_argument("--limit", type=count, default=50, metavar="N")
    ledger.command("verify", "check the chain of the ledger")
    export = ledger.command("export", "print the ledger as JSON lines")
    export.add_argument("--output", "-o", metavar="FILE", help="write to a file (0600) instead")
