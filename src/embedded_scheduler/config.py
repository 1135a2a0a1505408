"""Settings of one node (`<home>/node.toml`) and the layout of its home directory."""

from __future__ import annotations

import re
import tomllib
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.home import Home

MIB = 1024 * 1024
GIB = 1024 * MIB


class Section(BaseModel):
    """Unknown settings are refused: a misspelt one must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartnerListener(Section):
    """The port other companies reach (`/v1/interconn/…`)."""

    listen: str = "127.0.0.1:9380"
    tls: Literal["mutual", "server", "off"] = "mutual"
    """mutual: partners with a certificate in their contract must connect with it. server: TLS without client
    certificates (something in front ends it). off: plain HTTP, on loopback only unless `allow_plain_http`."""
    allow_plain_http: bool = False
    certificate: str = ""
    key: str = ""
    """Files in PEM that the TLS listener shows instead of the node's own certificate, for example of a public CA."""
    advertise: str = ""
    """Base URL under which partners reach this node; empty = made from `listen`."""
    path_prefix: str = ""
    """Taken off the paths of requests when something in front of the node leaves it on."""
    proxy: str = ""
    """HTTP proxy for calls to partners, `http://host:port`."""
    ca_file: str = ""
    """CAs (PEM) for partners whose TLS is not pinned; empty = this machine's list."""

    @property
    def public_url(self) -> str:
        """Base URL under which partners reach this node, without a slash at its end."""
        return self.advertise or f"{'http' if self.tls == 'off' else 'https'}://{self.listen}"

    @field_validator("advertise")
    @classmethod
    def _check_advertise(cls, value: str) -> str:
        return _base_url(value, ("https", "http")) if value else ""

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: str) -> str:
        return _base_url(value, ("http", "https")) if value else ""

    @field_validator("path_prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        prefix = "/" + value.strip("/") if value.strip("/") else ""
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ValueError("must be a plain path such as /pc")
        return prefix

    @model_validator(mode="after")
    def _check_files(self) -> PartnerListener:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together: set both or none")
        return self


_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+")


def _base_url(text: str, schemes: tuple[str, ...]) -> str:
    """`text` without a slash at its end; `ValueError` says what is wrong with it."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if not text.isascii() or not text.isprintable() or " " in text or parts.scheme not in schemes or port == 0:
        raise ValueError(f"must look like {schemes[0]}://node.example:9380")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"must look like {schemes[0]}://node.example:9380, without a query")
    if schemes[0] == "https" and "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    return text.rstrip("/")


class IdentitySection(Section):
    """How the signing key in `<home>/identity` is opened."""

    passphrase_file: str = ""
    """File with the passphrase of an encrypted signing key; the service credential `nodeconsole.passphrase` and the
    variable NODECONSOLE_PASSPHRASE are tried too."""
    overlap_days: int = 7
    """How long partners go on accepting the old key after a rotation."""


class PlatformListener(Section):
    """Loopback port for the own platform and the node's component processes (`/v1/platform/…`, `chan/…`)."""

    listen: str = "127.0.0.1:9381"
    trust_loopback: bool = False
    """Serve callers on this machine without a token."""
    remote: str = ""
    """A second address of the same, `HOST:PORT`, for components that run on other machines; empty = none.
    Plain HTTP."""

    @property
    def reached_at(self) -> str:
        """`HOST:PORT` for components that run on other machines; a loopback one where there is no better."""
        return self.remote or self.listen


class Approval(Section):
    own_jobs: Literal["auto", "manual"] = "auto"
    """What happens here to a job that this node itself submits."""
    expires_hours: float = Field(default=168, ge=0)
    """A request that nobody decided is rejected when it is this old; 0 = never."""
    job_approvers: int = Field(default=1, ge=1, le=16)
    """How many different persons have to approve a job; one refusal refuses."""
    dataset_approvers: int = Field(default=1, ge=1, le=16)
    """The same for what partners ask for: datasets, projects, flows, models."""
    contract_approvers: int = Field(default=1, ge=1, le=16)
    send_opened: bool = True
    """Partners of profile `seed` are told when somebody here first looks at their request."""


class OperatorsSection(Section):
    """Who may use the console, as user names, `@group` names, or their numbers. The user that the node runs as and root
    are always administrators; who is named nowhere is refused."""

    admin: tuple[str, ...] = ()
    approver: tuple[str, ...] = ()
    viewer: tuple[str, ...] = ()
    socket: str = ""
    """Path of a second socket for users who cannot enter the home; empty = none."""
    socket_group: str = ""
    """Group that may open it (mode 0660); empty = everybody may, and is then judged by role (mode 0666)."""


class Components(Section):
    allow_exec: tuple[str, ...] = ()
    """Absolute paths (or `module:<name>`) that `exec:` components may start; empty = none."""
    sandbox: Literal["auto", "require", "off"] = "auto"
    """Run components in a sandbox of bubblewrap: where it works, always (or not at all), never."""
    readable: tuple[str, ...] = ()
    """Further absolute paths that sandboxed components may read, such as the libraries of an `exec:` program."""


class ContainerSection(Section):
    """Components that are container images."""

    allow: tuple[str, ...] = ()
    """Registries (`registry.example.com`), parts of them (`registry.example.com/team`) or images; empty = none."""
    socket: str = ""
    """Path of the engine's socket; empty = the first that is there of Podman's and Docker's usual places."""
    pull: Literal["missing", "always", "never"] = "missing"
    """missing: an image is pulled when the engine does not have it, and its tag keeps the meaning it had at first.
    always: before every run, with the tag's newest meaning. never: the operator brings images."""
    credentials: dict[str, str] = {}
    """Registry to the name of the secret that holds `USER:PASSWORD` for it."""
    network: Literal["node", "host"] = "node"
    """node: a container reaches the node and its storage, nothing else. host: all that this machine reaches."""
    engine_patience: float = Field(default=60, gt=0)
    """Seconds that the engine may be away while a container runs, before its attempt counts as failed."""
    keep_images_days: int = Field(default=30, ge=0)
    """Images that the node pulled and nobody used for so long are removed; 0 = never."""

    @field_validator("socket")
    @classmethod
    def _check_socket(cls, value: str) -> str:
        path = value.removeprefix("unix://")
        if path and not path.startswith("/"):
            raise ValueError("must be the absolute path of a unix socket, such as /run/podman/podman.sock")
        return path


class StorageSection(Section):
    """Where datasets prepared for components and results of tasks are kept."""

    driver: str = "local"
    """local: files in the node's home. s3: an S3-compatible object store. Or the name of an installed plug-in."""
    endpoint: str = ""
    """Of driver s3: `https://host[:port]`, or `http://…` where the way is trusted; without the bucket."""
    bucket: str = "storage"
    region: str = "us-east-1"
    style: Literal["path", "virtual"] = "path"
    """Whether the bucket stands before the key (path) or before the host name (virtual)."""
    layout: Literal["official", "guide", "fate"] = "official"
    """Keys: `<namespace>/<name>/data_<n>` (official; fate has other metadata), or `<namespace>-<name>` (guide)."""
    secret: str = "storage"  # noqa: S105 - a name
    """Name of the node's secret with `<access key>:<secret key>`."""
    quota_gib: float = Field(default=0, ge=0)
    """For results, prepared datasets, logs, working files and unread messages; when it is used up, new jobs are
    refused. 0 = as much as there is."""

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        found = _base_url(value, ("https", "http")) if value else ""
        if found and urlsplit(found).path:
            raise ValueError("must be an address without a path; the bucket has a setting of its own")
        return found

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        if not _BUCKET.fullmatch(value):
            raise ValueError("must be 3 to 63 of a-z 0-9 . - and begin and end with a letter or number")
        return value

    @model_validator(mode="after")
    def _check_driver(self) -> StorageSection:
        if self.driver == "s3" and not self.endpoint:
            raise ValueError('driver = "s3" needs storage.endpoint')
        return self


_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class RunnerRule(Section):
    """Which runner runs a component. Without a part of a job to look at, `cpu` and `memory` count as nothing."""

    runner: str
    component: str = "*"
    """`provider/name`, with `*` and `?`."""
    cpu: float = Field(default=0, ge=0)
    memory: float = Field(default=0, ge=0)
    """Cores and GiB that the part may use at least (its `resources`; -1 is any amount, nothing said is 0)."""


class RunnersSection(Section):
    """Where components run, unless the job or the component's registration says it."""

    default: str = ""
    """Runner for what no rule is about, where it can; empty = the first that can."""
    rules: tuple[RunnerRule, ...] = ()
    """The first that fits decides."""


class RaySection(Section):
    """A Ray cluster that components may run on."""

    address: str = ""
    """URL of its dashboard, `http://host:8265`; empty = none."""
    token_file: str = ""
    """File with the token of a cluster that asks for one."""
    ca_file: str = ""
    """CAs (PEM) of a dashboard behind TLS; empty = this machine's list."""
    python: str = "python3"
    """The interpreter on the cluster that runs components; 3.11 or newer."""
    resources: dict[str, float] = {}
    """Custom resources that each attempt takes, by name; they bind attempts to the machines that have them."""
    files: str = ""
    """A directory whose content each attempt finds where it works, at most 100 MiB."""
    node_address: str = ""
    """`HOST:PORT` under which components there reach this node; empty = platform.remote, else platform.listen."""
    storage: str = ""
    """URL of the storage as components there see it; empty = the node's own."""
    patience: float = Field(default=300, gt=0)
    """Seconds that the cluster may give no answer before the attempts that it had count as failed."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str) -> str:
        return _base_url(value, ("http", "https")) if value else ""


class KubernetesSection(Section):
    """A Kubernetes cluster that components may run on, one Job for an attempt."""

    kubeconfig: str = ""
    """Path of a kubeconfig, or `in-cluster` for a node that is a pod itself; empty = none."""
    context: str = ""
    """Of the kubeconfig; empty = its current one."""
    namespace: str = ""
    """Where the Jobs are; empty = the context's."""
    allow: tuple[str, ...] = ()
    """Registries, parts of them or images that may run there, as in `container.allow`; empty = none."""
    claim: str = ""
    """Name of a volume claim with the files of a storage on disk; pods see it at the path of `storage`."""
    service_account: str = ""
    pull_secrets: tuple[str, ...] = ()
    """Secrets of the namespace that hold the registries' logins."""
    node_selector: dict[str, str] = {}
    """Labels of the machines that attempts run on."""
    node_address: str = ""
    """`HOST:PORT` under which components there reach this node; empty = platform.remote, else platform.listen."""
    storage: str = ""
    """URL of the storage as components there see it; empty = the node's own."""
    patience: float = Field(default=300, gt=0)
    """Seconds that the cluster may give no answer before the attempts that it had count as failed."""
    start_patience: float = Field(default=600, gt=0)
    """Seconds that a pod may wait for a machine or its image."""

    @model_validator(mode="after")
    def _check_claim(self) -> KubernetesSection:
        if self.claim and not self.storage.startswith("file:///"):
            raise ValueError("claim needs storage, the file:/// URL at which pods see the files")
        return self


class Secrets(Section):
    key: Literal["auto", "file", "systemd", "keyring"] = "auto"
    """Where the key is that seals stored secrets; auto = the systemd credential if there is one, else the file."""


class Limits(Section):
    body_bytes: int = 16 * MIB
    json_depth: int = 64
    channel_message_bytes: int = 1024 * MIB
    channel_session_bytes: int = 2048 * MIB
    """Unread bytes one session may hold on this node; beyond it a sender waits, then gets E0000000700."""
    open_jobs: int = 10_000
    disk_free_gib: float = Field(default=0.5, ge=0)
    """New jobs are refused while less than this is free where the node's home is."""
    concurrent_attempts: int = 32
    """Components running at once; further ones wait in the outbox."""
    attempt_cpu: float = Field(default=0, ge=0)
    """Cores, GiB, GiB and hours that one component gets at most, and gets when nobody says anything; 0 = no limit."""
    attempt_memory: float = Field(default=0, ge=0)
    attempt_disk: float = Field(default=0, ge=0)
    attempt_hours: float = Field(default=0, ge=0)
    memory: float = Field(default=0, ge=0)
    """GiB that the memory limits of all running components may add up to; further ones wait. 0 = what this machine
    has."""
    partner_requests_per_second: float = Field(default=200, gt=0)
    partner_burst: int = Field(default=1000, gt=0)
    """Requests that a partner may send at once after a pause; beyond it the rate per second counts."""
    partner_concurrent: int = Field(default=64, gt=0)
    """Requests of one partner that are answered at one time; four times as many messages of the channel."""
    partner_bytes_per_hour: int = Field(default=100 * 1024 * MIB, gt=0)
    partner_open_jobs: int = Field(default=1000, gt=0)
    """Jobs that one partner started or drives and that are not over."""
    partner_early_sessions: int = Field(default=256, gt=0)
    """Channel sessions in which a partner's messages wait for a job that this node does not know yet."""
    stranger_requests_per_second: float = Field(default=20, gt=0)
    stranger_burst: int = Field(default=100, gt=0)
    """Requests of one address that do not come from a partner: they ask for a contract, or for nothing good."""
    refusal_seconds: float = Field(default=2.0, ge=0)
    """Longest that a refused request waits for its answer; the more of them come from an address, the longer."""
    connections: int = Field(default=2048, gt=0)
    """Open connections of the partner listener."""
    connections_per_address: int = Field(default=256, gt=0)
    """Those of one address. All partners behind one gateway come from its address."""
    connections_per_second: float = Field(default=50, gt=0)
    """New ones of one address, after a burst of twice as many: a TLS handshake costs more than most requests."""


class Timing(Section):
    """Seconds."""

    call_timeout: float = 10.0
    submit_wait: float = 20.0
    """How long create_all waits for every participant's answer before it replies with what it knows."""
    poll_first: float = 3.0
    poll_longest: float = 15.0
    partner_lost: float = 900.0
    """A task fails when its partner has given no usable answer for this long."""
    stuck: float = Field(default=600.0, ge=0)
    """A running task that writes no log, moves no byte and uses no CPU for so long is shown as stuck, not ended; 0 =
    never."""
    stop_grace: float = 5.0
    """Between asking a component to end and forcing it."""
    retry_first: float = 0.2
    retry_longest: float = 30.0


class Retention(Section):
    """Days; what is older is removed (the ledger never is)."""

    runs_days: int = Field(default=30, ge=0)
    """Working files of attempts, and what has no setting of its own here; 0 = kept for good."""
    results_days: int = Field(default=30, ge=0)
    """What tasks stored; not set = as `runs_days`, 0 = kept for good."""
    logs_days: int = Field(default=30, ge=0)
    """Of the tasks; not set = as `runs_days`, 0 = kept for good."""
    messages_days: int = Field(default=7, ge=1)
    """Stored answers are also the memory of used nonces, which has to last longer than a signed request is valid."""

    @model_validator(mode="before")
    @classmethod
    def _as_runs(cls, given: object) -> object:
        if not isinstance(given, dict) or "runs_days" not in given:
            return given
        return {"results_days": given["runs_days"], "logs_days": given["runs_days"], **given}


class Settings(Section):
    node_id: str
    inst_id: str = ""
    inst_name: str = ""
    coordinator: str = ""
    """Node that drives the jobs submitted here unless the job names one; empty = this node."""
    partner: PartnerListener = PartnerListener()
    identity: IdentitySection = IdentitySection()
    platform: PlatformListener = PlatformListener()
    approval: Approval = Approval()
    operators: OperatorsSection = OperatorsSection()
    components: Components = Components()
    container: ContainerSection = ContainerSection()
    storage: StorageSection = StorageSection()
    runners: RunnersSection = RunnersSection()
    ray: RaySection = RaySection()
    kubernetes: KubernetesSection = KubernetesSection()
    secrets: Secrets = Secrets()
    limits: Limits = Limits()
    timing: Timing = Timing()
    retention: Retention = Retention()
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info")


def load_settings(home: Home) -> Settings:
    """The settings of a node; `InvalidRequest` says which file and which setting is at fault."""
    try:
        raw = tomllib.loads(home.settings_file.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidRequest(f"{home.path} is not a node: run `nodeconsole init --home {home.path}`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{home.settings_file}: {error}") from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{home.settings_file}: {where}: {first['msg']}") from None
