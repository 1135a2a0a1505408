"""Calls to partners' schedulers over HTTP: one operation of the control layer in, one `Reply` out."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import Settings, Timing
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Directory, Partner
from embedded_scheduler.peers.exchange import Exchange, NoAnswer, NotTaken, Raw, Request
from embedded_scheduler.peers.profiles import Profile, StatusAllStyle
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.wire.bfia.envelope import NO_DATA, Answer, Unreadable, read_answer
from embedded_scheduler.wire.bfia.headers import render_permits
from embedded_scheduler.wire.bfia.job import read_progress, render_job
from embedded_scheduler.wire.bfia.signature import Signer
from embedded_scheduler.wire.bfia.task import shown_word, task_word

_log = logging.getLogger(__name__)

PREFIX = "/v1/interconn/schedule/"
CALLS_PER_PARTNER = 16
"""Calls under way to one partner; further ones wait within their own time limit: a hanging partner holds up itself."""
IDLE_SECONDS = 4.0
"""How long a connection is kept for reuse: less than Hypercorn's 5 s, so that it is rarely closed under a request."""
ANSWER_MARGIN = 5.0
"""What a coordinator needs beyond its own `timing.submit_wait` to answer create_all."""

CREATES = frozenset({"job/create", "job/create_all"})
STOPS = frozenset({"job/stop", "job/stop_all", "task/stop"})
COORDINATION = frozenset({"job/create_all", "job/stop_all"})
OPERATIONS = (
    CREATES
    | STOPS
    | {
        "job/start",
        "job/status_all",
        "job/audit_confirm",
        "task/start",
        "task/poll",
        "task/callback",
    }
)

MANAGEMENT_PREFIX = "/v1/interconn/"
MANAGEMENT: Mapping[str, str] = {
    "node/contract/apply": "POST",
    "node/contract/confirm": "POST",
    "node/contract/terminate": "POST",
    "node/contract/query": "GET",
    "node/update": "POST",
    "node/query": "GET",
    "node/health": "GET",
    "dataset/pub/list": "GET",
    "dataset/pub/query": "GET",
    "component/list": "GET",
    "component/query": "GET",
    **{
        f"{kind}/audit/{verb}": "POST"
        for kind in ("dataset", "project", "flow", "job", "model")
        for verb in ("apply", "confirm", "terminate")
    },
    **{f"{kind}/audit/query": "GET" for kind in ("dataset", "project", "flow", "model")},
    "message/receipt": "POST",
}
"""Operations of the management layer and their methods. Those of `node/` are called without a client certificate."""

_NOT_NOW = frozenset({408, 425, 429})
"""Codes below 500 that are no decision either."""
_FORM_REFUSED = frozenset({405, 422, 5001})
"""Codes of an answer that mean status_all was asked the wrong way (5001: FATE-Flow on a query)."""
_WRONG_ROUTE = frozenset({404, 405, 415, 422, 501})
"""HTTP statuses of the same meaning."""
_K8S_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
_STATUS_ALL_STYLES: tuple[StatusAllStyle, ...] = ("get_query", "post", "get_body")


