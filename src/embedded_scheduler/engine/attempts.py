"""Runs shares on this node: prepares an attempt, launches it, and takes in how it ended."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded_scheduler.config import MIB
from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.component import ComponentManifest, parse_manifest
from embedded_scheduler.domain.effects import Decision
from embedded_scheduler.domain.environment import (
    AttemptFacts,
    NodeFacts,
    build_environment,
    data_addresses,
    source_dataset,
)
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.session import session_id
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine import datasets, progress, secrets, traffic
from embedded_scheduler.engine.components import refusal
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.crashpoints import reached
from embedded_scheduler.engine.placement import Part
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.errors import NodeError, Refused, StoreError, Unavailable
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.spi.runner import (
    END_OF_LOG,
    DistantRunner,
    Exit,
    LaunchSpec,
    Limits,
    Outlook,
    RunHandle,
    Runner,
    SecretiveRunner,
)
from embedded_scheduler.spi.storage import FileStorage, RemoteStorage, Storage
from embedded_scheduler.store import attempts, components, outbox
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Tx

GIB = 1024 * MIB

_SCARCE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""What the system answers when something has run out that may be there again later."""

_LOG = logging.getLogger(__name__)


def handle_of(attempt: Attempt) -> RunHandle:
    return RunHandle(runner=attempt.runner, attempt_id=attempt.attempt_id, data=attempt.handle)


def token_of(engine: Engine, attempt: str) -> str:
    """The secret a component presents to its node. Derived, so a launch repeated after a crash has the same one."""
    return hmac.new(engine.attempt_secret, f"attempt\n{attempt}".encode(), hashlib.sha256).hexdigest()


def log_file(engine: Engine, job_id: str, attempt: str) -> Path:
    return engine.home.logs / job_id / f"{attempt}.log"


async def launch(
    engine: Engine, row: outbox.OutboxRow, *, adopt: Callable[[Attempt], None], failing: float = 0.0
) -> None:
    """Carry out a launch order: `adopt` gets the running attempt, or it is recorded as failed.

    `failing` = seconds since it first could not be started because something was not there.
    """
    snapshot = await progress.view(engine, row.job_id)
    task_name = str(row.body["task"])
    party = Party(role=row.body["role"], index=row.body["index"], node_id=engine.node_id)
    share = next(share for share in snapshot.tasks[task_name].shares if share.party == party)
    try:
        if share.terminating:
            raise Refused("stopped before it started")
        runner, spec, session = await _prepare(engine, snapshot, task_name, party, row.target)
        handle = runner.handle(spec)
        token, log = token_of(engine, row.target), spec.log_path
        await engine.db.write(
            lambda tx: _store(tx, row, task_name, party, handle, session_id=session, token=token, log_path=log)
        )
        await engine.channel.open_session(session)
        reached("launch.stored")
        await runner.launch(spec)
        reached("launch.started")
    except StoreError:
        raise
    except (NodeError, OSError) as error:
        # It may work later (no process, no disk space just now): the order stays, for a while.
        if _is_passing(error) and failing < engine.settings.timing.partner_lost:
            raise Unavailable(f"{task_name} cannot be started just now: {error}") from error
        await _could_not_start(engine, row, task_name, party, str(error))
        return

    def work(tx: Tx) -> tuple[Attempt | None, JobSnapshot]:
        attempts.launched(tx, row.target)
        outbox.acknowledge(tx, row.id)
        attempt = attempts.get(tx, row.target)
        here = progress.scene(engine)
        cause = Cause("node", row.trace_id)
        return attempt, advance(tx, here, row.job_id, cause, lambda s: reactions.share_running(s, task_name, party))

    def committed(result: tuple[Attempt | None, JobSnapshot]) -> None:
        # Whatever becomes of this call from here on: its end has to be seen.
        if result[0] is not None:
            adopt(result[0])
        progress.announce(engine, result[1])

    _, after = await engine.db.write(work, committed=committed)
    await progress.close_ended(engine, after)


def _is_passing(error: NodeError | OSError) -> bool:
    """Whether the same launch may work later."""
    return isinstance(error, Unavailable) or (isinstance(error, OSError) and error.errno in _SCARCE)


def _store(
    tx: Tx,
    row: outbox.OutboxRow,
    task_name: str,
    party: Party,
    handle: RunHandle,
    *,
    session_id: str,
    token: str,
    log_path: Path,
) -> None:
    attempts.insert(
        tx,
        attempt_id=row.target,
        job_id=row.job_id,
        task_name=task_name,
        party=party,
        number=int(row.body["number"]),
        runner=handle.runner,
        handle=handle.data,
        session_id=session_id,
        token_hash=kept_of(token) if token else "",
        log_path=str(log_path),
    )


async def _prepare(
    engine: Engine, s: JobSnapshot, task_name: str, party: Party, attempt: str
) -> tuple[Runner, LaunchSpec, str]:
    ref = s.spec.flow.node(task_name).component
    found = await engine.db.read(
        lambda r: components.resolve(r, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)
    )
    if found is None:
        raise Refused(f"component {ref.provider} {ref.name} {ref.version} is not registered on {engine.node_id}")
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
    reads, writes = _files_of(engine.storage, environment)
    spec = LaunchSpec(
        attempt_id=attempt,
        image_url=found.image_url,
        environment=environment,
        run_directory=engine.home.runs / attempt,
        log_path=log_path,
        limits=limits_of(s.spec.resources(party)),
        node_address=address,
        secrets=await _secrets_for(engine, runner, found.image_url),
        reads=reads,
        writes=writes,
        reaches=engine.storage.reaches if isinstance(engine.storage, RemoteStorage) else (),
    )
    place = str(runner.handle(spec).data.get("where") or "")
    said = f"run by {runner.name}{f': {place}' if place else ''}{f' ({placed.why})' if placed.why else ''}"
    await asyncio.to_thread(_begin_log, engine, spec, manifest, party, said)
    return runner, spec, session


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


