"""Registered components: taking them in, and why this node can or cannot run its part of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from embedded_scheduler.domain.component import ComponentManifest, parse_manifest
from embedded_scheduler.domain.environment import source_dataset
from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.pack import SCHEME
from embedded_scheduler.domain.party import Party
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.placement import Part, Placement, why_none
from embedded_scheduler.errors import InvalidRequest, NotFound, Refused
from embedded_scheduler.sentences import Sentence, Words, say
from embedded_scheduler.store import components, datasets, ledger
from embedded_scheduler.store.components import Component
from embedded_scheduler.store.database import Reader, Tx

BUILTIN = "builtin:"
BUILTIN_ACTOR = "node"
_LONGEST_ADDRESS = 1024
_OWN_SCHEMES = (BUILTIN, "exec:", SCHEME)


async def register(
    engine: Engine, image_url: str, manifest: Mapping[str, Any], *, actor: str, runner: str | None = None
) -> Component:
    """Take in a component under its identity (provider, name, version); a registration of the same one is replaced.

    `runner` is the one that is to run it: "" = the node's rules decide, None = as it was registered before.

    What is registered already, with the same content, stays as it is and leaves no new event. `InvalidRequest` for a
    self-description without identity, or for a runner that this node does not have; `Refused` for an address of this
    machine (`builtin:`, `exec:`, `pack:`) that no runner of this node starts, or that the runner asked for does not.
    An image reference is taken in even if no runner can run it: the job's approval says so.
    """
    parsed = parse_manifest(manifest)
    _check_address(engine, image_url, runner)
    return await engine.db.write(lambda tx: _put(tx, parsed, image_url, manifest, actor, runner))


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a registration would be. `before`: the registration of the same identity that it would replace."""

    component: Component
    parsed: ComponentManifest
    before: Component | None

    @property
    def unchanged(self) -> bool:
        """It is registered already just so."""
        before = self.before
        return before is not None and _says(before) == _says(self.component)


async def inspect(
    engine: Engine, image_url: str, manifest: Mapping[str, Any], *, actor: str, runner: str | None = None
) -> Inspection:
    """What `register` would do, without doing it. An empty address is not looked at: it may not be known yet.

    Raises as `register` does.
    """
    parsed = parse_manifest(manifest)
    if image_url:
        _check_address(engine, image_url, runner)

    def look(reader: Reader) -> Inspection:
        before = components.get(reader, *parsed.identity)
        component = Component(
            *parsed.identity,
            parsed.code,
            image_url,
            dict(manifest),
            reader.now_ms,
            actor,
            enabled=before is None or before.enabled,
            runner=_runner_after(before, runner),
        )
        return Inspection(component, parsed, before)

    return await engine.db.read(look)


async def set_enabled(
    engine: Engine, provider: str, name: str, version: str, *, enabled: bool, reason: str = "", actor: str
) -> Component:
    """Let a component run or not. A disabled one stays registered, and jobs that need it are refused with the reason;
    attempts that run are not touched. Repeated, it changes nothing. `NotFound` if it is not registered."""

    def work(tx: Tx) -> Component:
        found = components.get(tx, provider, name, version)
        if found is None:
            raise NotFound(say("component_not_registered", component=_named(provider, name, version)))
        if found.enabled is enabled:
            return found
        components.set_enabled(tx, provider, name, version, enabled=enabled)
        _record(tx, found, "component.enabled" if enabled else "component.disabled", actor, reason)
        return replace(found, enabled=enabled)

    return await engine.db.write(work)


async def remove(engine: Engine, provider: str, name: str, version: str, *, actor: str) -> None:
    """Forget a component; `NotFound` if it is not registered. Attempts that run are not touched."""

    def work(tx: Tx) -> None:
        found = components.get(tx, provider, name, version)
        if found is None:
            raise NotFound(say("component_not_registered", component=_named(provider, name, version)))
        forget(tx, found, actor)

    await engine.db.write(work)


def forget(tx: Tx, component: Component, actor: str) -> None:
    components.delete(tx, component.provider, component.name, component.version)
    _record(tx, component, "component.removed", actor)


async def ensure_builtin(engine: Engine) -> None:
    """Register the components that come with the program; called once at the node's start."""
    for manifest in engine.builtin_manifests:
        address = f"{BUILTIN}{parse_manifest(manifest).name}"
        await register(engine, address, manifest, actor=BUILTIN_ACTOR)


def problems(reader: Reader, spec: JobSpec, own: Sequence[Party], placement: Placement) -> list[Words]:
    """Sentences why this node cannot run its part of a job (`own`: its parties); empty = it can."""
    found: list[Sentence] = []
    for task_name, parties in _own_tasks(spec, own):
        ref = spec.flow.node(task_name).component
        component = _resolve(reader, ref)
        if component is None:
            unknown = say("component_unknown", component=_named(ref.provider, ref.name or ref.code, ref.version))
            found.append(say("about", name=task_name, what=unknown))
            continue
        parts = [Part(spec, task_name, party, own=spec.initiator == party.node_id) for party in parties]
        refusals = [reason for part in parts if (reason := refusal(component, placement, part))]
        found += [say("about", name=task_name, what=reason) for reason in refusals]
        manifest = parse_manifest(component.manifest)
        if not refusals:
            wanting = [reason for part in parts if (reason := placement.too_much(component, manifest, part))]
            found += [say("about", name=task_name, what=reason) for reason in wanting]
        for party in parties:
            faults = _faults(reader, spec, task_name, party, manifest)
            found += [say("about", name=task_name, what=fault) for fault in faults]
    return list({str(sentence): sentence for sentence in found}.values())