class HttpGateway:
    """`engine.ports.PartnerGateway` on a client per partner. Calls are independent of one another.

    Every operation may be sent again: partners recognise repeats by nonce or by content.
    """

    def __init__(
        self,
        node_id: str,
        directory: Directory,
        clock: Clock,
        settings: Settings,
        signer: Signer | None = None,
        route: Route | None = None,
    ) -> None:
        self._directory = directory
        self._timing: Timing = settings.timing
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._status_all: dict[str, StatusAllStyle] = {}
        self.clients = Clients(route or Route(), keepalive=128, idle_seconds=IDLE_SECONDS)
        self.announcer: tuple[str, Signer] | None = None
        """After a rotation the certificate in use and the key before, which signs what tells partners of it."""
        self.exchange = Exchange(node_id, clock, self.clients, signer)

    async def call(self, message: Outgoing) -> Reply:
        if message.operation not in OPERATIONS and message.operation not in MANAGEMENT:
            raise ValueError(f"{message.operation} is no operation of the control layer")
        partner = self._partner_for(message)
        if partner is None:
            return _refused(say("no_partner_add", node=message.node_id))
        return await self.call_at(partner, message)

    def _partner_for(self, message: Outgoing) -> Partner | None:
        """What is said about a contract goes where that contract says, whatever else is known of the node."""
        if message.operation.startswith("node/"):
            return self._directory.counterpart(str(message.body.get("contract_id")))
        return self._directory.partner(message.node_id)

    async def call_at(self, partner: Partner, message: Outgoing) -> Reply:
        """The same for a node that the directory does not have, or not in this way."""
        early = _without_asking(partner, message)
        if early is not None:
            return early
        seconds = self._seconds(message.operation)
        slot = self._slots.setdefault(partner.node_id, asyncio.Semaphore(CALLS_PER_PARTNER))
        try:
            async with asyncio.timeout(seconds), slot:
                if message.operation == "job/status_all":
                    return await self._ask_status_all(partner, message)
                if message.operation in MANAGEMENT:
                    anonymous = message.operation.startswith("node/")
                    request = replace(_management(message), signer=self._announcer_of(message))
                    raw = await self.exchange.send(partner, request, anonymous=anonymous)
                    return _reply(partner, message, raw)
                return _reply(partner, message, await self.exchange.send(partner, _post(partner, message)))
        except TimeoutError:
            return _failed(
                say("no_answer_within", node=partner.node_id, operation=message.operation, seconds=f"{seconds:g}")
            )
        except NotTaken as error:
            said = _call_failed(partner, message, error)
            # A partner that has lost a contract will never hear of its end; both sides know without it.
            return _refused(said) if message.operation.startswith("node/contract/") else _failed(said)
        except NoAnswer as error:
            return _failed(_call_failed(partner, message, error))

    async def close(self) -> None:
        await self.clients.close()

    def _announcer_of(self, message: Outgoing) -> Signer | None:
        if self.announcer is None or message.operation != "node/update":
            return None
        certificate, signer = self.announcer
        return signer if message.body.get("auth_credential") == certificate else None

    def _seconds(self, operation: str) -> float:
        if operation == "job/create_all":
            return max(self._timing.call_timeout, self._timing.submit_wait + ANSWER_MARGIN)
        return self._timing.call_timeout

    async def _ask_status_all(self, partner: Partner, message: Outgoing) -> Reply:
        """In the way that worked last time, else in the profile's way, else in the others'."""
        first = self._status_all.get(partner.node_id, partner.profile.status_all_style)
        raw = Raw(0, b"")
        for style in (first, *(other for other in _STATUS_ALL_STYLES if other != first)):
            raw = await self.exchange.send(partner, _status_all(message, style))
            if not _form_was_refused(raw):
                if raw.is_success:
                    self._status_all[partner.node_id] = style
                break
        return _reply(partner, message, raw)


# -- what is sent -----------------------------------------------------------------------------------------------------


def _management(message: Outgoing) -> Request:
    path = MANAGEMENT_PREFIX + message.operation
    if MANAGEMENT[message.operation] == "GET":
        query = str(httpx.QueryParams({name: str(value) for name, value in message.body.items()}))
        return Request("GET", path, query, b"", message.nonce, message.trace_id)
    return Request("POST", path, "", _encode(message.body), message.nonce, message.trace_id)


def _post(partner: Partner, message: Outgoing) -> Request:
    body = _encode(_render(message, partner.profile))
    token_set = render_permits(message.permits)
    return Request("POST", PREFIX + message.operation, "", body, message.nonce, message.trace_id, token_set)


