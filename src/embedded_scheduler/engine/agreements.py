"""The contract that stands behind a request of the management layer."""

from __future__ import annotations

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Forbidden
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader


def contract_with(reader: Reader, node_id: str, contract_id: str = "") -> Contract:
    """The newest contract with a partner that is approved and has not expired, or the one named.

    `Forbidden` otherwise; a contract of somebody else is answered like one that does not exist.
    """
    valid = [found for found in contracts.of_node(reader, node_id) if found.counts_at(reader.now_ms)]
    if not valid:
        raise Forbidden(say("no_contract", node=shorten(node_id)))
    if not contract_id:
        return valid[0]
    for found in valid:
        if found.contract_id == contract_id:
            return found
    raise Forbidden(say("contract_not_approved", contract=shorten(contract_id), node=shorten(node_id)))


def has_contract(reader: Reader, node_id: str) -> bool:
    """Whether a contract with a partner is approved and has not expired."""
    return any(found.counts_at(reader.now_ms) for found in contracts.of_node(reader, node_id))
