"""The one file that a pack is sent as: a zip with `pack.toml`, the lock file and the components' code."""

from __future__ import annotations

import io
import json
import tomllib
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.pack import CODE, DESCRIPTION_FILE, PackFiles, parse_pack
from embedded_scheduler.errors import InvalidRequest, TooLarge

MOST_FILES = 5000
MOST_BYTES = 256 * MIB


def read_archive(content: bytes) -> PackFiles:
    """What an archive holds; `InvalidRequest` or `TooLarge` say what is wrong. Blocks; nothing is written."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _files(archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InvalidRequest(f"the pack is no zip archive that can be read: {error}") from None
    if DESCRIPTION_FILE not in files:
        raise InvalidRequest(f"the archive is no pack: it has no {DESCRIPTION_FILE}")
    try:
        description = parse_pack(tomllib.loads(files[DESCRIPTION_FILE].decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{DESCRIPTION_FILE}: {error}") from None
    if description.lock and description.lock not in files:
        raise InvalidRequest(f"the pack has no {description.lock}, which {DESCRIPTION_FILE} names as its lock")
    manifests = {name: _manifest(files, name) for name in description.components}
    return PackFiles(description, sha256(content).hexdigest(), files, manifests)


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise TooLarge(f"the pack holds more than {MOST_FILES} files or {MOST_BYTES // MIB} MiB")
    files = {}
    for member in members:
        path = PurePosixPath(member.filename)
        # The description's own files lie at the top; everything that is executed lies below `code`.
        inside = len(path.parts) == 1 or path.parts[0] == CODE
        if path.is_absolute() or ".." in path.parts or not inside or "\\" in member.filename:
            raise InvalidRequest(
                f"the pack holds {member.filename!r}: only files at its top and below {CODE}/ are taken"
            )
        files[str(path)] = archive.read(member)
    return files


def _manifest(files: Mapping[str, bytes], name: str) -> Mapping[str, Any]:
    for needed in ("__main__.py", "manifest.json"):
        if f"{CODE}/{name}/{needed}" not in files:
            raise InvalidRequest(f"component {name} of the pack has no {CODE}/{name}/{needed}")
    try:
        manifest = json.loads(files[f"{CODE}/{name}/manifest.json"])
    except ValueError as error:
        raise InvalidRequest(f"{CODE}/{name}/manifest.json: {error}") from None
    parse_manifest(manifest)
    return dict(manifest)
