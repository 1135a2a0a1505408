"""`<home>/packs`: builds packs there, lists, checks and removes them.

A pack is built in a directory of its own beside its place and renamed into it when everything is done, so that what is
at `<name>/<version>` is whole. What a killed node left is removed at its next start.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB
from embedded_scheduler.domain.pack import (
    CODE,
    ENVIRONMENT,
    FILES_FILE,
    RECORD_FILE,
    SCRATCH,
    InstalledPack,
    PackFiles,
    PackId,
    PackOrder,
)
from embedded_scheduler.engine.ports import PackReport
from embedded_scheduler.errors import NotFound, Refused, Unavailable
from embedded_scheduler.packs import interpreters, inventory
from embedded_scheduler.packs.archive import read_archive
from embedded_scheduler.packs.children import Children
from embedded_scheduler.packs.interpreters import Interpreter
from embedded_scheduler.sentences import say

_LOG = logging.getLogger(__name__)

_BUILDING = ".building-"
_REMOVING = ".removing-"
_RESERVE_MB = 256
_PATH_FILE = "nodeconsole_pack.pth"
_KEPT_PROGRAMS = "python"
_PINS = "pins"
"""What the pack's lock pins, in `SCRATCH`."""


class Workshop:
    """`engine.ports.PackWorkshop` over the directory `root`. One installation at a time."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._children = Children()

    def read(self, archive: bytes) -> PackFiles:
        return read_archive(archive)

    def all(self) -> list[InstalledPack]:
        folders = sorted(path.parent for path in self._root.glob(f"[a-z]*/[0-9]*/{RECORD_FILE}"))
        return [pack for folder in folders if (pack := _record(folder)) is not None]

    def find(self, pack: PackId) -> InstalledPack | None:
        return _record(self._place(pack))

    async def build(self, files: PackFiles, order: PackOrder, report: PackReport) -> InstalledPack:
        wanted = files.description
        self._require_space(wanted.disk_mb)
        self._children.admit()
        await asyncio.to_thread(self.sweep)
        building = self._root / f"{_BUILDING}{secrets.token_hex(8)}"
        try:
            await asyncio.to_thread(_unpack, files, building)
            interpreter = await asyncio.to_thread(interpreters.find, wanted.python, order.python)
            if interpreter is None and not wanted.image:
                raise Refused(say("python_missing", wanted=wanted.python.text))
            if interpreter is not None:
                report.line(f"Python {interpreter.version_text}: {interpreter.path}")
                await self._environment(files, interpreter, order, building, report)
            else:
                report.line(f"no Python {wanted.python.text} here: {wanted.image} runs the components")
            return await asyncio.to_thread(self._finish, files, interpreter, order, building, report)
        finally:
            await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)

    def stop(self) -> None:
        """End the installation that is under way."""
        self._children.stop()

    def verify(self, pack: PackId) -> tuple[int, list[str]]:
        place = self._place(pack)
        if _record(place) is None:
            raise NotFound(say("pack_absent", pack=str(pack)))
        try:
            kept = inventory.read(place)
        except (OSError, ValueError) as error:
            return 0, [f"{FILES_FILE} cannot be read: {getattr(error, 'strerror', None) or error}"]
        found = inventory.take(place)
        return len(kept), inventory.differences(kept, found.entries)

    def files_digest(self, pack: PackId) -> str:
        return inventory.digest_of(self._place(pack))

    def remove(self, pack: PackId) -> None:
        """At once out of reach, then from the disk."""
        doomed = self._root / f"{_REMOVING}{secrets.token_hex(8)}"
        try:
            self._place(pack).rename(doomed)
        except FileNotFoundError:
            raise NotFound(say("pack_absent", pack=str(pack))) from None
        shutil.rmtree(doomed, ignore_errors=True)
        # Only if no other version is left.
        with_nothing = self._root / pack.name
        if with_nothing.is_dir() and not any(with_nothing.iterdir()):
            with_nothing.rmdir()

    def sweep(self) -> list[str]:
        """Remove what interrupted installations and removals left; their directories' names."""
        left = [*self._root.glob(f"{_BUILDING}*"), *self._root.glob(f"{_REMOVING}*")]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return [folder.name for folder in left]

    # Building

    def _place(self, pack: PackId) -> Path:
        return self._root / pack.name / pack.version

    def _require_space(self, disk_mb: int) -> None:
        self._root.mkdir(mode=0o700, exist_ok=True)
        free_mb = shutil.disk_usage(self._root).free // MIB
        if free_mb < disk_mb + _RESERVE_MB:
            raise Unavailable(
                say("pack_no_space", needs=disk_mb, reserve=_RESERVE_MB, path=str(self._root), free=free_mb)
            )

    async def _environment(
        self, files: PackFiles, interpreter: Interpreter, order: PackOrder, building: Path, report: PackReport
    ) -> None:
        environment = building / ENVIRONMENT
        run = self._children.run
        report.line("making the environment")
        await run([interpreter.path, "-I", "-m", "venv", "--without-pip", str(environment)], report)
        if files.description.lock:
            pip = await asyncio.to_thread(interpreters.pip_for, interpreter, building / SCRATCH / "pip")
            words = [*pip.command, "--python", str(environment / "bin" / "python"), *_INSTALL]
            words += ["--progress-bar", "raw" if pip.tells_progress else "off"]
            if order.wheels:
                words += ["--no-index", "--find-links", _wheels(order.wheels)]
            words += ["--requirement", str(building / SCRATCH / _PINS)]
            report.line(f"installing what {files.description.lock} pins")
            await run(words, report, _settings(order, building / SCRATCH))
        await asyncio.to_thread(_tidy_environment, environment)
        report.line("compiling")
        compiled = [str(environment / "lib"), str(building / CODE)]
        final = self._place(files.description.id)
        # Without site packages: nothing that was installed runs here, outside of any sandbox.
        words = [
            interpreter.path,
            "-I",
            "-S",
            "-m",
            "compileall",
            "-qq",
            "-s",
            str(building),
            "-p",
            str(final),
            *compiled,
        ]
        await run(words, report, check=False)

    def _finish(
        self, files: PackFiles, interpreter: Interpreter | None, order: PackOrder, building: Path, report: PackReport
    ) -> InstalledPack:
        wanted = files.description
        shutil.rmtree(building / SCRATCH)
        report.line("noting the digest of every file")
        taken = inventory.take(building)
        (building / FILES_FILE).write_bytes(taken.encode())
        pack = InstalledPack(
            id=wanted.id,
            title=wanted.title,
            description=wanted.description,
            licence=wanted.licence,
            digest=files.digest,
            files_digest=taken.digest,
            python=interpreter.path if interpreter else "",
            python_version=interpreter.version_text if interpreter else "",
            needs=interpreter.needs if interpreter else (),
            image="" if interpreter else wanted.image,
            components=wanted.components,
            size=taken.size,
            installed_ms=self._clock.now_ms(),
            installed_by=order.by,
        )
        _write_record(building, pack)
        place = self._place(wanted.id)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        building.rename(place)
        return pack


