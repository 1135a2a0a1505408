from __future__ import annotations

import pytest

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.wire.bfia.headers import (
    PartnerHeaders,
    Permit,
    read_headers,
    read_permits,
    read_timestamp,
    render_headers,
    render_permits,
    render_timestamp,
)


def raw(**named: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in named.items()]


def test_all_eight_headers_are_read_back_as_rendered() -> None:
    permits = (Permit("urn:data/set", "2", "abc"), Permit("u", "1", "d"))
    said = PartnerHeaders(
        source="alice",
        target="bob",
        nonce="n-1",
        trace_id="t-1",
        timestamp="1700000000123",
        token_set=render_permits(permits),
    )
    rendered = render_headers(said, signature="sig", writes=True)
    assert set(rendered) == {
        "x-auth-sign",
        "x-csrf-protection",
        "x-source-node-id",
        "x-node-id",
        "x-target-node-id",
        "x-nonce",
        "x-trace-id",
        "x-timestamp",
        "x-mprac-token-set",
    }
    back = read_headers((name.encode(), value.encode()) for name, value in rendered.items())
    assert back == PartnerHeaders(
        source="alice",
        target="bob",
        nonce="n-1",
        trace_id="t-1",
        timestamp="1700000000123",
        signature="sig",
        csrf="1",
        token_set="urn:data/set/2/abc,u/1/d",
    )
    assert back.permits == permits
    assert back.timestamp_ms == 1_700_000_000_123


def test_a_read_carries_no_csrf_header_and_seconds_are_whole() -> None:
    rendered = render_headers(PartnerHeaders(timestamp=render_timestamp(1_700_000_000_999, "s")), writes=False)
    assert "x-csrf-protection" not in rendered
    assert rendered["x-timestamp"] == "1700000000"
    assert rendered["x-auth-sign"] == ""


def test_the_specified_source_header_goes_before_the_short_one() -> None:
    assert read_headers(raw(x_node_id="b") + raw(x_source_node_id="a")).source == "a"


def test_the_same_value_in_two_spellings_is_one_header() -> None:
    assert read_headers([(b"X-Nonce", b"n"), (b"x_nonce", b"n")]).nonce == "n"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-nonce", b"a"), (b"x-nonce", b"b")],
        [(b"x-source-node-id", b"../a")],
        [(b"x-target-node-id", b"a b")],
        [(b"x-nonce", b"x" * 300)],
        [(b"x-trace-id", b"a\x01b")],
    ],
)
def test_headers_that_cannot_be_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidRequest):
        read_headers(headers)


@pytest.mark.parametrize(
    ("sent", "milliseconds"),
    [
        ("1700000000123", 1_700_000_000_123),
        ("1700000000", 1_700_000_000_000),
        ("99999999999", 99_999_999_999_000),
        ("100000000000", 100_000_000_000),
        ("", None),
        ("yesterday", None),
        ("-5", None),
        ("9" * 40, None),
        ("１７", None),
    ],
)
def test_timestamps_in_either_unit(sent: str, milliseconds: int | None) -> None:
    assert read_timestamp(sent) == milliseconds


def test_permits_are_split_from_the_right() -> None:
    assert read_permits(" a/b/c/1/tok , x/2/t,broken,//,") == (Permit("a/b/c", "1", "tok"), Permit("x", "2", "t"))
