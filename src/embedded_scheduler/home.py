"""Where the files of one node lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
        """Where version 0.1.0 kept the one token of the platform; taken over at the start."""
        return self.path / "platform.token"

    @property
    def data_key(self) -> Path:
        """Seals the secrets in the database, unless the key is kept elsewhere (0600)."""
        return self.path / "data.key"

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
    def images(self) -> Path:
        """What the tags of container images meant at first use."""
        return self.path / "images"

    @property
    def packs(self) -> Path:
        """`packs/<name>/<version>/`: installed component packs."""
        return self.path / "packs"

    @property
    def storage(self) -> Path:
        """`storage/<namespace>/<name>`"""
        return self.path / "storage"

    @property
    def channel(self) -> Path:
        """`channel/<session>/…`: messages between components that were not read yet."""
        return self.path / "channel"

    @property
    def identity(self) -> Path:
        """Signing key and certificate."""
        return self.path / "identity"

    @property
    def backups(self) -> Path:
        return self.path / "backups"
