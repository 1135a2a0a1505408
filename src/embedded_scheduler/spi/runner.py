"""Contract of a runner: it runs one attempt of a component somewhere and never touches job state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from embedded_scheduler.sentences import Words


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of one attempt; None = no limit. `cpu` in cores, sizes in bytes."""

    cpu: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """One attempt to run.

    `attempt_id` is deterministic and unique on this node: launching the same id twice runs it once. `image_url` is the
    component's registered address (`builtin:<name>`, `exec:<absolute path or module>`,
    `pack:<name>/<version>:<component>`, or an image reference). `environment` is complete: nothing of the node's own
    environment reaches the component, except what the runner needs to start it (PATH, LANG, HOME, TMPDIR). `log_path`
    exists already when the node wrote lines before the start; the runner appends the component's output byte for byte,
    and at the end one line that starts with `END_OF_LOG`. Before the first and after the last byte of output it may say
    something in lines that start with `nodeconsole: `.
    """

    attempt_id: str
    image_url: str
    environment: Mapping[str, str]
    run_directory: Path
    log_path: Path
    limits: Limits = field(default_factory=Limits)
    node_address: str = ""
    """`host:port` of the node's platform listener; empty = none. With `reaches` it is all the network of a contained
    attempt."""
    reads: tuple[Path, ...] = ()
    """Files of the storage that the attempt may read."""
    writes: tuple[Path, ...] = ()
    """Existing directories of the storage that the attempt may change."""
    reaches: tuple[str, ...] = ()
    """Further `host:port`s that the attempt needs, by these very names, such as a storage service; a contained one
    gets to no others."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values of the secrets that `secrets_for` named, by name. For the runner, never for the component."""


END_OF_LOG = "nodeconsole: end of log"
"""Prefix of the last line of every complete log."""


@dataclass(frozen=True, slots=True)
class RunHandle:
    """Where an attempt runs; JSON data that is stored before the launch and is enough to find it after a restart.

    `data["where"]`, if the runner gives it, says it to a person (a container's name, a submission id); empty = here.
    """

    runner: str
    attempt_id: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended. `code` is the exit code, or None when it was killed by `signal` or never started.

    `error` is a sentence for the operator when there is more to say (spawn refused, node lost track of it). `cause`
    says the same to programs, where it is known: `memory` (over its limit), `image`, `engine` (what ran it is gone).
    """

    code: int | None
    signal: int | None = None
    error: Words = ""
    cause: str = ""
    peak_bytes: int | None = field(default=None, compare=False)
    """The most memory that it used, as far as the runner measures that: of one process, or of all. Not how it ended:
    two runs that end alike are equal, whatever each of them used."""

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Containment:
    """What keeps a runner's components from the rest of the machine. `advice` says how to raise it; empty = it is full.

    `level`: `sandbox` (own view of files and network), `plain` (a process of the node's user), or `none`: nothing
    starts, because the sandbox is required and does not work.
    """

    level: str
    text: Words
    advice: Words = ""


@runtime_checkable
class ContainingRunner(Protocol):
    """What a runner may offer besides: how far its components are contained."""

    def containment(self) -> Containment | None:
        """The level in force; None if the settings let this runner start nothing. Cheap: found out once."""
        ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` says of a runner: `level` is ok, warning or error; `advice` what to do."""

    level: str
    text: Words
    advice: Words = ""


@runtime_checkable
class DiagnosedRunner(Protocol):
    """What a runner may offer besides: how the machinery fares that it needs."""

    async def diagnose(self) -> Diagnosis | None:
        """As of now; None if the settings do not use it. Answers within seconds, whatever the machinery does."""
        ...


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the node is to components that run elsewhere; empty = what it is to those on its own machine."""

    node_address: str = ""
    """`host:port` of the node's platform listener."""
    storage_url: str = ""


@runtime_checkable
class DistantRunner(Protocol):
    """What a runner offers whose components run on other machines."""

    def outlook(self) -> Outlook: ...


@runtime_checkable
class SecretiveRunner(Protocol):
    """What a runner may offer besides: which of the node's secrets a launch needs."""

    def secrets_for(self, image_url: str) -> Sequence[str]:
        """Their names; the values come in `LaunchSpec.secrets`."""
        ...


@runtime_checkable
class DependentRunner(Protocol):
    """What a runner may offer besides: that what it needs can be away for a while, such as an engine that restarts."""

    def away(self, image_url: str) -> bool:
        """Whether `accepts` refuses the address only because of that, so the same launch may work later."""
        ...


@runtime_checkable
class TidyRunner(Protocol):
    """What a runner may offer besides: removing what no attempt needs any more."""

    async def tidy(self, is_over: Callable[[str], Awaitable[bool]]) -> None:
        """`is_over` tells of an attempt's id whether the node needs it no more. `Unavailable`: not now."""
        ...


@runtime_checkable
class MeasuringRunner(Protocol):
    """What a runner may offer besides: how much its attempts have computed."""

    def cpu_seconds(self, handles: Sequence[RunHandle]) -> Mapping[str, float]:
        """CPU time so far of each attempt that runs, by attempt id. Blocks for a moment: call it in a thread."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Launch, observe, terminate. Every method may be called again for the same attempt, also after a restart."""

    @property
    def name(self) -> str:
        """Stable key stored in handles."""
        ...

    def accepts(self, image_url: str) -> Words:
        """Empty if this runner can run the address, else a sentence that says why not."""
        ...

    def handle(self, spec: LaunchSpec) -> RunHandle:
        """The handle this attempt will have. Pure: nothing is started."""
        ...

    async def launch(self, spec: LaunchSpec) -> None:
        """Start the attempt unless it was started before. Raises `Refused` when it can never start here."""
        ...

    async def wait(self, handle: RunHandle) -> Exit:
        """Return when the attempt has ended, however it was started; cancellation leaves it running.

        Where the output has to be fetched from elsewhere, it reaches the log while somebody waits, and all of it has
        before the first one returns.
        """
        ...

    async def observe(self, handle: RunHandle) -> Exit | None:
        """How it ended, or None while it runs (or has not been started and may still be)."""
        ...

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:
        """Ask the whole process group to end, then force it. Returns when the last process is gone."""
        ...

    async def forget(self, handle: RunHandle) -> None:
        """Remove what an ended attempt left on the runner's side (not its log, not its results)."""
        ...
