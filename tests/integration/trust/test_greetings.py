"""A partner counts as connected once it has answered with its signature, and not because something answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.hosted import started
from tests.support.nodes import eventually
from tests.support.trust import trust_each_other, trusted_nodes

from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.wire.console import PeerRow
from nodeconsole.node_process import free_addresses


async def test_idle_partners_hear_of_each_other(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob") as nodes, nodes["bob"].client() as bob:

        async def heard() -> PeerRow | None:
            row = await bob.peer("alice")
            return row if row.last_ok_ms else None

        row = await eventually(heard, what="bob hears alice", within=20)
        assert (row.contract, row.signing, row.last_error) == ("APPROVED", "required", "")


async def test_something_that_answers_without_the_partners_key_is_no_connection(tmp_path: Path) -> None:
    """The port of the partner is open and speaks HTTP, and that is all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"code":0,"msg":"success","data":{}}'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    homes = {name: Home(tmp_path / name) for name in ("alice", "bob")}
    (listen,) = free_addresses(1)
    for name, home in homes.items():
        provision(home, node_id=name, listen=listen, platform="127.0.0.1:0", tls="off")
    await trust_each_other(
        {"alice": (homes["alice"], f"http://{listen}"), "bob": (homes["bob"], f"http://127.0.0.1:{port}")}
    )
    try:
        async with started(homes["alice"]) as alice, alice.client() as client:

            async def failed() -> PeerRow | None:
                row = await client.peer("bob")
                return row if row.last_error else None

            row = await eventually(failed, what="the greeting fails", within=20)
            assert row.last_ok_ms is None
            assert "signed" in row.last_error
    finally:
        server.close()
