"""The supervisor: what crashes is started again, what stops stops in order, and the facts say so."""

from __future__ import annotations

import asyncio
import logging

import pytest

from embedded_scheduler.engine.supervisor import ServiceState, Supervisor


class Recorder:
    """Runs until cancelled and writes down when it began and ended."""

    def __init__(self, name: str, book: list[str]) -> None:
        self.name = name
        self._book = book

    async def run(self) -> None:
        self._book.append(f"{self.name} runs")
        try:
            await asyncio.Event().wait()
        finally:
            self._book.append(f"{self.name} ends")


class Crasher:
    """Fails the first `times` times, then works."""

    name = "crasher"

    def __init__(self, times: int) -> None:
        self._left = times
        self.works = asyncio.Event()

    async def run(self) -> None:
        if self._left:
            self._left -= 1
            raise ValueError(f"{self._left} to go")
        self.works.set()
        await asyncio.Event().wait()


async def test_services_start_in_order_and_stop_in_reverse() -> None:
    book: list[str] = []
    supervisor = Supervisor([Recorder("one", book), Recorder("two", book)])
    await supervisor.start()
    assert book == ["one runs", "two runs"]
    await supervisor.stop()
    assert book == ["one runs", "two runs", "two ends", "one ends"]
    assert [health.state for health in supervisor.health()] == [ServiceState.STOPPED] * 2
    await supervisor.stop()


async def test_a_crashed_service_is_started_again_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    service = Crasher(3)
    supervisor = Supervisor([service], first_pause=0.001, longest_pause=0.002)
    with caplog.at_level(logging.ERROR):
        await supervisor.start()
        async with asyncio.timeout(5):
            await service.works.wait()
    health = supervisor.health()[0]
    assert (health.state, health.crashes, health.last_error) == (ServiceState.RUNNING, 3, "ValueError: 0 to go")
    pauses = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert pauses == [0.001, 0.002, 0.002], "the pause grows up to its limit"
    assert all(record.exc_info for record in caplog.records), "the traceback is in the log"
    await supervisor.stop()


async def test_a_service_can_be_stopped_during_its_pause() -> None:
    supervisor = Supervisor([Crasher(99)], first_pause=3600)
    await supervisor.start()
    await asyncio.sleep(0)
    assert supervisor.health()[0].state is ServiceState.PAUSED
    async with asyncio.timeout(5):
        await supervisor.stop()


async def test_a_service_that_returns_is_finished() -> None:
    class Once:
        name = "once"
        runs = 0

        async def run(self) -> None:
            self.runs += 1

    service = Once()
    supervisor = Supervisor([service], first_pause=0)
    await supervisor.start()
    for _ in range(5):
        await asyncio.sleep(0)
    assert supervisor.health()[0].state is ServiceState.FINISHED
    assert service.runs == 1
    await supervisor.stop()


async def test_a_service_that_ignores_its_cancellation_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()

    class Stubborn:
        name = "stubborn"

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await release.wait()

    book: list[str] = []
    supervisor = Supervisor([Recorder("other", book), Stubborn()], stop_patience=0.01)
    await supervisor.start()
    with caplog.at_level(logging.ERROR):
        await supervisor.stop()
    assert "stubborn did not stop" in caplog.text
    assert book == ["other runs", "other ends"]
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_two_services_of_one_name_are_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="share a name"):
        await Supervisor([Crasher(0), Crasher(0)]).start()
