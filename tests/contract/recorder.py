"""The API families over verbs that record what reaches them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quart import Quart

from embedded_scheduler.api.interconn import node as contracts
from embedded_scheduler.api.interconn import resources
from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.platform import schedule as platform
from embedded_scheduler.clock import Clock, SystemClock
from embedded_scheduler.config import Limits, PlatformListener, Settings
from embedded_scheduler.domain.failure import Failure
from embedded_scheduler.engine.applications import Accepted, Application
from embedded_scheduler.engine.credentials import Credentials
from embedded_scheduler.engine.introductions import Introduction
from embedded_scheduler.home import Home
from embedded_scheduler.peers.directory import Directory, Partner
from embedded_scheduler.peers.profiles import resolve
from embedded_scheduler.security.keys import PublicKey
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.store.database import Database
from embedded_scheduler.store.tokens import Token

US = Introduction("us", "https://us.example", "inst", "Our Bank", "our node", "nodeconsole", "1", "all of us")
TOKEN = "nct_0123456789ab_token-of-the-platform"


def token_of(text: str, *scopes: str, name: str = "recorder", expires_ms: int | None = None) -> Token:
    """What a node keeps of a token `nct_<id>_…`."""
    return Token(text.split("_")[1], name, scopes or ("all",), kept_of(text), 0, "operator:tests", expires_ms)


@dataclass(frozen=True, slots=True)
class Status:
    job_status: str = "RUNNING"
    outcome: str | None = None
    reason: str = ""
    tasks: Mapping[str, str] = field(default_factory=lambda: {"task-1": "READY", "task-2": "SUCCESS"})
    names: Mapping[str, str] = field(default_factory=lambda: {"task-1": "train", "task-2": "align"})


@dataclass(frozen=True, slots=True)
class Submission:
    job_id: str = "job-made-here"
    state: str = "PENDING"
    nodes: Mapping[str, str] = field(default_factory=lambda: {"alice": "approved", "bob": "pending"})


class Recorder:
    """Fulfils the families' verb protocols. `raises[verb]` makes a verb fail, `returns[verb]` changes its result."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.raises: dict[str, Exception] = {}
        self.returns: dict[str, Any] = {}

    @property
    def last(self) -> tuple[str, dict[str, Any]]:
        return self.calls[-1]

    def _do(self, verb: str, result: Any, **said: Any) -> Any:
        self.calls.append((verb, said))
        if verb in self.raises:
            raise self.raises[verb]
        return self.returns.get(verb, result)

    async def submit(self, engine: Any, document: Any, *, actor: str, trace_id: str, as_sent: bytes) -> Any:
        return self._do("submit", Submission(), document=document, actor=actor, trace_id=trace_id, as_sent=as_sent)

    async def create_all(
        self, engine: Any, job_id: str, document: Any, *, source: str, trace_id: str, as_sent: bytes, shown: Any = ()
    ) -> Any:
        said = {"job_id": job_id, "document": document, "source": source, "trace_id": trace_id, "as_sent": as_sent}
        return self._do("create_all", Submission(job_id=job_id), **said)

    async def create(
        self, engine: Any, job_id: str, document: Any, *, source: str, trace_id: str, as_sent: bytes, shown: Any = ()
    ) -> Any:
        said = {"job_id": job_id, "document": document, "source": source, "trace_id": trace_id, "as_sent": as_sent}
        return self._do("create", "READY", **said)

    async def start(self, engine: Any, job_id: str, *, source: str) -> None:
        self._do("start", None, job_id=job_id, source=source)

    async def start_task(self, engine: Any, job_id: str, task_id: str, task_name: str, *, source: str) -> None:
        self._do("start_task", None, job_id=job_id, task_id=task_id, task_name=task_name, source=source)

    async def stop(self, engine: Any, job_id: str, task_name: str, *, source: str) -> None:
        self._do("stop", None, job_id=job_id, task_name=task_name, source=source)

    async def stop_all(self, engine: Any, job_id: str, task_name: str, *, actor: str, source: str = "") -> None:
        self._do("stop_all", None, job_id=job_id, task_name=task_name, actor=actor, source=source)

    async def stop_task(self, engine: Any, task_id: str, *, source: str) -> None:
        self._do("stop_task", None, task_id=task_id, source=source)

    async def audit_confirm(self, engine: Any, job_id: str, *, approved: bool, source: str) -> None:
        self._do("audit_confirm", None, job_id=job_id, approved=approved, source=source)

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
    ) -> None:
        self._do("callback", None, task_id=task_id, status=status, role=role, source=source, proven=proven)

    async def component_callback(
        self, engine: Any, task_id: str, status: str, role: str, *, token: str | None, trusted: bool
    ) -> None:
        said = {"task_id": task_id, "status": status, "role": role, "token": token, "trusted": trusted}
        self._do("component_callback", None, **said)

    async def poll(self, engine: Any, task_id: str, role: str, *, source: str = "") -> tuple[str, Failure | None]:
        return str(self._do("poll", "RUNNING", task_id=task_id, role=role, source=source)), None

    async def status_all(self, engine: Any, job_id: str, *, source: str = "") -> Any:
        return self._do("status_all", Status(), job_id=job_id, source=source)

    async def job_list(self, engine: Any, flow_id: str | None) -> Any:
        return self._do("job_list", {"job-1": "FINISHED"}, flow_id=flow_id)

    async def register(self, engine: Any, image_url: str, manifest: dict[str, Any], *, actor: str) -> None:
        self._do("register", None, image_url=image_url, manifest=manifest, actor=actor)

    async def line_count(self, engine: Any, task_id: str, level: str) -> int:
        return int(self._do("line_count", 7, task_id=task_id, level=level))

    async def read(self, engine: Any, task_id: str, level: str, start: int, length: int | None) -> bytes:
        result = self._do("read", b"one\ntwo\n", task_id=task_id, level=level, start=start, length=length)
        assert isinstance(result, bytes)
        return result

    async def apply(self, engine: Any, application: Application) -> Accepted:
        accepted = Accepted("contract-made-here", US, "CERT", "our certificate")
        result = self._do("apply", accepted, application=application)
        assert isinstance(result, Accepted)
        return result

    async def confirmed(self, engine: Any, contract_id: str, **said: Any) -> None:
        self._do("confirmed", None, contract_id=contract_id, **said)

    async def terminated(self, engine: Any, contract_id: str, *, source: str) -> None:
        self._do("terminated", None, contract_id=contract_id, source=source)

    async def updated(self, engine: Any, contract_id: str, about: Introduction, **said: Any) -> None:
        self._do("updated", None, contract_id=contract_id, about=about, **said)

    async def state_of(self, engine: Any, contract_id: str) -> str:
        return str(self._do("state_of", "APPLIED", contract_id=contract_id))