_INSTALL = (
    "install",
    "--require-hashes",
    "--no-deps",
    "--only-binary=:all:",
    "--no-compile",
    "--no-cache-dir",
    "--no-input",
    "--disable-pip-version-check",
    "--no-warn-script-location",
)


def _unpack(files: PackFiles, building: Path) -> None:
    building.mkdir(mode=0o700)
    (building / SCRATCH).mkdir()
    (building / SCRATCH / _PINS).write_text(files.requirements)
    for name, content in files.files.items():
        path = building / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _settings(order: PackOrder, scratch: Path) -> Mapping[str, str]:
    # The index may hold a password, which everybody on this machine could read among the words of a command.
    index = {"PIP_INDEX_URL": order.index_url, "PIP_EXTRA_INDEX_URL": ""} if order.index_url else {}
    return {"TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1", "PIP_USER": "0", **index}


def _wheels(directory: str) -> str:
    if not Path(directory).is_dir():
        raise Refused(say("no_directory", path=directory))
    return directory


def _tidy_environment(environment: Path) -> None:
    """Let it find the components, and take away programs that name the directory in which it was built."""
    for program in (environment / "bin").iterdir():
        if not program.name.startswith(_KEPT_PROGRAMS):
            program.unlink()
    places = list(environment.glob("lib/python3.*/site-packages"))
    if len(places) != 1:
        raise Refused(say("pack_other_environment"))
    (site,) = places
    (site / _PATH_FILE).write_text(os.path.relpath(environment.parent / CODE, site) + "\n")


def _write_record(directory: Path, pack: InstalledPack) -> None:
    facts = asdict(pack)
    facts |= facts.pop("id")
    with (directory / RECORD_FILE).open("w") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _record(directory: Path) -> InstalledPack | None:
    try:
        return InstalledPack.parse(json.loads((directory / RECORD_FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _LOG.warning("%s cannot be read: the pack counts as not installed", directory / RECORD_FILE)
        return None