def _status_all(message: Outgoing, style: StatusAllStyle) -> Request:
    # Another form is another request, which must not come with the nonce of one that was answered.
    nonce = f"{message.nonce}.{style}"
    path = PREFIX + message.operation
    body = _encode({"job_id": message.body["job_id"]})
    if style == "get_body":
        return Request("GET", path, "", body, nonce, message.trace_id)
    query = str(httpx.QueryParams(job_id=message.body["job_id"]))
    if style == "get_query":
        return Request("GET", path, query, b"", nonce, message.trace_id)
    return Request("POST", path, query, body, nonce, message.trace_id)


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")


def _render(message: Outgoing, profile: Profile) -> Mapping[str, Any]:
    """The members the specification lists for the operation, in the partner's spelling."""
    return _RENDERERS[message.operation](message.body, profile)


def _members(*names: str) -> Callable[[Mapping[str, Any], Profile], Mapping[str, Any]]:
    def render(body: Mapping[str, Any], profile: Profile) -> Mapping[str, Any]:
        return dict(_rendered_members(names, body, profile))

    return render


def _rendered_members(names: tuple[str, ...], body: Mapping[str, Any], profile: Profile) -> Iterator[tuple[str, Any]]:
    for name in names:
        value = body.get(name)
        if name == "task_name" and not value:
            continue
        if name == "role":
            value = str(value or "")
            value = value if profile.role_style == "indexed" else value.split(".", 1)[0]
        elif name == "status":
            value = shown_word(str(value), ready_as_pending=False)
        yield name, value


def _callback(body: Mapping[str, Any], profile: Profile) -> Mapping[str, Any]:
    rendered = dict(_rendered_members(("task_id", "status", "role"), body, profile))
    rendered["status"] = shown_word(str(body.get("status")), ready_as_pending=profile.ready_as_pending)
    return rendered | ({"failure": body["failure"]} if "failure" in body and profile.failure_class else {})


def _create(body: Mapping[str, Any], profile: Profile) -> Mapping[str, Any]:
    return render_job(body["job_id"], body, profile.job_style)


_RENDERERS: Mapping[str, Callable[[Mapping[str, Any], Profile], Mapping[str, Any]]] = {
    "job/create_all": _create,
    "job/create": _create,
    "job/start": _members("job_id"),
    "task/start": _members("task_id", "job_id", "task_name"),
    "job/stop_all": _members("job_id", "task_name"),
    "job/stop": _members("job_id", "task_name"),
    "job/status_all": _members("job_id"),
    "task/poll": _members("task_id", "role"),
    "task/callback": _callback,
    "job/audit_confirm": _members("job_id", "status"),
    "task/stop": _members("task_id"),
}


def _without_asking(partner: Partner, message: Outgoing) -> Reply | None:
    """The reply to a call that the partner's kind cannot take, or None if it is to be sent."""
    profile, operation = partner.profile, message.operation
    if (operation == "job/audit_confirm" and not profile.approval_channel) or (
        operation == "task/callback" and not profile.callback
    ):
        return Reply(Delivery.OK, NO_DATA, _no_channel(partner, operation))
    if operation in COORDINATION and not profile.coordinates:
        return _refused(say("cannot_coordinate", node=partner.node_id, profile=profile.name, operation=operation))
    if operation in CREATES or operation == "task/start":
        for name in ("job_id", "task_id"):
            value = message.body.get(name)
            if profile.id_style == "k8s" and value is not None and not _K8S_NAME.fullmatch(str(value)):
                return _refused(
                    say("id_not_legal", name=name, value=str(value), node=partner.node_id, profile=profile.name)
                )
    return None


def _no_channel(partner: Partner, operation: str) -> Words:
    return say("has_no_operation", node=partner.node_id, operation=operation)


# -- what is answered -------------------------------------------------------------------------------------------------


