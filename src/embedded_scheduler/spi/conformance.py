"""Conformance kits: what every runner and every storage must do, ours and third parties'.

Each public method of a kit is one check; it raises `NotConformant`, whose message says what was expected. From pytest:

    @pytest.mark.parametrize("check", RunnerConformance.checks())
    async def test_conformance(check: str, harness: RunnerHarness) -> None:
        await RunnerConformance(harness).run(check)

The kit needs neither pytest nor anything else outside the standard library.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from embedded_scheduler.errors import InvalidRequest, NotFound
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Limits, RunHandle, Runner
from embedded_scheduler.spi.storage import Storage, Stored

MIB = 1024 * 1024
_DEADLINE_S = 60.0


class NotConformant(AssertionError):
    """An implementation breaks its contract."""


def expect(condition: object, message: str) -> None:
    """`NotConformant` with `message` unless the condition holds."""
    if not condition:
        raise NotConformant(message)


class Kit:
    """Checks that are run one by one; every public coroutine method is one."""

    @classmethod
    def checks(cls) -> list[str]:
        """Names of all checks, in the order of their definition."""
        return [name for name, member in vars(cls).items() if name[0] != "_" and inspect.iscoroutinefunction(member)]

    async def run(self, check: str) -> None:
        """Carry out one check; one that takes longer than a minute fails."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await getattr(self, check)()
        except TimeoutError:
            raise NotConformant(f"{check} did not end within {_DEADLINE_S:.0f} s") from None


