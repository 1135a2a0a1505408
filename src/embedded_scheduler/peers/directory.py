"""The partners this node knows, in memory: what the `peers` and `contracts` tables say, with profiles and keys
resolved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.engine.introductions import SYSTEM as OWN_SYSTEM
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.profiles import DEFAULT, Profile, option_names, resolve
from embedded_scheduler.security.keys import CERT, PublicKey, parse_credential
from embedded_scheduler.store import contracts, peers
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia.envelope import AnswerStyle

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """An approved contract. `keys` are the partner's keys, each with the epoch ms until which it counts (None = as long
    as the contract); the newest first. `expires_ms` ends the contract itself."""

    contract_id: str
    keys: tuple[tuple[PublicKey, int | None], ...]
    expires_ms: int | None = None

    def valid_keys(self, now_ms: int) -> tuple[PublicKey, ...]:
        """The keys that count at this moment; none when the contract has expired."""
        if self.expires_ms is not None and now_ms >= self.expires_ms:
            return ()
        return tuple(key for key, until in self.keys if until is None or now_ms < until)


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner as calls need it. `url` is the base address of its listener, without a trailing slash; `signing` is
    required, verify-if-present or off; `tls` what its TLS server must show: identity (a key of the contract), ca, or
    the fingerprint of a key (a gateway's)."""

    node_id: str
    url: str
    approval: str
    profile: Profile
    signing: str = "off"
    tls: str = "identity"
    trust: Trust | None = None

    @property
    def server_pins(self) -> frozenset[str]:
        """Fingerprints of which its TLS server must show one; empty = a certificate that a CA vouches for."""
        if self.tls not in ("identity", "ca"):
            return frozenset({self.tls})
        if self.tls == "ca" or self.trust is None:
            return frozenset()
        return frozenset(key.fingerprint for key, _ in self.trust.keys)


class Directory:
    """`engine.ports.PartnerDirectory`, also the address book of the gateways and the answer styles of the API.

    Empty until the first `refresh`; refresh again after every change of the `peers` table.
    """

    def __init__(self) -> None:
        self._partners: dict[str, Partner] = {}
        self.on_refresh: Callable[[], None] = lambda: None
        """Called after every `refresh`."""
        self.handshakes: tuple[str, ...] = ()
        """Certificates (PEM) with which partners may connect. What they may do is decided per request."""
        self._styles: dict[str, AnswerStyle] = {}
        self._counterparts: dict[str, Partner] = {}

    async def refresh(self, database: Database) -> None:
        """Read the table anew. A partner whose stored profile is not valid (any more) is treated as `seed`, and said so
        in the log: unreachable would be worse."""
        rows, agreed = await database.read(lambda reader: (peers.all(reader), contracts.all(reader)))
        trusted = _trusted(agreed)
        self.replace(
            Partner(
                row.node_id,
                row.url.rstrip("/"),
                row.approval,
                _profile(row),
                row.signing,
                row.tls,
                trusted.get(row.node_id),
            )
            for row in rows
        )
        self.handshakes = tuple(
            {contract.auth_credential for contract in agreed if _may_connect(contract)}
            | {contract.previous_credential for contract in agreed if contract.previous_type == CERT}
        )
        self._counterparts = {row.contract_id: _counterpart(row) for row in agreed if row.address}
        self.on_refresh()

    def counterpart(self, contract_id: str) -> Partner | None:
        """The other node of a contract in any state, as messages about this contract need it."""
        return self._counterparts.get(contract_id)

    def keys_of_contract(self, contract_id: str, now_ms: int) -> tuple[str, tuple[PublicKey, ...]]:
        """The other node of a contract in any state and its keys that count now; ("", ()) if it is not known."""
        partner = self._counterparts.get(contract_id)
        if partner is None or partner.trust is None:
            return "", ()
        return partner.node_id, partner.trust.valid_keys(now_ms)

    def replace(self, partners: Iterable[Partner]) -> None:
        """Know these partners and no others."""
        known = {partner.node_id: partner for partner in partners}
        self._styles = {node_id: partner.profile.answer_style for node_id, partner in known.items()}
        self._partners = known

    def partner(self, node_id: str) -> Partner | None:
        return self._partners.get(node_id)

    def profile(self, node_id: str) -> Profile:
        """The partner's profile; `seed` for a node that is none."""
        partner = self._partners.get(node_id)
        return partner.profile if partner is not None else DEFAULT

    def answer_style(self, node_id: str) -> AnswerStyle:
        return self._styles.get(node_id, _DEFAULT_STYLE)

    def knows(self, node_id: str) -> bool:
        return node_id in self._partners

    def traits(self, node_id: str) -> PeerTraits:
        return self.profile(node_id).peer_traits

    def described(self, node_id: str) -> dict[str, object]:
        """Every trait of its profile, the partner's own options applied."""
        partner = self._partners.get(node_id)
        return {name: getattr(partner.profile, name) for name in option_names()} if partner is not None else {}

    def decides_at_create(self, node_id: str) -> bool:
        return not self.profile(node_id).approval_channel

    def approval(self, node_id: str) -> str:
        """`manual` for a node that is no partner."""
        partner = self._partners.get(node_id)
        return partner.approval if partner is not None else "manual"

    def session_need(self, node_id: str) -> str:
        """Nodes of profile `seed` are taken to be like this one, unless their `session_style` was set."""
        profile = self.profile(node_id)
        follows = profile.name == DEFAULT.name and profile.session_style == DEFAULT.session_style
        return "" if follows else profile.session_style


_DEFAULT_STYLE = DEFAULT.answer_style


def _may_connect(contract: Contract) -> bool:
    return contract.auth_type == CERT and contract.state in (AgreementState.APPLIED, AgreementState.APPROVED)


def _trusted(rows: Iterable[Contract]) -> dict[str, Trust]:
    """The newest approved contract of each partner."""
    found: dict[str, Trust] = {}
    for row in rows:
        if row.state is AgreementState.APPROVED and row.node_id not in found:
            found[row.node_id] = Trust(row.contract_id, tuple(_keys(row)), row.expires_ms)
    return found


def _counterpart(row: Contract) -> Partner:
    """Not by the partner's row: there may be none yet, or it says what another contract agreed on."""
    # Others may not know how answers are signed.
    signing = "required" if row.system == OWN_SYSTEM and row.fingerprint else "verify-if-present"
    tls = "identity" if row.auth_type == CERT else "ca"
    trust = Trust(row.contract_id, tuple(_keys(row)))
    return Partner(row.node_id, row.address.rstrip("/"), "manual", DEFAULT, signing, tls, trust)


def _keys(row: Contract) -> Iterator[tuple[PublicKey, int | None]]:
    stored: tuple[tuple[str, str, int | None], ...] = (
        (row.auth_type, row.auth_credential, None),
        (row.previous_type, row.previous_credential, row.previous_until_ms),
    )
    for auth_type, credential, until in stored:
        if credential:
            try:
                yield parse_credential(auth_type, credential), until
            except InvalidRequest as error:
                _log.error("a key of contract %s cannot be used: %s", row.contract_id, error.message)


def _profile(row: peers.Peer) -> Profile:
    try:
        return resolve(row.profile, row.options)
    except InvalidRequest as error:
        _log.error("partner %s is treated as profile seed: %s", row.node_id, error.message)
        return DEFAULT
