"""What trust costs: jobs, polls and channel over mutual TLS with required signatures, against the same without."""

from __future__ import annotations

import ssl
from dataclasses import replace

from tests.support.callers import unverified
from tests.support.probe_jobs import chain, fan, probe_job

from benchmarks import channel
from benchmarks.load import Load, generate
from benchmarks.pair import GUEST, HOST, Pair, partner_message, signed_message
from benchmarks.rows import Row
from benchmarks.serving import CONNECTIONS, POLL, finished_task, idle
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.wire.bfia.signature import Signer

ROUNDS = 3
CHAIN, FAN = 20, 50
POLL_SECONDS = 2.0
DIFFERENT = 2000


async def measure(plain: Pair, trusted: Pair, contained: Pair) -> list[Row]:
    """The same on all pairs in turn. `plain`: HTTP, nothing signed; `contained`: as `trusted`, components sandboxed."""
    return [
        *await _jobs(plain, trusted, contained),
        *await _polls(plain, trusted),
        *await channel.measure(plain, trusted),
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