def refusal(component: Component, placement: Placement, part: Part | None = None) -> Words:
    """Why a registered component, or a part of a job with it, cannot run here now; empty = it can."""
    if not component.enabled:
        named = _named(component.provider, component.name, component.version)
        return say("component_disabled", component=named)
    return placement.refusal(component, part)


def roles_of(reader: Reader, ref: ComponentRef) -> frozenset[str]:
    """The roles (lower case) in which a component runs; empty = it is not registered, or any."""
    component = _resolve(reader, ref)
    return frozenset() if component is None else frozenset(parse_manifest(component.manifest).roles)


def disclosures(reader: Reader, ref: ComponentRef) -> list[Words] | None:
    """What leaves the node and who learns what when a component runs, in its author's words; None = it is not
    registered here."""
    component = _resolve(reader, ref)
    if component is None:
        return None
    manifest = parse_manifest(component.manifest)
    stated: list[Words] = [item.text for item in manifest.disclosure]
    protection = [say("protects", against=manifest.adversary)] if manifest.adversary else []
    return [*(stated or [say("undeclared")]), *protection]


def _check_address(engine: Engine, image_url: str, runner: str | None) -> None:
    if not image_url.strip() or len(image_url) > _LONGEST_ADDRESS:
        raise InvalidRequest(say("image_url_size", most=_LONGEST_ADDRESS, value=shorten(image_url)))
    if not image_url.isprintable() or " " in image_url:
        raise InvalidRequest(say("image_url_form", value=shorten(image_url)))
    if runner and runner not in engine.runners:
        raise InvalidRequest(say("no_such_runner", runner=shorten(runner), runners=", ".join(engine.runners)))
    if runner or image_url.startswith(_OWN_SCHEMES):
        asked = [engine.runners[runner]] if runner else list(engine.runners.values())
        refusals = [each.accepts(image_url) for each in asked]
        if "" not in refusals:
            raise Refused(why_none(refusals))


def _says(component: Component) -> tuple[str, dict[str, Any], str]:
    return component.image_url, component.manifest, component.runner


def _runner_after(before: Component | None, runner: str | None) -> str:
    return runner if runner is not None else "" if before is None else before.runner


def _put(
    tx: Tx, parsed: ComponentManifest, image_url: str, manifest: Mapping[str, Any], actor: str, runner: str | None
) -> Component:
    existing = components.get(tx, parsed.provider, parsed.name, parsed.version)
    runner = _runner_after(existing, runner)
    if existing is not None and _says(existing) == (image_url, dict(manifest), runner):
        return existing
    stored = components.put(
        tx,
        provider=parsed.provider,
        name=parsed.name,
        version=parsed.version,
        code=parsed.code,
        image_url=image_url,
        manifest=manifest,
        registered_by=actor,
        runner=runner,
    )
    _record(tx, stored, "component.registered", actor)
    return stored


def _record(tx: Tx, component: Component, event: str, actor: str, reason: str = "") -> None:
    ledger.append(
        tx,
        subject="component",
        subject_id=f"{component.provider}/{component.name}/{component.version}",
        event=event,
        actor=actor,
        reason=reason,
        data={"image_url": component.image_url, "code": component.code, "runner": component.runner},
    )


def _resolve(reader: Reader, ref: ComponentRef) -> Component | None:
    return components.resolve(reader, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)


def _named(provider: str, name: str, version: str) -> str:
    return str(PurePosixPath(provider or "?", name)) + (f" {version}" if version else "")


def _own_tasks(spec: JobSpec, own: Sequence[Party]) -> Iterator[tuple[str, list[Party]]]:
    """Tasks in which this node has a part, with its parties, in the flow's order."""
    for task_name in spec.flow.order:
        parties = [party for party in spec.parties_of(task_name) if party in own]
        if parties:
            yield task_name, parties


def _faults(
    reader: Reader, spec: JobSpec, task_name: str, party: Party, manifest: ComponentManifest
) -> Iterator[Sentence]:
    if not manifest.runs_as(party.role):
        yield say("role_not_run", component=manifest.name, role=party.role, roles=tuple(manifest.roles))
    given = spec.parameters(task_name, party)
    for param in manifest.params:
        if param.required and given.get(param.name) in (None, ""):
            yield say("parameter_missing", name=param.name, title=param.title, party=party.key)
    dataset = source_dataset(spec, task_name, party)
    if dataset is not None:
        if datasets.get(reader, dataset.namespace, dataset.name) is None:
            yield say("dataset_unknown", dataset=shorten(dataset.dataset_id))
    elif not spec.flow.node(task_name).inputs and any(port.required for port in manifest.inputs):
        yield say("data_unnamed", party=party.key)
