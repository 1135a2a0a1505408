"""The one file that a pack is sent as: a zip with `pack.toml`, the lock file and the components' code."""

from __future__ import annotations

import io
import json
import lzma
import stat
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.pack import (
    CODE,
    DESCRIPTION_FILE,
    ENVIRONMENT,
    FILES_FILE,
    RECORD_FILE,
    SCRATCH,
    PackFiles,
    parse_pack,
)
from embedded_scheduler.errors import InvalidRequest, TooLarge
from embedded_scheduler.packs.lock import pins
from embedded_scheduler.sentences import say

MOST_FILES = 5000
MOST_BYTES = 64 * MIB
"""Unpacked, in memory until the pack is installed; what is sent has at most a fifth of it."""

_LONGEST_PATH = 1024
_LONGEST_NAME = 255
_OURS = frozenset({ENVIRONMENT, FILES_FILE, RECORD_FILE, SCRATCH})
"""Names at the top that an installation uses itself."""
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    IndexError,
)
"""What the library raises for archives that are damaged, encrypted, or packed in a way that it does not know."""


def read_archive(content: bytes) -> PackFiles:
    """What an archive holds; `InvalidRequest` or `TooLarge` say what is wrong. Blocks; nothing is written."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _files(archive)
    except _UNREADABLE as error:
        raise InvalidRequest(say("pack_no_zip", error=str(error))) from None
    if DESCRIPTION_FILE not in files:
        raise InvalidRequest(say("pack_no_description", file=DESCRIPTION_FILE))
    try:
        description = parse_pack(tomllib.loads(files[DESCRIPTION_FILE].decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(say("file_fault", file=DESCRIPTION_FILE, error=str(error))) from None
    if description.lock and description.lock not in files:
        raise InvalidRequest(say("pack_no_lock", lock=description.lock, file=DESCRIPTION_FILE))
    manifests = {name: _manifest(files, name) for name in description.components}
    identities = [parse_manifest(manifest).identity for manifest in manifests.values()]
    if len(set(identities)) < len(identities):
        raise InvalidRequest(say("pack_same_component"))
    requirements = pins(description.lock, files[description.lock]) if description.lock else ""
    return PackFiles(description, sha256(content).hexdigest(), files, manifests, requirements)


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise TooLarge(say("pack_large", files=MOST_FILES, mib=MOST_BYTES // MIB))
    files: dict[str, bytes] = {}
    for member in members:
        path = _checked_path(member)
        if path in files:
            raise InvalidRequest(say("pack_file_twice", name=shorten(path)))
        files[path] = archive.read(member)
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    if both := folders & files.keys():
        raise InvalidRequest(say("pack_file_and_folder", name=shorten(min(both))))
    return files


def _checked_path(member: zipfile.ZipInfo) -> str:
    """Where a file is to lie below the pack's directory."""
    name, path = member.filename, PurePosixPath(member.filename)
    # The description's own files lie at the top; everything that is executed lies below `code`.
    inside = len(path.parts) == 1 or path.parts[0] == CODE
    if path.is_absolute() or ".." in path.parts or not inside or "\\" in name:
        raise InvalidRequest(say("pack_strange_file", name=shorten(name), code=CODE))
    if len(path.parts) == 1 and name in _OURS:
        raise InvalidRequest(say("pack_own_name", name=name))
    if not name.isprintable() or len(name) > _LONGEST_PATH or any(len(p.encode()) > _LONGEST_NAME for p in path.parts):
        raise InvalidRequest(say("pack_bad_name", name=shorten(name)))
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InvalidRequest(say("pack_no_plain_file", name=shorten(name)))
    return str(path)


def _manifest(files: Mapping[str, bytes], name: str) -> Mapping[str, Any]:
    for needed in ("__main__.py", "manifest.json"):
        if f"{CODE}/{name}/{needed}" not in files:
            raise InvalidRequest(say("pack_component_lacks", component=name, code=CODE, file=needed))
    try:
        manifest = json.loads(files[f"{CODE}/{name}/manifest.json"])
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(say("pack_manifest", code=CODE, name=name, error=str(error))) from None
    parse_manifest(manifest)
    return dict(manifest)
