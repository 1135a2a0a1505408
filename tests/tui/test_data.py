"""The data section on two real nodes: every write, and what is seen of each kind of row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from textual.pilot import Pilot

from embedded_scheduler.errors import NotFound
from nodeconsole.client import ClientError
from tests.support.console import console_of, fill, press, screen_text, until, until_shown
from tests.support.granting import QUICK, fresh, running_pair
from tests.support.hosted import Hosted
from tests.support.nodes import eventually

SIZE = (100, 30)


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, Hosted]]:
    with TemporaryDirectory(prefix="nc") as directory, running_pair(Path(directory), settings=QUICK) as running:
        yield running


async def test_a_dataset_is_shown_rescanned_hidden_and_forgotten(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair, console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, ":")
        await fill(pilot, f"data datasets {pair.name}")
        await until_shown(pilot, pair.name)
        await press(pilot, "A")
        await until_shown(pilot, "Let partners see")
        await fill(pilot, "", "id nope", "permit")
        await until_shown(pilot, "there is no column nope")
        await fill(pilot, "id age", "permit")
        await press(pilot, "Y")
        await until_shown(pilot, "is shown to all partners (permit)")
        shown = [row for row in await pair.bob.publications() if row.dataset_id == pair.dataset]
        assert [[column.name for column in row.columns] for row in shown] == [["id", "age"]]

        source = tmp_path / f"{pair.name}.csv"
        source.write_text(source.read_text() + "3,60,9.5\n")
        await press(pilot, "enter", "R")
        await until_shown(pilot, f"{pair.dataset} has changed: 3 rows now")
        await until_shown(pilot, "none of the newest")
        assert (await pair.bob.dataset("default", pair.name)).rows == 3
        await press(pilot, "R")
        await until_shown(pilot, "has not changed: 3 rows")

        await press(pilot, "X")
        await fill(pilot, pair.dataset[-4:])
        await until_shown(pilot, f"{pair.dataset} is shown to nobody")
        await press(pilot, "K")
        await fill(pilot, pair.dataset[-4:])
        await until_shown(pilot, "is not registered any more")
        with pytest.raises(ClientError, match="no dataset"):
            await pair.bob.dataset("default", pair.name)


async def test_a_partners_dataset_is_asked_for_granted_used_and_revoked(
    nodes: dict[str, Hosted], tmp_path: Path
) -> None:
    async with fresh(nodes, tmp_path) as pair:
        await pair.publish(access="permit")
        async with console_of(nodes["alice"]).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":")
            await fill(pilot, f"data theirs {pair.name}")
            await until_shown(pilot, pair.dataset)
            await press(pilot, "A")
            await fill(pilot, "7")
            await press(pilot, "Y")
            await until_shown(pilot, f"asked bob for {pair.dataset}")
        async with console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":")
            await fill(pilot, f"data grants {pair.name}")
            await until_shown(pilot, "of us")
            await press(pilot, "A")
            await until_shown(pilot, "limits asked")
            await press(pilot, "A")
            await fill(pilot, "7", "30d", "ok")
            await press(pilot, "Y")
            await until_shown(pilot, f"granted {pair.dataset} to alice")
            await press(pilot, "escape")
            await until_shown(pilot, "used 0x")
            await eventually(lambda: _held(pair.alice), what="alice has the permit", within=10, pause=0.02)
            job = (await pair.alice.submit(pair.job(seconds=20))).job_id
            await until_shown(pilot, "used 1x")
            await press(pilot, "X")
            await until_shown(pilot, job[:12])
            grant = next(row for row in (await pair.bob.grants()).grants if row.resource_id == pair.dataset)
            await fill(pilot, grant.grant_id[-4:], "yes", "over")
            await until_shown(pilot, f"revoked {pair.dataset} for alice; jobs concerned: 1")
            assert (await pair.bob.job(job)).job.state in ("RUNNING", "FINISHED")
            usage = await pair.bob.dataset_usage("default", pair.name)
            assert [(row.job_id, row.initiator) for row in usage.jobs] == [(job, "alice")]
            await press(pilot, "tab", "tab")
            await until_shown(pilot, "[datasets]")
            await press(pilot, "/")
            await fill(pilot, pair.name)
            await press(pilot, "enter")
            await until_shown(pilot, job[:12])


async def _held(client: Any) -> bool:
    return any(row.permit is not None for row in (await client.grants(direction="out")).grants)


async def test_a_dataset_is_registered_with_a_form_of_its_connector(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text("id,x\n1,2\n")
    async with fresh(nodes, tmp_path) as pair, console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
        assert {row.name for row in await pair.bob.connectors()} >= {"csv", "sqlite"}
        await until_shown(pilot, "online")
        await press(pilot, "g", "d")
        await until_shown(pilot, "[datasets]")
        await press(pilot, "tab")
        await until_shown(pilot, "SQLite table")
        await press(pilot, "N")
        await until_shown(pilot, "kind of source")
        await press(pilot, *"csv", "enter")
        await until_shown(pilot, "data > register > csv")
        await press(pilot, "enter")
        await fill(pilot, f"new-{pair.name}")
        await until(pilot, lambda: f"new-{pair.name}" in screen_text(pilot))
        await press(pilot, "down") if "path" not in _current(pilot) else None
        await press(pilot, "enter")
        await fill(pilot, str(source))
        await press(pilot, "f10", "Y")
        await until_shown(pilot, "1 rows")
        assert (await pair.bob.dataset("default", f"new-{pair.name}")).connector == "csv"


def _current(pilot: Pilot[Any]) -> str:
    return next((line for line in screen_text(pilot).splitlines() if line.startswith("▌")), "")


async def test_a_rescan_of_nothing_says_so(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair:
        with pytest.raises(ClientError) as refused:
            await pair.bob.rescan_dataset("default", "nothing")
        assert refused.value.code == NotFound("").code
