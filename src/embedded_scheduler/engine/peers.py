"""Use cases around partners."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.lifecycle import AgreementState, JobState
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound, Refused
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts, jobs, ledger, outbox, peers
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.peers import Peer

APPROVALS = ("auto", "manual")
SIGNING = ("required", "verify-if-present", "off")
TLS = ("identity", "ca")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_LONGEST_URL = 2000


async def add(
    engine: Engine,
    node_id: str,
    url: str,
    profile: str,
    approval: str,
    options: Mapping[str, Any],
    *,
    actor: str,
    signing: str = "required",
    tls: str = "identity",
) -> Peer:
    """Register a partner, or change what is known of it. The same again changes and records nothing.

    What could not be delivered to it is tried again at once. `InvalidRequest` names the fault.
    """
    check_id("node id", node_id)
    if node_id == engine.node_id:
        raise InvalidRequest(say("own_node", node=node_id))
    _check_choices(approval, signing, tls)
    engine.check_profile(profile, options)
    wanted: dict[str, Any] = {
        "url": check_url(url),
        "profile": profile,
        "approval": approval,
        "options": dict(options),
        "signing": signing,
        "tls": tls,
    }

    def work(tx: Tx) -> Peer:
        before = peers.get(tx, node_id)
        if before is not None and all(getattr(before, name) == value for name, value in wanted.items()):
            return before
        if signing != "required" and (before is None or before.signing == "required"):
            _check_alone(engine)
        if signing == "required" and not _has_contract(tx, node_id):
            raise Refused(say("partner_without_contract", node=node_id))
        after = peers.put(tx, node_id=node_id, **wanted)
        event = "peer.added" if before is None else "peer.changed"
        ledger.append(tx, subject="peer", subject_id=node_id, event=event, actor=actor, data=wanted)
        outbox.revive(tx, node_id)
        return after

    peer = await engine.db.write(work)
    await engine.directory.refresh(engine.db)
    engine.copies.clear()
    engine.wake()
    return peer


def _check_choices(approval: str, signing: str, tls: str) -> None:
    if approval not in APPROVALS:
        raise InvalidRequest(
            say("option_one_of", option="approval", known=", ".join(APPROVALS), value=shorten(approval))
        )
    if signing not in SIGNING:
        raise InvalidRequest(say("option_one_of", option="signing", known=", ".join(SIGNING), value=shorten(signing)))
    if tls not in TLS and not FINGERPRINT.fullmatch(tls):
        raise InvalidRequest(say("peer_tls", value=shorten(tls)))


def _check_alone(engine: Engine) -> None:
    """Believing a node without signatures is more than a contract, and one person decides it here."""
    needed = engine.settings.approval.contract_approvers
    if needed > 1:
        raise Refused(say("partner_needs_several", count=needed))


async def remove(engine: Engine, node_id: str, *, actor: str) -> None:
    """Forget a partner. `NotFound` when there is none; `Conflict` while a job with it is open."""

    def work(tx: Tx) -> None:
        if peers.get(tx, node_id) is None:
            raise NotFound(say("not_a_partner", node=shorten(node_id)))
        if _has_contract(tx, node_id):
            raise Conflict(say("partner_has_contract", node=node_id))
        held = _open_job_with(tx, engine.node_id, node_id)
        if held is not None:
            raise Conflict(say("partner_has_job", node=node_id, job=held))
        peers.delete(tx, node_id)
        ledger.append(tx, subject="peer", subject_id=node_id, event="peer.removed", actor=actor)

    await engine.db.write(work)
    await engine.directory.refresh(engine.db)
    engine.copies.clear()


def _has_contract(reader: Reader, node_id: str) -> bool:
    return any(row.state is AgreementState.APPROVED for row in contracts.of_node(reader, node_id))


def check_url(url: str) -> str:
    """The base address of a partner's node, without a slash at its end; `InvalidRequest` says what is wrong."""
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest(say("address_scheme", value=shorten(url)))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest(say("address_port", value=shorten(url))) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidRequest(say("address_form", value=shorten(url)))
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest(say("address_login"))
    if parts.query or parts.fragment:
        raise InvalidRequest(say("address_end", value=shorten(url)))
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _open_job_with(tx: Tx, self_node: str, node_id: str) -> str | None:
    open_states = (JobState.PENDING, JobState.READY, JobState.RUNNING)

    def involves(head: jobs.JobHead) -> bool:
        nodes = {party.split(":", 1)[1] for party in head.parties}
        return node_id in nodes or node_id in (head.coordinator, head.initiator)

    found = jobs.page(tx, self_node=self_node, limit=1, states=open_states, matches=involves)
    return found[0].job_id if found else None
