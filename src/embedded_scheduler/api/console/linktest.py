"""`/linktests`: try out the link to another node, and let another node try out the one to this."""

from __future__ import annotations

from typing import Protocol

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.engine.linktest import LinkTests
from embedded_scheduler.wire.linktest import LinkReport, LinkRequest, OwnSide, WindowReply, WindowRequest


class Tester(Protocol):
    """`peers.linktest.LinkTester` with its two plans."""

    async def test(self, target: str, *, quick: bool) -> LinkReport: ...

    def own_side(self) -> OwnSide: ...


def install(app: Quart, tests: LinkTests, tester: Tester, *, depth: int) -> None:
    links = Links(tests, tester, depth)
    endpoint.route(app, "GET", "/linktests/own", links.own)
    endpoint.route(app, "POST", "/linktests", links.test)
    endpoint.route(app, "POST", "/linktests/windows", links.open)


class Links:
    def __init__(self, tests: LinkTests, tester: Tester, depth: int) -> None:
        self._tests = tests
        self._tester = tester
        self._depth = depth

    async def own(self) -> OwnSide:
        return self._tester.own_side()

    async def test(self) -> LinkReport:
        request = await endpoint.body_message(LinkRequest, self._depth)
        return await self._tester.test(request.target, quick=request.quick)

    async def open(self) -> WindowReply:
        request = await endpoint.body_message(WindowRequest, self._depth)
        window = await self._tests.open(request.minutes, address=request.address, actor=endpoint.operator())
        return WindowReply(code=window.code, until_ms=window.until_ms)
