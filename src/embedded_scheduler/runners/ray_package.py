"""The package of a Ray job: what starts the component, the component if it comes with the node, and its order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners import attempt, ray_entry
from embedded_scheduler.runners.attempt import ORDER_FILE, WORK, Order
from embedded_scheduler.sentences import say

_MOST_BYTES = 100 * MIB
"""Of the operator's files. Ray keeps packages in the memory of its head."""
_PACKAGES = ("embedded_scheduler", "embedded_scheduler/runners")


def pack(order: Order, components: str, files: Path | None) -> bytes:
    """A zip archive. `files`: a directory whose content the component finds where it works.

    `Refused` if something cannot be shipped.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if files is not None:
            for name, path in _content(files):
                archive.write(path, f"{WORK}/{name}")
        for package in _PACKAGES:
            archive.writestr(f"{package}/__init__.py", "")
        for module in (attempt, ray_entry):
            archive.write(_source(str(module.__file__)), f"{_PACKAGES[-1]}/{Path(str(module.__file__)).name}")
        if order.kind == "builtin":
            for root in _folders(components):
                for path in sorted(root.rglob("*")):
                    if path.is_file() and path.suffix != ".pyc":
                        archive.write(path, f"{components}/{path.relative_to(root).as_posix()}")
        archive.writestr(ORDER_FILE, order.encode())
    return buffer.getvalue()


def _source(path: str) -> Path:
    found = Path(path)
    if not found.is_file():
        raise Refused(say("no_sources"))
    return found


def _folders(package: str) -> list[Path]:
    spec = find_spec(package)
    folders = [Path(each) for each in (spec.submodule_search_locations or ())] if spec is not None else []
    if not any((folder / "__init__.py").is_file() for folder in folders):
        raise Refused(say("no_sources"))
    return folders


def _content(files: Path) -> Iterator[tuple[str, Path]]:
    size = 0
    for path in sorted(files.rglob("*")):
        if not path.is_file():
            continue
        size += path.stat().st_size
        if size > _MOST_BYTES:
            raise Refused(say("sources_large", path=str(files), mib=_MOST_BYTES // MIB))
        yield path.relative_to(files).as_posix(), path
