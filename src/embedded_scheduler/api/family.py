"""A family of endpoints: prefix, envelope, authentication and errors in one place, so a handler holds none of them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import parse_qsl

import quart
from pydantic import BaseModel
from quart import Quart, Response

from embedded_scheduler.api.authentication import Authenticator, Caller, Inbound
from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.api.nonces import Nonces
from embedded_scheduler.api.verbs import Host
from embedded_scheduler.engine.crashpoints import reached
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, TimedOut, TooLarge
from embedded_scheduler.store import inbox, ledger
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia import envelope
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.bfia.message import validate
from embedded_scheduler.wire.bfia.signature import canonical_query

_log = logging.getLogger(__name__)

BODY_SECONDS = 60.0
"""How long a caller may take to send a body."""
DISCARD_FACTOR = 4
"""A body beyond its limit is read on and thrown away up to this many times the limit, so that the caller, still
sending, gets to read why it was refused."""
REPLAY_RECORD_SECONDS = 60.0
"""At most one record per caller in this time."""
JSON = "application/json; charset=utf-8"

V = TypeVar("V")
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[V, B]):
    """One checked request. `members` is the decoded body as sent (with the query, for reads), `as_sent` its bytes."""

    engine: Any
    verbs: V
    caller: Caller
    body: B
    members: Mapping[str, Any]
    as_sent: bytes


Handler = Callable[[Call[V, Any]], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[V]):
    """One method and path. `reads` = no effect: members may come by query, and the answer is never stored.
    `stored` = a repeated request is answered from the inbox. `component` = serves the node's components as well."""

    method: str
    path: str
    request: type[BaseModel]
    section: str
    handler: Handler[V]
    answer: type[BaseModel] | None
    reads: bool
    stored: bool
    component: bool

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().split("\n")[0]


class Answers(Protocol):
    """Answers already given, by caller, nonce and operation."""

    async def find(self, source: str, nonce: str, operation: str) -> tuple[str, bytes] | None:
        """Hash of the body that was answered, and the answer."""
        ...

    async def keep(self, source: str, nonce: str, operation: str, body_hash: str, answer: bytes) -> None: ...

    async def is_spent(self, source: str, nonce: str, operation: str) -> bool:
        """Whether a request for another operation was answered under this nonce."""
        ...

    async def record_replay(self, source: str, nonce: str, operation: str) -> None:
        """Put on record that a proven caller's nonce came again with another request."""
        ...


