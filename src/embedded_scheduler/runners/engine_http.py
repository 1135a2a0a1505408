"""HTTP to an engine that runs attempts elsewhere: who one is, and what no answer and a refusal mean."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.following import AwayError

_CONNECT_S = 5.0
_ANSWER_S = 30.0
_LONGEST_TEXT = 300


class EngineHttp:
    """`engine` is its name for people. Token and certificates are read anew for each client: they may be renewed."""

    def __init__(
        self,
        engine: str,
        address: str,
        *,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._engine = engine
        self._address = address
        self._token_file = token_file
        self._ca_file = ca_file
        self._certificate = certificate

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for this engine. `Refused` if its credentials cannot be read."""
        try:
            headers = {"Authorization": f"Bearer {self._token()}"} if self._token_file else {}
            verify = self._tls() if self._address.startswith("https:") else False
        except (OSError, ValueError, ssl.SSLError) as error:
            raise Refused(f"what this node needs to speak to {self._engine} cannot be read: {error}") from None
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
        async with httpx.AsyncClient(
            base_url=self._address, headers=headers, verify=verify, timeout=timeout, trust_env=False
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
    ) -> httpx.Response:
        try:
            return await client.request(method, path, content=content, json=json, params=params)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    async def stream(
        self, client: httpx.AsyncClient, path: str, params: Mapping[str, str], *, silence_s: float | None = None
    ) -> AsyncIterator[bytes]:
        """The body of an answer as it comes; nothing may come for `silence_s`, None = for any time."""
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S, read=silence_s)
        try:
            async with client.stream("GET", path, params=dict(params), timeout=timeout) as answer:
                if not answer.is_success:
                    await answer.aread()
                    self.judge(answer)
                async for piece in answer.aiter_raw():
                    yield piece
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def judge(self, answer: httpx.Response) -> None:
        """Return if the answer is good. `Refused` says why the same request will never be; `AwayError`: not now."""
        if answer.is_success:
            return
        text = f"{self._engine} at {self._address} answered {answer.status_code}: {error_text(answer)}"
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Refused(f"{text} (it does not let this node in: look at its token and rights)")
        if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            raise Refused(text)
        raise AwayError(text)

    def _away(self, error: httpx.HTTPError) -> AwayError:
        what = str(error) or type(error).__name__
        return AwayError(f"{self._engine} at {self._address} cannot be reached: {what}")

    def _token(self) -> str:
        assert self._token_file is not None
        token = self._token_file.read_text("ascii").strip()
        if not token or not token.isprintable():
            raise ValueError(f"{self._token_file} holds no token")
        return token

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        if self._certificate is not None:
            context.load_cert_chain(*map(str, self._certificate))
        return context


def error_text(answer: httpx.Response) -> str:
    """What an engine says of a fault, as one short line: the last one of a traceback."""
    try:
        body = answer.json()
        said = str(body.get("message") or body) if isinstance(body, dict) else str(body)
    except ValueError:
        said = answer.text
    lines = [line.strip() for line in said.splitlines() if any(map(str.isalnum, line))]
    return lines[-1][:_LONGEST_TEXT] if lines else answer.reason_phrase
