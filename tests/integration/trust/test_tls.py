"""TLS of the partner listener and of calls to partners: who gets in, what is seen, and what changes while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import quart
from quart import Quart
from tests.support.certificates import Authority, identity
from tests.support.hosted import hosted

from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import PartnerListener, Settings, load_settings
from embedded_scheduler.diagnosis import certificate_findings
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.home import Home
from embedded_scheduler.listener import Listener, Patience
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Directory
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.peers.renewal import Renewal
from embedded_scheduler.security.identity import Identity
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.security.tls import KeyPair, ServerTls, client_context
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Database


def application() -> Quart:
    app = Quart("small")

    @app.get("/who")
    async def who() -> str:
        return connection_of(quart.request.scope).certificate or "nobody"

    return app


@asynccontextmanager
async def served(tls: ServerTls | None) -> AsyncIterator[int]:
    """The port of a listener."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(64)
    bound.settimeout(0)
    up, drain = asyncio.Event(), asyncio.Event()
    listener = Listener(application(), bound, tls=tls, patience=Patience(handshake=2, close=0.5))
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.serve(up, drain))
        await up.wait()
        try:
            yield bound.getsockname()[1]
        finally:
            drain.set()


@pytest.fixture
def alice(tmp_path: Path) -> Identity:
    return identity(tmp_path / "alice", "alice")


@pytest.fixture
def bob(tmp_path: Path) -> Identity:
    return identity(tmp_path / "bob", "bob")


async def ask(port: int, server: Identity, client: Identity | None = None) -> str:
    """Whom the listener takes us for."""
    context = client_context(pins=[server.fingerprint], pair=client.pair if client else None)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=5) as http:
        return (await http.get(f"https://127.0.0.1:{port}/who")).text


async def why_not(
    url: str, *, pins: Sequence[str] = (), ca_file: Path | None = None, pair: KeyPair | None = None
) -> str:
    """What an operator reads when the call fails."""
    clients = Clients(Route(pair, ca_file=ca_file), keepalive=1, idle_seconds=1)
    async with clients.open(secure=url.startswith("https"), pins=pins, anonymous=pair is None) as http:
        with pytest.raises(httpx.TransportError) as failure:
            await asyncio.wait_for(http.get(url), 5)
    return reason(url, failure.value)


async def test_certificates_of_contracts_get_in_and_are_seen_others_do_not(alice: Identity, bob: Identity) -> None:
    tls = ServerTls(alice.pair, mutual=True)
    async with served(tls) as port:
        assert await ask(port, alice) == "nobody", "without a certificate: a stranger, who may apply for a contract"
        url = f"https://127.0.0.1:{port}/who"
        refused = "does not accept this node's certificate"
        assert refused in await why_not(url, pins=[alice.fingerprint], pair=bob.pair)
        tls.renew([bob.certificate])
        assert await ask(port, alice, bob) == bob.fingerprint
        tls.renew([])
        assert refused in await why_not(url, pins=[alice.fingerprint], pair=bob.pair), "the contract was terminated"