class Contracting(Directory):
    """A directory that knows the contracts put into `agreed`: contract id → the other node, its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.agreed: dict[str, tuple[str, tuple[PublicKey, ...]]] = {}

    def keys_of_contract(self, contract_id: str, now_ms: int) -> tuple[str, tuple[PublicKey, ...]]:
        return self.agreed.get(contract_id, ("", ()))


@dataclass(frozen=True, slots=True)
class Host:
    settings: Settings
    home: Home
    clock: Clock


@dataclass(slots=True)
class Answer:
    """An answer as a partner sees it."""

    status: int
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        parsed = json.loads(self.raw)
        assert isinstance(parsed, dict)
        return parsed

    @property
    def code(self) -> int:
        code = self.body["code"]
        assert isinstance(code, int)
        return code

    @property
    def data(self) -> dict[str, Any]:
        data = self.body["data"]
        assert isinstance(data, dict)
        return data


class Node:
    """All families in one application, with a client in front of it."""

    def __init__(self, app: Quart, verbs: Recorder, directory: Contracting, credentials: Credentials) -> None:
        self.app = app
        self.credentials = credentials
        self.verbs = verbs
        self.directory = directory
        self._client = app.test_client()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        source: str | None = None,
        nonce: str = "",
        query: Mapping[str, str] | None = None,
        token: str = "",
    ) -> Answer:
        """`body` bytes are sent as they are, anything else as JSON. A `source` that is not given is `seedy`, unless the
        headers name one; an empty one is not sent."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if source is None:
            named = any(name.lower().replace("_", "-").endswith("node-id") for name in sent if "target" not in name)
            source = "" if named else "seedy"
        if source:
            sent["x-source-node-id"] = source
        if nonce:
            sent["x-nonce"] = nonce
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = await self._client.open(
            path,
            method=method,
            headers=sent,
            data=data,
            query_string=dict(query) if query else None,
            scope_base={"client": ("192.0.2.7", 4711)},
        )
        return Answer(response.status_code, await response.get_data(as_text=False))


