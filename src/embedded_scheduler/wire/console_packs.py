"""Messages of `/v1/console/packs`: component packs."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import Message, Said


class PackRequest(Message):
    """Install a pack. `archive` is the zip in base64; the rest may be empty. `wheels` is a directory of the node's
    machine."""

    archive: str
    python: str = Field(default="", max_length=4096)
    index_url: str = Field(default="", max_length=4096, repr=False)
    wheels: str = Field(default="", max_length=4096)


class PackRow(Message):
    """`state`: waiting, installing, installed, failed (since the node started). `digest`: SHA-256 of the archive."""

    name: str
    version: str
    state: str
    title: str = ""
    description: str = ""
    licence: str = ""
    error: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `error`."""
    digest: str = ""
    python: str = ""
    """The interpreter and its version; empty where an image runs the components."""
    image: str = ""
    bytes: int = 0
    installed_ms: int = 0
    installed_by: str = ""
    components: list[str] = Field(default_factory=list)
    """Identities of the components that are registered with its address."""
    actions: list[str] = Field(default_factory=list)


class PackList(Message):
    packs: list[PackRow]


class PackProgress(Message):
    """Lines since `after`. `done_bytes` of `total_bytes`: of the file that is being downloaded."""

    state: str
    error: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `error`."""
    lines: list[str] = Field(default_factory=list)
    next: int = 0
    done_bytes: int = 0
    total_bytes: int = 0


class PackVerification(Message):
    ok: bool
    files: int
    faults: list[str] = Field(default_factory=list)
    """At most `MOST_FAULTS`; `more` says how many there are besides."""
    more: int = 0


MOST_FAULTS = 50