async def test_open_connections_survive_a_renewal_and_new_ones_see_it(
    alice: Identity, bob: Identity, tmp_path: Path
) -> None:
    tls = ServerTls(alice.pair, mutual=True)
    renewed = identity(tmp_path / "renewed", "alice")
    context = client_context(pins=[alice.fingerprint, renewed.fingerprint])
    async with served(tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        request = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(request)
        await reader.readuntil(b"nobody")
        tls.renew([bob.certificate], renewed.pair)
        assert await ask(port, renewed, bob) == bob.fingerprint
        assert "expected is" in await why_not(f"https://127.0.0.1:{port}/who", pins=[alice.fingerprint])
        writer.write(request)
        await asyncio.wait_for(reader.readuntil(b"nobody"), 5)
        writer.close()


async def test_a_wrong_key_is_named_and_nothing_is_sent(alice: Identity, bob: Identity) -> None:
    async with served(ServerTls(alice.pair, mutual=True)) as port:
        said = await why_not(f"https://127.0.0.1:{port}/who", pins=[bob.fingerprint])
        assert alice.fingerprint[:16] in said
        assert bob.fingerprint[:16] in said
        assert "phone" in said


async def test_no_session_outlives_the_trust_it_began_with(alice: Identity, bob: Identity) -> None:
    tls = ServerTls(alice.pair, mutual=True)
    tls.renew([bob.certificate])
    async with served(tls) as port:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        bob.pair.load_into(context)

        def connect(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
            with (
                socket.create_connection(("127.0.0.1", port)) as raw,
                context.wrap_socket(raw, session=session) as secure,
            ):
                return secure.session, secure.session_reused

        session, _ = await asyncio.to_thread(connect, None)
        tls.renew([])
        with contextlib.suppress(ssl.SSLError):
            _, reused = await asyncio.to_thread(connect, session)
            assert not reused


async def test_old_tls_is_refused(alice: Identity) -> None:
    async with served(ServerTls(alice.pair, mutual=True)) as port:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        assert await ask(port, alice) == "nobody"


async def test_plain_http_at_a_tls_port_and_tls_at_a_plain_port_say_so(alice: Identity) -> None:
    async with served(ServerTls(alice.pair, mutual=True)) as port:
        said = await why_not(f"http://127.0.0.1:{port}/who")
        assert "begin its address with https://" in said
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
        assert await ask(port, alice) == "nobody"
    async with served(None) as port:
        said = await why_not(f"https://127.0.0.1:{port}/who", pins=[alice.fingerprint])
        assert "plain HTTP" in said


async def test_a_handshake_that_stalls_holds_nobody_up(alice: Identity) -> None:
    async with served(ServerTls(alice.pair, mutual=True)) as port:
        stalled = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        assert await asyncio.wait_for(ask(port, alice), 1.5) == "nobody"
        reader, writer = stalled[0]
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 5) == b"", "given up after the time for a handshake"
        for _, writer in stalled:
            writer.close()


async def test_certificates_of_an_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key, pin = authority.issue()
    settings = f'partner.certificate = "{certificate}"\npartner.key = "{key}"\n'
    async with hosted(tmp_path / "alice", settings=settings, tls="mutual") as node:
        url = f"{node.url}/v1/interconn/node/none"
        for context in (client_context(ca_file=authority.file), client_context(pins=[pin])):
            async with httpx.AsyncClient(verify=context, trust_env=False) as http:
                assert (await http.get(url)).status_code in (200, 404)
        (tmp_path / "other").mkdir()
        said = await why_not(url, ca_file=Authority(tmp_path / "other").file)
        assert "partner.ca_file" in said


@pytest.fixture
async def renewal(tmp_path: Path, alice: Identity) -> AsyncIterator[tuple[Renewal, ServerTls, Clients]]:
    database = await Database.open(tmp_path / "node.db", clock=SystemClock(), backups=tmp_path / "backups")
    tls = ServerTls(alice.pair, mutual=True)
    clients = Clients(Route(alice.pair), keepalive=1, idle_seconds=1)
    yield (
        Renewal(
            tls,
            Directory(),
            (clients,),
            lambda: Route(alice.pair),
            home=Home(tmp_path / "alice"),
            settings=Settings(node_id="alice"),
            database=database,
            clock=SystemClock(),
        ),
        tls,
        clients,
    )
    await clients.close()
    await database.close()


async def test_replaced_files_are_taken_up_once_they_fit_together(
    renewal: tuple[Renewal, ServerTls, Clients], alice: Identity, tmp_path: Path
) -> None:
    looking, tls, _ = renewal
    fresh = identity(tmp_path / "fresh", "alice")
    async with served(tls) as port:
        looking.look()
        assert await ask(port, alice) == "nobody"
        shutil.copy(fresh.pair.key, alice.pair.key)
        looking.look()
        assert await ask(port, alice) == "nobody", "the key alone fits no certificate: what was in force stays"
        shutil.copy(fresh.pair.certificate, alice.pair.certificate)
        looking.look()
        assert await ask(port, fresh) == "nobody"
        assert "expected is" in await why_not(f"https://127.0.0.1:{port}/who", pins=[alice.fingerprint])


def contract(bob: Identity, *, expires_ms: int | None) -> Contract:
    texts = dict.fromkeys(
        [
            "address",
            "inst_id",
            "institution",
            "name",
            "system",
            "system_version",
            "description",
            "previous_type",
            "previous_credential",
            "invitation",
            "partner_decision",
            "compared_by",
            "decided_by",
            "reason",
            "origin",
        ],
        "",
    )
    return Contract(
        contract_id="c",
        node_id="bob",
        side="callee",
        state=AgreementState.APPROVED,
        auth_type=CERT,
        auth_credential=bob.certificate,
        fingerprint=bob.fingerprint,
        previous_until_ms=None,
        expires_ms=expires_ms,
        created_ms=0,
        since_ms=0,
        **texts,
    )


def test_what_ends_is_told_thirty_days_before(alice: Identity, bob: Identity, tmp_path: Path) -> None:
    day = 86_400_000
    end = int(bob.not_after.timestamp() * 1000)
    home, settings = Home(tmp_path / "alice"), Settings(node_id="alice")

    def levels(now_ms: int, expires_ms: int | None = None) -> dict[str, str]:
        found = certificate_findings(home, settings, [contract(bob, expires_ms=expires_ms)], now_ms)
        return {finding.text.partition(" is ")[0].partition(" end")[0]: finding.level for finding in found}

    names = ("this node's certificate", "the certificate of bob", "the contract with bob")
    assert levels(end - 31 * day, end) == dict.fromkeys(names, "ok")
    assert levels(end - 29 * day, end - day) == dict.fromkeys(names, "warning")
    assert levels(end + day, end) == dict.fromkeys(names, "error")
    assert len(levels(end - 31 * day)) == 2, "a contract without an end"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("advertise", "node.example:9380"),
        ("advertise", "ftp://node.example"),
        ("advertise", "https://user:secret@node.example"),
        ("advertise", "https://node.example/x?y=1"),
        ("proxy", "proxy.example:3128"),
        ("path_prefix", "/a b"),
        ("path_prefix", "/a/../b"),
        ("certificate", "/etc/x.pem"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, member: str, value: str) -> None:
    home = Home(tmp_path)
    home.settings_file.write_text(f'node_id = "alice"\npartner.{member} = "{value}"\n')
    with pytest.raises(InvalidRequest) as refused:
        load_settings(home)
    assert "secret" not in refused.value.message


def test_addresses_for_partners() -> None:
    assert PartnerListener(listen="10.0.0.1:9380").public_url == "https://10.0.0.1:9380"
    assert PartnerListener(listen="10.0.0.1:9380", tls="off").public_url == "http://10.0.0.1:9380"
    given = PartnerListener(advertise="https://bank.example/pc/", path_prefix="pc/")
    assert (given.public_url, given.path_prefix) == ("https://bank.example/pc", "/pc")


def test_a_server_certificate_that_cannot_be_used_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"missing\.pem"):
        ServerTls(KeyPair(tmp_path / "missing.pem", tmp_path / "missing.key"), mutual=False)
