"""What an operator is told about a partner's job before deciding: proof, data, and the difference from the last one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.support.granting import Pair, fresh, running_pair
from tests.support.hosted import Hosted
from tests.support.nodes import eventually

from embedded_scheduler.wire.console import JobDetail, PeerRequest
from nodeconsole.client import NodeClient


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, Hosted]]:
    with TemporaryDirectory(prefix="nc") as directory, running_pair(Path(directory)) as running:
        yield running


async def _decide_by_hand(bob: NodeClient) -> None:
    known = await bob.peer("alice")
    request = PeerRequest.model_validate(known.model_dump() | {"approval": "manual"})
    await bob.add_peer(request)


async def _asked(pair: Pair, document: dict[str, Any]) -> JobDetail:
    """The job at bob, waiting for bob's operator."""
    submitted = await pair.alice.submit(document)

    async def look() -> JobDetail | None:
        page = await pair.bob.jobs(needs_decision=True)
        known = submitted.job_id in {job.job_id for job in page.jobs}
        return await pair.bob.job(submitted.job_id) if known else None

    return await eventually(look, what=f"{submitted.job_id} waits at bob", within=10, pause=0.02)


async def test_card_says_what_is_new_since_the_last_approved_run(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair:
        await _decide_by_hand(pair.bob)
        document = pair.job() | {"flow_id": f"flow-{pair.name}"}
        first = await _asked(pair, document)
        assert first.card is not None
        assert first.card.difference.precedent is None
        assert first.card.difference.record.approved == 0
        asker, use = first.card.asker, first.card.data[0]
        assert (asker.node_id, asker.signing, asker.contract, asker.resembles) == ("alice", "required", "APPROVED", "")
        assert asker.fingerprint == (await pair.alice.identity()).fingerprint
        assert (use.dataset, use.rows, use.columns, use.named) == (pair.dataset, 2, ["id", "age", "income"], [])
        assert [(part.task, part.known, part.new) for part in first.card.parts] == [("probe_0", True, False)]
        await pair.bob.approve(first.job.job_id)

        document["config"]["task_params"]["host"]["0"]["probe_0"] |= {"columns": ["age"], "rows": 5}
        second = await _asked(pair, document)
        assert second.card is not None
        found = second.card.difference.precedent
        assert found is not None
        assert found.other == first.job.job_id
        assert found.decided_by.startswith("operator:")
        assert [(one.aspect, one.name) for one in found.changes] == [
            ("column", "age"),
            ("parameter", "columns"),
            ("parameter", "rows"),
        ]
        assert second.card.data[0].named == ["age"]
        assert second.card.difference.record.same_flow == 1
        await pair.bob.reject(second.job.job_id, "no")

        same = await pair.bob.job_difference(first.job.job_id, against=second.job.job_id)
        assert same.precedent is not None
        assert [one.name for one in same.precedent.changes if not one.after] == ["age", "columns", "rows"]
        record = (await pair.bob.job_difference(second.job.job_id)).record
        assert (record.approved, record.complete) == (1, True)


async def test_card_names_the_grant_that_covers_the_data(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair:
        await _decide_by_hand(pair.bob)
        await pair.publish(access="permit")
        _, theirs = await pair.granted(times=3)
        detail = await _asked(pair, pair.job())
        assert detail.card is not None
        use = detail.card.data[0]
        assert use.access == "permit"
        assert [(cover.grant_id, cover.times, cover.used, cover.counted) for cover in use.covered_by] == [
            (theirs, 3, 1, True)
        ]
        await pair.bob.reject(detail.job.job_id, "no")
