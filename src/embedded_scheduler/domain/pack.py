"""Component packs: components with a pinned environment of their own, installed beside the node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

FORM = "nodeconsole.pack/1"
SCHEME = "pack:"
DESCRIPTION_FILE = "pack.toml"
CODE = "code"
"""Folder of the components' packages."""
ENVIRONMENT = "env"
RECORD_FILE = "installed.json"
FILES_FILE = "files.sha256"
SCRATCH = "tmp"
"""Of an installation; gone when it is done."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+-]{0,31}")
_COMPONENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*(\d+)\.(\d+)")
_LARGEST_DISK_MB = 10_000_000


@dataclass(frozen=True, slots=True)
class PackId:
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def pack_id(name: str, version: str) -> PackId:
    """`InvalidRequest` for what cannot be one: both become names of directories."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(say("pack_name", name=shorten(name)))
    if not _VERSION.fullmatch(version) or ".." in version:
        raise InvalidRequest(say("pack_version", version=shorten(version)))
    return PackId(name, version)


@dataclass(frozen=True, slots=True)
class PackAddress:
    """`pack:<name>/<version>:<component>`, what a component of a pack is registered by."""

    pack: PackId
    component: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.pack}:{self.component}"


def parse_address(image_url: str) -> PackAddress:
    """`InvalidRequest` says what it should look like."""
    pack, _, component = image_url.removeprefix(SCHEME).rpartition(":")
    name, _, version = pack.partition("/")
    if not image_url.startswith(SCHEME) or not _COMPONENT.fullmatch(component):
        raise InvalidRequest(say("pack_address", address=shorten(image_url)))
    return PackAddress(pack_id(name, version), component)


def pack_of(image_url: str) -> str:
    """The pack that an address is of, as `<name>/<version>`; empty if it is of none."""
    return image_url.removeprefix(SCHEME).rpartition(":")[0] if image_url.startswith(SCHEME) else ""


@dataclass(frozen=True, slots=True)
class PythonRange:
    """Which Pythons fit, by major and minor version. `text` as it was written."""

    text: str
    bounds: tuple[tuple[str, tuple[int, int]], ...]

    def holds(self, version: tuple[int, int]) -> bool:
        return all(_HOLDS[sign](version, bound) for sign, bound in self.bounds)


_HOLDS = {
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    "==": lambda version, bound: version == bound,
    "!=": lambda version, bound: version != bound,
    "<": lambda version, bound: version < bound,
    ">": lambda version, bound: version > bound,
}


@dataclass(frozen=True, slots=True)
class PackDescription:
    """`pack.toml`. Every component is a package of this name in `code/`, with `manifest.json` and `__main__.py`.

    `lock`: the file of pinned requirements with hashes, empty = none are needed. `disk_mb`: what an installation takes
    at its height. `image`: what runs the components where no Python fits, empty = nothing.
    """

    id: PackId
    title: str
    description: str
    licence: str
    python: PythonRange
    lock: str
    disk_mb: int
    image: str
    components: tuple[str, ...]


def parse_pack(raw: Mapping[str, Any]) -> PackDescription:
    """Read a description; `InvalidRequest` names the member at fault."""
    unknown = set(raw) - _MEMBERS
    if unknown:
        raise InvalidRequest(
            say("pack_member", file=DESCRIPTION_FILE, name=shorten(min(unknown)), members=", ".join(sorted(_MEMBERS)))
        )
    if raw.get("form") != FORM:
        raise InvalidRequest(say("pack_form", file=DESCRIPTION_FILE, form=FORM))
    components = raw.get("components")
    if not isinstance(components, list) or not components or not all(map(_is_component, components)):
        raise InvalidRequest(say("pack_components", file=DESCRIPTION_FILE, code=CODE))
    disk_mb = raw.get("disk_mb", 100)
    if not isinstance(disk_mb, int) or isinstance(disk_mb, bool) or not 0 < disk_mb < _LARGEST_DISK_MB:
        raise InvalidRequest(say("pack_disk", file=DESCRIPTION_FILE))
    return PackDescription(
        id=pack_id(_text(raw, "name"), _text(raw, "version")),
        title=_text(raw, "title") or _text(raw, "name"),
        description=_text(raw, "description"),
        licence=_text(raw, "licence"),
        python=_python_range(_text(raw, "python")),
        lock=_file_name(_text(raw, "lock")),
        disk_mb=disk_mb,
        image=_text(raw, "image"),
        components=tuple(dict.fromkeys(components)),
    )


_MEMBERS = frozenset(
    {"form", "name", "version", "title", "description", "licence", "python", "lock", "disk_mb", "image", "components"}
)


@dataclass(frozen=True, slots=True)
class PackFiles:
    """A pack that was read and found in order: its files by path, and each component's self-description. `digest`:
    SHA-256 (hex) of the archive. `requirements`: what its lock pins, as pip takes it."""

    description: PackDescription
    digest: str
    files: Mapping[str, bytes]
    manifests: Mapping[str, Mapping[str, Any]]
    requirements: str = ""

    def without_content(self) -> PackFiles:
        """What is kept of it once it is installed, or has failed."""
        return PackFiles(self.description, self.digest, {}, {})


@dataclass(frozen=True, slots=True)
class PackOrder:
    """How to install a pack. Empty: the first `python` that fits; the index that pip is set up for.

    `wheels`: a directory of this machine that holds all of them, then nothing is downloaded. `index_url` may hold a
    password.
    """

    python: str = ""
    index_url: str = field(default="", repr=False)
    wheels: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class InstalledPack:
    """What `installed.json` says. `digest`: SHA-256 of the archive it was installed from; `files_digest`: of the list
    of all installed files. `python`: the interpreter that its environment stands on, `needs` the directories it lies
    in; both empty if `image` runs the components. `size` in bytes."""

    id: PackId
    title: str
    description: str
    licence: str
    digest: str
    files_digest: str
    python: str
    python_version: str
    needs: tuple[str, ...]
    image: str
    components: tuple[str, ...]
    size: int
    installed_ms: int
    installed_by: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> InstalledPack:
        """KeyError, TypeError or ValueError for a file that is none."""
        facts = dict(raw)
        found = pack_id(str(facts.pop("name")), str(facts.pop("version")))
        facts["needs"], facts["components"] = tuple(facts["needs"]), tuple(facts["components"])
        return cls(id=found, **facts)


def _is_component(name: object) -> bool:
    return isinstance(name, str) and _COMPONENT.fullmatch(name) is not None


def _text(raw: Mapping[str, Any], member: str) -> str:
    value = raw.get(member, "")
    if not isinstance(value, str) or not value.isprintable() or len(value) > 2000:
        raise InvalidRequest(say("pack_line", file=DESCRIPTION_FILE, member=member))
    return value.strip()


def _file_name(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise InvalidRequest(say("pack_lock", file=DESCRIPTION_FILE))
    return name


def _python_range(text: str) -> PythonRange:
    bounds = []
    for part in text.split(","):
        found = _BOUND.fullmatch(part.strip())
        if found is None:
            raise InvalidRequest(say("pack_python", file=DESCRIPTION_FILE, value=shorten(text)))
        bounds.append((found[1], (int(found[2]), int(found[3]))))
    return PythonRange(text, tuple(bounds))
