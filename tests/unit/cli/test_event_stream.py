"""The decoder of event streams: any chunking, any text, nothing lost."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nodeconsole.client.stream import EventDecoder, ServerEvent

BODY = ':\n\ndata: {"a":"\u2028\x85 任务"}\n\nid: 7\nevent: end\r\ndata: x\r\ndata: y\r\n\r\n:\n\ndata: cut'.encode()
EVENTS = [ServerEvent("message", '{"a":"\u2028\x85 任务"}'.encode()), ServerEvent("end", b"x\ny")]


@given(st.lists(st.integers(min_value=0, max_value=len(BODY)), max_size=20))
def test_events_do_not_depend_on_where_chunks_end(cuts: list[int]) -> None:
    decoder = EventDecoder()
    borders = [0, *sorted(cuts), len(BODY)]
    found = [event for low, high in pairwise(borders) for event in decoder.feed(BODY[low:high])]
    assert found == EVENTS
