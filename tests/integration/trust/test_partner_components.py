"""What a partner says of its components, and what a job that is not submitted yet learns from it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.console import press, until, until_shown
from tests.support.granting import Pair
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from embedded_scheduler.wire.console import PeerRequest
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


async def test_what_a_partner_says_of_itself_is_no_longer_than_people_can_read(pair: Pair) -> None:
    versions = [f"9.{number}" for number in range(25)]
    await pair.alice.register_component("registry.example/thing:1", component())
    for version in versions:
        await pair.bob.register_component("registry.example/thing:1", component(version=version))
    try:
        document = probe_job({"guest": "alice", "host": "bob"}, fan(1))
        document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
        (warning,) = (await pair.alice.check_job(document)).warnings
        assert warning.count(", ") == 19
    finally:
        await pair.alice.remove_component("acme", "thing", "1")
        for version in versions:
            await pair.bob.remove_component("acme", "thing", version)


@pytest.mark.parametrize(
    ("theirs", "enabled", "match", "sentence"),
    [
        (component(), True, "same", ""),
        (component(description="renamed"), True, "different", "has another self-description than ours"),
        (component(), False, "disabled", "is disabled at bob"),
        (component(version="2"), True, "other_version", "bob lists acme thing 1 only as 2"),
        (None, True, "missing", "bob lists no component acme thing 1"),
    ],
)
async def test_before_a_job_is_approved_its_components_are_compared(
    pair: Pair, theirs: dict[str, Any] | None, enabled: bool, match: str, sentence: str
) -> None:
    """Bob's registry changes between the submission, which would have been refused, and the approval."""
    for client in (pair.alice, pair.bob):
        await client.register_component("builtin:probe", component())
    document = probe_job({"guest": "alice", "host": "bob"}, fan(1))
    document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
    job = await pair.alice.submit(document)
    await pair.bob.remove_component("acme", "thing", "1")
    if theirs is not None:
        await pair.bob.register_component("builtin:probe", theirs)
        await pair.bob.set_component_enabled("acme", "thing", theirs["version"], enabled=enabled)
    try:
        found = (await pair.alice.job_compatibility(job.job_id)).components
        assert [(row.node_id, row.tasks, row.match, row.wrong) for row in found] == [
            ("bob", ["probe_0"], match, match != "same")
        ]
        assert sentence in found[0].sentence
        assert bool(found[0].sentence) is found[0].wrong
    finally:
        await pair.alice.stop(job.job_id)
        await pair.alice.remove_component("acme", "thing", "1")
        if theirs is not None:
            await pair.bob.remove_component("acme", "thing", theirs["version"])


async def test_who_does_not_answer_is_not_said_to_lack_anything(pair: Pair) -> None:
    await pair.alice.add_peer(PeerRequest(node_id="carol", url="https://127.0.0.1:1", signing="off"))
    job = await pair.alice.submit(probe_job({"guest": "alice", "host": "bob", "arbiter": "carol"}, fan(1)))
    found = (await pair.alice.job_compatibility(job.job_id)).components
    await pair.alice.stop(job.job_id)
    assert [(row.node_id, row.match, row.wrong) for row in found] == [
        ("bob", "same", False),
        ("carol", "unknown", False),
    ]
    assert found[1].note


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
