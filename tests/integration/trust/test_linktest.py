"""`peer test`: two real nodes, directly and through nginx, with codes, without, and with stolen and used-up ones."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from tests.support.gateway_nginx import gateway, needs_nginx, reserved_address
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import PartnerListener, load_settings
from embedded_scheduler.engine import linktest
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.clients import Route
from embedded_scheduler.peers.link_probe import Plan, Target
from embedded_scheduler.peers.linktest import LinkTester, read_target
from embedded_scheduler.security import invitation as codes
from embedded_scheduler.wire.linktest import NONCE, PATH, PROOF, REVERSE_PATH, TICKET, LinkReport
from nodeconsole.i18n.request_sheet import request_sheet

SHORT = Plan(sizes=(1, 2), bulk=2, idle=(0.3,), pause=0.4, pings=3)


def prober(node: Hosted) -> LinkTester:
    """What that node's console endpoint works with, with a plan of our own."""
    partner = load_settings(node.home).partner.model_copy(update={"listen": node.running.listen})
    return LinkTester("alice", partner, SystemClock(), Route)


def states(report: LinkReport) -> dict[str, str]:
    """The worst state of each check."""
    order = ("skipped", "ok", "note", "bad")
    found: dict[str, str] = {}
    for check in report.checks:
        found[check.name] = max(found.get(check.name, "skipped"), check.state, key=order.index)
    return found


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Hosted, Hosted]]:
    async with (
        hosted(tmp_path / "a", "alice", tls="mutual") as alice,
        hosted(tmp_path / "b", "bob", tls="mutual") as bob,
    ):
        yield alice, bob


async def test_a_direct_link_with_a_test_code(pair: tuple[Hosted, Hosted]) -> None:
    alice, bob = pair
    async with bob.client() as at_bob:
        code = (await at_bob.open_link_test(5)).code
    report = await prober(alice).report(code, SHORT)
    found = states(report)
    assert set(found.values()) == {"ok"}, report
    assert set(found) == {
        "name", "connection", "TLS", "path", "code", "clock", "headers", "round trip", "body sizes", "answer sizes",
        "request buffering", "answer buffering", "bandwidth", "waiting",
    }  # fmt: skip
    assert {check.name: check.state for check in report.reverse}["path"] == "ok"
    seen = next(check.text for check in report.checks if check.name == "code")
    assert "node bob accepts the code; it sees this node as 127.0.0.1" in seen
    tls = next(check.text for check in report.checks if check.name == "TLS")
    assert "TLSv1.3" in tls
    assert "TLS ends at the node itself" in tls


async def test_an_invitation_is_a_code_too_and_stays_usable(pair: tuple[Hosted, Hosted]) -> None:
    alice, bob = pair
    async with bob.client() as at_bob, alice.client() as at_alice:
        code = (await at_bob.invite()).code
        report = await prober(alice).report(code, Plan(sizes=(1,), bulk=1, idle=(), pause=0.1, pings=1))
        assert "bad" not in states(report).values(), report
        await at_alice.join(code)


async def test_without_a_code_it_tells_what_it_cannot_find_out(pair: tuple[Hosted, Hosted]) -> None:
    alice, bob = pair
    async with alice.client() as at_alice:
        report = await at_alice.test_link(bob.url, quick=True)
    found = states(report)
    assert found == {"name": "ok", "connection": "ok", "TLS": "ok", "path": "ok", "everything else": "skipped"}
    assert report.own.public_url == alice.url


async def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    async with hosted(tmp_path / "a") as alice:
        closed = reserved_address()
        report = await prober(alice).report(f"https://{closed}", SHORT)
        assert states(report) == {"name": "ok", "connection": "bad", "everything else": "skipped"}
        report = await prober(alice).report("https://no-such-host.invalid", SHORT)
        assert states(report) == {"name": "bad", "everything else": "skipped"}
        report = await prober(alice).report(f"https://{alice.running.listen}", SHORT)
        assert "plain HTTP" in report.checks[-2].text
        report = await prober(alice).report(f"{alice.url}/wrong", SHORT)
        assert states(report)["path"] == "bad"
        assert states(report)["TLS"] == "note"


@needs_nginx
async def test_through_nginx_the_limits_on_the_way_are_found(tmp_path: Path) -> None:
    address = reserved_address()
    settings = f'partner.advertise = "https://{address}/pc"\npartner.path_prefix = "/pc"\n'
    async with (
        hosted(tmp_path / "a", "alice") as alice,
        hosted(tmp_path / "b", "bob", settings=settings) as bob,
        gateway(tmp_path / "gateway", {"/pc": bob.running.listen}, address=address, idle=1),
        bob.client() as at_bob,
    ):
        code = (await at_bob.open_link_test(5)).code
        report = await prober(alice).report(code, Plan(sizes=(1, 2), bulk=1, idle=(0.2, 2.0), pause=0.5, pings=1))
        found = states(report)
        texts = {check.name: check.text for check in report.checks}
        assert found["TLS"] == "note"
        assert "something else ends TLS there" in texts["TLS"]
        assert (found["body sizes"], found["answer sizes"]) == ("note", "ok")
        assert "up to 1 MiB pass, 2 MiB do not: HTTP 413" in texts["body sizes"]
        assert (found["request buffering"], found["headers"]) == ("note", "note")
        assert "underscore" in texts["headers"]
        assert found["waiting"] == "bad"
        assert "0.2 s" in next(check.text for check in report.checks if check.name == "waiting")


