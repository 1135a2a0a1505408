"""What a node says of itself, and where it says that it is reached."""

from __future__ import annotations

import pytest

from embedded_scheduler.config import PartnerListener, Settings
from embedded_scheduler.engine.introductions import Introduction, introduction, own_address
from embedded_scheduler.errors import InvalidRequest


def settings(**partner: object) -> Settings:
    return Settings.model_validate({"node_id": "alice", "inst_name": "Bank A", "partner": partner})


@pytest.mark.parametrize("listen", ["0.0.0.0:9380", "[::]:9380"])
def test_a_node_that_listens_everywhere_can_still_say_who_it_is(listen: str) -> None:
    about = introduction(settings(listen=listen))
    assert (about.node_id, about.address, about.institution) == ("alice", "", "Bank A")
    with pytest.raises(InvalidRequest, match=r"partner\.advertise"):
        own_address(settings(listen=listen))


def test_the_address_of_a_code_goes_before_the_settings() -> None:
    assert introduction(settings(listen="0.0.0.0:9380"), "https://a.example").address == "https://a.example"


@pytest.mark.parametrize(
    ("partner", "address"),
    [
        (PartnerListener(listen="10.0.0.1:9380"), "https://10.0.0.1:9380"),
        (PartnerListener(listen="127.0.0.1:9380", tls="off"), "http://127.0.0.1:9380"),
        (PartnerListener(listen="0.0.0.0:9380", advertise="https://gate.example/pc/"), "https://gate.example/pc"),
    ],
)
def test_the_address_comes_from_the_settings(partner: PartnerListener, address: str) -> None:
    assert own_address(Settings(node_id="alice", partner=partner)) == address


def test_particulars_are_all_but_the_node() -> None:
    said = Introduction("bob", "https://b", "i", "Bank B", "b", "s", "1", "d").particulars()
    assert list(said.values()) == ["https://b", "i", "Bank B", "b", "s", "1", "d"]
    assert "node_id" not in said
