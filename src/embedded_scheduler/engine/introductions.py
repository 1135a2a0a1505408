"""What a node says of itself to others: who it is, and where it is reached."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from embedded_scheduler.addresses import parse_address
from embedded_scheduler.config import Settings
from embedded_scheduler.domain.identifiers import check_id
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.peers import check_url
from embedded_scheduler.errors import InvalidRequest, Unavailable
from embedded_scheduler.security.identity import Identity
from embedded_scheduler.sentences import say

SYSTEM = "nodeconsole"
SYSTEM_VERSION = "0.1"
LONGEST_TEXT = 256
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a node says of itself. `address` is the base URL of its partner listener; empty = it cannot know."""

    node_id: str
    address: str
    inst_id: str = ""
    institution: str = ""
    name: str = ""
    system: str = ""
    system_version: str = ""
    description: str = ""

    def particulars(self) -> dict[str, str]:
        """All but the node id, by the names that the management layer gives them."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "node_id"}


def identity_of(engine: Engine) -> Identity:
    if engine.identity is None:
        raise Unavailable(say("no_identity"))
    return engine.identity


def known_address(settings: Settings) -> str:
    """Base URL under which partners reach this node; empty when only an operator can know it."""
    listen = parse_address(settings.partner.listen, "partner.listen")
    if not settings.partner.advertise and listen.host in _EVERYWHERE:
        return ""
    return check_url(settings.partner.public_url)


def own_address(settings: Settings) -> str:
    """As `known_address`; `InvalidRequest` says what to do when it is not known."""
    address = known_address(settings)
    if not address:
        raise InvalidRequest(say("no_public_address"))
    return address


def introduction(settings: Settings, address: str = "") -> Introduction:
    """This node. `address` where it is known better than from the settings."""
    return Introduction(
        node_id=settings.node_id,
        address=address or known_address(settings),
        inst_id=settings.inst_id,
        institution=settings.inst_name or settings.inst_id,
        name=settings.node_id,
        system=SYSTEM,
        system_version=SYSTEM_VERSION,
    )


def checked(engine: Engine, about: Introduction) -> Introduction:
    """What another node says of itself, with its address in our form; `InvalidRequest` names what cannot be."""
    check_id("node_id", about.node_id)
    if about.node_id == engine.node_id:
        raise InvalidRequest(say("own_node", node=about.node_id))
    for name, value in about.particulars().items():
        if name != "address" and (len(value) > LONGEST_TEXT or not value.isprintable()):
            raise InvalidRequest(say("printable_at_most", what=name, most=LONGEST_TEXT))
    return replace(about, address=check_url(about.address))
