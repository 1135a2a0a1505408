"""Two nodes behind a real nginx: TLS ended there, a path prefix, 1 MB bodies, buffering."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from tests.integration.trust.test_channel_trust import component
from tests.support.gateway_nginx import gateway, needs_nginx, reserved_address
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import QUICK, eventually
from tests.support.probe_jobs import probe_job

from embedded_scheduler.security.tls import client_context
from embedded_scheduler.wire.console import PeerRequest
from embedded_scheduler.wire.console_contracts import ManualContractRequest
from embedded_scheduler.wire.ptp import Code
from nodeconsole.client import NodeClient

pytestmark = needs_nginx


async def finished(client: NodeClient, job_id: str) -> bool:
    return (await client.job(job_id)).job.outcome == "succeeded"


async def behind(
    stack: AsyncExitStack, directory: Path, node_id: str, address: str, *, keeps_prefix: bool, more: str = ""
) -> Hosted:
    settings = f'{QUICK}\npartner.advertise = "https://{address}/{node_id}"\n{more}'
    if keeps_prefix:
        settings += f'partner.path_prefix = "/{node_id}"\n'
    return await stack.enter_async_context(hosted(directory / node_id, node_id, settings=settings))


async def test_a_job_through_a_gateway_that_takes_the_prefix_off(tmp_path: Path) -> None:
    address = reserved_address()
    async with AsyncExitStack() as stack:
        ca = f'partner.ca_file = "{tmp_path}/gateway/ca.pem"\n'
        alice = await behind(stack, tmp_path, "alice", address, keeps_prefix=False, more=ca)
        bob = await behind(stack, tmp_path, "bob", address, keeps_prefix=False)
        upstreams = {"/alice": alice.running.listen, "/bob": bob.running.listen}
        nginx = await stack.enter_async_context(
            gateway(tmp_path / "gateway", upstreams, address=address, keeps_prefix=False)
        )
        at_alice = await stack.enter_async_context(alice.client())
        at_bob = await stack.enter_async_context(bob.client())
        # One side trusts the CA of the gateway's certificate, the other pins the gateway's key.
        await at_alice.add_peer(
            PeerRequest(node_id="bob", url=nginx.url("/bob"), approval="auto", signing="off", tls="ca")
        )
        await at_bob.add_peer(
            PeerRequest(node_id="alice", url=nginx.url("/alice"), approval="auto", signing="off", tls=nginx.pin)
        )
        job = await at_alice.submit(probe_job({"guest": "alice", "host": "bob"}, {"a": [], "b": ["a"]}))
        job_id = job.job_id
        await eventually(lambda: finished(at_alice, job_id), what="the job succeeds", within=20)
        await eventually(lambda: finished(at_bob, job_id), what="bob knows it too", within=20)
        said = nginx.log
        assert "/bob/v1/interconn/schedule/job/create" in said
        assert "/alice/v1/interconn/schedule/" in said


async def test_what_is_too_large_for_the_gateway_is_said_to_be_its_doing(tmp_path: Path) -> None:
    async with (
        hosted(tmp_path / "alice", settings='partner.path_prefix = "/pc"') as alice,
        gateway(tmp_path / "gateway", {"/pc": alice.running.listen}) as nginx,
        httpx.AsyncClient(verify=client_context(pins=[nginx.pin]), trust_env=False, timeout=10) as http,
    ):
        url = f"{nginx.url('/pc')}/v1/interconn/schedule/task/poll"
        answer = await http.post(url, content=bytes(1_200_000), headers={"x-source-node-id": "bob"})
        assert answer.status_code == 413
        answer = await http.post(url, content=bytes(900_000), headers={"x-source-node-id": "bob"})
        assert answer.status_code == 200
        assert answer.json()["code"] in (400, 401, 403)


async def test_required_signatures_through_a_gateway_that_ends_tls(tmp_path: Path) -> None:
    address = reserved_address()
    async with AsyncExitStack() as stack:
        ca = f'partner.ca_file = "{tmp_path}/gateway/ca.pem"\nplatform.trust_loopback = true\n'
        alice = await behind(stack, tmp_path, "alice", address, keeps_prefix=True, more=ca)
        bob = await behind(stack, tmp_path, "bob", address, keeps_prefix=True, more=ca)
        upstreams = {"/alice": alice.running.listen, "/bob": bob.running.listen}
        nginx = await stack.enter_async_context(gateway(tmp_path / "gateway", upstreams, address=address))
        at_alice = await stack.enter_async_context(alice.client())
        at_bob = await stack.enter_async_context(bob.client())
        for client, other, other_client in ((at_alice, "bob", at_bob), (at_bob, "alice", at_alice)):
            url, key = nginx.url(f"/{other}"), (await other_client.identity()).certificate
            await client.add_contract(
                ManualContractRequest(node_id=other, url=url, auth_type="CERT", auth_credential=key)
            )
            await client.add_peer(
                PeerRequest(node_id=other, url=url, approval="auto", signing="required", tls=nginx.pin)
            )
        job = await at_alice.submit(probe_job({"guest": "alice", "host": "bob"}, {"a": [], "b": ["a"]}))
        await eventually(lambda: finished(at_alice, job.job_id), what="the job succeeds", within=20)
        await eventually(lambda: finished(at_bob, job.job_id), what="bob knows it too", within=20)
        # The gateway lets bodies of 1 MiB through, and holds each back until it has all of it.
        payload = bytes(range(256)) * 12_000
        assert (await component(alice, "push", "bob", payload)).code == Code.OK
        assert (await component(bob, "pop", "alice")).payload == payload
        assert nginx.log.count("/bob/v1/interconn/chan/invoke") == 4
