"""The bus: wake-ups coalesce, none is lost, a closed subscriber is left alone."""

from __future__ import annotations

from embedded_scheduler.engine.bus import Bus, Wakeup


async def test_a_wakeup_set_before_the_wait_is_not_lost() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    assert await wakeup.wait(0)
    assert not await wakeup.wait(0), "two settings before one wait are one wake-up"


async def test_a_subscriber_gets_the_newest_number_once() -> None:
    bus = Bus()
    with bus.subscribe() as subscription:
        bus.publish([1, 2])
        bus.publish([5])
        bus.publish([4])
        assert await subscription.get(0) == 5
        assert await subscription.get(0) is None


async def test_a_commit_without_events_wakes_nobody() -> None:
    bus = Bus()
    with bus.subscribe() as subscription:
        bus.publish([])
        assert await subscription.get(0) is None


async def test_a_closed_subscription_is_not_woken() -> None:
    bus = Bus()
    with bus.subscribe() as subscription:
        pass
    bus.publish([1])
    assert await subscription.get(0) is None


async def test_every_caller_of_a_name_shares_its_wakeup() -> None:
    bus = Bus()
    bus.wakeup("delivery").set()
    assert not await bus.wakeup("watching").wait(0)
    assert await bus.wakeup("delivery").wait(0)
