"""Settings of one node (`<home>/node.toml`) and the layout of its home directory."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from embedded_scheduler.errors import InvalidRequest

MIB = 1024 * 1024


class Section(BaseModel):
    """Unknown settings are refused: a misspelt one must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartnerListener(Section):
    """The port other companies reach (`/v1/interconn/…`)."""

    listen: str = "127.0.0.1:9380"


class PlatformListener(Section):
    """Loopback port for the own platform and the node's component processes (`/v1/platform/…`, `chan/…`)."""

    listen: str = "127.0.0.1:9381"
    trust_loopback: bool = False
    """Serve callers on this machine without the token of `<home>/platform.token`."""


class Approval(Section):
    own_jobs: Literal["auto", "manual"] = "auto"
    """What happens here to a job that this node itself submits."""


class Components(Section):
    allow_exec: tuple[str, ...] = ()
    """Absolute paths (or `module:<name>`) that `exec:` components may start; empty = none."""


class Limits(Section):
    body_bytes: int = 16 * MIB
    json_depth: int = 64
    channel_message_bytes: int = 1024 * MIB
    channel_session_bytes: int = 2048 * MIB
    """Unread bytes one session may hold on this node; beyond it a sender waits, then gets E0000000700."""
    open_jobs: int = 10_000
    concurrent_attempts: int = 32
    """Components running at once; further ones wait in the outbox."""


class Timing(Section):
    """Seconds."""

    call_timeout: float = 10.0
    submit_wait: float = 20.0
    """How long create_all waits for every participant's answer before it replies with what it knows."""
    poll_first: float = 3.0
    poll_longest: float = 15.0
    partner_lost: float = 900.0
    """A task fails when its partner has given no usable answer for this long."""
    stop_grace: float = 5.0
    """Between asking a component to end and forcing it."""
    retry_first: float = 0.2
    retry_longest: float = 30.0


class Retention(Section):
    """Days; what is older is removed (the ledger never is)."""

    runs_days: int = 30
    messages_days: int = 7


class Settings(Section):
    node_id: str
    inst_id: str = ""
    inst_name: str = ""
    coordinator: str = ""
    """Node that drives the jobs submitted here unless the job names one; empty = this node."""
    partner: PartnerListener = PartnerListener()
    platform: PlatformListener = PlatformListener()
    approval: Approval = Approval()
    components: Components = Components()
    limits: Limits = Limits()
    timing: Timing = Timing()
    retention: Retention = Retention()
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info")


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of one node lives. The directory is 0700; secrets in it are 0600."""

    path: Path

    @property
    def settings_file(self) -> Path:
        return self.path / "node.toml"

    @property
    def database(self) -> Path:
        return self.path / "node.db"

    @property
    def socket(self) -> Path:
        return self.path / "node.sock"

    @property
    def lock(self) -> Path:
        return self.path / "node.lock"

    @property
    def platform_token(self) -> Path:
        return self.path / "platform.token"

    @property
    def node_log(self) -> Path:
        return self.path / "node.log"

    @property
    def logs(self) -> Path:
        """`logs/<job id>/<attempt id>.log`"""
        return self.path / "logs"

    @property
    def runs(self) -> Path:
        """`runs/<attempt id>/`: a runner's working files."""
        return self.path / "runs"

    @property
    def storage(self) -> Path:
        """`storage/<namespace>/<name>`"""
        return self.path / "storage"

    @property
    def channel(self) -> Path:
        """`channel/<session>/…`: messages between components that were not read yet."""
        return self.path / "channel"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    def load(self) -> Settings:
        """The settings; `InvalidRequest` says which file and which setting is at fault."""
        try:
            raw = tomllib.loads(self.settings_file.read_text("utf-8"))
        except FileNotFoundError:
            raise InvalidRequest(f"{self.path} is not a node: run `nodeconsole init --home {self.path}`") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"{self.settings_file}: {error}") from None
        try:
            return Settings.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidRequest(f"{self.settings_file}: {where}: {first['msg']}") from None
