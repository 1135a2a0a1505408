"""Which addresses the process runner can run, and why not the others."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal

from embedded_scheduler.domain import pack
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.pack import InstalledPack
from embedded_scheduler.errors import InvalidRequest, Refused
from embedded_scheduler.sentences import say

BUILTIN = "builtin:"
EXEC = "exec:"
MODULE = "module:"
_BUILTIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MODULE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Program:
    """What an address stands for. `target` is a built-in's name, an absolute path or a module's name.

    `python`: the interpreter of a module that has its own; empty = the node's. `needs`: what it lies in. `pack`: the
    component pack (`<name>/<version>`) that it belongs to; empty = none.
    """

    kind: Literal["builtin", "exec", "module"]
    target: str
    python: str = ""
    needs: tuple[Path, ...] = ()
    pack: str = ""


class Catalog:
    """The programs this node is willing to start.

    `package` holds the built-in components (`<package>/<name>/component.py` with `main()`); `allow_exec` is the
    operator's list of absolute paths and `module:<name>` entries; `packs` the directory of installed component packs.
    `elsewhere` = they run on other machines, where only the engine can look for them.
    """

    def __init__(
        self,
        package: str,
        allow_exec: Collection[str],
        *,
        has_interpreter: bool,
        elsewhere: bool = False,
        packs: Path | None = None,
    ) -> None:
        self._package = package
        self._elsewhere = elsewhere
        self._allowed = frozenset(allow_exec)
        self._has_interpreter = has_interpreter
        self._packs = packs
        self._known: set[str] = set()

    def find(self, image_url: str) -> Program:
        """The program; `Refused` says why there is none."""
        if image_url.startswith(BUILTIN):
            return self._builtin(image_url.removeprefix(BUILTIN))
        if image_url.startswith(pack.SCHEME) and self._packs is not None:
            return _of_pack(self._packs, image_url)
        if not image_url.startswith(EXEC):
            raise Refused(say("address_unknown_kind", address=shorten(image_url)))
        address = image_url.removeprefix(EXEC)
        if address.startswith(MODULE):
            return self._module(address.removeprefix(MODULE))
        return self._executable(address)

    def _builtin(self, name: str) -> Program:
        if name not in self._known:
            if not _BUILTIN_NAME.fullmatch(name) or not _exists((self._package, name, "component")):
                raise Refused(say("no_builtin", name=shorten(name)))
            self._known.add(name)
        return Program("builtin", name)

    def _module(self, name: str) -> Program:
        if not _MODULE_NAME.fullmatch(name):
            raise Refused(say("no_module_name", name=shorten(name)))
        self._require_allowed(f"{MODULE}{name}")
        if not self._has_interpreter:
            raise Refused(say("module_standalone", name=name))
        if not self._elsewhere and not _exists((name.partition(".")[0],)):
            raise Refused(say("module_missing", name=name))
        return Program("module", name)

    def _executable(self, path: str) -> Program:
        # Compared as written: a second spelling of an allowed path (.., links) could come to mean another program.
        if not path.startswith("/") or os.path.normpath(path) != path or "\0" in path:
            raise Refused(say("exec_path", path=shorten(path)))
        self._require_allowed(path)
        if self._elsewhere:
            return Program("exec", path)
        try:
            found = Path(path).stat()
        except OSError as error:
            raise Refused(say("exec_not_run", path=path, error=str(error.strerror))) from None
        if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
            raise Refused(say("exec_no_program", path=path))
        if found.st_mode & stat.S_IWOTH:
            raise Refused(say("exec_writable", path=path))
        return Program("exec", path)

    def _require_allowed(self, entry: str) -> None:
        if entry not in self._allowed:
            raise Refused(say("exec_not_allowed", path=shorten(entry, 200)))


def _of_pack(packs: Path, image_url: str) -> Program:
    """A component of an installed pack, run by the pack's own interpreter."""
    try:
        address = pack.parse_address(image_url)
    except InvalidRequest as error:
        raise Refused(error.words) from None
    named, place = str(address.pack), packs / address.pack.name / address.pack.version
    try:
        installed = InstalledPack.parse(json.loads((place / pack.RECORD_FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(say("pack_missing", pack=named)) from None
    if address.component not in installed.components or installed.image:
        raise Refused(say("pack_lacks", pack=named, component=address.component))
    python = place / pack.ENVIRONMENT / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise Refused(say("pack_python_gone", pack=named, python=installed.python))
    return Program("module", address.component, str(python), (place, *map(Path, installed.needs)), named)


def _exists(names: Sequence[str]) -> bool:
    """Whether a dotted module exists, found without importing any part of it."""
    path: Sequence[str] | None = None
    for depth in range(1, len(names) + 1):
        spec = _find(".".join(names[:depth]), path)
        if spec is None:
            return False
        path = spec.submodule_search_locations
        if path is None and depth < len(names):
            return False
    return True


def _find(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None:
            return spec
    return None
