"""The agenda of questions to partners."""

from __future__ import annotations

from dataclasses import replace

from tests.support.cluster import document

from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.lifecycle import JobState, TaskState
from embedded_scheduler.domain.snapshot import Call, CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.engine.watchlist import Watchlist

FIRST = 3.0


def job(*names: str, revision: int = 1, host: str = "bob") -> JobSnapshot:
    """A job whose tasks all run at the partner."""
    edges = [(name,) for name in names]
    spec = parse_job(f"job-{host}", document(*edges, roles={"guest": ["alice"], "host": [host]}))
    tasks = {
        n: TaskView(n, task_id_for(spec.job_id, n), TaskState.RUNNING, False, 0,
                    tuple(Share(party, TaskState.RUNNING) for party in spec.parties))
        for n in names
    }  # fmt: skip
    calls = {
        f"task:{n}:{host}": Call(f"task:{n}:{host}", host, "task/start", CallState.ACKNOWLEDGED, 1, 0, 0, "")
        for n in names
    }
    return JobSnapshot("alice", "alice", spec, JobState.RUNNING, 0, tasks=tasks, calls=calls, revision=revision)


def over(s: JobSnapshot, task: str, *, revision: int, **more: int) -> JobSnapshot:
    tasks = {**s.tasks, task: replace(s.tasks[task], state=TaskState.SUCCESS)}
    return replace(s, tasks=tasks, revision=revision, news={task: None}, **more)


def taken(watchlist: Watchlist, now: float, per_partner: int = 8) -> list[str]:
    return [key.task_name for key in watchlist.take(now, at_once=10, per_partner=per_partner)]


def test_questions_are_asked_when_they_fall_due_and_once_at_a_time() -> None:
    watchlist = Watchlist()
    assert watchlist.update(job("a", "b"), 0.0, FIRST)
    assert watchlist.next_due() == FIRST
    assert taken(watchlist, 2.9) == []
    assert taken(watchlist, 3.0) == ["a", "b"]
    assert taken(watchlist, 9.0) == []
    assert watchlist.next_due() is None
    key, state = next(iter(watchlist.polls.items()))
    watchlist.answered(key, state, 4.0, 6.0)
    assert watchlist.next_due() == 6.0
    assert taken(watchlist, 6.0) == ["a"]


def test_news_while_a_question_is_under_way_has_it_asked_again_at_once() -> None:
    """The answer may have been given before what the news is about."""
    watchlist = Watchlist()
    watchlist.update(job("a"), 0.0, FIRST)
    assert taken(watchlist, 3.0) == ["a"]
    watchlist.hint("job-bob", "a", "bob", 3.1)
    key, state = next(iter(watchlist.polls.items()))
    watchlist.answered(key, state, 3.2, 18.0)
    assert taken(watchlist, 3.2) == ["a"]
    watchlist.answered(key, state, 3.3, 18.0)
    assert watchlist.next_due() == 18.0


def test_news_before_the_question_exists_has_it_asked_at_once() -> None:
    watchlist = Watchlist()
    watchlist.hint("job-bob", "a", "bob", 1.0)
    watchlist.update(job("a", "b"), 2.0, FIRST)
    assert taken(watchlist, 2.0) == ["a"]


def test_a_full_partner_keeps_back_its_own_questions_alone_and_all_get_their_turn() -> None:
    watchlist = Watchlist()
    watchlist.update(job("a", "b", "c"), 0.0, FIRST)
    watchlist.update(job("x", host="carol"), 0.0, FIRST)
    assert taken(watchlist, 3.0, per_partner=1) == ["a", "x"]
    assert taken(watchlist, 3.0, per_partner=1) == []
    for expected in ("b", "c", "a"):
        key, state = next((k, s) for k, s in watchlist.polls.items() if s.asking and k.node_id == "bob")
        watchlist.answered(key, state, 3.0, 3.0)
        assert taken(watchlist, 3.0, per_partner=1) == [expected]


def test_only_what_changed_is_looked_at_and_gaps_and_stale_copies_do_no_harm() -> None:
    watchlist = Watchlist()
    first = job("a", "b", "c")
    watchlist.update(first, 0.0, FIRST)
    second = over(first, "a", revision=2, follows=1)
    watchlist.update(second, 0.0, FIRST)
    assert {key.task_name for key in watchlist.polls} == {"b", "c"}
    # The third never got here: the fourth is looked at as a whole.
    fourth = over(over(second, "b", revision=3, follows=2), "c", revision=4, follows=3)
    watchlist.update(fourth, 0.0, FIRST)
    assert watchlist.polls == {}
    assert not watchlist.update(second, 0.0, FIRST)
    assert watchlist.polls == {}


def test_a_service_that_starts_again_asks_what_it_was_asking() -> None:
    watchlist = Watchlist()
    watchlist.update(job("a"), 0.0, FIRST)
    assert taken(watchlist, 3.0) == ["a"]
    watchlist.forget_asking()
    assert taken(watchlist, 3.0) == ["a"]


def test_an_answer_to_a_question_that_is_gone_frees_its_place() -> None:
    watchlist = Watchlist()
    watchlist.update(job("a", "b"), 0.0, FIRST)
    assert taken(watchlist, 3.0, per_partner=1) == ["a"]
    key = next(key for key in watchlist.polls if key.task_name == "a")
    state = watchlist.polls[key]
    watchlist.update(over(job("a", "b"), "a", revision=2, follows=1), 3.0, FIRST)
    watchlist.answered(key, state, 3.1, 9.0)
    assert key not in watchlist.polls
    assert taken(watchlist, 3.1, per_partner=1) == ["b"]
