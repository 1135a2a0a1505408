"""Component packs as files: those that come with this program, and what an author writes; made into one archive.

The packs of this program lie in `packaging/packs` of a source checkout and in the package when installed or frozen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from nodeconsole.kit.archives import sdk_files, zipped

SUFFIX = ".pack"
DESCRIPTION = "pack.toml"
_CODE = "code"
_LARGEST = 12_000_000
"""The console's request has a limit, and base64 adds a third."""


class PackFault(Exception):
    """It is no pack that can be sent; the text says why."""


def archive_of(name: str) -> bytes:
    """The archive of a pack: one of this program by its name, an archive, or a folder, to which the SDK is added.

    Blocks. Nothing of it is judged: that is the node's.
    """
    path = Path(name)
    shipped = shipped_packs()
    if "/" not in name and name in shipped and not path.exists():
        return pack_folder(shipped[name])
    if path.is_dir():
        return pack_folder(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        known = ", ".join(sorted(shipped)) or "none"
        raise PackFault(f"{name} is neither a file, a folder nor a pack of this program ({known})") from None
    except OSError as error:
        raise PackFault(f"{name}: {error.strerror}") from None
    return _checked(name, content)


def pack_folder(folder: Path) -> bytes:
    """The same folder gives the same bytes. The SDK is added unless its `code` brings one."""
    if not (folder / DESCRIPTION).is_file():
        raise PackFault(f"{folder} is no pack: it has no {DESCRIPTION}")
    try:
        content = dict(_files(folder))
    except OSError as error:
        raise PackFault(f"{error.filename or folder}: {error.strerror}") from None
    content |= {f"{_CODE}/{name}": data for name, data in sdk_files() if f"{_CODE}/{name}" not in content}
    return _checked(str(folder), zipped(content))


def shipped_packs() -> Mapping[str, Path]:
    """Folders of the packs that come with this program, by name."""
    here = Path(__file__).resolve()
    for root in (here.parents[2] / "packaging" / "packs", here.parent / "shipped_packs"):
        found = {path.parent.name: path.parent for path in root.glob(f"*/{DESCRIPTION}")}
        if found:
            return found
    return {}


def stated_version(folder: Path) -> str:
    """What a folder's description says; empty if it cannot be read."""
    try:
        return str(tomllib.loads((folder / DESCRIPTION).read_text("utf-8")).get("version", ""))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Those at the top, and all below `code`; hidden ones and what Python compiled are left out."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        wanted = len(inside.parts) == 1 or inside.parts[0] == _CODE
        if path.is_file() and wanted and not hidden and not path.name.endswith(SUFFIX):
            yield inside.as_posix(), path.read_bytes()


def _checked(name: str, content: bytes) -> bytes:
    if len(content) > _LARGEST:
        raise PackFault(f"{name}: a pack is at most {_LARGEST // 1_000_000} MB; what is large belongs into its lock")
    return content
