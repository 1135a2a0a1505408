"""The filter language: what is typed, what it means, and what is said of a term that means nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_scheduler.wire.query import Kind, QueryFault, Term, parse_query


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("psi", (Term(Kind.PART, "psi"),)),
        ("psi !Woe", (Term(Kind.PART, "psi"), Term(Kind.PART, "Woe", negated=True))),
        ('"two words" !"a b"', (Term(Kind.PART, "two words"), Term(Kind.PART, "a b", negated=True))),
        ('"unfinished ', (Term(Kind.PART, "unfinished "),)),
        ("~pcd !~x", (Term(Kind.FUZZY, "pcd"), Term(Kind.FUZZY, "x", negated=True))),
        ("! ~ !~", ()),
        ("re:^a+$", (Term(Kind.PATTERN, "^a+$"),)),
        ('re:"a b"', (Term(Kind.PATTERN, "a b"),)),
        ("status:failed,running", (Term(Kind.STATUS, "failed,running", statuses=("failed", "running")),)),
        ("state:DONE", (Term(Kind.STATUS, "DONE", statuses=("done",)),)),
        ("!status:done", (Term(Kind.STATUS, "done", negated=True, statuses=("done",)),)),
        ("party:bob", (Term(Kind.PARTY, "bob"),)),
        (
            "age:<2h dur:>1.5m",
            (Term(Kind.AGE, "<2h", less=True, span_ms=7_200_000), Term(Kind.TOOK, ">1.5m", span_ms=90_000)),
        ),
        ("mine !waiting", (Term(Kind.MINE), Term(Kind.WAITING, negated=True))),
        ('"mine"', (Term(Kind.PART, "mine"),)),
        ("样本:x http://a", (Term(Kind.PART, "样本:x"), Term(Kind.PART, "http://a"))),
    ],
)
def test_terms(text: str, terms: tuple[Term, ...]) -> None:
    assert parse_query(text) == terms


@pytest.mark.parametrize(
    ("text", "term", "kind"),
    [
        ("psi status:sleeping", "status:sleeping", Kind.STATUS),
        ("status:", "status:", Kind.STATUS),
        ("age:2h", "age:2h", Kind.AGE),
        ("age:<2y x", "age:<2y", Kind.AGE),
        ("!dur:>2m", "!dur:>2m", Kind.TOOK),
        ("party:", "party:", Kind.PARTY),
        ("re:(", "re:(", Kind.PATTERN),
        ("re:", "re:", Kind.PATTERN),
        ("a " * 21, "a " * 10, None),
        ("x" * 501, "x" * 20, None),
    ],
)
def test_a_term_that_means_nothing_is_named(text: str, term: str, kind: Kind | None) -> None:
    with pytest.raises(QueryFault) as caught:
        parse_query(text)
    assert (caught.value.term, caught.value.kind) == (term, kind)
    assert repr(term) in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_has_a_fault(text: str) -> None:
    try:
        terms = parse_query(text)
    except QueryFault:
        return
    assert all(isinstance(term, Term) for term in terms)


@pytest.mark.parametrize(
    ("typed", "text", "fits"),
    [
        ("psi", "PSI-daily", True),
        ("Psi", "psi", False),
        ("!psi", "psi", False),
        ("~pdy", "psi-Daily", True),
        ("~ydp", "psi-Daily", False),
        ("re:^psi.\\d+$", "Psi_12", True),
        ("样本", "样本对齐", True),
    ],
)
def test_a_term_against_a_text(typed: str, text: str, fits: bool) -> None:
    assert parse_query(typed)[0].fits(text) is fits


def test_the_console_reads_it_without_loading_the_messages() -> None:
    code = "import sys, embedded_scheduler.wire.query; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