PARTNERS: Mapping[str, str] = {
    "seedy": "seed",
    "officer": "official-1.2",
    "elder": "legacy",
    "fatima": "fate",
    "kuscha": "kuscia",
}
"""Node id → profile."""


@asynccontextmanager
async def recording_node(
    home: Path, *, limits: Limits | None = None, verbs: Recorder | None = None, trust_loopback: bool = False
) -> AsyncIterator[Node]:
    """Node `us` with a partner of each profile; its inbox is a real database in `home`."""
    settings = Settings(
        node_id="us", platform=PlatformListener(trust_loopback=trust_loopback), limits=limits or Limits()
    )
    host = Host(settings, Home(home), SystemClock())
    credentials = Credentials([token_of(TOKEN)])
    directory = Contracting()
    directory.replace(
        Partner(node, "http://127.0.0.1:1", "auto", resolve(profile, {})) for node, profile in PARTNERS.items()
    )
    verbs = verbs or Recorder()
    database = await Database.open(host.home.database, clock=host.clock)
    try:
        app = Quart("families")
        interconn.register(app, host, jobs=verbs, partners=directory, database=database)
        resources.register(app, host, partners=directory, database=database)
        contracts.register(app, host, contracts=verbs, partners=directory, database=database)
        own = platform.Verbs(jobs=verbs, components=verbs, logs=verbs)
        platform.register(app, host, verbs=own, database=database, credentials=credentials)
        yield Node(app, verbs, directory, credentials)
    finally:
        await database.close()


def job_body(dialect: str = "union", **changes: Any) -> dict[str, Any]:
    """A create body in one dialect: two components in a chain, guest and host."""

    def component(name: str, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
        item: dict[str, Any] = {"name": name, "version": "1.0.0"}
        if dialect in ("s0", "union"):
            item |= {"componentName": name.upper(), "provider": "acme"}
        if dialect in ("s1", "union"):
            item |= {"code": f"acme-{name}", "module_name": name.upper()}
        item["input"] = [{"key": key, "type": "dataset"} for key in inputs]
        item["output"] = [{"key": key, "type": "dataset"} for key in outputs]
        return item

    body: dict[str, Any] = {
        "job_id": "job-1",
        "flow_id": "flow-1",
        "dag": {
            "version": "2.0",
            "components": [component("align", [], ["out"]), component("train", ["align.out"], [])],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": "seedy"},
            "role": {"guest": ["seedy"], "host": ["us"], "arbiter": []},
            "job_params": {"common": {"sync_type": "poll"}, "guest": {}, "host": {}, "arbiter": {}},
            "task_params": {
                "common": {"align": {"algo": "ecdh"}},
                "guest": {"0": {"align": {"name": "t", "namespace": "n"}}},
                "host": {"0": {"align": {"dataset_id": "n#t"}}},
                "arbiter": {},
            },
        },
    }
    body.update(changes)
    return body
