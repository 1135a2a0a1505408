"""Contracts with partners: what each was agreed with, and the keys that count."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Contract:
    """One row; see the table's comments. Times are epoch ms."""

    contract_id: str
    node_id: str
    side: str
    state: AgreementState
    address: str
    inst_id: str
    institution: str
    name: str
    system: str
    system_version: str
    description: str
    auth_type: str
    auth_credential: str
    fingerprint: str
    previous_type: str
    previous_credential: str
    previous_until_ms: int | None
    expires_ms: int | None
    invitation: str
    origin: str
    partner_decision: str
    compared_by: str
    decided_by: str
    reason: str
    created_ms: int
    since_ms: int

    def counts_at(self, now_ms: int) -> bool:
        """Approved and not expired."""
        return self.state is AgreementState.APPROVED and (self.expires_ms is None or now_ms < self.expires_ms)


def add(
    tx: Tx,
    *,
    contract_id: str,
    node_id: str,
    side: str,
    auth_type: str,
    auth_credential: str,
    fingerprint: str,
    address: str = "",
    inst_id: str = "",
    institution: str = "",
    name: str = "",
    system: str = "",
    system_version: str = "",
    description: str = "",
    expires_ms: int | None = None,
    invitation: str = "",
    origin: str = "",
) -> None:
    """A new contract, APPLIED."""
    tx.run(
        "contracts.add",
        contract_id=contract_id,
        node_id=node_id,
        side=side,
        address=address,
        inst_id=inst_id,
        institution=institution,
        name=name,
        system=system,
        system_version=system_version,
        description=description,
        auth_type=auth_type,
        auth_credential=auth_credential,
        fingerprint=fingerprint,
        expires_ms=expires_ms,
        invitation=invitation,
        origin=origin,
        now_ms=tx.now_ms,
    )


def get(reader: Reader, contract_id: str) -> Contract | None:
    row = reader.one("contracts.get", contract_id=contract_id)
    return None if row is None else _parse(row)


def of_node(reader: Reader, node_id: str) -> list[Contract]:
    """Every contract with a partner, newest first."""
    return [_parse(row) for row in reader.all("contracts.of_node", node_id=node_id)]


def all(reader: Reader) -> list[Contract]:  # noqa: A001 - read as `contracts.all`
    """Every contract, by partner, newest first."""
    return [_parse(row) for row in reader.all("contracts.all")]


def standing(reader: Reader) -> dict[str, str]:
    """Per partner the state of the contract that counts: an approved one before all others, else the newest."""
    found: dict[str, str] = {}
    for row in all(reader):
        if row.node_id not in found or row.state is AgreementState.APPROVED:
            found[row.node_id] = row.state.value
    return found


def open_applications(reader: Reader) -> list[Contract]:
    """Contracts that are APPLIED, the oldest first."""
    return [_parse(row) for row in reader.all("contracts.open")]


def strangers_since(reader: Reader, since_ms: int) -> int:
    """How many applications came without an invitation since then, whatever became of them."""
    row = reader.one("contracts.strangers_since", since_ms=since_ms)
    return 0 if row is None else int(row["number"])


def note_partner(tx: Tx, contract_id: str, decision: str, *, expires_ms: int | None = None) -> bool:
    """What the partner confirmed; False when the contract is no longer APPLIED. So for the next two."""
    return (
        tx.run("contracts.note_partner", contract_id=contract_id, decision=decision, expires_ms=expires_ms).rowcount
        == 1
    )


def note_compared(tx: Tx, contract_id: str, actor: str) -> bool:
    """Somebody here compared the words."""
    return tx.run("contracts.note_compared", contract_id=contract_id, actor=actor).rowcount == 1


def set_key(tx: Tx, contract_id: str, auth_type: str, auth_credential: str, fingerprint: str) -> bool:
    """The partner's key of an application that came without; False when there is one already."""
    return (
        tx.run(
            "contracts.set_key",
            contract_id=contract_id,
            auth_type=auth_type,
            auth_credential=auth_credential,
            fingerprint=fingerprint,
        ).rowcount
        == 1
    )


def change_key(
    tx: Tx, contract_id: str, auth_type: str, auth_credential: str, fingerprint: str, *, until_ms: int
) -> bool:
    """The partner's new key; the one before counts until `until_ms`. False when the contract is not APPROVED."""
    return (
        tx.run(
            "contracts.change_key",
            contract_id=contract_id,
            auth_type=auth_type,
            auth_credential=auth_credential,
            fingerprint=fingerprint,
            until_ms=until_ms,
        ).rowcount
        == 1
    )


def describe(
    tx: Tx,
    contract_id: str,
    *,
    address: str,
    inst_id: str,
    institution: str,
    name: str,
    system: str,
    system_version: str,
    description: str,
) -> None:
    """What the partner now says of itself."""
    tx.run(
        "contracts.describe",
        contract_id=contract_id,
        address=address,
        inst_id=inst_id,
        institution=institution,
        name=name,
        system=system,
        system_version=system_version,
        description=description,
    )


def _parse(row: sqlite3.Row) -> Contract:
    columns = dict(row)
    del columns["state_seq"]
    columns["state"] = AgreementState(columns["state"])
    return Contract(**columns)
