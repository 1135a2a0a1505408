"""Regular expressions without backtracking: the same answers as Python's, in time that grows with the text alone."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_scheduler.domain.pattern import PatternFault, compile_pattern

_CHARS = "abA1_ .-样"
_atoms = st.sampled_from(["a", "b", "A", "1", ".", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\S", r"\.", "样", "-"])
_pieces = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(_pieces, st.booleans(), st.booleans(), st.lists(st.text(_CHARS, max_size=8), min_size=1, max_size=6))
def test_it_answers_as_python_does(middle: str, start: bool, end: bool, texts: list[str]) -> None:
    text = ("^" if start else "") + f"(?:{middle})" + (r"$" if end else "")
    if len(text) > 100:
        return
    pattern = compile_pattern(text)
    capital = any(char.isupper() for char in re.sub(r"\\.", "", text))
    theirs = re.compile(text.removesuffix("$") + r"\Z" if end else text, 0 if capital else re.IGNORECASE)
    for found in texts:
        assert pattern.found_in(found) == bool(theirs.search(found)), (text, found)


@pytest.mark.parametrize(
    "text",
    [
        *("(", ")", "a)", "*a", "a{", "a{x}", "a{2,1}", "a{0}", "[", "[]", "[b-a]", "\\", r"\q", r"(a)\1", "(?=a)"),
        *("a^b", "x" * 101, "(((((a{9}){9}){9}){9}){9})"),
    ],
)
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(PatternFault):
        compile_pattern(text)


@pytest.mark.parametrize("text", ["(a+)+$", "(a|a)*$", "(a?){30}a{30}$", "(.*a){12}$", ".*.*.*.*.*x"])
def test_what_keeps_a_backtracking_matcher_busy_for_years_ends_at_once(text: str) -> None:
    pattern = compile_pattern(text)
    began = time.perf_counter()
    pattern.found_in("a" * 2_000 + "!")
    assert time.perf_counter() - began < 2
