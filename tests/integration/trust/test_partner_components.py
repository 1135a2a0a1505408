"""What a partner says of its components, and what a job that is not submitted yet learns from it."""

from __future__ import annotations

import pytest
from tests.support.granting import Pair
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from nodeconsole.client import ClientError


async def test_partners_are_asked_for_their_components(pair: Pair) -> None:
    listed = {(row.code, row.version, row.provider) for row in await pair.alice.partner_components("bob")}
    assert ("nodeconsole-probe", "1.0.0", "nodeconsole") in listed
    with pytest.raises(ClientError):
        await pair.alice.partner_components("carol")


async def test_a_component_that_a_partner_lacks_is_warned_of(pair: Pair) -> None:
    document = probe_job({"guest": "alice", "host": "bob"}, fan(1))
    assert (await pair.alice.check_job(document)).warnings == []
    await pair.alice.register_component("registry.example/thing:1", component())
    try:
        named = {"componentName": "thing", "provider": "acme", "version": "1"}
        document["dag"]["components"][0] |= named
        found = await pair.alice.check_job(document)
        assert found.warnings == ["probe_0: bob lists no component acme thing 1"]
    finally:
        await pair.alice.remove_component("acme", "thing", "1")
