"""The console family as an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quart import Quart

from embedded_scheduler.api.console import (
    catalogue,
    contracts,
    endpoint,
    events,
    grants,
    jobs,
    logs,
    messages,
    node,
    packs,
    policy,
    pulse,
    secrets,
    space,
    tasks,
    tokens,
)
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.wire.console import Problem


def create_app(console: Console) -> Quart:
    app = Quart("embedded_scheduler.console", static_folder=None)
    # The framework's own limit hangs up on a caller that is still sending, who then never reads why.
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config[endpoint.BODY_BYTES] = console.engine.settings.limits.body_bytes
    app.extensions[endpoint.OPERATORS] = console.operators
    app.extensions[endpoint.DATABASE] = console.engine.db
    endpoint.install_errors(app)
    for family in (node, tokens, jobs, tasks, space, logs, events, pulse):
        family.install(app, console)
    for family in (catalogue, packs, contracts, policy, secrets, grants, messages):
        family.install(app, console)
    app.asgi_app = _QueryGuard(app.asgi_app)  # type: ignore[method-assign]
    return app


class _QueryGuard:
    """Refuses a request line that the framework cannot read, before it tries."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["query_string"].isascii():
            await self._inner(scope, receive, send)
            return
        problem = Problem(title="Bad Request", status=400, detail="the query must be percent-encoded", code="invalid")
        headers = [(b"content-type", b"application/problem+json")]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": problem.model_dump_json().encode()})
