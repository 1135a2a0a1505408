"""`/secrets`: names and dates of what is kept sealed; values only go in."""

from __future__ import annotations

from dataclasses import asdict

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.engine import secrets as verbs
from embedded_scheduler.store import secrets
from embedded_scheduler.wire.console_secrets import SecretList, SecretRequest, SecretRow


def install(app: Quart, console: Console) -> None:
    kept = Secrets(console)
    endpoint.route(app, "GET", "/secrets", kept.all)
    endpoint.route(app, "PUT", "/secrets/<name>", kept.put)
    endpoint.route(app, "DELETE", "/secrets/<name>", kept.remove)


class Secrets:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> SecretList:
        rows = await self._engine.db.read(secrets.all)
        return SecretList(secrets=[SecretRow(**asdict(row)) for row in rows])

    async def put(self, name: str) -> SecretRow:
        request = await endpoint.body_message(SecretRequest, self._console.depth)
        stored = await verbs.put(self._engine, name, request.value, actor=endpoint.operator())
        return SecretRow(**asdict(stored))

    async def remove(self, name: str) -> None:
        await verbs.remove(self._engine, name, actor=endpoint.operator())