class InboxAnswers:
    """`Answers` in the node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, source: str, nonce: str, operation: str) -> tuple[str, bytes] | None:
        found = await self._database.read(lambda reader: inbox.recall(reader, source, nonce, operation))
        return None if found is None else (found.body_hash, found.answer.encode())

    async def keep(self, source: str, nonce: str, operation: str, body_hash: str, answer: bytes) -> None:
        text = answer.decode()
        await self._database.write(
            lambda tx: inbox.remember(
                tx, source=source, nonce=nonce, operation=operation, body_hash=body_hash, answer=text
            )
        )

    async def is_spent(self, source: str, nonce: str, operation: str) -> bool:
        return await self._database.read(lambda reader: inbox.is_spent(reader, source, nonce, operation))

    async def record_replay(self, source: str, nonce: str, operation: str) -> None:
        await self._database.write(
            lambda tx: ledger.append(
                tx,
                subject="peer",
                subject_id=source,
                event="peer.replay_refused",
                actor=f"peer:{source}",
                reason="a nonce came again with another request",
                data={"operation": operation, "nonce": nonce},
            )
        )


class Gate(Protocol):
    """Limits per caller: what one of them takes, the others still have."""

    def admit(self, caller: Caller, request: Inbound, size: int) -> AbstractContextManager[None]:
        """Held while an authenticated request of `size` body bytes is answered; `TooMany` if its caller has to wait."""
        ...

    def receive(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:
        """Held while the body arrives and its sender is checked; `TooMany` as above."""
        ...

    async def turned_away(self, request: Inbound, error: NodeError) -> NodeError:
        """A request is about to be refused with `error`; returns what to answer."""
        ...


class OpenGate:
    """Admits everything: for callers that are the node's own."""

    def admit(self, caller: Caller, request: Inbound, size: int) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def receive(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    async def turned_away(self, request: Inbound, error: NodeError) -> NodeError:  # noqa: ARG002
        return error


class Family(Generic[V]):
    """Endpoints under one prefix with one envelope. `V` are the engine verbs its handlers call.

    Declared once at import; `register` binds it to an application. Routed requests are answered with HTTP 200 and the
    outcome in the envelope's `code`; unknown paths and methods with HTTP 404 and 405 and the same envelope.
    """

    def __init__(self, name: str, prefix: str, base: str) -> None:
        """`prefix` is where endpoints are added; unknown paths below `base` are answered by this family, and so are all
        others unless the application serves them."""
        self.name = name
        self.prefix = prefix
        self.base = base
        self.endpoints: list[Endpoint[V]] = []

    def endpoint(
        self,
        method: str,
        path: str,
        request: type[BaseModel],
        *,
        section: str,
        answer: type[BaseModel] | None = None,
        reads: bool = False,
        stored: bool = True,
        component: bool = False,
    ) -> Callable[[Callable[[Call[V, B]], Awaitable[BaseModel | None]]], Handler[V]]:
        """Add the decorated handler; it returns the `data` of the answer (None = `{}`) or raises a `NodeError`."""

        def add(handler: Callable[[Call[V, B]], Awaitable[BaseModel | None]]) -> Handler[V]:
            plain = cast("Handler[V]", handler)
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=self.prefix + path,
                    request=request,
                    section=section,
                    handler=plain,
                    answer=answer,
                    reads=reads,
                    stored=stored and not reads and method == "POST",
                    component=component,
                )
            )
            return plain

        return add

    def register(
        self,
        app: Quart,
        engine: Host,
        *,
        verbs: V,
        authenticator: Authenticator,
        answers: Answers,
        gate: Gate | None = None,
    ) -> None:
        """Serve the family in `app`.

        Takes over the application's limit on bodies: every family enforces its own (`limits.body_bytes` here).
        """
        app.config["MAX_CONTENT_LENGTH"] = None
        if not isinstance(app.asgi_app, PathCleaner):
            app.asgi_app = PathCleaner(app.asgi_app)  # type: ignore[method-assign]
        # One memory for all families of a listener: a nonce that was used in one is not free in another.
        nonces = app.extensions.setdefault("nonces", Nonces(engine.clock))
        service = Service(self.name, engine, verbs, authenticator, answers, gate or OpenGate(), nonces)
        by_path: dict[str, dict[str, Endpoint[V]]] = {}
        for endpoint in self.endpoints:
            by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        for path, methods in by_path.items():
            _add_route(app, f"{self.name} {path}", path, partial(service.serve, methods))
        for name, path in (("unknown", f"{self.base}/<path:rest>"), ("elsewhere", "/<path:rest>"), ("top", "/")):
            _add_route(app, f"{self.name} {name}", path, _unknown_path)


def _add_route(app: Quart, name: str, path: str, view: Callable[..., Awaitable[Response]]) -> None:
    # Without `methods` a rule takes every method, so that a wrong one is answered in the envelope too.
    app.url_map.add(app.url_rule_class(path, endpoint=name, methods=None))
    app.view_functions[name] = view


async def _unknown_path(rest: str = "") -> Response:  # noqa: ARG001
    return _response(envelope.failure(404, "there is no such endpoint here"), status=404)


def _response(body: bytes, status: int = 200) -> Response:
    return Response(body, status=status, content_type=JSON)


