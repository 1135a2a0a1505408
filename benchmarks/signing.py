"""What signatures cost: a partner's signed polls against its unsigned ones, at one node over the same transport."""

from __future__ import annotations

import time

from benchmarks.load import Load, generate
from benchmarks.pair import GUEST, HOST, Pair, partner_message, signed_message
from benchmarks.rows import Row
from benchmarks.serving import CONNECTIONS, POLL, ROUND_SECONDS, ROUNDS, finished_task
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.security.keys import CERT, parse_credential
from embedded_scheduler.wire.bfia.signature import Signer, is_signed

DIFFERENT = 2000
"""Signed requests, made before each round; a repeated one is checked all the same."""
_CHECKS = 2000


async def measure(nodes: Pair) -> list[Row]:
    """`task/poll` signed and unsigned, in turns; then a signature and its check alone."""
    identity = load_identity(nodes.nodes[GUEST].home.identity)
    signer, host = Signer(identity.key), nodes.nodes[HOST].listen
    body = {"task_id": await finished_task(nodes), "role": "host"}
    plain = partner_message(host, POLL, body)
    signed: list[Load] = []
    unsigned: list[Load] = []
    for _ in range(ROUNDS):
        messages = [signed_message(signer, host, POLL, body) for _ in range(DIFFERENT)]
        unsigned.append(await generate(host, plain, connections=CONNECTIONS, seconds=ROUND_SECONDS))
        signed.append(await generate(host, *messages, connections=CONNECTIONS, seconds=ROUND_SECONDS))
    rates, plain_rates = (tuple(load.per_second for load in loads) for loads in (signed, unsigned))
    return [
        Row("task/poll signed / unsigned", "1/s", rates, plain_rates, aim=0.5, higher_is_better=True),
        Row("one signature and its check", "µs", tuple(_check_seconds(signer, identity.certificate)), note=CERT),
    ]


def _check_seconds(signer: Signer, certificate: str) -> list[float]:
    key, message = parse_credential(CERT, certificate), b"x" * 300
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(_CHECKS):
            if not is_signed(message, signer.sign(message), (key,)):
                raise RuntimeError("a signature of ours is not valid")
        rounds.append((time.perf_counter() - began) / _CHECKS * 1e6)
    return rounds
