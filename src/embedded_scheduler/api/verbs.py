"""What the API families need of the engine: its verbs and what it hands out, as protocols.

The modules `engine.jobs`, `engine.components` and `engine.logs` fulfil them (`node.py` plugs them in), and so does
anything else with the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import Settings
from embedded_scheduler.domain.failure import Failure
from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.home import Home


class Host(Protocol):
    """The part of the engine a family itself reads; the whole object goes on to the verbs."""

    @property
    def settings(self) -> Settings: ...

    @property
    def home(self) -> Home: ...

    @property
    def clock(self) -> Clock: ...


class Submitted(Protocol):
    @property
    def job_id(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def nodes(self) -> Mapping[str, str]: ...


class JobStatus(Protocol):
    @property
    def job_status(self) -> str: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def reason(self) -> str: ...

    @property
    def tasks(self) -> Mapping[str, str]: ...

    @property
    def names(self) -> Mapping[str, str]: ...


class JobVerbs(Protocol):
    """`engine.jobs`. `source` is the calling node's id as far as its partner's signing proves it, or empty."""

    async def submit(
        self, engine: Any, document: Mapping[str, Any], *, actor: str, trace_id: str, as_sent: bytes
    ) -> Submitted: ...

    async def create_all(
        self,
        engine: Any,
        job_id: str,
        document: Mapping[str, Any],
        *,
        source: str,
        trace_id: str,
        as_sent: bytes,
        shown: Sequence[Permit] = (),
    ) -> Submitted: ...

    async def create(
        self,
        engine: Any,
        job_id: str,
        document: Mapping[str, Any],
        *,
        source: str,
        trace_id: str,
        as_sent: bytes,
        shown: Sequence[Permit] = (),
    ) -> str: ...

    async def start(self, engine: Any, job_id: str, *, source: str) -> None: ...

    async def start_task(self, engine: Any, job_id: str, task_id: str, task_name: str, *, source: str) -> None: ...

    async def stop(self, engine: Any, job_id: str, task_name: str, *, source: str) -> None: ...

    async def stop_all(self, engine: Any, job_id: str, task_name: str, *, actor: str, source: str = "") -> object: ...

    async def stop_task(self, engine: Any, task_id: str, *, source: str) -> None: ...

    async def audit_confirm(self, engine: Any, job_id: str, *, approved: bool, source: str) -> None: ...

    async def callback(
        self,
        engine: Any,
        task_id: str,
        status: str,
        role: str,
        *,
        source: str,
        proven: bool,
        failure: Failure | None,
    ) -> None: ...

    async def component_callback(
        self, engine: Any, task_id: str, status: str, role: str, *, token: str | None, trusted: bool
    ) -> None: ...

    async def poll(self, engine: Any, task_id: str, role: str, *, source: str = "") -> tuple[str, Failure | None]: ...

    async def status_all(self, engine: Any, job_id: str, *, source: str = "") -> JobStatus: ...

    async def job_list(self, engine: Any, flow_id: str | None) -> Mapping[str, str]: ...


class ComponentVerbs(Protocol):
    """`engine.components`"""

    async def register(self, engine: Any, image_url: str, manifest: dict[str, Any], *, actor: str) -> object: ...


class LogVerbs(Protocol):
    """`engine.logs`"""

    async def line_count(self, engine: Any, task_id: str, level: str) -> int: ...

    async def read(self, engine: Any, task_id: str, level: str, start: int, length: int | None) -> bytes: ...