@dataclass(slots=True)
class _Running:
    """A request being answered, for its repetitions that arrive meanwhile."""

    body_hash: str
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Service(Generic[V]):
    """A family at work in one application."""

    def __init__(
        self,
        name: str,
        engine: Host,
        verbs: V,
        authenticator: Authenticator,
        answers: Answers,
        gate: Gate,
        nonces: Nonces,
    ) -> None:
        self._name = name
        self._gate = gate
        self._engine = engine
        self._verbs = verbs
        self._authenticator = authenticator
        self._answers = answers
        self._running: dict[tuple[str, str, str], _Running] = {}
        self._nonces = nonces
        self._replay_recorded: dict[str, float] = {}

    async def serve(self, methods: Mapping[str, Endpoint[V]]) -> Response:
        """Answer the current request."""
        request = quart.request
        endpoint = methods.get(request.method)
        if endpoint is None:
            return _wrong_method(methods)
        inbound = Inbound(
            method=request.method,
            path=request.path,
            query=request.query_string.decode("ascii", "replace"),
            headers=request.scope["headers"],
            connection=connection_of(request.scope),
        )
        caller: Caller | None = None
        try:
            caller, body = await self._receive(endpoint, request, inbound)
            answer = await self._answer(endpoint, caller, inbound, body)
        except NodeError as error:
            shown = await self._gate.turned_away(inbound, error)
            answer = envelope.failure(envelope.ERROR_CODES[shown.code], _one_line(shown.message))
        except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours must not break the protocol
            _log.exception("%s %s failed", endpoint.method, endpoint.path)
            answer = envelope.failure(500, "the node failed to handle this request; its log says why")
        response = _response(answer)
        response.headers.update(self._authenticator.answer_headers(caller, inbound, answer))
        return response

    async def _receive(self, endpoint: Endpoint[V], request: quart.Request, inbound: Inbound) -> tuple[Caller, bytes]:
        """Who calls, proven as far as it has to be, and the body."""
        named = self._authenticator.identify(inbound, component=endpoint.component)
        with self._gate.receive(named, inbound):
            body = await read_body(request, self._engine.settings.limits.body_bytes)
            return self._authenticator.verify(named, inbound, body), body

    async def _answer(self, endpoint: Endpoint[V], caller: Caller, inbound: Inbound, body: bytes) -> bytes:
        with self._gate.admit(caller, inbound, len(body)):
            if not caller.nonce:
                return await self._run(endpoint, caller, inbound, body)
            try:
                self._check_nonce(caller, inbound, body)
                if not endpoint.stored:
                    return await self._run(endpoint, caller, inbound, body)
                return await self._once(endpoint, caller, inbound, body)
            except _NonceReused:
                await self._record_replay(caller, inbound)
                raise

    async def perform(self, endpoint: Endpoint[V], caller: Caller, inbound: Inbound, body: bytes) -> bytes:
        """The answer to a request that came in another way and whose caller is proven; stored like every other."""
        try:
            return await self._once(endpoint, caller, inbound, body)
        except NodeError as error:
            return envelope.failure(envelope.ERROR_CODES[error.code], _one_line(error.message))

    def _check_nonce(self, caller: Caller, inbound: Inbound, body: bytes) -> None:
        """A proven caller's nonce belongs to one request: its method, path, query and body."""
        if caller.proven and caller.in_force:
            request = f"{inbound.method}\n{inbound.path}\n{_body_hash(inbound, body)}"
            if not self._nonces.admit(caller.source, caller.nonce, hashlib.sha256(request.encode()).digest()):
                raise _NonceReused

    async def _record_replay(self, caller: Caller, inbound: Inbound) -> None:
        """Only of a caller that is who it says, and once in a while: nobody fills the ledger with it."""
        now = self._engine.clock.monotonic()
        recorded = self._replay_recorded.get(caller.source)
        if not (caller.proven and caller.in_force) or (recorded is not None and now - recorded < REPLAY_RECORD_SECONDS):
            return
        self._replay_recorded[caller.source] = now
        _log.warning("%s sent another request under an x-nonce that it had used: refused", caller.source)
        await self._answers.record_replay(caller.source, caller.nonce, f"{inbound.method} {inbound.path}")

    async def _once(self, endpoint: Endpoint[V], caller: Caller, inbound: Inbound, body: bytes) -> bytes:
        """The stored answer if this very request was answered before, else the answer, stored if it is a success.

        Failures are not stored: nothing happened, and the same request may succeed later.
        """
        operation = f"{endpoint.method} {endpoint.path}"
        body_hash = _body_hash(inbound, body)
        key = (caller.source, caller.nonce, operation)
        while (running := self._running.get(key)) is not None:
            _check_same(running.body_hash, body_hash)
            await running.done.wait()
        mine = self._running[key] = _Running(body_hash)
        try:
            found = await self._answers.find(*key)
            if found is not None:
                _check_same(found[0], body_hash)
                return found[1]
            if caller.proven and await self._answers.is_spent(*key):
                raise _NonceReused
            answer = await self._run(endpoint, caller, inbound, body)
            await self._answers.keep(*key, body_hash, answer)
            return answer
        finally:
            del self._running[key]
            mine.done.set()

    async def _run(self, endpoint: Endpoint[V], caller: Caller, inbound: Inbound, body: bytes) -> bytes:
        members = self._members(endpoint, inbound, body)
        call = Call(
            engine=self._engine,
            verbs=self._verbs,
            caller=caller,
            body=validate(endpoint.request, members),
            members=members,
            as_sent=body,
        )
        data = await endpoint.handler(call)
        reached("inbound.acted")
        plain = envelope.NO_DATA if data is None else data.model_dump(exclude_none=True, exclude_unset=True)
        return envelope.success(caller.style.success_code, plain)

    def _members(self, endpoint: Endpoint[V], inbound: Inbound, body: bytes) -> Mapping[str, Any]:
        depth = self._engine.settings.limits.json_depth
        if not endpoint.reads:
            return decode_object(body, depth=depth)
        # Reads are asked by query, by a body sent with GET, and by POST; the query goes first.
        members = decode_object(body, depth=depth) if body.strip() else {}
        return {**members, **_query(inbound.query)} if inbound.query else members


