"""Nodes that trust one another without the ceremony: contracts go straight into the database of a node that is down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import load_settings
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.security.identity import CERTIFICATE_FILE
from embedded_scheduler.security.keys import CERT, parse_credential
from embedded_scheduler.store import peers
from embedded_scheduler.store.database import Database, Tx
from nodeconsole.node_process import free_addresses
from tests.support.agreements import agree
from tests.support.hosted import Hosted, started


def certificate_of(home: Home) -> str:
    """The node's certificate (PEM), as it goes into a contract."""
    return (home.identity / CERTIFICATE_FILE).read_text("ascii")


async def add_trust(
    home: Home,
    node_id: str,
    url: str,
    credential: str,
    *,
    auth_type: str = CERT,
    signing: str = "required",
    approval: str = "auto",
    expires_ms: int | None = None,
) -> None:
    """Make `node_id` a partner with an approved contract. The node of `home` must not run."""
    key = parse_credential(auth_type, credential)

    def work(tx: Tx) -> None:
        peers.put(
            tx, node_id=node_id, url=url, profile="seed", approval=approval, options={}, signing=signing, tls="identity"
        )
        # One contract has one id, at both sides.
        contract_id = "contract-" + "-".join(sorted((load_settings(home).node_id, node_id)))
        agree(
            tx,
            node_id,
            contract_id=contract_id,
            auth_type=auth_type,
            auth_credential=credential,
            fingerprint=key.fingerprint,
            address=url,
            expires_ms=expires_ms,
        )

    database = await Database.open(home.database, clock=SystemClock(), backups=home.backups)
    try:
        await database.write(work)
    finally:
        await database.close()


async def trust_each_other(nodes: Mapping[str, tuple[Home, str]], signing: str = "required") -> None:
    """Every node (id → home and address) gets a contract with every other; none of them may run."""
    for here, (home, _) in nodes.items():
        for there, (other, url) in nodes.items():
            if there != here:
                await add_trust(home, there, url, certificate_of(other), signing=signing)


@asynccontextmanager
async def trusted_nodes(
    directory: Path, *names: str, signing: str = "required", tls: str = "mutual", settings: str = ""
) -> AsyncIterator[dict[str, Hosted]]:
    """Nodes that have contracts with one another, running; stopped on the way out."""
    addresses = dict(zip(names, free_addresses(len(names)), strict=True))
    scheme = "http" if tls == "off" else "https"
    homes = {name: Home(directory / name) for name in names}
    for name, home in homes.items():
        provision(home, node_id=name, listen=addresses[name], platform="127.0.0.1:0", tls=tls)
        if settings:
            home.settings_file.write_text(home.settings_file.read_text() + "\n" + settings)
    await trust_each_other({name: (homes[name], f"{scheme}://{addresses[name]}") for name in names}, signing)
    async with AsyncExitStack() as running:
        yield {name: await running.enter_async_context(started(home)) for name, home in homes.items()}
