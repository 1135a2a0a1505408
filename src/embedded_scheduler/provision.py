"""Creates a node's home directory: settings, secrets, places for data. Can be repeated at any time."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.addresses import Address, parse_address, parse_loopback
from embedded_scheduler.clock import Mint, RandomMint
from embedded_scheduler.config import PartnerListener, PlatformListener, Settings, load_settings
from embedded_scheduler.domain.identifiers import check_id
from embedded_scheduler.errors import Conflict, InvalidRequest, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.security.identity import create_identity, find_passphrase, load_identity
from embedded_scheduler.security.secrets import create_secret, read_secret, write_new

TEMPLATE = """\
# Settings of one nodeconsole node. What is commented out shows the default: remove the # of a line to change it.
# Changes take effect when the node starts again.

# Name of this node for its partners; changing it makes it another node.
node_id = "{node_id}"

# The institution, as partners' components see it.
inst_id = "{node_id}"
# inst_name = ""

# Where partners reach this node; 0.0.0.0:PORT is every interface.
partner.listen = "{listen}"

# TLS of that port. mutual: partners show the certificate of their contract; server: no client certificates, for a port
# behind something that ends TLS itself; off: plain HTTP, on loopback only unless partner.allow_plain_http = true.
# partner.tls = "mutual"
# partner.allow_plain_http = false
# Files (PEM) to show instead of the node's own certificate.
# partner.certificate = ""
# partner.key = ""
# Base URL under which partners reach this node, if it is not https://HOST:PORT of partner.listen.
# partner.advertise = ""
# Taken off the paths of requests when a gateway leaves it on.
# partner.path_prefix = ""
# HTTP proxy for calls to partners; CAs for partners that are not pinned (default: this machine's).
# partner.proxy = ""
# partner.ca_file = ""

# Passphrase of an encrypted signing key (or a service credential, or NODECONSOLE_PASSPHRASE).
# identity.passphrase_file = ""
# Days for which partners accept the old key after `nodeconsole identity rotate`.
# identity.overlap_days = 7

# Where the own platform and the components of this node reach it; loopback only.
platform.listen = "{platform}"
# Serve programs of this machine without a token (`nodeconsole token create NAME` makes one).
# platform.trust_loopback = false
# A second address of the same for components that run on other machines; plain HTTP, empty = none.
# platform.remote = ""

# Node that drives the jobs submitted here; empty = this node.
# coordinator = ""

# Of node.log: debug, info, warning, error.
# log_level = "info"

# What happens here to jobs that this node submits itself: auto, manual.
# approval.own_jobs = "auto"
# Hours after which a request that nobody decided is rejected; 0 = never.
# approval.expires_hours = 168
# How many different persons have to approve a job, a partner's request for data, a contract.
# approval.job_approvers = 1
# approval.dataset_approvers = 1
# approval.contract_approvers = 1
# Tell partners of profile seed when somebody here first looks at their request.
# approval.send_opened = true

# Who may use the console beside the node's own user and root: user names, "@group", or their numbers.
# operators.admin = []
# operators.approver = []
# operators.viewer = []
# A second socket for users who cannot enter the home, and the group that may open it (empty = all, judged by role).
# operators.socket = ""
# operators.socket_group = ""

# Absolute paths, or "module:<name>", that exec: components may start.
# components.allow_exec = []
# Components run in a sandbox of bubblewrap: auto (where it works), require, off.
# components.sandbox = "auto"
# Further absolute paths that sandboxed components may read.
# components.readable = []

# Components that are container images, run by Podman or Docker. Registries, parts of registries or images that may run.
# container.allow = []
# The engine's socket; empty = the usual places.
# container.socket = ""
# When images are pulled: missing, always, never. With missing, a tag keeps the meaning that it had at first.
# container.pull = "missing"
# The secret (`nodeconsole secret set NAME`) that holds USER:PASSWORD for a registry:
# container.credentials."registry.example.com" = "NAME"
# What containers reach: node (this node and its storage), host (all that this machine reaches).
# container.network = "node"
# Seconds that the engine may be away while a container runs.
# container.engine_patience = 60.0
# Images that this node pulled are removed when nobody used them for so long; 0 = never.
# container.keep_images_days = 30

# Where datasets prepared for components and results are kept: local (files in this home), s3 (an S3-compatible object
# store, which needs the extra nodeconsole[s3]), or a plug-in.
# storage.driver = "local"
# The object store, https://HOST[:PORT], and its bucket. Its access key is not written here:
#   nodeconsole secret set storage       (<access key>:<secret key>)
# storage.endpoint = ""
# storage.bucket = "storage"
# storage.region = "us-east-1"
# Whether the bucket stands before the key (path) or before the host name (virtual).
# storage.style = "path"
# Keys of tables: official or fate (<namespace>/<name>/data_<n>), guide (<namespace>-<name>).
# storage.layout = "official"
# Name of the secret that holds the access key.
# storage.secret = "storage"
# How much results, prepared datasets, logs, working files and unread messages may take together, in GiB. From 80 % on
# the node warns, at 100 % it refuses new jobs. 0 = no limit.
# storage.quota_gib = 0

