"""The checks of a link against the other node's probe: what its gateways do to headers, sizes and waiting."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB
from embedded_scheduler.engine import linktest
from embedded_scheduler.errors import Spoken
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.peers.link_checks import bad, clock_gap, note, ok, read_limited
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.wire.linktest import NONCE, PATH, PROOF, REVERSE_PATH, TICKET, LinkCheck, LinkChecks, ProbeFacts

SECONDS = 30.0
"""How long one request may take."""
_LONG_HEADER = 6000
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried. Sizes in MiB, times in seconds."""

    sizes: tuple[int, ...] = (1, 2, 8, 16)
    bulk: int = 50
    idle: tuple[float, ...] = (30.0, 120.0)
    pause: float = 1.0
    pings: int = 11


FULL = Plan()
QUICK = replace(FULL, bulk=5, idle=(30.0,))


@dataclass(frozen=True, slots=True)
class Target:
    """`key` makes the proofs of a code; empty = an address alone. `fingerprint` is of the node's own key."""

    url: str
    ticket: str = ""
    key: bytes = b""
    fingerprint: str = ""
    node_id: str = ""


class Probe:
    """The checks against the other node's probe."""

    def __init__(self, client: httpx.AsyncClient, target: Target, plan: Plan, clock: Clock) -> None:
        self._client = client
        self._target = target
        self._plan = plan
        self._clock = clock

    async def all(self) -> list[LinkCheck]:
        first = await self._checked("link_code", self._hello)
        if first[-1].state == "bad":
            return first
        found = [*first]
        for name, step in (
            ("link_headers", self._headers),
            ("link_round_trip", self._round_trip),
            ("link_bodies", self._upwards),
            ("link_answers", self._downwards),
            ("link_request_buffering", self._request_buffering),
            ("link_answer_buffering", self._answer_buffering),
            ("link_bandwidth", self._bandwidth),
            ("link_waiting", self._waiting),
        ):
            found += await self._checked(name, step)
        return found

    async def reverse(self, own_url: str) -> list[LinkCheck]:
        """The other node calls this one; empty texts mean nothing was found out."""

        async def ask() -> list[LinkCheck]:
            body = json.dumps({"url": own_url}).encode()
            data = await self._data("POST", path=REVERSE_PATH, content=body, seconds=60)
            return LinkChecks.model_validate(data).checks

        return await self._checked("link_way_back", ask)

    async def _checked(self, name: str, step: Callable[[], Awaitable[list[LinkCheck]]]) -> list[LinkCheck]:
        try:
            return await step()
        except httpx.TransportError as error:
            return [bad(name, reason(self._target.url, error))]
        except Refused as error:
            return [bad(name, error.words)]

    async def _hello(self) -> list[LinkCheck]:
        began = self._clock.now_ms()
        facts = await self._facts()
        middle = (began + self._clock.now_ms()) / 2
        found = [
            ok("link_code", say("link_code_taken", node=facts.node_id, remote=facts.remote or say("link_unknown")))
        ]
        if self._target.node_id not in ("", facts.node_id):
            found = [bad("link_code", say("link_code_of_other", node=self._target.node_id, other=facts.node_id))]
        return [*found, clock_gap((facts.now_ms - middle) / 1000)]

    async def _headers(self) -> list[LinkCheck]:
        long = secrets.token_urlsafe(_LONG_HEADER)[:_LONG_HEADER]
        sent = {"x-probe-short": "a b,c;d=e", "x-probe-long": long, "x_probe_underscore": "u"}
        facts = await self._facts(headers=sent)
        got = {name.replace("_", "-"): value for name, value in facts.headers.items()}
        lost = [name for name in ("x-probe-short", "x-probe-long") if got.get(name) != sent[name]]
        if lost:
            advice = say("link_headers_fix")
            return [bad("link_headers", say("link_headers_lost", names=", ".join(lost)), advice)]
        found = [ok("link_headers", say("link_headers_ok", most=_LONG_HEADER))]
        if "x-probe-underscore" not in got:
            found.append(note("link_headers", say("link_underscore")))
        return found

    async def _round_trip(self) -> list[LinkCheck]:
        times = []
        for _ in range(self._plan.pings):
            began = time.monotonic()
            await self._facts()
            times.append((time.monotonic() - began) * 1000)
        return [
            ok(
                "link_round_trip",
                say("link_times", median=f"{statistics.median(times):.1f}", longest=f"{max(times):.1f}"),
            )
        ]

    async def _upwards(self) -> list[LinkCheck]:
        async def send(size: int) -> None:
            facts = await self._facts("POST", content=os.urandom(size))
            if facts.received != size:
                raise Refused(say("test_arrived", size=size, arrived=facts.received))

        return await self._sizes("link_bodies", "client_max_body_size", send)

    async def _downwards(self) -> list[LinkCheck]:
        async def fetch(size: int) -> None:
            async with self._stream("GET", f"want={size}") as response:
                got = 0
                async for chunk in response.aiter_raw():
                    got += len(chunk)
            if got != size:
                raise Refused(say("test_arrived", size=size, arrived=got))

        return await self._sizes("link_answers", "proxy_max_temp_file_size", fetch)

    async def _sizes(self, name: str, setting: str, attempt: Callable[[int], Awaitable[None]]) -> list[LinkCheck]:
        passed = 0
        for size in self._plan.sizes:
            try:
                await attempt(size * MIB)
            except (httpx.TransportError, Refused) as error:
                why = reason(self._target.url, error) if isinstance(error, httpx.TransportError) else error.words
                advice = say("link_size_fix", setting=setting, most=self._plan.sizes[-1])
                text = say("link_size_not", passed=passed, size=size, why=why)
                return [note(name, text, advice) if passed else bad(name, text, advice)]
            passed = size
        return [ok(name, say("link_size_ok", passed=passed))]

    async def _request_buffering(self) -> list[LinkCheck]:
        async def slowly() -> AsyncIterator[bytes]:
            yield bytes(_PIECE)
            await asyncio.sleep(self._plan.pause)
            yield bytes(_PIECE)

        facts = await self._facts("POST", content=slowly())
        if facts.spread_ms >= self._plan.pause * 500:
            return [ok("link_request_buffering", say("link_sent_at_once"))]
        return [note("link_request_buffering", say("link_sent_held"))]

    async def _answer_buffering(self) -> list[LinkCheck]:
        async with self._stream("GET", f"want={2 * _PIECE}&pause={self._plan.pause:g}") as response:
            first = last = 0.0
            async for _ in response.aiter_raw():
                last = time.monotonic()
                first = first or last
        if last - first >= self._plan.pause / 2:
            return [ok("link_answer_buffering", say("link_answered_at_once"))]
        return [note("link_answer_buffering", say("link_answer_held"))]

    async def _bandwidth(self) -> list[LinkCheck]:
        """In parts of 1 MiB, as components' data goes."""
        found = []
        for code, there in (("link_rate_to", True), ("link_rate_from", False)):
            block = os.urandom(MIB)
            began = time.monotonic()
            for _ in range(self._plan.bulk):
                if there:
                    await self._facts("POST", content=block)
                else:
                    async with self._stream("GET", f"want={MIB}") as response:
                        async for _chunk in response.aiter_raw():
                            pass
            rate = self._plan.bulk / (time.monotonic() - began)
            found.append(ok("link_bandwidth", say(code, mib=self._plan.bulk, rate=f"{rate:.1f}")))
        return found

    async def _waiting(self) -> list[LinkCheck]:
        """Answers that let one wait, all at once on connections of their own."""

        async def wait(seconds: float) -> LinkCheck:
            advice = say("link_wait_fix")
            try:
                await self._facts(query=f"pause={seconds:g}", seconds=seconds + 15)
            except (httpx.TransportError, Refused) as error:
                why = reason(self._target.url, error) if isinstance(error, httpx.TransportError) else error.words
                text = say("link_wait_not", seconds=f"{seconds:g}", why=why)
                return (
                    bad("link_waiting", text, advice)
                    if seconds <= 60
                    else note("link_waiting", text, say("link_wait_works"))
                )
            return ok("link_waiting", say("link_wait_ok", seconds=f"{seconds:g}"))

        return list(await asyncio.gather(*map(wait, self._plan.idle)))

    # -- one request --------------------------------------------------------------------------------------------------

    async def _facts(
        self,
        method: str = "GET",
        query: str = "",
        *,
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> ProbeFacts:
        data = await self._data(method, query=query, content=content, headers=headers, seconds=seconds)
        return ProbeFacts.model_validate(data)

    async def _data(
        self,
        method: str,
        *,
        path: str = PATH,
        query: str = "",
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> dict[str, Any]:
        async with self._stream(
            method, query, path=path, content=content, headers=headers, seconds=seconds
        ) as response:
            body = await read_limited(response)
        try:
            data = json.loads(body)["data"]
        except (ValueError, KeyError, TypeError):
            raise Refused(say("test_no_node")) from None
        if not isinstance(data, dict):
            raise Refused(say("test_no_node"))
        return data

    def _stream(
        self,
        method: str,
        query: str = "",
        *,
        path: str = PATH,
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> _Answer:
        nonce = secrets.token_hex(16)
        proven = {
            TICKET: self._target.ticket,
            NONCE: nonce,
            PROOF: linktest.proof(self._target.key, nonce, f"{method} {path}?{query}"),
            "accept-encoding": "identity",
        }
        url = f"{self._target.url}{path}?{query}" if query else self._target.url + path
        request = self._client.build_request(
            method, url, content=content, headers={**proven, **(headers or {})}, timeout=seconds
        )
        return _Answer(self._client, request)


class _Answer:
    """An answer as it arrives; `Refused` unless it is HTTP 200."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self._client = client
        self._request = request
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        self._response = await self._client.send(self._request, stream=True)
        if self._response.status_code != 200:
            refusal = _refusal(self._response.status_code, await read_limited(self._response))
            await self._response.aclose()
            raise Refused(refusal)
        return self._response

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            await self._response.aclose()


class Refused(Spoken):
    """The other side, or something on the way, answered that it does not."""


def _refusal(status: int, body: bytes) -> Words:
    """In the node's own words; a gateway's page is not shown."""
    try:
        text = json.loads(body)["msg"]
    except (ValueError, KeyError, TypeError):
        return say("test_status_of_other", status=status)
    if not isinstance(text, str) or not text.isprintable():
        return say("test_status_alone", status=status)
    return say("test_status_text", status=status, text=text[:300])
