"""What every endpoint of the console shares: decoding, errors as problem details (RFC 9457), answers as JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

import quart
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.api.console.telling import tell
from embedded_scheduler.api.family import read_body
from embedded_scheduler.domain.identifiers import is_text
from embedded_scheduler.domain.roles import Role, role_for
from embedded_scheduler.errors import ErrorCode, Forbidden, InvalidRequest, NodeError, StoreError
from embedded_scheduler.security.operators import Operator, Operators
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.console import Problem, said

_LOG = logging.getLogger(__name__)

PREFIX = "/v1/console"
BODY_BYTES = "BODY_BYTES"
"""The application's setting for the largest body."""
OPERATORS = "operators"
"""The application's extension that knows who has which role (`security.operators.Operators`)."""
DATABASE = "database"
"""The application's extension where stored texts are looked up (`store.database.Database`)."""
ROLES = "roles"
"""The application's extension with the role of every route, by the name of its endpoint."""

_STATUS = {
    ErrorCode.INVALID: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.REFUSED: 422,
    ErrorCode.TOO_MANY: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
}

M = TypeVar("M", bound=BaseModel)
Handler = Callable[..., Awaitable[BaseModel | Response | None]]


def route(app: Quart, method: str, path: str, handler: Handler, role: Role | None = None) -> None:
    """Serve `handler` at a path below the prefix; its arguments are the path's segments, None answers 204.

    Whoever has not `role` is refused before the body is read; by default a GET is for viewers, the rest for
    administrators. Of the actions that an answer offers the caller sees those of its own role.
    """
    needed = role or (Role.VIEWER if method == "GET" else Role.ADMIN)

    async def view(**segments: str) -> Response:
        caller = await _admit(needed)
        for segment in segments.values():
            _check_text("the path", segment)
        answer = await handler(**segments)
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response(status=204)
        if caller is not Role.ADMIN:
            _offer_only(answer, caller)
        await tell(app.extensions[DATABASE], answer)
        return Response(answer.model_dump_json(), content_type="application/json")

    endpoint = f"{method} {path}"
    app.add_url_rule(PREFIX + path, endpoint=endpoint, view_func=view, methods=[method])
    app.extensions.setdefault(ROLES, {})[endpoint] = needed


async def _admit(needed: Role) -> Role:
    """The caller's role, if it is enough; `operator()` knows the caller from then on."""
    found = quart.g.operator = await _identify()
    if found.role is None:
        raise Forbidden(say("no_role", user=found.name))
    if not found.role.covers(needed):
        raise Forbidden(say("role_too_low", user=found.name, role=str(found.role), needed=str(needed)))
    return found.role


async def _identify() -> Operator:
    connection = connection_of(quart.request.scope)
    if connection.uid is None or connection.gid is None:
        raise Forbidden(say("console_of_machine"))
    operators: Operators = quart.current_app.extensions[OPERATORS]
    known = operators.known(connection.uid, connection.gid)
    if known is not None:
        return known
    # Where users come from a directory service, a look-up can take a while.
    return await asyncio.to_thread(operators.of, connection.uid, connection.gid)


def _offer_only(answer: object, role: Role) -> None:
    """Take the actions out of an answer that are not for `role`, wherever they stand in it."""
    if isinstance(answer, BaseModel):
        for name in type(answer).model_fields:
            value = getattr(answer, name)
            if name == "actions" and isinstance(value, list):
                value[:] = [action for action in value if role.covers(role_for(str(action)))]
            else:
                _offer_only(value, role)
    elif isinstance(answer, list):
        for item in answer:
            _offer_only(item, role)


