"""Requests under any sequence of what may be said about them, against the real database and its guards."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.domain.lifecycle import GRANT, AgreementState, AgreementTrigger
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import IllegalTransition
from embedded_scheduler.store import grants, ledger
from embedded_scheduler.store.database import Database, Tx

MODEL = {
    ("APPLIED", "approve"): "APPROVED",
    ("APPLIED", "reject"): "REJECTED",
    ("APPROVED", "terminate"): "TERMINATED",
}
"""The text's machine, written down independently of the code's."""

_numbers = itertools.count()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Database]]:
    path: Path = tmp_path_factory.mktemp("grants") / "node.db"
    with asyncio.Runner() as runner:
        opened = runner.run(Database.open(path, clock=SystemClock()))
        yield runner, opened
        runner.run(opened.close())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(triggers=st.lists(st.sampled_from(list(AgreementTrigger)), max_size=6), same=st.booleans())
def test_a_request_follows_the_machine_and_nothing_else(
    database: tuple[asyncio.Runner, Database], triggers: list[AgreementTrigger], same: bool
) -> None:
    runner, opened = database
    audit_id = f"audit-{next(_numbers)}"
    # Equal names of two partners, and of both directions, are different requests.
    first = runner.run(opened.write(lambda tx: _add(tx, "alice", audit_id)))
    other = runner.run(opened.write(lambda tx: _add(tx, "alice" if same else "carol", audit_id, out=same)))
    assert first.grant_id != other.grant_id
    state, steps = "APPLIED", 0
    for trigger in triggers:
        wanted = MODEL.get((state, trigger.value))
        if wanted is None:
            with pytest.raises(IllegalTransition):
                runner.run(opened.write(lambda tx, t=trigger: _fire(tx, first.grant_id, t)))
        else:
            assert runner.run(opened.write(lambda tx, t=trigger: _fire(tx, first.grant_id, t))) == wanted
            state, steps = wanted, steps + 1
        stored = runner.run(opened.read(lambda reader: grants.get(reader, first.grant_id)))
        assert stored is not None
        assert stored.state == state
    untouched = runner.run(opened.read(lambda reader: grants.get(reader, other.grant_id)))
    assert untouched is not None
    assert untouched.state is AgreementState.APPLIED
    events = runner.run(opened.read(lambda reader: ledger.page(reader, limit=10_000)))
    assert sum(event.subject_id == first.grant_id for event in events) == steps
    assert runner.run(opened.read(ledger.verify)).ok


def _add(tx: Tx, node_id: str, audit_id: str, *, out: bool = False) -> grants.Grant:
    return grants.add(
        tx,
        direction="out" if out else "in",
        node_id=node_id,
        kind="dataset",
        audit_id=audit_id,
        resource_id="default#d",
        contract_id="c",
        name="d",
        body={},
        trace_id="",
    )


def _fire(tx: Tx, grant_id: str, trigger: AgreementTrigger) -> AgreementState:
    grant = grants.get(tx, grant_id)
    assert grant is not None
    return fire_agreement(
        tx, GRANT, grant_id, grant.state, trigger, Cause("test"), "grants.set_state", grant_id=grant_id
    )
