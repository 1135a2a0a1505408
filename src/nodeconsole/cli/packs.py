"""`nodeconsole component install …`: component packs. The node does the work; this shows how it goes."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from embedded_scheduler.wire.console_packs import PackProgress, PackRow
from nodeconsole import packs
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment
from nodeconsole.client import NodeClient
from nodeconsole.places import create_file

_MB = 1_000_000


async def install(call: Invocation) -> Exit:
    archive = await _archive(call.args.pack)
    async with call.client() as client:
        row = await _installed(call, client, archive)
    return _done(call, row)


async def upgrade(call: Invocation) -> Exit:
    archive = await _archive(call.args.pack)
    async with call.client() as client:
        row = await _installed(call, client, archive)
        older = [one for one in await client.packs() if one.name == row.name and one.version != row.version]
        if call.args.remove_old:
            for one in older:
                await client.remove_pack(one.name, one.version)
                call.out.note(f"removed {_named(one)}")
        elif older:
            names = " ".join(map(_named, older))
            call.out.note(f"still there, with what is registered: {names}; `nodeconsole component uninstall {names}`")
    return _done(call, row)


async def _archive(name: str) -> bytes:
    try:
        return await asyncio.to_thread(packs.archive_of, name)
    except packs.PackFault as fault:
        raise CommandError(str(fault), Exit.USAGE) from None


async def _installed(call: Invocation, client: NodeClient, archive: bytes) -> PackRow:
    args = call.args
    wheels = args.wheels if call.is_remote else _absolute(args.wheels)
    row = await client.install_pack(archive, python=args.python, index_url=args.index_url, wheels=wheels)
    if row.state == "installed":
        call.out.note(f"{_named(row)} is installed already")
        return row
    call.out.note(f"{_named(row)}: the node installs it; leaving this command does not stop it")
    await _follow(call, client, row)
    row = await client.pack(row.name, row.version)
    if row.state != "installed":
        raise CommandError(f"{_named(row)} was not installed: {row.error}", Exit.FAILED)
    return row


def _absolute(directory: str) -> str:
    """The node looks for it from another place."""
    return str(Path(directory).absolute()) if directory else ""


async def _follow(call: Invocation, client: NodeClient, row: PackRow) -> None:
    after = 0
    while True:
        news = await client.pack_progress(row.name, row.version, after)
        for line in news.lines:
            call.out.note(line)
        after = news.next
        if news.state in ("installed", "failed"):
            call.out.end_progress()
            return
        _show_progress(call, news)


def _show_progress(call: Invocation, news: PackProgress) -> None:
    if news.total_bytes:
        call.out.progress(f"{news.done_bytes / _MB:.1f} of {news.total_bytes / _MB:.1f} MB")


def _done(call: Invocation, row: PackRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "pack": _named(row),
            "title": row.title,
            "licence": row.licence,
            "components": " ".join(row.components),
            "python": row.python,
            "image": row.image,
            "size": f"{row.bytes / _MB:.1f} MB",
            "digest": row.digest,
            "installed": f"{moment(row.installed_ms)} by {row.installed_by}",
        }
    )
    return Exit.OK


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.packs()
    shipped = {name: packs.stated_version(folder) for name, folder in packs.shipped_packs().items()}
    missing = {name: version for name, version in shipped.items() if all(row.name != name for row in rows)}
    if call.out.as_json:
        call.out.document({"packs": plain(rows), "available": missing})
        return Exit.OK
    cells = [
        (
            _named(row),
            row.error or row.state,
            " ".join(row.components),
            f"{row.bytes / _MB:.0f} MB",
            row.python or row.image,
        )
        for row in rows
    ]
    call.out.table(("PACK", "STATE", "COMPONENTS", "SIZE", "RUN BY"), cells, empty="no packs are installed")
    for name, version in missing.items():
        call.out.note(f"comes with this program: {name}/{version}; `nodeconsole component install {name}`")
    return Exit.OK


async def verify(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await _chosen(client, call.args.pack) if call.args.pack else await client.packs()
        found = {
            _named(row): await client.verify_pack(row.name, row.version) for row in rows if row.state == "installed"
        }
    if call.out.as_json:
        call.out.document({name: result.model_dump(mode="json") for name, result in found.items()})
    else:
        for name, result in found.items():
            call.out.line(f"{name}: {result.files} files {'as installed' if result.ok else 'are not as installed'}")
            for fault in result.faults:
                call.out.line(f"  {fault}")
            if result.more:
                call.out.line(f"  and {result.more} more")
        if not found:
            call.out.note("no packs are installed")
    return Exit.OK if all(result.ok for result in found.values()) else Exit.FAILED


async def uninstall(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = [row for wanted in call.args.packs for row in await _chosen(client, wanted)]
        for row in rows:
            await client.remove_pack(row.name, row.version)
            if not call.out.as_json:
                call.out.line(f"removed {_named(row)}")
    if call.out.as_json:
        call.out.document({"removed": [_named(row) for row in rows]})
    return Exit.OK


async def _chosen(client: NodeClient, wanted: str) -> list[PackRow]:
    """NAME/VERSION, or NAME where there is one version."""
    name, _, version = wanted.partition("/")
    found = [row for row in await client.packs() if row.name == name and version in ("", row.version)]
    if not found:
        raise CommandError(f"pack {wanted} is not installed: `nodeconsole component packs`", Exit.NOT_FOUND)
    if len(found) > 1:
        raise CommandError(f"which one? {', '.join(map(_named, found))}", Exit.USAGE)
    return found


async def pack(call: Invocation) -> Exit:
    try:
        target, content = await asyncio.to_thread(_write, call.args.directory, call.args.output or "")
    except packs.PackFault as fault:
        raise CommandError(str(fault), Exit.USAGE) from None
    except OSError as error:
        raise CommandError(f"{error.filename or call.args.output}: {error.strerror}", Exit.FAILED) from None
    digest = hashlib.sha256(content).hexdigest()
    call.out.done({"path": str(target), "digest": digest}, f"{target}  SHA-256 {digest}")
    return Exit.OK


def _write(directory: str, output: str) -> tuple[Path, bytes]:
    folder = Path(directory)
    content = packs.pack_folder(folder)
    target = Path(output or f"{folder.resolve().name}-{packs.stated_version(folder)}{packs.SUFFIX}")
    with open(create_file(target), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
    return target, content


def _named(row: PackRow) -> str:
    return f"{row.name}/{row.version}"


COMMANDS: dict[str, Command] = {
    "install": install,
    "upgrade": upgrade,
    "packs": listing,
    "verify": verify,
    "uninstall": uninstall,
    "pack": pack,
}
