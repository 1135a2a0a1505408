"""The partners this node knows, in memory: what the `peers` table says, with profiles resolved."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.profiles import DEFAULT, Profile, resolve
from embedded_scheduler.store import peers
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia.envelope import AnswerStyle

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner as calls need it. `url` is the base address of its listener, without a trailing slash."""

    node_id: str
    url: str
    approval: str
    profile: Profile


class Directory:
    """`engine.ports.PartnerDirectory`, also the address book of the gateways and the answer styles of the API.

    Empty until the first `refresh`; refresh again after every change of the `peers` table.
    """

    def __init__(self) -> None:
        self._partners: dict[str, Partner] = {}
        self._styles: dict[str, AnswerStyle] = {}

    async def refresh(self, database: Database) -> None:
        """Read the table anew. A partner whose stored profile is not valid (any more) is treated as `seed`, and said so
        in the log: unreachable would be worse."""
        rows = await database.read(peers.all)
        self.replace(Partner(row.node_id, row.url.rstrip("/"), row.approval, _profile(row)) for row in rows)

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

    def base_url(self, node_id: str) -> str | None:
        partner = self._partners.get(node_id)
        return partner.url if partner is not None else None

    def answer_style(self, node_id: str) -> AnswerStyle:
        return self._styles.get(node_id, _DEFAULT_STYLE)

    def knows(self, node_id: str) -> bool:
        return node_id in self._partners

    def traits(self, node_id: str) -> PeerTraits:
        return self.profile(node_id).peer_traits

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


def _profile(row: peers.Peer) -> Profile:
    try:
        return resolve(row.profile, row.options)
    except InvalidRequest as error:
        _log.error("partner %s is treated as profile seed: %s", row.node_id, error.message)
        return DEFAULT
