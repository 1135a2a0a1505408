"""Partners: who they are, contracts with them, what is asked of one another, messages."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import Tree
from nodeconsole.cli.grammar.values import count, pair, span, version

PROFILES = ("seed", "official-1.2", "legacy", "fate", "kuscia")
ALGORITHMS = ("ED25519", "SHA256_RSA", "SHA256_ECDSA")
SIGNING = ("required", "verify-if-present", "off")
GRANT_KINDS = ("dataset", "project", "flow", "job", "model")


def add_peers(tree: Tree) -> None:
    peers = tree.group("peer", "the partners of this node")
    _add_peer_add(peers)
    _add_peer_set(peers)
    _add_link_test(peers)
    _add_contracts(peers)
    peers.command("list", "list partners")
    for verb, text in (("show", "show a partner"), ("remove", "forget a partner")):
        peers.command(verb, text).add_argument("node_id", metavar="NODE_ID")


def _add_peer_add(peers: Tree) -> None:
    add = peers.command("add", "add a partner, or change one")
    add.add_argument("node_id", metavar="NODE_ID")
    add.add_argument("url", metavar="URL", help="base address of the partner's node, e.g. https://node.example:9380")
    add.add_argument("--profile", choices=PROFILES, default="seed", help="which implementation the partner runs")
    add.add_argument("--approval", choices=("auto", "manual"), default="manual", help="what happens to its jobs here")
    add.add_argument("--option", type=pair, action="append", default=[], metavar="KEY=VALUE", help="override a trait")
    trust = add.add_mutually_exclusive_group()
    trust.add_argument("--signing", choices=SIGNING, default="required", help="must its requests be signed")
    trust.add_argument("--unsigned", action="store_true", help="it cannot sign: believe whoever uses its name")
    trust.add_argument("--certificate", metavar="FILE", help="trust this certificate (PEM), which came by another way")
    trust.add_argument("--public-key", metavar="FILE", help="trust this public key (PEM), which came by another way")
    add.add_argument("--algorithm", choices=ALGORITHMS, default="ED25519", help="of --public-key")
    tls = "what its TLS server shows: identity (the key of its contract), ca, or the fingerprint of a gateway's key"
    add.add_argument("--tls", default="identity", metavar="identity|ca|FINGERPRINT", help=tls)


def _add_peer_set(peers: Tree) -> None:
    change = peers.command("set", "change one thing about a partner, and leave the rest as it is")
    change.add_argument("node_id", metavar="NODE_ID")
    change.add_argument("--url", metavar="URL", help="where its node is")
    change.add_argument("--profile", choices=PROFILES)
    change.add_argument("--approval", choices=("auto", "manual"), help="what happens to its jobs here")
    change.add_argument(
        "--option", type=pair, action="append", default=[], metavar="KEY=VALUE", help="override a trait"
    )
    change.add_argument("--unset", action="append", default=[], metavar="KEY", help="the profile's own trait again")
    change.add_argument("--signing", choices=SIGNING, help="must its requests be signed")
    change.add_argument("--tls", metavar="identity|ca|FINGERPRINT")


def _add_link_test(peers: Tree) -> None:
    test = peers.command("test", "find out what the link to another node lets through, before any trust")
    test.add_argument("target", metavar="ADDRESS|CODE", nargs="?", help="base address, invitation code or test code")
    test.add_argument("--quick", action="store_true", help="5 MB instead of 50, no wait of two minutes")
    test.add_argument("--sheet", choices=("en", "zh"), help="print the page for the network department instead")
    test.add_argument("--listen", type=count, metavar="MINUTES", help="print a code with which another node can test")


def _add_contracts(peers: Tree) -> None:
    invite = peers.command("invite", "make a code with which one partner can apply here")
    invite.add_argument(
        "--expires", type=span, default=24 * 3_600_000, metavar="SPAN", help="30m, 24h, 7d (default: 24h)"
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


def add_grants(tree: Tree) -> None:
    grants = tree.group("grant", "what partners ask this node for, and this node asks them for")
    listing = grants.command("list", "list requests, newest first")
    listing.add_argument("--direction", choices=("in", "out"), help="in: of partners, out: of this node")
    listing.add_argument("--pending", action="store_true", help="only those that wait for this node's decision")
    listing.add_argument("--limit", type=count, default=50, metavar="N")
    request = grants.command("request", "ask a partner for a dataset, project, flow, job or model")
    request.add_argument("kind", choices=GRANT_KINDS, metavar="KIND", help=", ".join(GRANT_KINDS))
    request.add_argument("node_id", metavar="NODE_ID")
    request.add_argument("resource", metavar="ID", help="the dataset, project … by the partner's name for it")
    request.add_argument("--name", default="", help="of a project, flow or job")
    request.add_argument("--project", default="", metavar="ID", help="of a model: the project that will use it")
    request.add_argument("--file", metavar="FILE", help="further members of the request (JSON), e.g. the dag of a flow")
    show = grants.command("show", "show a request, its permit and its messages")
    approve = grants.command("approve", "grant what a partner asks for")
    approve.add_argument("--level", type=version, metavar="N", help="level of the permit (default: 1)")
    for parser in (request, approve):
        parser.add_argument("--times", type=count, metavar="N", help="for so many jobs")
        parser.add_argument("--until", metavar="DATE", help="a date, or a span such as 12h, 30d, 2w")
    reject = grants.command("reject", "refuse what a partner asks for")
    revoke = grants.command("revoke", "end what was granted")
    revoke.add_argument("--stop-jobs", action="store_true", help="also stop the jobs that were admitted with it")
    refresh = grants.command("refresh", "ask the partner how a request of this node stands")
    for parser in (show, approve, reject, revoke, refresh):
        parser.add_argument("grant", metavar="REQUEST", help="a request's id, or a beginning of it that fits no other")
    for parser in (approve, reject, revoke):
        parser.add_argument("--reason", default="", help="kept in the ledger")


def add_messages(tree: Tree) -> None:
    messages = tree.group("message", "what was sent to partners, and how far it has come")
    listing = messages.command("list", "list messages, newest first")
    listing.add_argument("--to", metavar="NODE_ID")
    listing.add_argument("--limit", type=count, default=50, metavar="N")
    resend = messages.command("resend", "send a message again now")
    export = messages.command("export", "write a message to a signed file, for a partner that cannot be reached")
    export.add_argument("--output", "-o", metavar="FILE", required=True)
    for parser in (resend, export):
        parser.add_argument("message", type=count, metavar="MESSAGE", help="its number")
    take = messages.command("import", "handle a message of a partner from a file, or the answer to one of ours")
    take.add_argument("file", metavar="FILE")
    take.add_argument("--answer", metavar="FILE", help="where to write the answer (default: FILE.answer)")
