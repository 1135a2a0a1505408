"""Applying for a contract at another node: what is asked of a stranger there, and what its answers are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.lifecycle import CONTRACT
from embedded_scheduler.engine import applications, contracts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import (
    LONGEST_TEXT,
    Introduction,
    identity_of,
    introduction,
    own_address,
)
from embedded_scheduler.engine.peers import FINGERPRINT, check_url
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.errors import Conflict, InvalidRequest, Refused, Unavailable
from embedded_scheduler.security.keys import CERT, PublicKey, parse_credential
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts as contract_store
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Answer:
    """An application is stored at the other node. `credential` is empty when it shows its key with the decision."""

    contract_id: str
    about: Introduction
    credential: str


async def apply_at(
    engine: Engine, node_id: str, url: str, *, fingerprint: str = "", address: str = "", actor: str
) -> Contract:
    """Apply by the other node's address alone (management layer §1.1), as at nodes that give out no codes.

    `fingerprint` is that of its key, if known beforehand. Without it the first contact can be anybody: only the words
    that both operators compare after the other one has agreed tell who it was. An application that waits is not made
    twice.
    """
    check_id("node id", node_id)
    if node_id == engine.node_id:
        raise InvalidRequest(say("own_node", node=node_id))
    if fingerprint and not FINGERPRINT.fullmatch(fingerprint):
        raise InvalidRequest(say("bad_fingerprint", value=shorten(fingerprint)))
    base = check_url(url)
    waiting = await engine.db.read(lambda reader: _applied(reader, node_id, base))
    if waiting is not None:
        return waiting
    about = introduction(engine.settings, check_url(address) if address else own_address(engine.settings))
    data = await ask(engine, node_id, fingerprint, base, "node/contract/apply", application(engine, about))
    answer = read_answer(node_id, base, data)
    key = parse_credential(CERT, answer.credential) if answer.credential else None
    if key is not None and fingerprint and key.fingerprint != fingerprint:
        raise Refused(say("other_key_shown", address=base))
    return await keep(engine, answer, key, actor=actor)


def application(engine: Engine, about: Introduction) -> dict[str, Any]:
    """What this node says of itself when it applies."""
    return {
        "node_id": about.node_id,
        **about.particulars(),
        "auth_type": CERT,
        "auth_credential": identity_of(engine).certificate,
        "expired_time": 0,
    }


def _applied(reader: Reader, node_id: str, base: str) -> Contract | None:
    for row in contract_store.of_node(reader, node_id):
        if row.side == "applicant" and row.address == base and not CONTRACT.is_terminal(row.state):
            return row
    return None


async def ask(engine: Engine, node_id: str, fingerprint: str, base: str, operation: str, body: dict[str, Any]) -> Any:
    """The data of a stranger's answer, as it came; `Unavailable` or `Refused` say why there is none."""
    if engine.introducer is None:
        raise Unavailable(say("no_strangers"))
    message = Outgoing(node_id, operation, body, engine.mint.nonce(), "")
    reply = await engine.introducer.call(base, fingerprint, message)
    if reply.delivery is Delivery.FAILED:
        raise Unavailable(reply.error)
    if reply.delivery is Delivery.REFUSED:
        raise Refused(reply.error)
    return reply.data


def read_answer(node_id: str, base: str, data: Any) -> Answer:
    """What an applicant is told, with texts made fit to be shown."""

    def text(name: str) -> str:
        value = str(data.get(name) or "")[:LONGEST_TEXT]
        return "".join(character if character.isprintable() else " " for character in value)

    contract_id = check_id("the answer's contract_id", data.get("contract_id"))
    about = Introduction(
        node_id,
        base,
        text("inst_id"),
        text("institution"),
        text("name"),
        text("system"),
        text("system_version"),
        text("description"),
    )
    return Answer(contract_id, about, str(data.get("auth_credential") or ""))


async def keep(engine: Engine, answer: Answer, key: PublicKey | None, *, actor: str, invitation: str = "") -> Contract:
    """Store the application as ours. `key` None = the other node shows it with its decision."""

    def work(tx: Tx) -> Contract:
        known = contract_store.get(tx, answer.contract_id)
        if known is not None:
            if (known.node_id, known.side, known.invitation) == (answer.about.node_id, "applicant", invitation):
                return known
            raise Conflict(say("contract_id_taken", node=shorten(answer.about.node_id)))
        applications.record(
            tx,
            answer.contract_id,
            answer.about,
            side="applicant",
            auth_type=CERT if key is not None else "",
            auth_credential=key.certificate if key is not None else "",
            key=key,
            invitation=invitation,
            actor=actor,
        )
        return contracts.get(tx, answer.contract_id)

    contract = await engine.db.write(work)
    await contracts.announce(engine)
    return contract
