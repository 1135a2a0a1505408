"""`nodeconsole component …`"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from embedded_scheduler.wire.console import ComponentCheck, ComponentRow
from nodeconsole import bundles
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_text
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable
from nodeconsole.kit.description import findings_of
from nodeconsole.kit.project import KitFault, open_project


async def register(call: Invocation) -> Exit:
    manifest, _, image = _description(call)
    if not image:
        raise CommandError("say what runs it by --image, or build it first: `nodeconsole component build`", Exit.USAGE)
    async with call.client() as client:
        row = await client.register_component(image, manifest, call.args.runner)
    return _show(call, row)


async def check(call: Invocation) -> Exit:
    manifest, mended, image = _description(call)
    findings = findings_of(manifest, mended)
    broken = any(finding.level == "error" for finding in findings)
    answer = None if broken else await _asked(call, image, manifest)
    if call.out.as_json:
        shown = answer.model_dump(mode="json") if answer is not None else {}
        call.out.document(shown | {"findings": [asdict(finding) for finding in findings]})
    else:
        _print_check(call, manifest, answer)
        for finding in findings:
            call.out.line(finding.text)
    if broken:
        return Exit.USAGE
    return Exit.FAILED if findings and call.args.strict else Exit.OK


async def _asked(call: Invocation, image: str, manifest: dict[str, Any]) -> ComponentCheck | None:
    """What a node makes of it; None if none answers, which is no fault of the description."""
    try:
        async with call.client() as client:
            return await client.check_component(image, manifest, call.args.runner)
    except NodeUnreachable:
        if call.args.image:
            raise
        return None


def _print_check(call: Invocation, manifest: dict[str, Any], answer: ComponentCheck | None) -> None:
    if answer is None:
        names = (manifest.get(member) for member in ("provider", "componentName", "version"))
        call.out.line(f"{'/'.join(str(name) for name in names)}; no node was asked")
        return
    what = "is registered just so" if answer.unchanged else "would be replaced" if answer.replaces else "is new"
    row = answer.component
    call.out.line(f"{_identity(row)} {what}; {row.parameters} parameters")
    if row.why_not:
        call.out.line(f"cannot run here: {row.why_not}")


def _description(call: Invocation) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """A self-description, what had to be read over to get it, and the address: what was typed, else what was built."""
    name, image = call.args.file, call.args.image or ""
    try:
        if name == "-":
            document, mended = parse_object(read_text(name))
            manifest, stated = bundles.parts(document)
            return dict(manifest), mended, image or stated
        project = open_project(Path(name))
    except Unreadable as error:
        raise CommandError(f"{name}: {error}", Exit.USAGE) from None
    except KitFault as fault:
        raise CommandError(str(fault), Exit.USAGE) from None
    if not image and project.program.is_file():
        image = f"exec:{project.program}"
    return project.manifest, project.mended, image or project.image_url


async def listing(call: Invocation) -> Exit:
    if call.args.of:
        return await _of_partner(call)
    async with call.client() as client:
        rows = await client.components()
    if call.out.as_json:
        call.out.document({"components": plain(rows)})
        return Exit.OK
    cells = ((_identity(row), row.title, " ".join(row.roles), row.image_url, _runs(row)) for row in rows)
    columns = ("COMPONENT", "TITLE", "ROLES", "IMAGE", "RUNS HERE")
    call.out.table(columns, cells, empty="no components: `nodeconsole component register FILE --image URL`")
    return Exit.OK


async def _of_partner(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.partner_components(call.args.of)
    if call.out.as_json:
        call.out.document({"components": plain(rows)})
        return Exit.OK
    cells = ((row.code, row.version, row.provider) for row in rows)
    call.out.table(("CODE", "VERSION", "PROVIDER"), cells, empty=f"{call.args.of} shows no components")
    return Exit.OK


def _runs(row: ComponentRow) -> str:
    return "disabled" if not row.enabled else row.why_not or "yes"


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        return _show(call, await _find(client, call.args.component))


async def enable(call: Invocation) -> Exit:
    return await _set_enabled(call, enabled=True)


async def disable(call: Invocation) -> Exit:
    return await _set_enabled(call, enabled=False)


async def _set_enabled(call: Invocation, *, enabled: bool) -> Exit:
    async with call.client() as client:
        row = await _find(client, call.args.component)
        row = await client.set_component_enabled(
            row.provider, row.name, row.version, enabled=enabled, reason=call.args.reason
        )
    return _show(call, row)


async def bundle(call: Invocation) -> Exit:
    """Everything is checked before anything is registered: a bundle is taken in whole or not at all."""
    try:
        found = await asyncio.to_thread(bundles.read, Path(call.args.path), call.args.image)
    except bundles.BundleError as error:
        raise CommandError(str(error), Exit.USAGE) from None
    async with call.client() as client:
        taken = [await _examined(client, one) for one in found.described]
        wrong = any(one.wrong for one in taken)
        if not wrong and not call.args.check:
            for one in taken:
                await client.register_component(one.described.image_url, dict(one.described.manifest))
    registered = not wrong and not call.args.check
    if call.out.as_json:
        rows = [{"file": one.described.file, "component": one.identity, "what": one.what} for one in taken]
        skipped = [{"file": file, "reason": reason} for file, reason in found.skipped]
        call.out.document({"registered": registered, "components": rows, "skipped": skipped})
    else:
        rows_shown = ((one.described.file, one.identity, one.what) for one in taken)
        call.out.table(("FILE", "COMPONENT", "REGISTRATION"), rows_shown, empty="no self-descriptions")
        for file, reason in found.skipped:
            call.out.line(f"skipped {file}: {reason}")
        if wrong:
            call.out.line("nothing was registered: mend or remove what cannot be")
    return Exit.REFUSED if wrong else Exit.OK if taken else Exit.USAGE


@dataclass(frozen=True, slots=True)
class _Examined:
    described: bundles.Described
    identity: str
    what: str
    wrong: bool = False


async def _examined(client: NodeClient, one: bundles.Described) -> _Examined:
    named = "/".join(str(one.manifest.get(key) or "") for key in ("provider", "componentName", "version"))
    if not one.image_url:
        return _Examined(one, named, "no imageUrl: give one with --image", wrong=True)
    try:
        found = await client.check_component(one.image_url, one.manifest)
    except ClientError as error:
        return _Examined(one, named, str(error), wrong=True)
    what = "the same" if found.unchanged else "replaces another" if found.replaces else "new"
    cannot = f"; cannot run here: {found.component.why_not}" if found.component.why_not else ""
    return _Examined(one, _identity(found.component), what + cannot)


async def export(call: Invocation) -> Exit:
    if bool(call.args.component) is call.args.all:
        raise CommandError("name the components to export, or --all", Exit.USAGE)
    if not call.args.to and (call.args.all or len(call.args.component) > 1):
        raise CommandError("several components need --to PATH", Exit.USAGE)
    async with call.client() as client:
        if call.args.all:
            listed = [row for row in await client.components() if not row.image_url.startswith("builtin:")]
            rows = [await client.component(row.provider, row.name, row.version) for row in listed]
        else:
            rows = [await _find(client, wanted) for wanted in call.args.component]
    if not call.args.to:
        call.out.document(rows[0].manifest)
        return Exit.OK
    path = Path(call.args.to)
    try:
        names = await asyncio.to_thread(bundles.write, path, [(row.manifest, row.image_url) for row in rows])
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror}", Exit.FAILED) from None
    call.out.done({"path": str(path), "files": names}, f"saved {len(names)} components in {path}")
    return Exit.OK


async def remove(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await _find(client, call.args.component)
        await client.remove_component(row.provider, row.name, row.version)
    call.out.done({"removed": _identity(row)}, f"removed {_identity(row)}")
    return Exit.OK


async def _find(client: NodeClient, wanted: str) -> ComponentRow:
    parts = wanted.split("/")
    if len(parts) == 3:
        return await client.component(*parts)
    found = [row for row in await client.components() if row.name == wanted]
    if not found:
        raise CommandError(f"there is no component {wanted}", Exit.NOT_FOUND)
    if len(found) > 1:
        raise CommandError(f"which one? {', '.join(_identity(row) for row in found)}", Exit.USAGE)
    return await client.component(found[0].provider, found[0].name, found[0].version)


def _identity(row: ComponentRow) -> str:
    return f"{row.provider}/{row.name}/{row.version}"


def _show(call: Invocation, row: ComponentRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "component": _identity(row),
            "title": row.title,
            "description": row.description,
            "code": row.code,
            "image": row.image_url,
            "pack": row.pack,
            "roles": " ".join(row.roles),
            "runner": row.runner or "by the node's rules",
            "runs here": "yes" if row.runnable else f"no: {row.why_not}",
            "registered": f"{moment(row.registered_ms)} by {row.registered_by}",
            "digest": row.digest,
        }
    )
    for warning in row.warnings:
        call.out.line(f"warning: {warning}")
    if row.manifest:
        call.out.line()
        call.out.line("self-description, as sent")
        for line in json.dumps(row.manifest, ensure_ascii=False, indent=2).splitlines():
            call.out.line(line)
    return Exit.OK


COMMANDS: dict[str, Command] = {
    "register": register,
    "check": check,
    "list": listing,
    "show": show,
    "enable": enable,
    "disable": disable,
    "export": export,
    "import": bundle,
    "remove": remove,
}
