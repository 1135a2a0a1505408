"""References to container images: what they mean, which of them run here, and to what content they were pinned."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused
from embedded_scheduler.sentences import say

_DEFAULT_REGISTRY = "docker.io"
_REGISTRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_REPOSITORY = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image, its registry spelt out. `tag` is empty only when `digest` is there."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    def at(self, digest: str) -> ImageReference:
        """The same image with exactly this content."""
        return ImageReference(self.registry, self.repository, digest=digest)


def parse_reference(text: str) -> ImageReference:
    """`Refused` for what is no reference. Without a registry it is docker.io's, as for Docker."""
    rest, at, digest = text.partition("@")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, tag = rest, "latest"
    first, slash, below = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, repository = first, below
    else:
        registry, repository = _DEFAULT_REGISTRY, name
    if registry == _DEFAULT_REGISTRY and "/" not in repository:
        # Also written out, `docker.io/name` is `docker.io/library/name`, and nothing of the team `name`.
        repository = f"library/{repository}"
    if (
        len(text) > _LONGEST
        or not _REGISTRY.fullmatch(registry)
        or not _REPOSITORY.fullmatch(repository)
        or not _TAG.fullmatch(tag)
        or (at and not _DIGEST.fullmatch(digest))
    ):
        raise Refused(say("image_address", value=shorten(text)))
    return ImageReference(registry, repository, "" if digest else tag, digest)


def require_allowed(reference: ImageReference, allowed: Iterable[str], setting: str = "container.allow") -> None:
    """`Refused` unless an entry is the image's registry, a part of its name from the left, or exactly this image."""
    for entry in allowed:
        plain = entry.removesuffix("*").rstrip("/")
        if plain in (reference.name, str(reference)) or reference.name.startswith(f"{plain}/"):
            return
    raise Refused(say("image_not_allowed", name=reference.name, registry=reference.registry, setting=setting))


@dataclass(frozen=True, slots=True)
class Pins:
    """What the tags of images meant when they were first used here, a file each in a directory of the node's home.

    A tag can be moved to other content by whoever owns the registry; what was looked at and approved must not change
    with it. The operator who wants the new content removes the file.
    """

    directory: Path

    def path(self, reference: ImageReference) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", str(reference))[-80:]
        digest = hashlib.sha256(str(reference).encode()).hexdigest()[:16]
        return self.directory / f"{readable}-{digest}.json"

    def unused_since(self, before: float) -> Iterator[str]:
        """Contents of pulled images that no attempt used since `before` (epoch seconds)."""
        for path in sorted(self.directory.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads(path.read_bytes())
                if found["pulled"] and path.stat().st_mtime < before:
                    yield str(found["content"])

    def content(self, reference: ImageReference) -> str:
        """`repository@digest`, or the id of an image that came from no registry; empty = not used yet."""
        try:
            found = json.loads(self.path(reference).read_bytes())
        except FileNotFoundError:
            return ""
        except ValueError:
            raise Refused(say("image_pin", path=str(self.path(reference)), image=str(reference))) from None
        return str(found.get("content", "")) if isinstance(found, dict) else ""
