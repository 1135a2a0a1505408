"""Self-descriptions of components, many at once: a folder or an archive of JSON files, read and written.

Each file is the register message of the specification (`imageUrl`, `component_info`), or a self-description alone.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from nodeconsole.places import create_file

MOST_FILES = 500
LARGEST_FILE = 16 * 1024 * 1024
_LARGEST_BUNDLE = 64 * 1024 * 1024
_LARGEST_UNPACKED = 1024 * 1024 * 1024
"""Of a tar archive, with the files that are passed over: they have to be unpacked to get behind them."""
_MOST_MEMBERS = 100_000
_GZIP = b"\x1f\x8b"
_UNREADABLE = (
    OSError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    IndexError,
)
"""What the libraries raise for archives that are damaged, encrypted, or packed in a way that they do not know."""
_TAR = (".tar", ".tar.gz", ".tgz")
SUFFIXES = (".zip", *_TAR)


class BundleError(Exception):
    """It is no folder or archive that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Described:
    """One self-description of a bundle. `image_url` empty = the file does not say; `mended` as `parse_object` says."""

    file: str
    manifest: Mapping[str, Any]
    image_url: str
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """`skipped`: files that hold no self-description, with the reason."""

    described: Sequence[Described]
    skipped: Sequence[tuple[str, str]]


def is_bundle(path: Path) -> bool:
    return path.is_dir() or path.name.lower().endswith(SUFFIXES)


def read(path: Path, image: str = "") -> Bundle:
    """What a folder (with its sub-folders) or an archive holds, by file name. Blocks.

    `image`: the address of those that bring none; `{provider}`, `{name}`, `{version}`, `{code}` stand for what the
    description says. `BundleError` when it cannot be read, or holds too much.
    """
    described: list[Described] = []
    skipped: list[tuple[str, str]] = []
    total = 0
    try:
        for number, (name, content) in enumerate(_files(path)):
            total += len(content)
            if number >= MOST_FILES or total > _LARGEST_BUNDLE:
                raise BundleError(f"{path}: more than {MOST_FILES} descriptions, or more than 64 MiB of them")
            try:
                described.append(_described(name, content, image))
            except ValueError as error:
                skipped.append((name, str(error)))
    except _UNREADABLE as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not described and not skipped:
        raise BundleError(f"{path}: holds no JSON file")
    return Bundle(described, skipped)


def parts(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The self-description and the address of a register message; of anything else, itself and its `imageUrl`."""
    inner = document.get("component_info")
    address = document.get("imageUrl")
    return (inner if isinstance(inner, dict) else document), (address if isinstance(address, str) else "")


def write(path: Path, components: Iterable[tuple[Mapping[str, Any], str]]) -> list[str]:
    """Write register messages (self-description, address), a file for each, to a new archive or into a folder.

    Returns the names. `FileExistsError` when one is there already: nothing is replaced. Blocks.
    """
    files: dict[str, bytes] = {}
    for manifest, address in components:
        message = {"imageUrl": address, "component_info": manifest}
        name = _file_name(manifest, files)
        files[name] = json.dumps(message, ensure_ascii=False, indent=2).encode() + b"\n"
    if not path.name.lower().endswith(SUFFIXES):
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with open(create_file(path / name), "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(content)
        return list(files)
    with open(create_file(path), "wb") as file:  # noqa: PTH123 - a descriptor
        _archive(file, path.name.lower(), files)
    return list(files)


def _archive(file: BinaryIO, name: str, files: Mapping[str, bytes]) -> None:
    if name.endswith(".zip"):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for member, content in files.items():
                packed.writestr(member, content)
        return
    with tarfile.open(fileobj=file, mode="w" if name.endswith(".tar") else "w:gz") as tar:
        for member, content in files.items():
            info = tarfile.TarInfo(member)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))


def _file_name(manifest: Mapping[str, Any], taken: Container[str]) -> str:
    """Readable, safe everywhere, and not yet taken: identities may differ in characters that no file name has."""
    words = (str(manifest.get(key) or "") for key in ("provider", "componentName", "version"))
    name = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in word)[:80] for word in words)
    name = name.lstrip("._-") or "component"
    names = (f"{name}.json", *(f"{name}-{number}.json" for number in range(2, MOST_FILES)))
    return next(candidate for candidate in names if candidate not in taken)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        return _of_folder(path)
    if path.name.lower().endswith(".zip"):
        return _of_zip(path)
    if path.name.lower().endswith(_TAR):
        return _of_tar(path)
    raise BundleError(f"{path}: neither a folder nor an archive ({', '.join(SUFFIXES)})")


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*.json")):
        name = str(file.relative_to(folder))
        if file.is_file() and _counts(name):
            with file.open("rb") as opened:
                yield name, opened.read(LARGEST_FILE + 1)


def _of_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as packed:
        for member in packed.infolist():
            if not member.is_dir() and _counts(member.filename):
                with packed.open(member) as opened:
                    yield member.filename, opened.read(LARGEST_FILE + 1)


def _of_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with (
        path.open("rb") as raw,
        _unpacked(raw) as content,
        tarfile.open(fileobj=cast("BinaryIO", _Bounded(content)), mode="r:") as tar,
    ):
        for number, member in enumerate(tar):
            if number >= _MOST_MEMBERS:
                raise BundleError(f"{path}: more than {_MOST_MEMBERS} files")
            opened = tar.extractfile(member) if member.isreg() and _counts(member.name) else None
            if opened is not None:
                yield member.name, opened.read(LARGEST_FILE + 1)


def _unpacked(raw: BinaryIO) -> BinaryIO:
    packed = raw.read(len(_GZIP)) == _GZIP
    raw.seek(0)
    return cast("BinaryIO", gzip.open(raw)) if packed else raw


class _Bounded:
    """As much of a file as the library for archives may read: a header of some bytes can promise any length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_BUNDLE:
            raise tarfile.ReadError("a part of it is larger than anything that belongs there")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        if not 0 <= position <= _LARGEST_UNPACKED:
            raise tarfile.ReadError(f"it is larger than {_LARGEST_UNPACKED >> 20} MiB when unpacked")
        return self._file.seek(position)


def _counts(name: str) -> bool:
    """Hidden files and folders are somebody else's: version control, editors, file managers."""
    return name.endswith(".json") and not any(part[0] in "._" for part in Path(name).parts if part not in (".", ".."))


def _described(name: str, content: bytes, image: str) -> Described:
    """`ValueError` says why it is none."""
    if len(content) > LARGEST_FILE:
        raise ValueError("larger than 16 MiB")
    try:
        document, mended = parse_object(content.decode("utf-8-sig"))
    except (Unreadable, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    manifest, address = parts(document)
    if "componentName" not in manifest:
        raise ValueError("no self-description: it has no componentName")
    return Described(name, manifest, address or _filled(image, manifest), mended)


def _filled(image: str, manifest: Mapping[str, Any]) -> str:
    for word, member in (("provider", "provider"), ("name", "componentName"), ("version", "version"), ("code", "code")):
        image = image.replace(f"{{{word}}}", str(manifest.get(member) or ""))
    return image
