"""Two real nodes and a bare server beside them, as processes; jobs of `probe` timed from the outside."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.trust import add_trust, certificate_of, trust_each_other

from benchmarks.load import request
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from embedded_scheduler.wire.console import EventPage, PeerRequest
from nodeconsole.client import NodeClient
from nodeconsole.node_process import NodeProcess, free_addresses

GUEST = "guest"
HOST = "host"
UNLIMITED = """
limits.partner_requests_per_second = 1000000.0
limits.partner_burst = 1000000
limits.partner_concurrent = 1000
platform.trust_loopback = true
"""
"""What one partner asks here is more than one partner may. A benchmark speaks on the channel like a component."""
UNCONTAINED = 'components.sandbox = "off"\n'
CONTAINED = 'components.sandbox = "require"\n'
_START_LIMIT = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """`guest` and `host` know each other and approve each other's jobs; `bare` is the address of the bare server."""

    directory: Path
    nodes: Mapping[str, NodeProcess]
    clients: Mapping[str, NodeClient]
    bare: str

    async def run(self, document: Mapping[str, Any]) -> float:
        """Submit at the guest and return the seconds until both nodes say that the job succeeded."""
        after = {name: (await client.status()).last_seq for name, client in self.clients.items()}
        began = time.perf_counter()
        job_id = (await self.clients[GUEST].submit(document)).job_id
        await asyncio.gather(*(_succeeded(self.clients[name], job_id, after[name]) for name in self.clients))
        return time.perf_counter() - began


async def event_pages(client: NodeClient, after: int) -> AsyncGenerator[EventPage, None]:
    """`client.events` in a form that can be closed before its end."""
    async for page in client.events(after=after):
        yield page


async def _succeeded(client: NodeClient, job_id: str, after: int) -> None:
    async with aclosing(event_pages(client, after)) as pages:
        async for page in pages:
            for event in page.events:
                if event.subject == "job" and event.subject_id == job_id and event.target in ("FINISHED", "REJECTED"):
                    if event.data.get("outcome") != "succeeded":
                        raise RuntimeError(f"job {job_id} ended {event.target} ({event.data}): {event.reason}")
                    return
    raise RuntimeError(f"the event stream ended before job {job_id} did")


@asynccontextmanager
async def pair(directory: Path, *, trusted: bool = False, settings: str = "") -> AsyncIterator[Pair]:
    """Fresh nodes below `directory`, ended on the way out. `trusted` = mutual TLS and required signatures, else plain
    HTTP and neither needed; components run without sandbox unless `settings` say otherwise."""
    addresses = free_addresses(4)
    tls = "mutual" if trusted else "off"
    nodes = {
        name: NodeProcess(name, directory / name, listen=addresses.pop(), platform=addresses.pop(), tls=tls)
        for name in (GUEST, HOST)
    }
    clients = {name: node.client() for name, node in nodes.items()}
    try:
        async with bare_server() as (bare, _process):
            for node in nodes.values():
                await node.create(UNLIMITED + (settings or UNCONTAINED))
            await (_trust if trusted else _half_trust)(nodes)
            for node in nodes.values():
                await node.start()
            if not trusted:
                introduction = PeerRequest(node_id=HOST, url=nodes[HOST].url, approval="auto", signing="off")
                await clients[GUEST].add_peer(introduction)
            yield Pair(directory, nodes, clients, bare)
    finally:
        for client in clients.values():
            await client.close()
        for node in nodes.values():
            await node.stop()
            node.end_components()


async def _trust(nodes: Mapping[str, NodeProcess]) -> None:
    await trust_each_other({name: (node.home, node.url) for name, node in nodes.items()})


async def _half_trust(nodes: Mapping[str, NodeProcess]) -> None:
    """The guest may sign and need not, so that both ways are measured against the same node."""
    guest = nodes[GUEST]
    await add_trust(nodes[HOST].home, GUEST, guest.url, certificate_of(guest.home), signing="verify-if-present")


@asynccontextmanager
async def bare_server() -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    """The bare server's address and process, once it accepts connections."""
    (address,) = free_addresses(1)
    process = _start_bare(address)
    try:
        await accepts(address)
        yield address, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()


def _start_bare(address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.bare_server", address]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


async def accepts(address: str) -> None:
    """Return as soon as something listens there."""
    host, _, port = address.rpartition(":")
    limit = time.monotonic() + _START_LIMIT
    while time.monotonic() < limit:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.005)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise RuntimeError(f"nothing listens on {address} after {_START_LIMIT:g} seconds")


def signed_message(signer: Signer, address: str, path: str, body: Mapping[str, Any]) -> bytes:
    """The same, signed by the guest, with a nonce of its own."""
    raw = json.dumps(body).encode()
    said = PartnerHeaders(
        source=GUEST,
        target=HOST,
        nonce=secrets.token_hex(16),
        trace_id="0" * 32,
        timestamp=str(time.time_ns() // 1_000_000),
    )
    signature = signer.sign(SignedRequest("POST", path, "", said, raw).message())
    headers = {"Content-Type": "application/json", **render_headers(said, signature=signature, writes=True)}
    return request("POST", address, path, headers, raw)


def usual_message(address: str, path: str = "/echo") -> bytes:
    """One request with the headers and about the size that partners exchange."""
    return partner_message(address, path, {"task_id": f"task-{'0' * 32}", "role": "guest", "status": "SUCCESS"})


def partner_message(address: str, path: str, body: Mapping[str, Any]) -> bytes:
    """A partner's unsigned request from the guest to the host."""
    headers = {
        "Content-Type": "application/json",
        "x-auth-sign": "",
        "x-csrf-protection": "1",
        "x-source-node-id": GUEST,
        "x-target-node-id": HOST,
        "x-nonce": "0" * 32,
        "x-trace-id": "0" * 32,
        "x-timestamp": str(time.time_ns() // 1_000_000),
    }
    return request("POST", address, path, headers, json.dumps(body).encode())
