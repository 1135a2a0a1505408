"""From a filter as it is typed, and the place where a page ended, to what the store looks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from embedded_scheduler.domain.lifecycle import JobState, Outcome
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say
from embedded_scheduler.store.job_search import Place, Search
from embedded_scheduler.store.jobs import NODES_APART
from embedded_scheduler.wire.query import Kind, QueryFault, Term, has_capital, parse_query

_OUTCOMES = {"done": Outcome.SUCCEEDED, "failed": Outcome.FAILED, "stopped": Outcome.STOPPED}
_WAITING = frozenset({"waiting"})
_ALL = _WAITING.union((f"{state}/" for state in JobState), (f"{JobState.FINISHED}/{outcome}" for outcome in Outcome))
_JUDGED = (Kind.PATTERN, Kind.FUZZY)
"""Kinds of which SQL can tell nothing, or only that they may hold."""
_LONGEST_CURSOR = 1_000
"""A key of a hundred characters, each written as six."""


def job_search(text: str, *, states: Iterable[JobState], flow_id: str | None, waiting: bool, now_ms: int) -> Search:
    """All conditions of a list of jobs; `InvalidRequest` names the term of `text` that means nothing."""
    try:
        terms = parse_query(text)
    except QueryFault as fault:
        raise InvalidRequest(fault.words) from None
    search = Search(flow_id=flow_id)
    wanted = frozenset[str]().union(*map(_of_state, states)) or _ALL
    wanted &= _WAITING if waiting else _ALL
    ours = {True, False}
    for term in terms:
        named = _named(term)
        wanted &= _ALL - named if term.negated and named else named or _ALL
        ours &= {not term.negated} if term.kind is Kind.MINE else ours
        search = _with(search, term, now_ms)
    if wanted != _ALL or not ours:
        # Nothing is in no state at all, or both ours and not: that finds nothing, as it should.
        search = replace(search, statuses=tuple(sorted(wanted)) if wanted and ours else ("none",))
    mine = next(iter(ours)) if len(ours) == 1 else None
    return replace(search, mine=mine, fits=_judge([term for term in terms if term.kind in _JUDGED]))


def _named(term: Term) -> frozenset[str]:
    """What a term about the status names; empty = it is about something else."""
    if term.kind is Kind.WAITING:
        return _WAITING
    return frozenset[str]().union(*map(_of_word, term.statuses))


def _of_word(word: str) -> frozenset[str]:
    if word == "waiting":
        return _WAITING
    if word in _OUTCOMES:
        return frozenset({f"{JobState.FINISHED}/{_OUTCOMES[word]}"})
    return _of_state(JobState[word.upper()])


def _of_state(state: JobState) -> frozenset[str]:
    """A job that waits for a decision is PENDING all the same."""
    keys = frozenset(key for key in _ALL if key.startswith(f"{state}/"))
    return keys | _WAITING if state is JobState.PENDING else keys


def _with(search: Search, term: Term, now_ms: int) -> Search:
    match term.kind:
        case Kind.AGE if term.less:
            return replace(search, created_after=max(search.created_after, now_ms - term.span_ms))
        case Kind.AGE:
            return replace(search, created_before=min(search.created_before, now_ms - term.span_ms))
        case Kind.TOOK if term.less:
            return replace(search, took_less=term.span_ms)
        case Kind.TOOK:
            return replace(search, took_more=term.span_ms)
        case Kind.PART | Kind.FUZZY | Kind.PARTY:
            return _text(search, term)
    return search


def _text(search: Search, term: Term) -> Search:
    """As a pattern of SQLite's: LIKE where case does not count (A to Z), GLOB where it does."""
    exact = has_capital(term.value)
    anything, escaped = ("*", _glob) if exact else ("%", _like)
    if term.kind is Kind.FUZZY:
        if term.negated:
            # Letters that stand in this order over several lines say nothing.
            return search
        inside = anything.join(escaped(letter) for letter in term.value if not letter.isspace())
    else:
        inside = escaped(term.value)
    # The nodes stand in the last line, which begins with the sign between them.
    before = f"{anything}\n{NODES_APART}{anything}" if term.kind is Kind.PARTY else anything
    pattern = (f"{before}{inside}{anything}",)
    if exact:
        if term.negated:
            return replace(search, unglobs=search.unglobs + pattern)
        return replace(search, globs=search.globs + pattern)
    if term.negated:
        return replace(search, unlikes=search.unlikes + pattern)
    return replace(search, likes=search.likes + pattern)


def _like(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\%_" else char for char in text)


def _glob(text: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _judge(terms: list[Term]) -> Callable[[str], bool] | None:
    """Each line on its own, so that ^ and $ mean the ends of an id, a flow, a component, a node."""
    if not terms:
        return None
    wanted = [(replace(term, negated=False), term.negated) for term in terms]

    def judge(searched: str) -> bool:
        *lines, nodes = searched.split("\n")
        texts = [*lines, *filter(None, nodes.split(NODES_APART))]
        return all(any(map(term.fits, texts)) != negated for term, negated in wanted)

    return judge


def cursor(place: Place | None, *, sorted_: bool) -> str | None:
    """How a page names the place where it ends."""
    if place is None:
        return None
    return json.dumps([place.position, place.key]) if sorted_ else str(place.position)


def place(text: str, *, sorted_: bool) -> Place | None:
    """Where the page before ended; None = there was none."""
    if not text:
        return None
    try:
        value = json.loads(text) if len(text) <= _LONGEST_CURSOR else None
    except ValueError:
        value = None
    if sorted_ and isinstance(value, list) and len(value) == 2:
        position, key = value
        good = key is None or (isinstance(key, int | float | str) and not isinstance(key, bool))
    else:
        position, key, good = value, None, not sorted_
    if not good or isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 1 << 62:
        raise InvalidRequest(say("page_of_other"))
    return Place(position, key)