def install_errors(app: Quart) -> None:
    """Every error leaves as a problem, also those of the framework; nothing of a traceback goes out."""

    async def known(error: NodeError) -> Response:
        problem = problem_of(error)
        with suppress(StoreError):
            await tell(app.extensions[DATABASE], problem)
        return problem_response(problem)

    async def unknown(error: Exception) -> Response:
        _LOG.error("%s %s failed", quart.request.method, quart.request.path, exc_info=error)
        detail = "the node failed to handle this request; node.log says why"
        return problem_response(Problem(title="Internal Server Error", status=500, detail=detail, code="internal"))

    app.register_error_handler(NodeError, known)
    app.register_error_handler(HTTPException, _framework_error)
    app.register_error_handler(Exception, unknown)


async def _framework_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = ErrorCode.NOT_FOUND if status == 404 else ErrorCode.INVALID
    detail = "there is no such endpoint" if status == 404 else error.description or ""
    title = HTTPStatus(status).phrase
    response = problem_response(Problem(title=title, status=status, detail=detail, code=code))
    for name, value in error.get_headers(None):
        if name.lower() == "allow":
            response.headers["Allow"] = value
    return response


def problem_of(error: NodeError) -> Problem:
    status = _STATUS[error.code]
    title, words = HTTPStatus(status).phrase, said(detail=error.words)
    return Problem(title=title, status=status, detail=error.message, code=error.code, said=words)


def problem_response(problem: Problem) -> Response:
    body = problem.model_dump_json()
    return Response(body, status=problem.status, content_type="application/problem+json")


async def body_document(depth: int) -> tuple[dict[str, Any], bytes]:
    """The request's JSON object and its bytes as sent; `InvalidRequest` or `TooLarge` say what is wrong."""
    body = await read_body(quart.request, quart.current_app.config[BODY_BYTES])
    return decode_object(body, depth=depth), body


async def body_message(kind: type[M], depth: int) -> M:
    """The request's body as a message; the error names the first member at fault."""
    document, _ = await body_document(depth)
    return checked(kind, document)


def checked(kind: type[M], document: dict[str, Any]) -> M:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise InvalidRequest(say("member_wrong", member=where, what=_what_is_wrong(first))) from None


def _what_is_wrong(fault: ErrorDetails) -> Words:
    """The usual ones in words of ours, the rest as the library says it."""
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "string_too_long":
            return say("member_too_long", most=limits["max_length"])
        case "string_too_short":
            return say("member_too_short", least=limits["min_length"])
        case "greater_than_equal":
            return say("member_at_least", least=str(limits["ge"]))
        case "greater_than":
            return say("member_more_than", least=str(limits["gt"]))
        case "less_than_equal":
            return say("member_at_most", most=str(limits["le"]))
        case kind:
            return say(_WRONG[kind]) if kind in _WRONG else fault["msg"]


_WRONG = {
    "missing": "member_missing",
    "string_type": "member_no_text",
    "int_type": "member_no_number",
    "bool_type": "member_no_flag",
    "list_type": "member_no_list",
    "dict_type": "member_no_object",
}


def operator() -> str:
    """Who acts, for the ledger: `operator:<user>`, whom the kernel vouches for."""
    return caller().actor


def caller() -> Operator:
    """Who acts, and in which role."""
    found: Operator = quart.g.operator
    return found


def text_query(name: str) -> str:
    """A text of the query string; empty when it is not given."""
    value = quart.request.args.get(name, "")
    _check_text(name, value)
    return value


def query_texts() -> dict[str, str]:
    """Everything of the query string."""
    for name, value in quart.request.args.items():
        _check_text(name, value)
    return dict(quart.request.args.items())


def number_query(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number of the query string between `low` and `high`; `InvalidRequest` for anything else."""
    text = quart.request.args.get(name)
    if text is None or text == "":
        return default
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 19 or not low <= int(text) <= high:
        raise InvalidRequest(say("number_between", name=name, low=low, high=high))
    return int(text)


def flag_query(name: str) -> bool:
    return quart.request.args.get(name, "").lower() in {"1", "true", "yes"}


def _check_text(what: str, value: str) -> None:
    if not is_text(value) or "\0" in value:
        raise InvalidRequest(say("no_valid_text", what=what))