# Which runner runs what neither its registration nor the job says: process, container, ray,
# kubernetes; "" is the first that can.
# runners.default = ""
# Rules, the first that fits decides: by provider/name and by what a part may use (cores, GiB).
#    runners.rules = [{{component = "acme/*", memory = 32, runner = "ray"}}]
# runners.rules = []

# A Ray cluster that components may run on: its dashboard, the file with its token, its interpreter.
# ray.address = ""
# ray.token_file = ""
# ray.ca_file = ""
# ray.python = "python3"
# Custom resources that each attempt takes, by name; a directory whose content it finds where it works.
# ray.resources."NAME" = 1.0
# ray.files = ""
# How components there reach this node and its storage; empty = platform.remote (else platform.listen), the node's own.
# ray.node_address = ""
# ray.storage = ""
# Seconds that the cluster may give no answer while attempts run.
# ray.patience = 300.0

# A Kubernetes cluster that components may run on: a kubeconfig (or "in-cluster"), its context and namespace.
# kubernetes.kubeconfig = ""
# kubernetes.context = ""
# kubernetes.namespace = ""
# Registries, parts of registries or images that may run there; secrets of the namespace with the registries' logins.
# kubernetes.allow = []
# kubernetes.pull_secrets = []
# The pods' service account, and labels of the machines that they run on.
# kubernetes.service_account = ""
# kubernetes.node_selector."LABEL" = "VALUE"
# How components there reach this node and its storage; a volume claim with the storage's files, if they are files.
# kubernetes.node_address = ""
# kubernetes.storage = ""
# kubernetes.claim = ""
# Seconds that the cluster may give no answer while attempts run, and that a pod may wait for a machine or its image.
# kubernetes.patience = 300.0
# kubernetes.start_patience = 600.0

# Where the key is that seals stored secrets: auto, file, systemd, keyring.
# secrets.key = "auto"

# Sizes in bytes. A session is what the components of one job exchange; beyond its limit a sender waits.
# limits.body_bytes = 16777216
# limits.json_depth = 64
# limits.channel_message_bytes = 1073741824
# limits.channel_session_bytes = 2147483648
# limits.open_jobs = 10000
# New jobs are refused while less than so many GiB are free where this home is.
# limits.disk_free_gib = 0.5
# limits.concurrent_attempts = 32
# The most that one component gets, and gets when nobody says anything: cores, GiB, GiB, hours; 0 = no limit.
# limits.attempt_cpu = 0.0
# limits.attempt_memory = 0.0
# limits.attempt_disk = 0.0
# limits.attempt_hours = 0.0
# GiB that the memory limits of all running components may add up to, others wait; 0 = what this machine has.
# limits.memory = 0.0
# What one partner may take: requests per second (and at once after a pause), requests at one time, bytes, jobs that are
# not over, channel sessions of jobs that are not known here yet.
# limits.partner_requests_per_second = 200
# limits.partner_burst = 1000
# limits.partner_concurrent = 64
# limits.partner_bytes_per_hour = 107374182400
# limits.partner_open_jobs = 1000
# limits.partner_early_sessions = 256
# Requests of one address that do not come from a partner.
# limits.stranger_requests_per_second = 20
# limits.stranger_burst = 100
# A refused request waits up to so many seconds for its answer.
# limits.refusal_seconds = 2.0
# Open connections of the partner listener, together and from one address (all partners behind one gateway share one).
# limits.connections = 2048
# limits.connections_per_address = 256
# New connections of one address per second; raise it for a gateway that opens one for every request.
# limits.connections_per_second = 50

# Times in seconds.
# timing.call_timeout = 10.0
# How long a submission waits for every participant's answer.
# timing.submit_wait = 20.0
# timing.poll_first = 3.0
# timing.poll_longest = 15.0
# A task fails when its partner has given no usable answer for this long.
# timing.partner_lost = 900.0
# A running task that writes no log, moves no byte and uses no CPU for so long is shown as stuck; 0 = never.
# timing.stuck = 600.0
# Between asking a component to end and forcing it.
# timing.stop_grace = 5.0
# timing.retry_first = 0.2
# timing.retry_longest = 30.0