def _wrong_method(methods: Mapping[str, object]) -> Response:
    allowed = ", ".join(sorted(methods))
    response = _response(envelope.failure(405, f"this endpoint is called with {allowed}"), status=405)
    response.headers["Allow"] = allowed
    return response


class _NonceReused(Conflict):
    def __init__(self) -> None:
        super().__init__("this x-nonce was used before for another request: use a new one for every request")


def _check_same(known: str, given: str) -> None:
    if known != given:
        raise _NonceReused


def _body_hash(inbound: Inbound, body: bytes) -> str:
    """What makes two requests with one nonce the same one, beside method and path."""
    digest = hashlib.sha256(body).hexdigest()
    query = canonical_query(inbound.query)
    return hashlib.sha256(f"{query}\n{digest}".encode()).hexdigest() if query else digest


def _one_line(message: str) -> str:
    line = " ".join(message.split())[:2000]
    # A refusal may quote what was sent, and its reader may be a terminal.
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidRequest("the query is not valid: at most 100 UTF-8 fields, percent-encoded") from None
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest("a field of the query is given twice")
    return members


async def read_body(request: quart.Request, limit: int) -> bytes:
    """The whole body, or `TooLarge` past `limit` bytes, without holding more than that."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.body:
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                elif size > limit * DISCARD_FACTOR:
                    break
                else:
                    chunks.clear()
    except TimeoutError:
        raise TimedOut(f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    if size > limit:
        raise TooLarge(f"the body is larger than {limit} bytes (limits.body_bytes)")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class PathCleaner:
    """ASGI middleware: `//v1//x` is `/v1/x` (a deployed component posts its callback so), and what a request line may
    not hold is answered before it reaches the router."""

    def __init__(self, inner: Callable[..., Awaitable[None]]) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if not scope["query_string"].isascii():
                await _refuse(send, "the query must be percent-encoded")
                return
            if "//" in scope["path"]:
                scope = {**scope, "path": _collapsed(scope["path"])}
        await self._inner(scope, receive, send)


def _collapsed(path: str) -> str:
    return (
        "/"
        + "/".join(part for part in path.split("/") if part)
        + ("/" if path.endswith("/") and path.strip("/") else "")
    )


async def _refuse(send: Any, text: str) -> None:
    headers = [(b"content-type", JSON.encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": envelope.failure(400, text)})
