"""What trust costs: jobs, polls and channel over mutual TLS with required signatures, against the same without."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace

import httpx
from tests.support.callers import unverified
from tests.support.probe_jobs import chain, fan, probe_job

from benchmarks.load import Load, generate
from benchmarks.pair import GUEST, HOST, Pair, partner_message, signed_message
from benchmarks.rows import Row
from benchmarks.serving import CONNECTIONS, POLL, finished_task, idle
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.wire import ptp
from embedded_scheduler.wire.bfia.signature import Signer

ROUNDS = 3
CHAIN, FAN = 20, 50
POLL_SECONDS = 2.0
DIFFERENT = 2000
MESSAGE = 8_000_000
"""Bytes of one channel message; towards partners it goes out in parts."""
MESSAGES = 8


async def measure(plain: Pair, trusted: Pair, contained: Pair) -> list[Row]:
    """The same on all pairs in turn. `plain`: HTTP, nothing signed; `contained`: as `trusted`, components sandboxed."""
    return [
        *await _jobs(plain, trusted, contained),
        *await _polls(plain, trusted),
        *await _channel(plain, trusted),
        *[replace(row, name=f"{row.name}, TLS and signatures") for row in await idle(trusted)],
    ]


async def _jobs(plain: Pair, trusted: Pair, contained: Pair) -> list[Row]:
    pairs = (plain, trusted, contained)
    chains: dict[Pair, list[float]] = {nodes: [] for nodes in pairs}
    fans: dict[Pair, list[float]] = {nodes: [] for nodes in pairs}
    for nodes in pairs:
        await nodes.run(_document(chain(1)))
    for _ in range(ROUNDS):
        for nodes in pairs:
            chains[nodes].append(1000 * await nodes.run(_document(chain(CHAIN))) / CHAIN)
        for nodes in pairs:
            fans[nodes].append(1000 * await nodes.run(_document(fan(FAN))) / FAN)
    rows = []
    for shape, taken in ((f"chain of {CHAIN}", chains), (f"fan of {FAN}", fans)):
        bare, safe, boxed = (tuple(taken[nodes]) for nodes in pairs)
        rows.append(Row(f"{shape}, per task, TLS and signatures / without", "ms", safe, bare, aim=1.5))
        rows.append(Row(f"{shape}, per task, sandboxed / not (both with TLS)", "ms", boxed, safe, aim=3.0))
    return rows


def _document(tasks: dict[str, list[str]]) -> dict[str, object]:
    return probe_job({"guest": GUEST, "host": HOST}, tasks)


async def _polls(plain: Pair, trusted: Pair) -> list[Row]:
    identity = load_identity(trusted.nodes[GUEST].home.identity)
    signer, context = Signer(identity.key), unverified(identity)
    here, there = plain.nodes[HOST].listen, trusted.nodes[HOST].listen
    unsigned = partner_message(here, POLL, {"task_id": await finished_task(plain), "role": "host"})
    body = {"task_id": await finished_task(trusted), "role": "host"}
    without: list[Load] = []
    signed: list[Load] = []
    for _ in range(ROUNDS):
        messages = [signed_message(signer, there, POLL, body) for _ in range(DIFFERENT)]
        without.append(await _load(here, [unsigned], None))
        signed.append(await _load(there, messages, context))
    rates, bare = (tuple(load.per_second for load in loads) for loads in (signed, without))
    return [Row("task/poll, TLS and signatures / without", "1/s", rates, bare, aim=0.5, higher_is_better=True)]


async def _load(address: str, messages: list[bytes], tls: ssl.SSLContext | None) -> Load:
    return await generate(address, *messages, connections=CONNECTIONS, seconds=POLL_SECONDS, tls=tls)


# -- the channel -------------------------------------------------------------------------------------------------------


async def _channel(plain: Pair, trusted: Pair) -> list[Row]:
    rates: dict[Pair, list[float]] = {plain: [], trusted: []}
    for _ in range(ROUNDS):
        for nodes, taken in rates.items():
            taken.append(await _rate(nodes))
    return [Row("channel, TLS and signatures / without", "MB/s", tuple(rates[trusted]), tuple(rates[plain]), aim=0.4,
                higher_is_better=True, note=f"{MESSAGES} messages of {MESSAGE / 1e6:g} MB")]  # fmt: skip


async def _rate(nodes: Pair) -> float:
    """MB/s that one component at the guest gets to one at the host, through both nodes."""
    made = probe_job({"guest": GUEST, "host": HOST}, chain(1), parameters={"probe_0": {"sleep": 30}})
    job_id = (await nodes.clients[GUEST].submit(made)).job_id
    guest, host = nodes.nodes[GUEST].platform_url, nodes.nodes[HOST].platform_url
    payload = bytes(MESSAGE)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        await both_running(nodes, job_id)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(_push(http, guest, job_id, payload))
            group.create_task(_pop(http, host, job_id))
        taken = time.perf_counter() - began
    await nodes.clients[GUEST].stop(job_id, "", "measured")
    return MESSAGES * MESSAGE / 1e6 / taken


async def both_running(nodes: Pair, job_id: str) -> None:
    for client in nodes.clients.values():
        while True:
            detail = await client.job(job_id)
            if detail.tasks and detail.tasks[0].state == "RUNNING":
                break
            await asyncio.sleep(0.02)


async def _push(http: httpx.AsyncClient, url: str, job_id: str, payload: bytes) -> None:
    for _ in range(MESSAGES):
        _check(await http.post(url + ptp.PUSH_PATH, headers=_headers(job_id, HOST), content=payload))


async def _pop(http: httpx.AsyncClient, url: str, job_id: str) -> None:
    for _ in range(MESSAGES):
        answer = await http.post(f"{url}{ptp.POP_PATH}?timeout=30", headers=_headers(job_id, GUEST))
        _check(answer)
        if len(answer.content) < MESSAGE:
            raise RuntimeError("a message arrived shorter than it was sent")


def _headers(job_id: str, target: str) -> dict[str, str]:
    return {"x-ptp-session-id": f"session_{job_id}", "x-ptp-topic": "bench", "x-ptp-target-node-id": target}


def _check(answer: httpx.Response) -> None:
    if ptp.Code.OK.encode() not in answer.content[:200] + answer.content[-200:]:
        raise RuntimeError(f"the channel answered {answer.content[:200]!r}")
