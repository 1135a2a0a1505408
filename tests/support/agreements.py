"""Contracts put straight into a database."""

from __future__ import annotations

from embedded_scheduler.domain.lifecycle import CONTRACT, AgreementState, AgreementTrigger
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.store import contracts
from embedded_scheduler.store.database import Tx


def agree(
    tx: Tx,
    node_id: str,
    *,
    contract_id: str = "",
    auth_type: str = "",
    auth_credential: str = "",
    fingerprint: str = "",
    address: str = "",
    expires_ms: int | None = None,
) -> str:
    """An approved contract, made by hand; its id."""
    contract_id = contract_id or f"contract-{node_id}"
    contracts.add(
        tx,
        contract_id=contract_id,
        node_id=node_id,
        side="manual",
        auth_type=auth_type,
        auth_credential=auth_credential,
        fingerprint=fingerprint,
        address=address,
        expires_ms=expires_ms,
    )
    _fire(tx, contract_id, AgreementState.APPLIED, AgreementTrigger.APPROVE)
    return contract_id


def end(tx: Tx, contract_id: str) -> None:
    """Terminate an approved contract."""
    _fire(tx, contract_id, AgreementState.APPROVED, AgreementTrigger.TERMINATE)


def _fire(tx: Tx, contract_id: str, state: AgreementState, trigger: AgreementTrigger) -> None:
    cause = Cause("operator:test")
    fire_agreement(tx, CONTRACT, contract_id, state, trigger, cause, "contracts.set_state", contract_id=contract_id)
