"""HTTP to an engine that runs attempts elsewhere: who one is, and what no answer and a refusal mean."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.following import AwayError
from embedded_scheduler.sentences import say
from embedded_scheduler.transport import Transport

_CONNECT_S = 5.0
_ANSWER_S = 30.0
_WHOLE_ANSWER_S = 120.0
_LONGEST_TEXT = 300
_LONGEST_ANSWER = 16 * MIB


@dataclass(frozen=True, slots=True)
class Access:
    """Who one is for an engine, and by which CAs (PEM; empty = this machine's) it is known. A pair is PEM as well."""

    token: str = field(default="", repr=False)
    authorities: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


def access_of_files(token_file: Path | None, ca_file: Path | None) -> Access:
    """`ValueError` if the token's file holds none; `OSError` if one cannot be read."""
    token = token_file.read_text("ascii").strip() if token_file else ""
    if token_file and not (token and token.isprintable()):
        raise ValueError(f"{token_file} holds no token")
    return Access(token, ca_file.read_text("ascii") if ca_file else "")


class EngineHttp:
    """`engine` is its name for people. `access` is asked anew for each client: tokens and certificates are renewed."""

    def __init__(self, engine: str, address: str, access: Callable[[], Access]) -> None:
        self._engine = engine
        self._address = address
        self._access = access

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for this engine. `Refused` if its credentials cannot be read."""
        try:
            access = self._access()
            verify = _tls(access) if self._address.startswith("https:") else False
        except (OSError, ValueError, ssl.SSLError) as error:
            raise Refused(say("engine_secret_unreadable", engine=self._engine, error=str(error))) from None
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
        headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        async with httpx.AsyncClient(
            base_url=self._address,
            headers=headers,
            timeout=timeout,
            trust_env=False,
            transport=Transport(verify=verify, trust_env=False),
        ) as client:
            yield client

    async def send(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, whatever it says, once all of it is here."""
        try:
            async with client.stream(
                method, path, content=content, json=json, params=params, headers=headers
            ) as answer:
                return await self._whole(answer)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    async def stream(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], *, silence_s: float | None = None
    ) -> AsyncIterator[bytes]:
        """The body of an answer as it comes, first an empty piece; silent at most for `silence_s`, None = any time."""
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S, read=silence_s)
        try:
            async with client.stream("GET", path, params=dict(params), timeout=timeout) as answer:
                if not answer.is_success:
                    self.judge(await self._whole(answer))
                yield b""
                async for piece in answer.aiter_raw():
                    yield piece
        except httpx.HTTPError as error:
            raise self._away(error) from error

    async def _whole(self, answer: httpx.Response) -> httpx.Response:
        content = bytearray()
        try:
            async with asyncio.timeout(_WHOLE_ANSWER_S):
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > _LONGEST_ANSWER:
                        raise self._away("it answers with more than anybody asked for")
        except TimeoutError:
            raise self._away("its answer does not end") from None
        return httpx.Response(answer.status_code, content=bytes(content), request=answer.request)

    def document(self, answer: httpx.Response) -> Mapping[str, Any]:
        """The JSON object of an answer; `AwayError` if it is none."""
        try:
            found = answer.json()
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._away("what answers there is not its API")
        return found

    def judge(self, answer: httpx.Response) -> None:
        """Return if the answer is good. `Refused` says why the same request will never be; `AwayError`: not now."""
        if answer.is_success:
            return
        shut = answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
        words = say(
            "cluster_shut" if shut else "cluster_answered",
            engine=self._engine,
            address=self._address,
            status=answer.status_code,
            why=error_text(answer),
        )
        if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            raise Refused(words)
        raise AwayError(words)

    def _away(self, error: httpx.HTTPError | str) -> AwayError:
        what = str(error) or type(error).__name__
        return AwayError(say("cluster_away", engine=self._engine, address=self._address, why=what))


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=access.authorities or None)
    if access.certificate:
        # The library reads a pair from files only; this one has no name and goes with its descriptor.
        with os.fdopen(os.memfd_create("pair"), "w", encoding="ascii") as file:
            file.write(f"{access.certificate}\n{access.key}\n")
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def error_text(answer: httpx.Response) -> str:
    """What an engine says of a fault, as one short line: the last one of a traceback."""
    try:
        body = answer.json()
        said = str(body.get("message") or body) if isinstance(body, dict) else str(body)
    except (ValueError, RecursionError):
        said = answer.text
    lines = [line.strip() for line in said.splitlines() if any(map(str.isalnum, line))]
    return lines[-1][:_LONGEST_TEXT] if lines else answer.reason_phrase