class RunnerHarness(Protocol):
    """What the kit needs to know of a runner."""

    def runner(self) -> Runner:
        """A new object over the same state, as after a restart of the node."""
        ...

    def spec(
        self,
        attempt_id: str,
        program: str,
        *,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> LaunchSpec:
        """A launch that runs `program`, the source of a Python program that needs only the standard library."""
        ...


_OF_CONTAINERS = ("HOSTNAME", "TERM", "container")
"""Variables that container engines add."""
_OF_THE_NODE = b"nodeconsole: "
"""How the lines begin that the node, or the runner, writes into a log."""

_HELLO = "print('hello', flush=True)"
_SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


class RunnerConformance(Kit):
    """Checks of `spi.runner.Runner`, with real launches."""

    def __init__(self, harness: RunnerHarness) -> None:
        self._harness = harness

    async def accepts_what_it_runs_and_says_why_not(self) -> None:
        spec = self._harness.spec("accepts", _HELLO)
        runner = self._harness.runner()
        answer = str(runner.accepts(spec.image_url))
        expect(answer == "", f"accepts() must be empty for an address that can run, not {answer!r}")
        expect(runner.accepts("no-such-scheme:///x"), "accepts() must say why an unknown address cannot run")

    async def handle_starts_nothing_and_is_json(self) -> None:
        spec = self._harness.spec("handle", _HELLO)
        runner = self._harness.runner()
        handle = runner.handle(spec)
        expect(handle == runner.handle(spec), "handle() must be the same every time")
        expect(handle.runner == runner.name and handle.attempt_id == spec.attempt_id, "handle() names runner, attempt")
        expect(json.loads(json.dumps(dict(handle.data))) == dict(handle.data), "handle().data must be plain JSON")
        expect(await runner.observe(handle) is None, "what was not launched has not ended")
        expect(b"hello" not in _content(spec), "handle() must start nothing")

    async def exit_code_is_reported(self) -> None:
        for code in (0, 7):
            ending = await self._run_to_end(f"code-{code}", f"raise SystemExit({code})")
            expect((ending.code, ending.signal) == (code, None), f"exit {code} was reported as {ending}")

    async def death_by_signal_is_reported(self) -> None:
        ending = await self._run_to_end("signal", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        expect((ending.code, ending.signal) == (None, signal.SIGKILL), f"SIGKILL was reported as {ending}")

    async def launching_again_runs_once(self) -> None:
        spec = self._harness.spec("once", "import time; print('ran', flush=True); time.sleep(0.3)")
        runner = self._harness.runner()
        await asyncio.gather(runner.launch(spec), runner.launch(spec))
        await self._harness.runner().launch(spec)
        expect((await runner.wait(runner.handle(spec))).ok, "the attempt must end well")
        await self._harness.runner().launch(spec)
        expect((await self._harness.runner().wait(runner.handle(spec))).ok, "the ending must stay what it was")
        expect(_content(spec).count(b"ran\n") == 1, "an attempt launched four times must run once")

    async def output_is_kept_byte_for_byte(self) -> None:
        program = "import sys; sys.stdout.buffer.write(bytes(range(256)) + b'\\r\\n\\xff no newline')"
        spec = self._harness.spec("bytes", program)
        spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        spec.log_path.write_bytes(b"a line of the node\n")
        await self._end_of(spec)
        wanted = bytes(range(256)) + b"\r\n\xff no newline\n"
        content = _content(spec)
        first = b"a line of the node\n"
        expect(content.startswith(first), f"what the log held before was altered: {content[:400]!r}")
        output = _output(content.removeprefix(first))
        expect(output.startswith(wanted + END_OF_LOG.encode()), f"output was altered: {output[:400]!r}")

    async def both_outputs_reach_the_log(self) -> None:
        spec = self._harness.spec("outputs", "import os; os.write(2, b'to stderr\\n'); os.write(1, b'to stdout\\n')")
        await self._end_of(spec)
        # Two pipes: what was printed to one and to the other in the same moment may change places.
        lines = _output(_content(spec)).split(b"\n")[:2]
        expect(sorted(lines) == [b"to stderr", b"to stdout"], f"stdout and stderr must reach the log: {lines}")

    async def log_ends_with_the_end_line(self) -> None:
        for name, program in (("end-well", _HELLO), ("end-badly", "raise SystemExit(3)"), ("end-empty", "")):
            spec = self._harness.spec(name, program)
            await self._end_of(spec)
            lines = _content(spec).split(b"\n")
            expect(lines[-1] == b"" and lines[-2].startswith(END_OF_LOG.encode()), f"last line is {lines[-2:]!r}")
            expect(_content(spec).count(END_OF_LOG.encode()) == 1, "there must be one end line")

    async def environment_is_exact(self) -> None:
        given = {
            "config.self_role": "guest.0",
            "runtime.component.parameter.名": '{"a": [1, "ä\\n"]}',
            "system.storage": "file:///x?y=z=w",
            "empty": "",
        }
        # Read raw: the interpreter itself may add variables to os.environ.
        program = "import json, sys; raw = open('/proc/self/environ', 'rb').read(); sys.stdout.buffer.write(raw)"
        spec = self._harness.spec("environment", program, environment=given)
        expect((await self._end_of(spec)).ok, "the program must end well")
        raw = _output(_content(spec)).partition(f"\n{END_OF_LOG}".encode())[0]
        found = dict(item.decode().split("=", 1) for item in raw.split(b"\0") if item)
        extra = set(found) - set(given) - {"PATH", "LANG", "HOME", "TMPDIR", *_OF_CONTAINERS}
        expect(not extra, f"variables nobody asked for: {sorted(extra)}")
        expect({name: found.get(name) for name in given} == given, f"the environment arrived as {found}")

    async def cancelled_wait_leaves_it_running(self) -> None:
        spec = self._harness.spec("cancelled", "import time; print('up', flush=True); time.sleep(2); print('done')")
        runner = self._harness.runner()
        await runner.launch(spec)
        await _printed(runner, spec, b"up\n")
        try:
            async with asyncio.timeout(0.05):
                await runner.wait(runner.handle(spec))
        except TimeoutError:
            pass
        else:
            expect(b"done" in _content(spec), "wait() returned before the attempt ended")
        # Where output comes late it may have ended by now, but then properly.
        observed = await runner.observe(runner.handle(spec))
        ended = observed is not None and observed.ok and b"done" in _content(spec)
        expect(observed is None or ended, "the attempt must go on after a cancelled wait")
        expect(
            (await runner.wait(runner.handle(spec))).ok and b"done" in _content(spec), "it must end as it would have"
        )

    async def fresh_runner_adopts(self) -> None:
        spec = self._harness.spec("adopted", "import time; print('up', flush=True); time.sleep(2); raise SystemExit(5)")
        first = self._harness.runner()
        await first.launch(spec)
        await _printed(first, spec, b"up\n")
        handle = _restored(first.handle(spec))
        del first
        second = self._harness.runner()
        observed = await second.observe(handle)
        expect(observed is None or observed.code == 5, "a running attempt is observed as running")
        expect((await second.wait(handle)).code == 5, "a fresh runner must learn the exit code")
        third = await self._harness.runner().observe(handle)
        expect(third is not None and third.code == 5, "the ending must still be known to the next one")

    async def terminate_lets_it_end_properly(self) -> None:
        program = (
            "import signal, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up', flush=True), sys.exit(4)))\n"
            "print('up', flush=True)\n"
            "time.sleep(600)\n"
        )
        spec = self._harness.spec("polite", program)
        ending = await self._terminated(spec, grace=20.0)
        expect(ending.code == 4 and b"cleaned up\n" in _content(spec), f"it must have its time to end: {ending}")

    async def terminate_ends_the_whole_group(self) -> None:
        program = (
            "import os, signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "if os.fork() == 0:\n"
            "    while os.fork() == 0:\n"
            "        while True:\n"
            "            print('beat', flush=True)\n"
            "            time.sleep(0.02)\n"
            "    os._exit(0)\n"
            "time.sleep(600)\n"
        )
        spec = self._harness.spec("group", program)
        ending = await self._terminated(spec, grace=0.2, ready=b"beat\n")
        expect(not ending.ok and ending.signal == signal.SIGKILL, f"what ignores SIGTERM must be killed: {ending}")
        before = _content(spec)
        # Not a way to wait for something: the time in which a survivor would show itself.
        await asyncio.sleep(0.3)
        expect(_content(spec) == before, "a process of the group survived terminate()")
        expect(before.rstrip(b"\n").rpartition(b"\n")[2].startswith(END_OF_LOG.encode()), "the end line must come last")

    async def terminate_may_be_repeated_by_another(self) -> None:
        spec = self._harness.spec("repeated", _SLEEPER)
        ending = await self._terminated(spec, grace=5.0)
        expect(not ending.ok and ending.signal == signal.SIGTERM, f"ended by SIGTERM, reported as {ending}")
        handle = self._harness.runner().handle(spec)
        await self._harness.runner().terminate(handle, 5.0)
        expect(await self._harness.runner().observe(handle) == ending, "terminating again must change nothing")

    async def memory_limit_holds(self) -> None:
        program = (
            "print('up', flush=True); x = bytearray(1 << 30); x[::4096] = b'1' * len(x[::4096]); print('fi' + 'ts')"
        )
        spec = self._harness.spec("memory", program, limits=Limits(memory_bytes=256 * MIB))
        ending = await self._end_of(spec)
        expect(not ending.ok and b"up\n" in _content(spec), f"using 1 GiB of 256 MiB must fail: {ending}")
        expect(b"fits" not in _content(spec), "using 1 GiB of 256 MiB must not work")

    async def disk_limit_holds(self) -> None:
        program = "f = open('big', 'wb', 0); [f.write(bytes(1 << 20)) for _ in range(32)]; print('fi' + 'ts')"
        spec = self._harness.spec("disk", program, limits=Limits(disk_bytes=8 * MIB))
        ending = await self._end_of(spec)
        expect(not ending.ok and b"fits" not in _content(spec), f"a file of 32 MiB of 8 MiB must fail: {ending}")

    async def core_limit_holds(self) -> None:
        program = "import os; print('cores', len(os.sched_getaffinity(0)))"
        spec = self._harness.spec("cores", program, limits=Limits(cpu=1))
        expect((await self._end_of(spec)).ok, "the program must end well")
        expect(b"cores 1\n" in _content(spec), f"cpu=1 must leave one core: {_content(spec)!r}")

    async def forget_keeps_the_log(self) -> None:
        spec = self._harness.spec("forgotten", _HELLO)
        await self._end_of(spec)
        runner = self._harness.runner()
        await runner.forget(runner.handle(spec))
        await runner.forget(runner.handle(spec))
        expect(_output(_content(spec)).startswith(b"hello\n"), "forget() must leave the log")

    async def _run_to_end(self, attempt_id: str, program: str) -> Exit:
        return await self._end_of(self._harness.spec(attempt_id, program))

    async def _end_of(self, spec: LaunchSpec) -> Exit:
        runner = self._harness.runner()
        await runner.launch(spec)
        return await runner.wait(runner.handle(spec))

    async def _terminated(self, spec: LaunchSpec, *, grace: float, ready: bytes = b"up\n") -> Exit:
        runner = self._harness.runner()
        await runner.launch(spec)
        await _printed(runner, spec, ready)
        await self._harness.runner().terminate(_restored(runner.handle(spec)), grace)
        ending = await runner.observe(runner.handle(spec))
        if ending is None:
            raise NotConformant("terminate() returned before the attempt had ended")
        return ending


class StorageConformance(Kit):
    """Checks of `spi.storage.Storage`. `open_storage` gives a new object over the same objects each time."""

    def __init__(self, open_storage: Callable[[], Storage]) -> None:
        self._open = open_storage

    async def what_was_written_is_read(self) -> None:
        content = bytes(range(256)) * 300
        stored = await self._open().write("space", "object", _chunks(content, 1000))
        expect((stored.namespace, stored.name, stored.size) == ("space", "object", len(content)), f"got {stored}")
        expect(await _all(self._open(), "space", "object") == content, "other bytes were read than written")
        expect(await self._open().stat("space", "object") == stored, "stat() must say what write() said")

    async def empty_object_exists(self) -> None:
        await self._open().write("space", "empty", _chunks(b"", 1))
        found = await self._open().stat("space", "empty")
        expect(found is not None and found.size == 0, "an object without bytes is an object")
        expect(await _all(self._open(), "space", "empty") == b"", "it must read as nothing")

    async def absent_object_is_not_found(self) -> None:
        storage = self._open()
        expect(await storage.stat("space", "absent") is None, "stat() of nothing is None")
        expect(await storage.list("nowhere") == [], "a namespace without objects lists as empty")
        await storage.delete("space", "absent")
        try:
            await _all(storage, "space", "absent")
        except NotFound:
            return
        raise NotConformant("read() of nothing must raise NotFound")

    async def write_replaces_whole_or_not_at_all(self) -> None:
        storage = self._open()
        await storage.write("space", "kept", _chunks(b"old", 3))
        for name in ("kept", "fresh"):
            try:
                await storage.write("space", name, _broken(b"new and longer"))
            except _BrokenOffError:
                continue
            raise NotConformant("write() must raise what its source raises")
        expect(await _all(storage, "space", "kept") == b"old", "a write that breaks off must leave the old object")
        expect([s.name for s in await storage.list("space")] == ["kept"], "a write that breaks off must leave no trace")
        await storage.write("space", "kept", _chunks(b"n", 1))
        expect(await _all(storage, "space", "kept") == b"n", "a later write replaces the object")

    async def cancelled_write_leaves_no_trace(self) -> None:
        storage = self._open()
        try:
            async with asyncio.timeout(0.05):
                await storage.write("space", "endless", _endless())
        except TimeoutError:
            pass
        expect(await storage.list("space") == [], "a cancelled write must leave no trace")

    async def a_reader_keeps_its_object(self) -> None:
        storage = self._open()
        old = b"o" * (4 * MIB)
        await storage.write("space", "object", _chunks(old, MIB))
        reading = storage.read("space", "object")
        parts = [await anext(reading)]
        await storage.write("space", "object", _chunks(b"new", 3))
        parts += [part async for part in reading]
        expect(b"".join(parts) == old, "a reader must get one object, not a mixture of two")

    async def list_and_delete(self) -> None:
        storage = self._open()
        written = [await storage.write("space", name, _chunks(name.encode(), 9)) for name in ("b", "a", "c.d-e_f:g")]
        await storage.write("other", "a", _chunks(b"x", 1))
        found = sorted(await self._open().list("space"), key=_name)
        expect(found == sorted(written, key=_name), f"list() must be what was written: {found}")
        await storage.delete("space", "a")
        await storage.delete("space", "a")
        expect({s.name for s in await storage.list("space")} == {"b", "c.d-e_f:g"}, "a deleted object is not listed")
        expect(await storage.stat("other", "a") is not None, "another namespace's object must stay")

    async def hostile_names_are_refused(self) -> None:
        storage = self._open()
        await storage.write("space", "object", _chunks(b"x", 1))
        for hostile in (
            "",
            ".",
            "..",
            "a/b",
            "/a",
            "../space",
            "a\0b",
            "a\nb",
            "\x1b[2J",
            "x" * 10_000,
            "\udc80",
        ):
            for namespace, name in ((hostile, "object"), ("space", hostile)):
                await _refused(storage, namespace, name)
        expect([s.name for s in await storage.list("space")] == ["object"], "a refused name must leave no trace")

    async def large_objects_stream_in_bounded_memory(self) -> None:
        storage = self._open()
        size, digest = 100 * MIB, hashlib.sha256()
        chunk = bytes(range(256)) * (MIB // 256)
        await storage.write("space", "small", _chunks(chunk, MIB))
        before = _peak_memory()
        stored = await storage.write("space", "large", _repeated(chunk, size // MIB))
        expect(stored.size == size, f"{size} bytes were stored as {stored.size}")
        async for part in storage.read("space", "large"):
            digest.update(part)
        wanted = hashlib.sha256()
        for _ in range(size // MIB):
            wanted.update(chunk)
        expect(digest.digest() == wanted.digest(), "other bytes were read than written")
        growth = _peak_memory() - before
        expect(growth < 48 * MIB, f"100 MiB must stream in bounded memory; it grew by {growth // MIB} MiB")


class _BrokenOffError(Exception):
    pass


async def _chunks(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def _repeated(chunk: bytes, times: int) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield chunk


async def _broken(content: bytes) -> AsyncIterator[bytes]:
    yield content
    raise _BrokenOffError


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0.001)


async def _all(storage: Storage, namespace: str, name: str) -> bytes:
    return b"".join([part async for part in storage.read(namespace, name)])


async def _refused(storage: Storage, namespace: str, name: str) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "write": lambda: storage.write(namespace, name, _chunks(b"y", 1)),
        "read": lambda: _all(storage, namespace, name),
        "stat": lambda: storage.stat(namespace, name),
        "delete": lambda: storage.delete(namespace, name),
    }
    for what, call in calls.items():
        try:
            await call()
        except InvalidRequest:
            continue
        raise NotConformant(f"{what}({ascii(namespace)[:60]}, {ascii(name)[:60]}) must be refused as InvalidRequest")


def _name(stored: Stored) -> str:
    return stored.name


def _peak_memory() -> int:
    """Bytes; the most this process ever used (`ru_maxrss` counts KiB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _restored(handle: RunHandle) -> RunHandle:
    """The handle as it comes back from the store."""
    return RunHandle(handle.runner, handle.attempt_id, json.loads(json.dumps(dict(handle.data))))


def _content(spec: LaunchSpec) -> bytes:
    path: Path = spec.log_path
    return path.read_bytes() if path.exists() else b""


def _output(content: bytes) -> bytes:
    """The log from the component's first byte on: what the node had to say before it is left out."""
    while content.startswith(_OF_THE_NODE) and not content.startswith(END_OF_LOG.encode()):
        content = content.partition(b"\n")[2]
    return content


async def _printed(runner: Runner, spec: LaunchSpec, wanted: bytes) -> None:
    """Return when the attempt has printed something, with somebody waiting for its end, as in a node."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(runner.wait(runner.handle(spec)))
        # Another process writes the file, so there is only looking.
        while wanted not in _content(spec) and not waiting.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        waiting.cancel()