async def test_strangers_wrong_proofs_and_repeats_get_nothing(pair: tuple[Hosted, Hosted]) -> None:
    _, bob = pair
    async with bob.client() as at_bob:
        target = read_target((await at_bob.open_link_test(5)).code)
    nonce = secrets.token_hex(16)
    good = {TICKET: target.ticket, NONCE: nonce, PROOF: linktest.proof(target.key, nonce, f"GET {PATH}?want=10")}
    async with httpx.AsyncClient(base_url=bob.url, verify=False, trust_env=False) as http:
        for headers in (
            {},
            {**good, PROOF: "0" * 64},
            {**good, TICKET: "0" * 16},
            {**good, NONCE: secrets.token_hex(16)},
            {**good, PROOF: linktest.proof(target.key, nonce, f"GET {PATH}?want=11")},
        ):
            answer = await http.get(f"{PATH}?want=10", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, 401)
            assert "bob" not in answer.text
        assert len((await http.get(f"{PATH}?want=10", headers=good)).content) == 10
        assert (await http.get(f"{PATH}?want=10", headers=good)).status_code == 401, "a proof serves once"
        codes = []
        for _ in range(2):
            nonce = secrets.token_hex(16)
            proof = linktest.proof(target.key, nonce, f"POST {REVERSE_PATH}?")
            headers = {TICKET: target.ticket, NONCE: nonce, PROOF: proof}
            body = json.dumps({"url": f"https://{reserved_address()}"})
            codes.append((await http.post(REVERSE_PATH, content=body, headers=headers)).status_code)
        assert codes == [200, 429], "one test back for a code"


async def test_a_code_is_good_for_so_many_bytes() -> None:
    ticket = linktest.Ticket(b"k", 0)
    ticket.spend(linktest.TICKET_BYTES)
    with pytest.raises(linktest.TooMany):
        ticket.spend(1)


@dataclass
class Proxy:
    url: str
    asked: list[str]


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[Proxy]:
    """An HTTP proxy that knows CONNECT."""
    proxy = Proxy("", [])

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        place = head.split(b" ")[1].decode()
        proxy.asked.append(place)
        host, _, port = place.rpartition(":")
        there, to = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, to))
                group.create_task(copy(there, writer))
        except* ConnectionError:
            pass
        finally:
            to.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy


async def test_calls_go_through_the_proxy_of_this_node(tmp_path: Path, pair: tuple[Hosted, Hosted]) -> None:
    _, bob = pair
    async with connect_proxy() as proxy:
        settings = f'partner.proxy = "{proxy.url}"'
        async with hosted(tmp_path / "c", "carol", settings=settings) as carol, carol.client() as at_carol:
            report = await at_carol.test_link(bob.url)
            assert states(report)["path"] == "ok", report
        assert proxy.asked == [bob.running.listen]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_for_the_network_department(language: str) -> None:
    partner = PartnerListener(listen="10.1.2.3:9380", advertise="https://bank.example/pc", path_prefix="/pc")
    own = {
        "node_id": "alice",
        "public_url": partner.public_url,
        "listen": partner.listen,
        "tls": partner.tls,
        "path_prefix": partner.path_prefix,
        "proxy": "",
    }
    text = request_sheet(language, own=own, target="https://clinic.example:9380")
    for fact in ("bank.example", "443", "clinic.example", "9380", "10.1.2.3:9380", "location /pc/", "TLS 1.2", "x-…"):
        assert fact in text
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 100


def test_targets_are_addresses_and_codes_that_last() -> None:
    assert read_target("https://x.example/pc/") == Target("https://x.example/pc")
    code = codes.Code("ab" * 8, bytes(16), "cd" * 32, 1, "bob", "https://x.example")
    with pytest.raises(InvalidRequest, match="expired"):
        read_target(codes.encode(code))
    lasting = read_target(codes.encode(replace(code, expires_s=2**32 - 1)))
    assert (lasting.url, lasting.ticket, lasting.node_id) == ("https://x.example", "ab" * 8, "bob")
    for wrong in ("", "x.example:1", "ftp://x.example", "NC1-ABC"):
        with pytest.raises(InvalidRequest):
            read_target(wrong)
