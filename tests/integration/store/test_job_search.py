"""Lists of jobs by filter and order: what the store finds is what the words say, page after page."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.job_lists import by_column, job_fits, nodes_of

from embedded_scheduler.api.console import filters
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.store import job_search
from embedded_scheduler.store.database import Database, Reader, Tx
from embedded_scheduler.store.jobs import NODES_APART
from embedded_scheduler.wire.console import JobRow
from embedded_scheduler.wire.query import QueryFault, parse_query

NOW = 1_700_000_000_000
STATES = [("PENDING", None), ("RUNNING", None), ("REJECTED", None)] + [
    ("FINISHED", outcome) for outcome in ("succeeded", "failed", "stopped")
]
FLOWS = ["psi-daily", "PSI_train", "", "100%_done", "样本对齐", "woe[1]", "a*b?"]
NODES = [["alice", "bob"], ["alice", "Carl", "bob"], ["alice"]]


def _job(number: int) -> JobRow:
    state, outcome = STATES[number % len(STATES)]
    started = None if state in ("PENDING", "REJECTED") else NOW - 3_600_000 * (number + 1) + 5_000
    return JobRow(
        job_id=f"job-{number * 7919 % 1000:03d}{'X' if number % 5 == 0 else 'x'}",
        flow_id=FLOWS[number % len(FLOWS)],
        state=state,
        outcome=outcome,
        initiator="alice" if number % 3 else "bob",
        coordinator="alice",
        parties=[f"guest:{node}" for node in NODES[number % len(NODES)]],
        components=["woe", "psi"] if number % 2 else ["Stats"],
        tasks_done=number % 4,
        tasks_total=0 if number % 11 == 0 else 3,
        created_ms=NOW - 3_600_000 * (number + 1),
        started_ms=started,
        ended_ms=None if started is None or state == "RUNNING" else started + 60_000 * (number % 40),
        needs_decision=state == "PENDING" and number % 2 == 0,
    )


JOBS = [_job(number) for number in range(60)]
"""The newest first."""


def fill(jobs: list[JobRow]) -> Callable[[Tx], None]:
    """Rows as they are after a life: the guards that watch every step are for the ledger's tests."""

    def work(tx: Tx) -> None:
        connection = tx._connection
        for trigger in ("jobs_start", "approvals_start"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for position, job in enumerate(reversed(jobs), start=1):
            lines = [job.job_id, job.flow_id, *job.components, NODES_APART.join(("", *nodes_of(job), ""))]
            connection.execute(
                "INSERT INTO jobs (job_id, position, flow_id, state, state_seq, outcome, coordinator, initiator,"
                " digest, document, tasks_total, tasks_done, created_ms, since_ms, started_ms, ended_ms, summary,"
                " searched)"
                " VALUES (?, ?, ?, ?, 0, ?, ?, ?, '', '{}', ?, ?, ?, 0, ?, ?, ?, ?)",
                (
                    *(job.job_id, position, job.flow_id, job.state, job.outcome, job.coordinator, job.initiator),
                    *(job.tasks_total, job.tasks_done, job.created_ms, job.started_ms, job.ended_ms),
                    json.dumps({"parties": job.parties, "components": job.components}),
                    "\n".join(lines),
                ),
            )
            if job.needs_decision:
                connection.execute(
                    "INSERT INTO approvals (job_id, node_id, state, state_seq, since_ms)"
                    " VALUES (?, 'alice', 'PENDING', 0, 0)",
                    (job.job_id,),
                )

    return work


def _find(reader: Reader, text: str, by: str = "", *, falling: bool = False, limit: int = 7) -> list[str]:
    """All pages."""
    wanted = filters.job_search(text, states=(), flow_id=None, waiting=False, now_ms=NOW)
    reader.now_ms = NOW
    ids: list[str] = []
    after = None
    while True:
        if by:
            found = job_search.search_sorted(
                reader, wanted, self_node="alice", by=by, falling=falling, limit=limit, after=after
            )
        else:
            found = job_search.search(reader, wanted, self_node="alice", limit=limit, after=after)
        ids += [head.job_id for head in found.heads]
        assert len(found.heads) <= limit
        assert 0 <= found.searched <= found.total == len(JOBS)
        if found.next is None:
            return ids
        # As the client gets it and sends it back.
        after = filters.place(filters.cursor(found.next, sorted_=bool(by)) or "", sorted_=bool(by))


_texts = st.sampled_from(
    ["psi", "PSI", "100%", "%", "_", "样本", "[1]", "*b", "?", "job-0", "X", "bob", "carl", "C", "zzz", "@"]
)
_terms = st.one_of(
    _texts,
    _texts.map(lambda text: f"!{text}"),
    st.sampled_from(["~pd", "~Ps", "!~jx", "~ab", "~样齐"]),
    st.sampled_from(["re:^psi", "re:\\d{3}x$", "!re:^(woe|Stats)", "re:^$"]),
    st.sampled_from(
        ["status:failed", "status:running,done", "!status:pending", "status:waiting", "status:waiting,failed"]
    ),
    st.sampled_from(["!status:waiting,done", "status:finished", "party:bob", "party:C", "!party:carl", "party:alice"]),
    st.sampled_from(["age:<10h", "age:>1d", "dur:>10m", "dur:<1m", "mine", "!mine", "waiting", "!waiting"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_terms, max_size=4), st.sampled_from(["", *job_search.ORDERS]), st.booleans(), st.sampled_from([1, 7, 100])
)
async def test_the_store_finds_what_the_words_say(
    filled: Database,
    words: list[str],
    by: str,
    falling: bool,
    limit: int,
) -> None:
    text = " ".join(words)
    expected = [job for job in JOBS if job_fits(job, parse_query(text), node="alice", now_ms=NOW)]
    if by and by != "flow":
        expected = by_column(expected, by, falling=falling, now_ms=NOW)
    found = await filled.read(lambda reader: _find(reader, text, by, falling=falling, limit=limit))
    if by == "flow":
        assert sorted(found) == sorted(job.job_id for job in expected)
    else:
        assert found == [job.job_id for job in expected], text


@pytest.fixture
async def filled(db: Database) -> Database:
    await db.write(fill(JOBS))
    return db


@pytest.mark.parametrize("text", ["status:no", "re:(", "age:2"])
def test_a_fault_of_a_filter_is_the_callers(text: str) -> None:
    with pytest.raises(QueryFault):
        parse_query(text)
    with pytest.raises(InvalidRequest, match=text.split(":", maxsplit=1)[0]):
        filters.job_search(text, states=(), flow_id=None, waiting=False, now_ms=NOW)


@pytest.mark.parametrize(
    "text", ["x", "[1]", "[true, 1]", "[1, true]", '[1, {"a": 1}]', "-1", "1.5", "[" * 300, "9" * 500]
)
@pytest.mark.parametrize("sorted_", [True, False])
def test_only_a_place_that_was_given_out_is_taken(text: str, sorted_: bool) -> None:
    with pytest.raises(InvalidRequest):
        filters.place(text, sorted_=sorted_)


async def test_a_search_in_many_jobs_stops_and_says_how_far_it_came(filled: Database) -> None:
    def judged(text: str) -> bool:
        looked.append(text)
        # As slow as a search can get.
        reached.append(1)
        return False

    looked: list[str] = []
    reached: list[int] = []
    wanted = job_search.Search(fits=judged)
    found = await filled.read(lambda reader: job_search.search(reader, wanted, self_node="alice", limit=5))
    assert (found.heads, found.next, found.searched, len(looked)) == ([], None, 60, 60)