# Days after the end of a job; what is older is removed, 0 = never. The ledger never is. Results and logs go with the
# working files (runs_days) unless they have a setting of their own; `nodeconsole job keep JOB` keeps single results.
# retention.runs_days = 30
# retention.results_days = 30
# retention.logs_days = 30
# retention.messages_days = 7
"""

_ENTRIES = ("logs", "runs", "storage", "channel", "backups")


_LONGEST_WORDS = 256


@dataclass(frozen=True, slots=True)
class Provisioned:
    """`created` names what this call added, in order; empty = everything was there."""

    settings: Settings
    created: tuple[str, ...]


def provision(
    home: Home,
    *,
    node_id: str | None = None,
    listen: str | None = None,
    platform: str | None = None,
    tls: str | None = None,
    inst_id: str | None = None,
    inst_name: str | None = None,
    passphrase_file: Path | None = None,
    mint: Mint | None = None,
) -> Provisioned:
    """Create the node, or complete one whose creation was interrupted.

    `node.toml` appears whole and last, so a home without it is not a node yet and the call can be repeated. A home that
    is a node keeps its settings: `Conflict` when other ones are asked for. `InvalidRequest` for values that cannot be,
    `Unavailable` when the directory cannot be written. With `passphrase_file` a new signing key is written encrypted.
    """
    try:
        if home.settings_file.exists():
            settings = _keep(home, node_id, listen, platform)
            passphrase = find_passphrase(settings.identity.passphrase_file)
            created = _complete(home, settings.node_id, settings.inst_name, passphrase, mint or RandomMint())
            return Provisioned(settings, tuple(created))
        name = node_id or default_node_id()
        text = _settings_text(name, listen, platform, tls)
        text = _with_identity(text, name, inst_id, inst_name, passphrase_file)
        passphrase = find_passphrase(str(passphrase_file or ""))
        _check_place(home.path)
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.path.chmod(0o700)
        created = _complete(home, name, inst_name or "", passphrase, mint or RandomMint())
        if not write_new(home.settings_file, text.encode()):
            raise Conflict(f"{home.settings_file} was created meanwhile; run the command again")
    except OSError as error:
        raise Unavailable(
            f"cannot create the node in {home.path}: {error.strerror}"
            f"{f' ({error.filename})' if error.filename else ''}; check the owner, the permissions and the free space"
        ) from None
    return Provisioned(load_settings(home), (*created, home.settings_file.name))


def certificate_request(home: Home, settings: Settings) -> str:
    """A CSR (PEM) for the node's key, for the institution's CA."""
    identity = load_identity(home.identity, passphrase=find_passphrase(settings.identity.passphrase_file))
    return identity.csr(settings.node_id, settings.inst_name)


def default_node_id() -> str:
    """The host name, as far as an identifier allows."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", socket.gethostname()).strip("-.")[:64]
    return name or "node"


def _settings_text(node_id: str, listen: str | None, platform: str | None, tls: str | None) -> str:
    check_id("node id", node_id)
    partner = parse_address(listen or PartnerListener().listen, "--listen")
    own = parse_loopback(platform or PlatformListener().listen, "--platform")
    if partner == own and partner.port:
        raise InvalidRequest(f"--listen and --platform are both {partner}: give them different ports")
    text = TEMPLATE.format(node_id=node_id, listen=partner, platform=own)
    return text if tls is None else text.replace('# partner.tls = "mutual"', f'partner.tls = "{tls}"')


def _keep(home: Home, node_id: str | None, listen: str | None, platform: str | None) -> Settings:
    settings = load_settings(home)
    if node_id is not None and node_id != settings.node_id:
        raise Conflict(f"{home.path} is node {settings.node_id} already: choose another --home for {node_id[:128]!a}")
    for option, asked, present in (
        ("--listen", listen, settings.partner.listen),
        ("--platform", platform, settings.platform.listen),
    ):
        if asked is not None and _address(asked, option) != _address(present, option):
            raise Conflict(f"{home.path} is set to {option} {present}: edit {home.settings_file} to change it")
    return settings


def _address(text: str, option: str) -> Address:
    return parse_address(text, option)


def _check_place(path: Path) -> None:
    """A mistyped home must not become one: only an empty directory, or one that an earlier call began."""
    if not path.exists():
        return
    if not path.is_dir():
        raise Conflict(f"{path} is not a directory")
    known = {*_ENTRIES, "identity", "attempt.key", "data.key", "platform.token", "node.lock", "node.log", "serve.out"}
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in known and entry.suffix != ".new")
    if strange:
        raise Conflict(f"{path} holds other files ({strange[0][:60]!a} …): choose an empty or new directory")


def _with_identity(
    text: str, node_id: str, inst_id: str | None, inst_name: str | None, passphrase_file: Path | None
) -> str:
    """The settings with these in place of the defaults."""
    given = {"inst_id": inst_id, "inst_name": inst_name, "identity.passphrase_file": passphrase_file}
    for setting, value in given.items():
        if value is None:
            continue
        words = str(value)
        if len(words) > _LONGEST_WORDS or not words.isprintable():
            raise InvalidRequest(f"{setting} must be at most {_LONGEST_WORDS} printable characters")
        line = f"{setting} = {json.dumps(words)}"
        default = f'inst_id = "{node_id}"' if setting == "inst_id" else f'# {setting} = ""'
        text = text.replace(default, line, 1)
    return text


def _complete(home: Home, node_id: str, institution: str, passphrase: bytes | None, mint: Mint) -> list[str]:
    created: list[str] = []
    if not home.identity.is_dir():
        created.append(f"{home.identity.name}/")
    create_identity(home.identity, node_id, institution=institution, passphrase=passphrase)
    for name in _ENTRIES:
        directory = home.path / name
        if not directory.is_dir():
            directory.mkdir(mode=0o700)
            created.append(f"{name}/")
    if home.platform_token.exists():
        # From version 0.1.0; new nodes have named tokens instead.
        read_secret(home.platform_token)
    if not home.data_key.exists():
        create_secret(home.data_key, mint.token())
        created.append(home.data_key.name)
    return created