def limits_of(resources: Mapping[str, object]) -> Limits:
    """`{cpu, memory, disk}` of the specification (cores, GiB, GiB; -1 or nothing = no limit)."""

    def amount(name: str) -> float | None:
        value = resources.get(name)
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
        except ValueError:
            return None
        return number if number > 0 else None

    memory, disk = amount("memory"), amount("disk")
    return Limits(
        cpu=amount("cpu"),
        memory_bytes=int(memory * GIB) if memory else None,
        disk_bytes=int(disk * GIB) if disk else None,
    )


def _begin_log(engine: Engine, spec: LaunchSpec, manifest: ComponentManifest, party: Party, placed: str) -> None:
    spec.log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if spec.log_path.exists():
        return
    name = f"{manifest.provider} {manifest.name} {manifest.version}".strip()
    engine.logs.append_line(spec.log_path, f"nodeconsole: {name} as {party.key} from {spec.image_url}")
    engine.logs.append_line(spec.log_path, f"nodeconsole: {placed}")
    limits = [
        f"{what} {value}"
        for what, value in (
            ("cpu", spec.limits.cpu),
            ("memory", spec.limits.memory_bytes),
            ("disk", spec.limits.disk_bytes),
        )
        if value
    ]
    engine.logs.append_line(spec.log_path, f"nodeconsole: limits: {', '.join(limits) or 'none'}")


async def _could_not_start(engine: Engine, row: outbox.OutboxRow, task_name: str, party: Party, reason: str) -> None:
    """The attempt never ran: say so in its log, close the log, and let the job know."""
    path = log_file(engine, row.job_id, row.target)

    def write_log() -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine.logs.append_line(path, f"nodeconsole: error: could not start: {reason}")
        engine.logs.append_line(path, f"{END_OF_LOG}, not started")

    try:
        await asyncio.to_thread(write_log)
    except OSError as error:
        _LOG.error("%s cannot be written: %s", path, error)

    def work(tx: Tx) -> JobSnapshot:
        if attempts.get(tx, row.target) is None:
            never = RunHandle("", row.target)
            _store(tx, row, task_name, party, never, session_id="", token="", log_path=path)
        attempts.ended(tx, row.target, code=None, signal=None, error=reason)
        outbox.refuse(tx, row.id, reason)
        return advance(
            tx,
            progress.scene(engine),
            row.job_id,
            Cause("node", row.trace_id),
            lambda s: reactions.share_ended(s, task_name, party, ok=False, reason=reason),
        )

    await progress.commit(engine, work)


async def terminate(engine: Engine, row: outbox.OutboxRow) -> None:
    """Carry out an order to end an attempt; its end is taken in like any other."""
    attempt = await engine.db.read(lambda reader: attempts.get(reader, row.target))
    if attempt is not None and attempt.launched_ms is not None and attempt.ended_ms is None:
        runner = engine.runners.get(attempt.runner)
        if runner is None:
            raise Unavailable(f"the runner {attempt.runner} that started {row.target} is not installed any more")
        await runner.terminate(handle_of(attempt), engine.settings.timing.stop_grace)
        reached("terminate.done")
    await engine.db.write(lambda tx: outbox.acknowledge(tx, row.id))


async def ended(engine: Engine, attempt: Attempt, exit_: Exit) -> None:
    """An attempt's process is gone: weigh its exit and what it said itself."""
    reached("exit.seen")
    party = Party(role=attempt.role, index=attempt.index, node_id=engine.node_id)
    measured = engine.channel.meter.read(attempt.token_hash, attempt.launched_ms)
    kept = traffic.to_text(measured) if measured else ""

    def work(tx: Tx) -> JobSnapshot:
        current = attempts.get(tx, attempt.attempt_id) or attempt
        attempts.ended(tx, attempt.attempt_id, code=exit_.code, signal=exit_.signal, error=exit_.error, traffic=kept)
        ok = exit_.ok and current.callback != "FAILED"
        reason = "" if ok else fault(exit_, current.callback)

        def reaction(s: JobSnapshot) -> list[Decision]:
            return reactions.share_ended(s, attempt.task_name, party, ok=ok, reason=reason)

        return advance(tx, progress.scene(engine), attempt.job_id, Cause("node"), reaction)

    await progress.commit(engine, work)
    engine.channel.meter.forget(attempt.token_hash)


def fault(exit_: Exit, callback: str) -> str:
    """Why an attempt counts as failed, for the operator and the other parties' operators: no data, no log text."""
    if exit_.error:
        return exit_.error
    if exit_.signal is not None:
        try:
            name = signal.Signals(exit_.signal).name
        except ValueError:
            name = f"signal {exit_.signal}"
        return f"ended by {name}"
    if exit_.ok and callback == "FAILED":
        return "the component reported FAILED"
    return f"exit code {exit_.code}"
