"""What a partner says of its components, and what a job that is not submitted yet learns from it."""

from __future__ import annotations

import pytest
from tests.support.console import press, until, until_shown
from tests.support.granting import Pair
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from nodeconsole.app import NodeConsoleApp
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


async def test_the_console_says_which_partners_have_a_component_and_offers_their_data(pair: Pair) -> None:
    await pair.publish(description="all people")
    app = NodeConsoleApp(
        pair.nodes["alice"].home.socket, language="en_US", glyphs="safe", environ={}, section="components"
    )
    async with app.run_test(size=(100, 40)) as pilot:
        await until_shown(pilot, "sample_alignment")
        app.screen.main.move_to_key("nodeconsole/sample_alignment/1.0.0")  # type: ignore[attr-defined]
        await press(pilot, "enter")
        await until_shown(pilot, "bob + 1.0.0")
        await press(pilot, "q", ":", *"compose", "enter")
        await until_shown(pilot, "there are no tasks")
        await press(pilot, "a")
        await until_shown(pilot, "Which component?")
        await press(pilot, *"align", "enter", "p")
        await until_shown(pilot, "In which role?")
        await press(pilot, *"host", "enter")
        await until_shown(pilot, "Which node is host?")
        await press(pilot, *"bob", "enter")
        await until_shown(pilot, "sample_alignment, host.0: dataset_id must be given")
        app.screen.main.move_to_key("given/sample_alignment/host.0/-1")  # type: ignore[attr-defined]
        await press(pilot, "enter")
        await until_shown(pilot, "dataset_id")
        await until(pilot, lambda: app.screen.form.field("dataset_id").choices)  # type: ignore[attr-defined]
        await press(pilot, "enter")
        await until_shown(pilot, "find")
        await press(pilot, *pair.name)
        await until_shown(pilot, "all people")
