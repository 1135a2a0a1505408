"""Callers of a node's partner port that are no nodes: one that signs like a partner, and one that only has a socket."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from embedded_scheduler.home import Home
from embedded_scheduler.security.identity import Identity, load_identity
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from tests.support.hosted import Hosted

SCHEDULE = "/v1/interconn/schedule"


@dataclass(frozen=True, slots=True)
class SigningCaller:
    """Speaks with the key of a node that need not run. The server's certificate is not looked at: that is not what is
    tested."""

    http: httpx.AsyncClient
    source: str
    target: str
    signer: Signer

    def request(self, path: str, body: bytes, **changed: str) -> httpx.Request:
        """A signed POST; `changed` replaces members of the headers after signing."""
        said = PartnerHeaders(
            source=self.source,
            target=self.target,
            nonce=secrets.token_hex(8),
            trace_id="t",
            timestamp=str(time.time_ns() // 1_000_000),
        )
        signature = self.signer.sign(SignedRequest("POST", SCHEDULE + path, "", said, body).message())
        headers = {**render_headers(said, signature=signature, writes=True), **changed}
        return self.http.build_request("POST", SCHEDULE + path, content=body, headers=headers)

    async def ask(self, path: str, members: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.http.send(self.request(path, json.dumps(members).encode()))
        return dict(answer.json())

    async def latencies(self, count: int, path: str, members: Mapping[str, Any], *, pause: float = 0.0) -> list[float]:
        """Seconds that each of `count` requests took, one after the other; every one of them must be answered in the
        envelope, and none with 429."""
        taken = []
        for _ in range(count):
            request = self.request(path, json.dumps(members).encode())
            begun = time.perf_counter()
            answer = await self.http.send(request)
            taken.append(time.perf_counter() - begun)
            assert answer.json()["code"] != 429
            await asyncio.sleep(pause)
        return taken


@asynccontextmanager
async def signing_caller(node: Hosted, home: Home, source: str, target: str) -> AsyncIterator[SigningCaller]:
    """A caller that holds the key and the certificate of the node of `home`."""
    identity = load_identity(home.identity)
    async with httpx.AsyncClient(base_url=node.url, verify=unverified(identity), trust_env=False, timeout=30) as http:
        yield SigningCaller(http, source, target, Signer(identity.key))


def unverified(identity: Identity | None = None) -> ssl.SSLContext:
    """TLS that believes every server, with a client certificate if there is an identity."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        identity.pair.load_into(context)
    return context


async def pour(address: str, requests: Iterable[bytes], *, connections: int, tls: bool) -> int:
    """Send raw requests over several connections, each the next as soon as it has an answer to the one before, and open
    a connection again when the node closes it. Returns how many were answered or cut off."""
    waiting = iter(requests)
    host, _, port = address.rpartition(":")
    context = unverified() if tls else None
    done = 0

    async def work() -> None:
        nonlocal done
        reader = writer = None
        for request in waiting:
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
                writer.write(request)
                async with asyncio.timeout(20):
                    going_on = await _answer(reader)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
                going_on = False
            done += 1
            if not going_on and writer is not None:
                writer.transport.abort()
                reader = writer = None
        if writer is not None:
            writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    return done


async def _answer(reader: asyncio.StreamReader) -> bool:
    """Read one answer away; whether the connection goes on after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
        return fields.get(b"connection") != b"close"
    return False
