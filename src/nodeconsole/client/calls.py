"""How a resource of the node is asked for: typed answers over one connection, and what a read-only console refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from nodeconsole.client.connection import Connection
from nodeconsole.client.errors import ClientError
from nodeconsole.client.stream import ByteStream, PageStream

_CHECKS = frozenset({"/components/check", "/jobs/check", "/policy/test"})
"""Sent with a body, and change nothing."""

M = TypeVar("M", bound=BaseModel)


class Calls:
    """What the calls on every resource are made with. `read_only`: refuse whatever could change something, without
    asking the node."""

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._connection = connection

    async def _get(
        self, kind: type[M], path: str, query: Mapping[str, Any] | None = None, *, patient: bool = False
    ) -> M:
        return read_as(kind, await self._call("GET", path, query=query, patient=patient))

    async def _list(self, kind: type[M], path: str, member: str) -> list[M]:
        return _read_list(kind, await self._call("GET", path), member)

    async def _send(
        self, kind: type[M], method: str, path: str, body: Mapping[str, Any], *, patient: bool = False
    ) -> M:
        return read_as(kind, await self._call(method, path, body=body, patient=patient))

    async def _delete(self, path: str) -> None:
        await self._call("DELETE", path)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        patient: bool = False,
    ) -> bytes:
        if self.read_only and method != "GET" and path not in _CHECKS:
            raise ClientError("this console is read-only: nothing was sent", 403, "read_only")
        return await self._connection.call(method, path, query=query, body=body, patient=patient)

    def _stream(self, path: str, query: Mapping[str, Any]) -> ByteStream:
        return self._connection.stream(path, query)

    def _pages(self, kind: type[M], path: str, query: Mapping[str, Any]) -> PageStream[M]:
        return PageStream(self._stream(path, query), lambda data: read_as(kind, data))


def path_of(*segments: str) -> str:
    """A path of the API; every segment is data, whatever characters it has."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ClientError(f"there is nothing named {segment!r}", 404, "not_found")
    return "".join("/" + quote(segment, safe="", errors="surrogatepass") for segment in segments)


def body_of(kind: type[BaseModel], **members: str) -> dict[str, Any]:
    try:
        return kind(**members).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ClientError(f"{where}: {first['msg']}", 400, "invalid") from None


def read_as(kind: type[M], content: bytes) -> M:
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise _unreadable() from None


def _read_list(kind: type[M], content: bytes, member: str) -> list[M]:
    try:
        return TypeAdapter(dict[str, list[kind]]).validate_json(content)[member]  # type: ignore[valid-type]
    except (ValidationError, KeyError):
        raise _unreadable() from None


def _unreadable() -> ClientError:
    return ClientError("the node's answer cannot be read: are node and console of the same version?", 502, "internal")
