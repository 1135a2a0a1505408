"""Engines that hang, lie, or answer with rubbish: an attempt comes to an end, or is ended, whatever they do."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.hostile_engine import CUT, ENDLESS, GARBAGE, HALF, HANG, LIST, HostileEngine, hostile_engine

from embedded_scheduler.config import ContainerSection
from embedded_scheduler.errors import Unavailable
from embedded_scheduler.runners.container import ContainerRunner
from embedded_scheduler.runners.engine_api import EngineApi, EngineGoneError, EngineRefusalError
from embedded_scheduler.spi.runner import Exit, LaunchSpec

STATE = "GET /containers/[^/]+/json"
PULL = "POST /images/create"
NO_IMAGE = {"GET /images/": (404, {"message": "no such image"})}


@dataclass
class Bench:
    root: Path
    engine: HostileEngine

    def __post_init__(self) -> None:
        settings = ContainerSection(allow=("localhost",), socket=self.engine.path, engine_patience=1.0)
        self.runner = ContainerRunner(
            self.root / "runs", settings, node_id="a", home=self.root, images=self.root / "images", reserve_bytes=0
        )

    @property
    def spec(self) -> LaunchSpec:
        return LaunchSpec("a", "localhost/x:1", {}, self.root / "runs" / "a", self.root / "logs" / "a.log")

    @property
    def log(self) -> str:
        return self.spec.log_path.read_text()

    async def launched(self) -> None:
        await self.runner.launch(self.spec)

    async def ended(self, within_s: float = 30.0) -> Exit:
        async with asyncio.timeout(within_s):
            return await self.runner.wait(self.runner.handle(self.spec))

    async def asked(self, call: str) -> None:
        async with asyncio.timeout(20):
            while not self.engine.was_asked(call):
                await asyncio.sleep(0.01)

    async def stopped(self, within_s: float = 8.0) -> Exit:
        async with asyncio.timeout(within_s):
            await self.runner.terminate(self.runner.handle(self.spec), 0.1)
        return await self.ended(1.0)


@contextmanager
def benches(count: int) -> Iterator[list[Bench]]:
    # Short: the names of sockets are limited.
    with tempfile.TemporaryDirectory(prefix="nchostile-", dir="/tmp") as directory, ExitStack() as stack:
        made = []
        for number in range(count):
            root = Path(directory) / str(number)
            (root / "runs").mkdir(parents=True)
            made.append(Bench(root, stack.enter_context(hostile_engine(root))))
        yield made


@pytest.fixture
def bench() -> Iterator[Bench]:
    with benches(1) as (made,):
        yield made


async def for_each(ways: Sequence[Any], check: Callable[[Bench, Any], Awaitable[None]]) -> None:
    """All at the same time: most of it is waiting."""
    with benches(len(ways)) as made:
        await asyncio.gather(*(check(bench, way) for bench, way in zip(made, ways, strict=True)))


async def test_an_engine_in_order_ends_as_it_should(bench: Bench) -> None:
    await bench.launched()
    await bench.asked("POST /containers/[^/]+/start")
    assert (await bench.stopped()).signal == 9, bench.log


@pytest.mark.parametrize("way", [HANG, HALF])
async def test_who_stops_an_attempt_does_not_wait_for_a_pull_that_is_never_answered(bench: Bench, way: str) -> None:
    bench.engine.ways = NO_IMAGE | {PULL: way}
    await bench.launched()
    await bench.asked(PULL)
    assert (await bench.stopped()).signal == 15, bench.log


async def test_a_pull_that_tells_rubbish_is_a_failure_that_says_so() -> None:
    async def check(bench: Bench, way: Any) -> None:
        bench.engine.ways = NO_IMAGE | {PULL: way}
        await bench.launched()
        ending = await bench.ended()
        assert (ending.code, ending.signal, ending.cause) == (None, None, "image"), bench.log
        assert "localhost/x:1" in ending.error
        assert "Traceback" not in bench.log

    await for_each([GARBAGE, ENDLESS, LIST, b'{"progressDetail": 7, "id": []}\n', b"[" * 100_000], check)


LIES: list[Any] = [
    GARBAGE,
    LIST,
    CUT,
    (200, {}),
    (200, {"State": None}),
    (200, {"State": {"Status": 7, "Running": "yes", "Pid": "1", "ExitCode": None}}),
    (200, "text"),
    (500, {"message": ["\x1b[2J"] * 10}),
    (500, []),
]


@pytest.mark.parametrize("call", [STATE, "GET /images/"])
async def test_lies_about_container_and_image_end_the_attempt_with_a_reason(call: str) -> None:
    async def check(bench: Bench, way: Any) -> None:
        bench.engine.ways = {call: way}
        await bench.launched()
        ending = await bench.ended()
        assert ending.code is None
        assert ending.error, way
        assert ending.cause in ("engine", "image"), ending
        assert "Traceback" not in bench.log

    await for_each(LIES, check)


async def test_lies_about_a_container_that_runs_count_as_no_answer() -> None:
    async def check(bench: Bench, way: Any) -> None:
        await bench.launched()
        await bench.asked("POST /containers/[^/]+/wait")
        bench.engine.ways = {STATE: way}
        bench.engine.state = None
        ending = await bench.ended()
        assert (ending.code, ending.cause) == (None, "engine"), way
        assert "counts as lost" in ending.error
        assert "Traceback" not in bench.log

    await for_each(LIES, check)


async def test_an_engine_that_says_rubbish_of_itself_is_unavailable() -> None:
    async def check(bench: Bench, way: Any) -> None:
        bench.engine.ways = {"GET /(version|info)": way}
        with pytest.raises(Unavailable):
            await bench.runner.launch(bench.spec)
        found = await bench.runner.diagnose()
        assert found is not None
        assert found.level == "error"

    await for_each([way for way in LIES if not isinstance(way, tuple) or way[0] == 500], check)


async def _never_over(_attempt: str) -> bool:
    return True


@pytest.mark.parametrize(
    "found",
    [
        [{"Id": "x", "Labels": {"nodeconsole.attempt": "../../etc"}}],
        [{"Id": "x", "Labels": None}, {"Labels": {}}, 7, {"Id": ["x"], "Labels": {"nodeconsole.attempt": "/"}}],
        {},
        "text",
    ],
    ids=str,
)
async def test_a_list_of_containers_that_is_wrong_stops_no_tidying(bench: Bench, found: Any) -> None:
    bench.engine.ways = {"GET /containers/json": (200, found)}
    await bench.runner.tidy(_never_over)
    assert not bench.engine.was_asked("DELETE")


async def test_what_is_left_is_removed_although_something_odd_is_among_it(bench: Bench) -> None:
    odd = {"Id": "odd", "Labels": {"nodeconsole.attempt": "../x"}}
    left = {"Id": "a/../b?c", "Labels": {"nodeconsole.attempt": "old"}}
    bench.engine.ways = {"GET /containers/json": (200, [odd, left])}
    await bench.runner.tidy(_never_over)
    (removal,) = [call for call in bench.engine.asked if call.startswith("DELETE")]
    assert removal.startswith("DELETE /containers/a/../b%3Fc?force=1")


def test_an_answer_without_end_is_not_read_to_its_end(bench: Bench) -> None:
    bench.engine.ways = {"": ENDLESS}
    api, began = EngineApi(bench.engine.path), time.monotonic()
    with pytest.raises(EngineGoneError, match="does not speak the engine's API"):
        api.container("x")
    assert time.monotonic() - began < 10
    bench.engine.ways = {"": (500, {"message": "x" * (1 << 22)})}
    with pytest.raises(EngineRefusalError) as refusal:
        api.container("x")
    assert len(str(refusal.value)) <= 400
