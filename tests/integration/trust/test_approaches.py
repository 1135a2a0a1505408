"""Applying at a node that gave no code: at one of our kind, and at one that shows its key only with its decision."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from tests.support.hosted import hosted

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.security.identity import create_identity, load_identity
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from nodeconsole.client import ClientError

CONFIRM = "/v1/interconn/node/contract/confirm"


async def test_by_address_and_fingerprint(tmp_path: Path) -> None:
    async with (
        hosted(tmp_path / "a", "alice", tls="mutual") as a,
        hosted(tmp_path / "b", "bob", tls="mutual") as b,
        a.client() as alice,
        b.client() as bob,
    ):
        right = (await bob.identity()).fingerprint
        with pytest.raises(ClientError) as wrong:
            await alice.apply("bob", b.url, fingerprint="0" * 64)
        assert "key" in wrong.value.message
        assert await alice.contracts() == []
        made = await alice.apply("bob", b.url, fingerprint=right)
        assert (await alice.apply("bob", b.url, fingerprint=right)).contract_id == made.contract_id
        seen = await bob.contract(made.contract_id)
        assert made.words
        assert (seen.words, seen.side, made.side) == (made.words, "callee", "applicant")
        await bob.confirm_contract(made.contract_id, made.words)
        done = await alice.confirm_contract(made.contract_id, seen.words)
        async with asyncio.timeout(20):
            while done.state != "APPROVED":
                await asyncio.sleep(0.05)
                done = await alice.contract(made.contract_id)
        assert [(p.node_id, p.signing) for p in await alice.peers()] == [("bob", "required")]


async def test_a_node_of_another_make_shows_its_key_with_its_decision(tmp_path: Path) -> None:
    """It answers the application with an id alone, as the specification has it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"code": 0, "msg": "success", "data": {"contract_id": "c-1"}}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    create_identity(tmp_path / "other", "other")
    other = load_identity(tmp_path / "other")
    try:
        async with hosted(tmp_path / "alice") as node, node.client() as alice:
            made = await alice.apply("other", url)
            assert (made.contract_id, made.state, made.words) == ("c-1", "APPLIED", "")
            with pytest.raises(ClientError):
                await alice.confirm_contract("c-1", "any words there may be today")
            said = PartnerHeaders("other", "alice", "n-1", "t", str(SystemClock().now_ms()))
            body = json.dumps(
                {
                    "contract_id": "c-1",
                    "status": "APPROVED",
                    "auth_type": CERT,
                    "auth_credential": other.certificate,
                    "expired_time": 0,
                }
            ).encode()
            signature = Signer(other.key).sign(SignedRequest("POST", CONFIRM, "", said, body).message())
            async with httpx.AsyncClient(trust_env=False) as http:
                headers = render_headers(said, signature=signature, writes=True)
                reply = await http.post(node.url + CONFIRM, headers=headers, content=body)
            assert reply.json()["code"] in (0, 200), reply.text
            shown = await alice.contract("c-1")
            assert (shown.state, shown.fingerprint) == ("APPLIED", other.fingerprint)
            assert (await alice.confirm_contract("c-1", shown.words)).state == "APPROVED"
    finally:
        server.close()
