"""What an attempt starts with: which component where, its environment, its data, its limits, its secrets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.domain.component import ComponentManifest, parse_manifest
from embedded_scheduler.domain.environment import (
    AttemptFacts,
    NodeFacts,
    build_environment,
    data_addresses,
    source_dataset,
)
from embedded_scheduler.domain.limits import EffectiveLimit
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.session import session_id
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine import datasets, secrets
from embedded_scheduler.engine.admission import GIB
from embedded_scheduler.engine.components import refusal
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.placement import Part
from embedded_scheduler.errors import Refused
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import DistantRunner, LaunchSpec, Limits, Outlook, Runner, SecretiveRunner
from embedded_scheduler.spi.storage import FileStorage, RemoteStorage, Storage
from embedded_scheduler.store import components


@dataclass(frozen=True, slots=True)
class Prepared:
    """A launch, and what is remembered of it."""

    runner: Runner
    spec: LaunchSpec
    session_id: str
    component: str
    limits: tuple[EffectiveLimit, ...]
    input_bytes: int


def token_of(engine: Engine, attempt: str) -> str:
    """The secret a component presents to its node. Derived, so a launch repeated after a crash has the same one."""
    return hmac.new(engine.attempt_secret, f"attempt\n{attempt}".encode(), hashlib.sha256).hexdigest()


def log_file(engine: Engine, job_id: str, attempt: str) -> Path:
    return engine.home.logs / job_id / f"{attempt}.log"


async def prepare(engine: Engine, s: JobSnapshot, task_name: str, party: Party, attempt: str) -> Prepared:
    """Everything that a launch needs: the component, its place, its data, its environment. Begins the attempt's log.

    `Refused` when it can never start here; `Unavailable` and `OSError` when it may later.
    """
    ref = s.spec.flow.node(task_name).component
    found = await engine.db.read(
        lambda r: components.resolve(r, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)
    )
    if found is None:
        raise Refused(
            say("not_registered_at", provider=ref.provider, name=ref.name, version=ref.version, node=engine.node_id)
        )
    part = Part(s.spec, task_name, party, own=s.spec.initiator == engine.node_id)
    if not found.enabled:
        raise Refused(refusal(found, engine.placement, part))
    placed = engine.placement.place(found, part)
    runner = placed.runner
    dataset = source_dataset(s.spec, task_name, party)
    if dataset is not None:
        await datasets.stage(engine, dataset.namespace, dataset.name)
    task_id = s.tasks[task_name].task_id
    session = session_id(s.spec, task_name, task_id, s.coordinator, engine.directory.session_need)
    log_path = log_file(engine, s.spec.job_id, attempt)
    manifest = parse_manifest(found.manifest)
    seen = runner.outlook() if isinstance(runner, DistantRunner) else Outlook()
    address = seen.node_address or engine.settings.platform.listen
    environment = build_environment(
        spec=s.spec,
        task_name=task_name,
        party=party,
        manifest=manifest,
        task_ids={name: s.tasks[name].task_id for name in (task_name, *s.spec.flow.node(task_name).upstream)},
        attempt=AttemptFacts(session_id=session, token=token_of(engine, attempt), trace_id=s.spec.job_id),
        node=NodeFacts(
            storage_url=seen.storage_url or await engine.storage.url(),
            callback_url=f"http://{address}/v1/platform/schedule/task/callback",
            transport=address,
            log_path=str(log_path.parent),
            inst_ids={engine.node_id: engine.settings.inst_id or engine.node_id},
        ),
    )
    limits = engine.placement.limits(part, manifest)
    reads, writes = _files_of(engine.storage, environment)
    spec = LaunchSpec(
        attempt_id=attempt,
        image_url=found.image_url,
        environment=environment,
        run_directory=engine.home.runs / attempt,
        log_path=log_path,
        limits=_for_runner(limits),
        node_address=address,
        secrets=await _secrets_for(engine, runner, found.image_url),
        reads=reads,
        writes=writes,
        reaches=engine.storage.reaches if isinstance(engine.storage, RemoteStorage) else (),
    )
    place = str(runner.handle(spec).data.get("where") or "")
    said = f"run by {runner.name}{f': {place}' if place else ''}{f' ({placed.why})' if placed.why else ''}"
    await asyncio.to_thread(_begin_log, engine, spec, manifest, party, said, limits)
    sizes = [await engine.storage.stat(one.namespace, one.name) for one in data_addresses(environment)[0]]
    known = sum(stored.size for stored in sizes if stored is not None)
    return Prepared(runner, spec, session, f"{manifest.provider}/{manifest.name}", limits, known)


async def _secrets_for(engine: Engine, runner: Runner, image_url: str) -> dict[str, str]:
    names = runner.secrets_for(image_url) if isinstance(runner, SecretiveRunner) else ()
    return await secrets.open_options(engine, {name: {"secret": name} for name in names})


def _files_of(storage: Storage, environment: Mapping[str, str]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """`reads` and `writes` of a launch: what the attempt's environment names, where it is a file of this machine."""
    if not isinstance(storage, FileStorage):
        return (), ()
    inputs, outputs = data_addresses(environment)
    directories = {storage.directory(address.namespace) for address in outputs}
    reads = tuple(
        path
        for address in inputs
        for path in (
            storage.path(address.namespace, address.name),
            storage.metadata_path(address.namespace, address.name),
        )
    )
    return reads, tuple(sorted(directories))


def _begin_log(
    engine: Engine,
    spec: LaunchSpec,
    manifest: ComponentManifest,
    party: Party,
    placed: str,
    limits: Sequence[EffectiveLimit],
) -> None:
    spec.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if spec.log_path.exists():
        return
    name = f"{manifest.provider} {manifest.name} {manifest.version}".strip()
    engine.logs.append_line(spec.log_path, f"nodeconsole: {name} as {party.key} from {spec.image_url}")
    engine.logs.append_line(spec.log_path, f"nodeconsole: {placed}")
    said = [f"{limit.kind} {limit.value:g}{_UNITS[limit.kind]} ({limit.origin})" for limit in limits]
    engine.logs.append_line(spec.log_path, f"nodeconsole: limits: {', '.join(said) or 'none'}")


_UNITS = {"cpu": "", "memory": " GiB", "disk": " GiB", "hours": ""}


def _for_runner(limits: Sequence[EffectiveLimit]) -> Limits:
    values = {limit.kind: limit.value for limit in limits}
    memory, disk = values.get("memory"), values.get("disk")
    return Limits(
        cpu=values.get("cpu"),
        memory_bytes=int(memory * GIB) if memory else None,
        disk_bytes=int(disk * GIB) if disk else None,
    )