def _reply(partner: Partner, message: Outgoing, raw: Raw) -> Reply:
    """What an answer means for an operation."""
    if raw.status in (404, 405) and message.operation in ("job/audit_confirm", "task/callback"):
        _log.info("%s: taken as delivered", _no_channel(partner, message.operation))
        return Reply(Delivery.OK, NO_DATA, _no_channel(partner, message.operation))
    try:
        answer = read_answer(raw.body)
    except Unreadable as error:
        if not raw.is_success:
            return _failed(_unread_status(partner, message, raw.status))
        return _failed(say("answered_but", node=partner.node_id, operation=message.operation, what=error.words))
    if raw.status >= 500 or raw.status in _NOT_NOW or 300 <= raw.status < 400:
        return _failed(_said(partner, message, answer, say("http_status", status=raw.status)))
    if raw.is_success and answer.ok:
        return _accepted(partner, message, answer)
    return _denied(partner, message, answer)


def _accepted(partner: Partner, message: Outgoing, answer: Answer) -> Reply:
    data = answer.data
    match message.operation:
        case "task/poll":
            status = data.get("status") if data is not None else None
            if not isinstance(status, str):
                return _failed(say("poll_without_status", node=partner.node_id))
            return Reply(Delivery.OK, {**(data or {}), "status": task_word(status, told_by=partner.node_id)})
        case "job/status_all":
            if data is None or not isinstance(data.get("status") or {}, Mapping):
                return _failed(say("status_all_without_map", node=partner.node_id))
            if not data:
                # FATE-Flow says so that it knows no such job.
                return _refused(say("job_unknown_there", node=partner.node_id, job=str(message.body["job_id"])))
            return Reply(Delivery.OK, read_progress(data, told_by=partner.node_id))
        case _:
            # An odd `data` where nothing is expected in it changes nothing about the success.
            return Reply(Delivery.OK, data if data is not None else NO_DATA)


def _denied(partner: Partner, message: Outgoing, answer: Answer) -> Reply:
    profile, operation = partner.profile, message.operation
    said = _said(partner, message, answer, say("code_number", code=answer.code))
    if operation in STOPS and (answer.code == 404 or _matches(profile.unknown_job, answer.text)):
        return Reply(Delivery.OK, NO_DATA, say("nothing_to_stop", answer=said))
    if operation in CREATES and answer.code != 409 and _matches(profile.created_before, answer.text):
        return Reply(Delivery.OK, NO_DATA, say("arrived_before", answer=said))
    if operation == "task/start" and answer.text.lower() == "success":
        # FATE-Flow answers a repeated task/start so.
        return Reply(Delivery.OK, NO_DATA, say("arrived_before", answer=said))
    if 500 <= answer.code < 600 or answer.code in _NOT_NOW:
        return _failed(said)
    # What a node of another kind says of a job that is written for the wrong one is rarely clear.
    return _refused(say("written_for", answer=said, profile=profile.name) if operation in CREATES else said)


def _matches(pattern: str, text: str) -> bool:
    return bool(pattern) and re.search(pattern, text, re.IGNORECASE) is not None


def _form_was_refused(raw: Raw) -> bool:
    if raw.status in _WRONG_ROUTE:
        return True
    if not raw.is_success:
        return False
    try:
        return read_answer(raw.body).code in _FORM_REFUSED
    except Unreadable:
        return False


def _said(partner: Partner, message: Outgoing, answer: Answer, label: Words) -> Words:
    node, operation = partner.node_id, message.operation
    if not answer.text:
        return say("answered_status", node=node, operation=operation, status=label)
    return say("answered_text", node=node, operation=operation, status=label, text=answer.text)


def _unread_status(partner: Partner, message: Outgoing, status: int) -> Words:
    node, operation = partner.node_id, message.operation
    if status not in (404, 405):
        return say("answered_http", node=node, operation=operation, status=status)
    return say("answered_http_route", node=node, operation=operation, status=status, profile=partner.profile.name)


def _call_failed(partner: Partner, message: Outgoing, error: NoAnswer) -> Words:
    return say("call_failed", node=partner.node_id, what=error.words, operation=message.operation)


def _refused(error: Words) -> Reply:
    return Reply(Delivery.REFUSED, NO_DATA, error)


def _failed(error: Words) -> Reply:
    return Reply(Delivery.FAILED, NO_DATA, error)
