"""What components did on the channel: counted once, bounded, kept."""

from __future__ import annotations

from dataclasses import dataclass

from embedded_scheduler.engine.traffic import MOST_ATTEMPTS, MOST_TOPICS, OTHERS, Link, Meter, of_text, to_text


@dataclass
class Hand:
    """A clock that goes when it is told to."""

    seconds: float = 100.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


def test_reads_that_wait_at_the_same_time_count_once() -> None:
    clock = Hand()
    meter = Meter(clock)
    with meter.waiting("a"):
        clock.seconds += 2
        with meter.waiting("a"):
            clock.seconds += 3
        clock.seconds += 1
        open_yet = meter.read("a", None)
    clock.seconds += 50
    with meter.sending("a"):
        clock.seconds += 0.5
    measured = meter.read("a", None)
    assert open_yet is not None
    assert measured is not None
    assert (open_yet.waiting_ms, measured.waiting_ms, measured.sending_ms) == (6000, 6000, 500)


def test_messages_are_counted_by_node_and_topic_up_to_a_bound() -> None:
    meter = Meter(Hand())
    for number in range(MOST_TOPICS + 5):
        meter.sent("a", "bob", f"t{number}", 10)
    meter.received("a", "bob", "t0", 7)
    measured = meter.read("a", None)
    assert measured is not None
    assert measured.links["bob", "t0"] == Link(received=1, received_bytes=7, sent=1, sent_bytes=10)
    assert measured.links["bob", OTHERS].sent == 5
    assert len(measured.links) == MOST_TOPICS + 1


def test_what_is_kept_reads_the_same_and_says_when_a_part_is_missing() -> None:
    clock = Hand()
    meter = Meter(clock)
    meter.sent("a", "bob", "议题", 10)
    whole, partial = meter.read("a", clock.now_ms()), meter.read("a", clock.now_ms() - 1)
    assert whole is not None
    assert partial is not None
    assert (whole.partial, partial.partial) == (False, True)
    assert of_text(to_text(partial)) == partial
    assert of_text("") is None


def test_what_is_over_is_forgotten_and_strangers_cannot_fill_the_memory() -> None:
    meter = Meter(Hand())
    meter.sent("a", "bob", "t", 1)
    meter.forget("a")
    assert meter.read("a", None) is None
    for number in range(MOST_ATTEMPTS + 1):
        meter.sent(str(number), "bob", "t", 1)
    assert meter.read("0", None) is None
    assert meter.read(str(MOST_ATTEMPTS), None) is not None
