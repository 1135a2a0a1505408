"""What one caller may take, on a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from embedded_scheduler.api import limits as module
from embedded_scheduler.api.authentication import Caller, Inbound
from embedded_scheduler.api.connection import Connection
from embedded_scheduler.api.limits import Bucket, PartnerGate
from embedded_scheduler.config import Limits
from embedded_scheduler.errors import Conflict, TooMany, Unauthenticated
from embedded_scheduler.wire.bfia.envelope import AnswerStyle


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class Known:
    signing: str
    trust: None = None


class Partners:
    def __init__(self, **signing: str) -> None:
        self.known = {node_id: Known(how) for node_id, how in signing.items()}

    def partner(self, node_id: str) -> Known | None:
        return self.known.get(node_id)

    def answer_style(self, node_id: str) -> AnswerStyle:
        return AnswerStyle()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def make(clock: HandClock) -> Callable[..., PartnerGate]:
    return lambda **given: PartnerGate(Limits(**given), clock, Partners(bob="required", carl="off"))


BOB = Caller(source="bob", proven=True)
CARL = Caller(source="carl")


def inbound(remote: str = "10.0.0.1", size: int | None = 10, certificate: str = "") -> Inbound:
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return Inbound("POST", "/", "", headers, Connection(remote, certificate=certificate))


def admitted(gate: PartnerGate, caller: Caller, size: int = 0) -> bool:
    try:
        with gate.admit(caller, inbound(), size):
            return True
    except TooMany:
        return False


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(2.0, 5.0, 0.0)
    assert [bucket.take(1, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [bucket.take(1, 1.0) for _ in range(4)] == [True, True, False, False]
    assert sum(bucket.take(1, 1000.0) for _ in range(9)) == 5, "no more than its burst is saved up"


def test_a_request_larger_than_what_is_left_overdraws_once() -> None:
    bucket = Bucket(1.0, 10.0, 0.0)
    assert bucket.take(35, 0.0)
    assert [bucket.take(1, at) for at in (1.0, 24.0, 26.0)] == [False, False, True]


def test_requests_per_second_are_counted_per_partner(make: Callable[..., PartnerGate], clock: HandClock) -> None:
    gate = make(partner_requests_per_second=10, partner_burst=20)
    assert sum(admitted(gate, BOB) for _ in range(50)) == 20
    assert admitted(gate, CARL), "one partner's limit is not the other's"
    clock.seconds = 0.5
    assert sum(admitted(gate, BOB) for _ in range(50)) == 5
    assert gate.refusals().beyond_limit == {"bob": 75}


def test_requests_at_one_time(make: Callable[..., PartnerGate]) -> None:
    gate = make(partner_concurrent=3)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(gate.admit(BOB, inbound(), 0))
        assert not admitted(gate, BOB)
        assert admitted(gate, CARL)
        with gate.admit_message("bob", "", 10):
            pass
    assert admitted(gate, BOB), "what is answered makes room"


def test_bytes_per_hour_count_requests_and_messages(make: Callable[..., PartnerGate], clock: HandClock) -> None:
    gate = make(partner_bytes_per_hour=1_000_000)
    assert admitted(gate, BOB, 600_000)
    with gate.admit_message("bob", "", 600_000):
        pass
    assert not admitted(gate, BOB)
    with pytest.raises(TooMany, match="partner_bytes_per_hour"), gate.admit_message("bob", "", 1):
        pass
    assert admitted(gate, CARL, 600_000)
    clock.seconds = 3600
    assert admitted(gate, BOB)


def test_who_has_not_proven_to_be_a_partner_does_not_use_up_its_limits(make: Callable[..., PartnerGate]) -> None:
    gate = make(partner_burst=1, partner_requests_per_second=0.001)
    forged = Caller(source="bob", proven=False)
    assert all(admitted(gate, forged) for _ in range(20)), "endpoints for strangers count the address alone"
    assert admitted(gate, BOB)
    assert not admitted(gate, BOB)


def test_bodies_on_their_way_are_bounded_by_number_and_size(make: Callable[..., PartnerGate]) -> None:
    gate = make(partner_concurrent=4, body_bytes=100)
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(gate.receive(BOB, inbound()))
        with pytest.raises(TooMany), gate.receive(BOB, inbound()):
            pass
        for other in (inbound("10.0.0.2"), inbound(certificate="ab")):
            with gate.receive(BOB, other):
                pass  # who only says to be bob does not take his place
    gate = make(partner_concurrent=1000, body_bytes=100)
    with ExitStack() as held:
        for _ in range(module.RECEIVING_BODIES):
            held.enter_context(gate.receive(BOB, inbound(size=100_000)))
        with pytest.raises(TooMany), gate.receive(BOB, inbound(size=1)):
            pass
    with gate.receive(BOB, inbound()):
        pass
    assert gate._receiving == {}, "nothing is kept of what is over"


def test_strangers_have_an_allowance_per_address(make: Callable[..., PartnerGate], clock: HandClock) -> None:
    gate = make(stranger_requests_per_second=1, stranger_burst=3)
    assert [gate.suffers("10.0.0.9") for _ in range(5)] == [True] * 3 + [False] * 2
    assert gate.suffers("10.0.0.8")
    clock.seconds = 2
    assert [gate.suffers("10.0.0.9") for _ in range(3)] == [True, True, False]
    assert gate.refusals().strangers == 3


def test_addresses_are_not_remembered_without_bound(make: Callable[..., PartnerGate]) -> None:
    gate = make(stranger_burst=1, stranger_requests_per_second=0.001)
    for number in range(module.ADDRESSES + 50):
        assert gate.suffers(f"address-{number}")
    assert len(gate._addresses) == module.ADDRESSES
    assert not gate.suffers(f"address-{module.ADDRESSES + 49}"), "the last ones are known"


async def test_failed_proofs_use_up_the_allowance_and_end_in_the_strangers_answer(
    make: Callable[..., PartnerGate],
) -> None:
    gate = make(stranger_burst=2, stranger_requests_per_second=0.001, refusal_seconds=0)
    error = Unauthenticated("no")
    assert [await gate.turned_away(inbound(), error) for _ in range(2)] == [error, error]
    assert str(await gate.turned_away(inbound(), error)) == module.STRANGERS_WAIT
    other = Conflict("of a verb")
    assert await gate.turned_away(inbound(), other) is other
    assert gate.refusals().unproven == 3


def test_refusals_wait_the_longer_the_more_of_them_there_are() -> None:
    address = module._Address(Limits(stranger_requests_per_second=10), now=100.0)
    waits = [address.wait(100.0, longest=0.5) for _ in range(8)]
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5])
    assert address.wait(100.3, longest=0.5) == pytest.approx(0.3), "those that waited are gone"
    assert address.wait(200.0, longest=0.5) == pytest.approx(0.1)


async def test_only_so_many_refusals_wait_at_one_time(make: Callable[..., PartnerGate]) -> None:
    gate = make(stranger_requests_per_second=0.01, refusal_seconds=600)

    async def begun(count: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(gate.pause("10.0.0.9")) for _ in range(count)]
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks

    waiting = await begun(module.WAITING)
    assert not any(task.done() for task in waiting)
    assert all(task.done() for task in await begun(20)), "answered at once"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    (again,) = await begun(1)
    assert not again.done()
    again.cancel()


def test_the_log_hears_of_it_once_a_minute(
    make: Callable[..., PartnerGate], clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    gate = make(stranger_burst=1, stranger_requests_per_second=0.001)
    for second in range(130):
        clock.seconds = second / 1.0
        gate.suffers("10.0.0.9")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "60 requests refused since the last such line" in lines[1]
