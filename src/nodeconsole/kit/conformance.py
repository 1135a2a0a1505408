"""The conformance kit for components: what every component must do on every runner, in any language.

    plan = Plan(manifest, "exec:/opt/row_counts.pyz", ("guest.0", "host.0"), data={"guest.0": {"data": Path(...)}, ...})
    runner_of = lambda runs: ProcessRunner(runs, allow_exec=("/opt/row_counts.pyz",))

    @pytest.mark.parametrize("check", ComponentConformance.checks())
    async def test_conformance(check: str, tmp_path: Path) -> None:
        await ComponentConformance(plan, runner_of, tmp_path).run(check)

Any `spi.runner.Runner` will do: the same component is to pass as a process, as a container and on a cluster. What a
component does not have (inputs, booleans, other parties) is not checked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from algorithm_components.sdk.forms.model import Field, Kind
from algorithm_components.sdk.forms.selfdesc import form_of_component
from algorithm_components.sdk.forms.values import read, selectable
from algorithm_components.sdk.testing import LocalNode
from embedded_scheduler.domain.component import BoolStyle
from embedded_scheduler.domain.environment import encode_value
from embedded_scheduler.spi.conformance import Kit, NotConformant, expect
from embedded_scheduler.spi.runner import END_OF_LOG, RunHandle, Runner
from nodeconsole.kit.following import AFTER_FAILURE, Ended, run_all
from nodeconsole.kit.outputs import look_at
from nodeconsole.kit.trial import Bench, Plan, RunnerOf

_LOOK_AGAIN = 0.02
_OUTAGE = 1.0
_NOWHERE = "http://127.0.0.1:1/v1/platform/schedule/task/callback"
_BAD = ("?no such value?", "-987654321", "987654321987654321")
"""What is tried as a value that the description does not allow."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of all parties: how each ended, what each logged, what was told by callback, and the secrets of it."""

    ended: Mapping[str, Ended]
    logs: Mapping[str, bytes]
    statuses: Sequence[str]
    tokens: Sequence[str]
    calls: Mapping[str, int]


class ComponentConformance(Kit):
    """Checks of one component. `plan` holds good input and good parameters for every party; `directory` is empty.

    `bad_parameter`: a name and the text of a value that the component has to refuse; by default one is found in the
    description. `grace`: seconds between SIGTERM and SIGKILL; `within`: those a run may take; `up`: those that a runner
    may need to start one: after them, one that waits for no other party is taken to be at work.
    """

    def __init__(
        self,
        plan: Plan,
        runner_of: RunnerOf,
        directory: Path,
        *,
        bad_parameter: tuple[str, str] | None = None,
        grace: float = 10.0,
        within: float = 50.0,
        up: float = 5.0,
    ) -> None:
        self._plan = plan
        self._runner_of = runner_of
        self._directory = directory
        self._bad_parameter = bad_parameter
        self._grace = grace
        self._within = within
        self._up = up

    async def good_input_ends_with_0_and_every_output(self) -> None:
        bench = self._bench("good")
        _succeeded(await self._run(bench), "good input")
        for party in self._plan.parties:
            for output in bench.outputs(party):
                faults = look_at(output).faults
                expect(not faults, f"{party}: {'; '.join(faults)}")
            strays = ", ".join(path.name for path in bench.strays(party))
            expect(not strays, f"{party} left {strays} beside its outputs: results go under the given names alone")

    async def a_missing_input_is_a_failure(self) -> None:
        first = self._plan.parties[0]
        if not self._plan.data.get(first):
            return
        bench = self._bench("missing")
        bench.remove_data(first)
        run = await self._run(bench)
        expect(not run.ended[first].stopped, f"{first} does not end without its input: whoever waits for it waits too")
        expect(not run.ended[first].exit.ok, f"{first} ended with 0 without its input")
        expect(run.logs[first].strip(), f"{first} failed without its input and said nothing")
        written = [output.formal for output in bench.outputs(first) if output.written]
        expect(not written, f"{first} failed and left {', '.join(written)} all the same: half a result is none")

    async def a_bad_parameter_is_refused_by_name(self) -> None:
        name, value = self._bad_parameter or _found_bad(self._plan.manifest, self._plan.parties[0])
        if not name:
            return
        # Every party has to refuse by itself, also one that is started later than another one fails.
        run = await self._run(self._bench("bad"), parameters={name: value}, after_failure=self._up)
        for party in self._plan.parties:
            expect(not run.ended[party].exit.ok, f"{party} took {value!r} for the parameter {name}")
            expect(name.encode() in run.logs[party], f"{party} refused {name}={value!r} without naming the parameter")
        expect(not run.calls.get("push"), f"something was sent before the parameter {name} was looked at")

    async def sigterm_ends_it_within_the_grace(self) -> None:
        bench = self._bench("sigterm")
        party = self._plan.parties[0]
        with LocalNode() as node:
            # The others never start: what waits for them waits until it is told to end.
            spec = bench.launches(node)[party]
            runner = bench.runner
            handle = runner.handle(spec)
            await runner.launch(spec)
            await self._at_work(runner, handle, node)
            began = time.monotonic()
            await runner.terminate(handle, self._grace)
            took = time.monotonic() - began
            ending = await runner.observe(handle)
        if ending is None:
            raise NotConformant("the runner ended the component and does not know how")
        forced = ending.signal == signal.SIGKILL or ending.code == 128 + signal.SIGKILL
        expect(not forced, f"{party} ignored SIGTERM: it was killed after {took:.0f} s")
        await runner.forget(handle)

    async def _at_work(self, runner: Runner, handle: RunHandle, node: LocalNode) -> None:
        """Return when it waits for another party, when it has ended, or after a while."""
        deadline = time.monotonic() + self._up
        while time.monotonic() < deadline:
            if node.calls["pop"] or await runner.observe(handle) is not None:
                return
            await asyncio.sleep(_LOOK_AGAIN)

    async def no_secret_is_in_logs_or_outputs(self) -> None:
        bench = self._bench("secret")
        run = await self._run(bench)
        for token in run.tokens:
            for party, log in run.logs.items():
                expect(token.encode() not in log, f"{party} wrote a token (config.token) into its log")
            for party in self._plan.parties:
                for output in bench.outputs(party):
                    stored = output.path.read_bytes() if output.written else b""
                    expect(token.encode() not in stored, f"{party} wrote a token into {output.formal}")

    async def both_styles_of_booleans_are_read(self) -> None:
        flags = [field.name for field in form_of_component(self._plan.manifest).fields if field.kind is Kind.FLAG]
        if not flags:
            return
        for value in (True, False):
            (one, first), (two, again) = [await self._run_with_flags(flags, encode_value(value)) for _ in range(2)]
            if not all(end.exit.ok for run in (one, two) for end in run.ended.values()):
                # One of them set so may be a case in which the component rightly fails.
                continue
            written = encode_value(value, BoolStyle.TITLE)
            run, other = await self._run_with_flags(flags, written)
            _succeeded(run, f"booleans written {written}")
            # Only what does not change by itself can be compared.
            same = first != again or first == other
            expect(same, f"the component reads {written} otherwise than {encode_value(value)}: its tables differ")
            return

    async def _run_with_flags(self, flags: Sequence[str], written: str) -> tuple[_Run, list[bytes]]:
        """A run with all these parameters written so, and the tables that it stored."""
        bench = self._bench(f"booleans-{time.monotonic_ns()}")
        run = await self._run(bench, parameters=dict.fromkeys(flags, written))
        outputs = [output for party in self._plan.parties for output in bench.outputs(party) if output.written]
        return run, [output.path.read_bytes() for output in outputs if output.category not in ("report", "metric")]

    async def a_repeated_run_replaces_the_outputs_whole(self) -> None:
        bench = self._bench("repeated")
        _succeeded(await self._run(bench), "the first run")
        with ExitStack() as held:
            before = {}
            for party in self._plan.parties:
                for output in bench.outputs(party):
                    # Held open, so that its number cannot be used again while it is compared.
                    file = held.enter_context(output.path.open("rb"))
                    before[output.path] = (os.fstat(file.fileno()).st_ino, output)
            _succeeded(await self._run(bench), "a repeated run")
            for path, (number, output) in before.items():
                expect(output.written, f"{output.formal} is gone after a repeated run")
                expect(
                    path.stat().st_ino != number,
                    f"{output.formal} was written in place, where readers see halves: "
                    "write it under another name in the same directory and rename it",
                )
        strays = [path.name for party in self._plan.parties for path in bench.strays(party)]
        expect(not strays, f"a repeated run leaves {', '.join(strays)}")

    async def a_channel_that_fails_now_and_then_changes_nothing(self) -> None:
        if len(self._plan.parties) < 2:
            return
        kinds = {"push": ("lose", "twice", "error"), "pop": ("lose", "error", "cut")}
        node = LocalNode(lambda operation, number: kinds[operation][number // 2] if number in (0, 2, 4) else "")
        _succeeded(await self._run(self._bench("faulty"), node=node), "a channel that loses and doubles calls")

    async def a_node_that_restarts_is_found_again(self) -> None:
        if len(self._plan.parties) < 2:
            return
        outage = _Outage()
        bench = self._bench("restart")
        async with AsyncExitStack() as stack:
            restarting = asyncio.create_task(outage.run())
            stack.callback(restarting.cancel)
            _succeeded(await self._run(bench, node=outage.node), "a node that was down for a second")

    async def exit_code_and_callback_agree(self) -> None:
        run = await self._run(self._bench("callback"))
        wrong = sorted(set(run.statuses) - {"RUNNING", "SUCCESS"})
        expect(not wrong, f"a run that ended with 0 told {', '.join(wrong)} by callback")
        if self._plan.data.get(self._plan.parties[0]):
            bench = self._bench("callback-failure")
            for party in self._plan.parties:
                bench.remove_data(party)
            run = await self._run(bench)
            expect("SUCCESS" not in run.statuses, "a run that failed told SUCCESS by callback")

    async def a_callback_that_nobody_answers_changes_nothing(self) -> None:
        _succeeded(await self._run(self._bench("nobody"), callback_url=_NOWHERE), "a callback that nobody answers")

    def _bench(self, name: str) -> Bench:
        bench = Bench(self._directory / name, self._plan, self._runner_of)
        bench.store_data()
        return bench

    async def _run(
        self,
        bench: Bench,
        *,
        node: LocalNode | None = None,
        parameters: Mapping[str, str] | None = None,
        callback_url: str = "",
        after_failure: float = AFTER_FAILURE,
    ) -> _Run:
        with node or LocalNode() as serving:
            launches = bench.launches(serving, parameters=parameters, callback_url=callback_url)
            ended = await run_all(
                bench.runner,
                launches,
                within=self._within,
                on_line=lambda _party, _line: None,
                after_failure=after_failure,
            )
            return _Run(
                ended={end.party: end for end in ended},
                logs={party: _own_lines(spec.log_path) for party, spec in launches.items()},
                statuses=[str(told.get("status")) for told in serving.callbacks],
                tokens=list(serving.tokens.values()),
                calls=dict(serving.calls),
            )


def _succeeded(run: _Run, what: str) -> None:
    for party, end in run.ended.items():
        if end.stopped:
            continue
        last = run.logs[party].rstrip().rpartition(b"\n")[2].decode("utf-8", "replace")
        expect(end.exit.ok, f"{what}: {party} ended with {end.why} ({last[:200]})")
    stopped = [party for party, end in run.ended.items() if end.stopped]
    expect(not stopped, f"{what}: {', '.join(stopped)} did not end in time")


def _own_lines(log: Path) -> bytes:
    """What the component itself wrote."""
    content = log.read_bytes() if log.exists() else b""
    return content.partition(END_OF_LOG.encode())[0]


class _Outage:
    """A node that dies at the first call of the channel and is there again a second later."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._over = False
        self.node = LocalNode(self._fault)

    def _fault(self, _operation: str, _number: int) -> str:
        # Nothing gets through between the first call and the moment at which nobody listens any more.
        self._begun.set()
        return "" if self._over else "lose"

    async def run(self) -> None:
        while not self._begun.is_set():  # noqa: ASYNC110 - set by the node's threads
            await asyncio.sleep(_LOOK_AGAIN)
        await asyncio.to_thread(self.node.stop)
        await asyncio.sleep(_OUTAGE)
        self._over = True
        self.node.start()


def _found_bad(manifest: Mapping[str, Any], party: str) -> tuple[str, str]:
    """A parameter of this party's role with a value that its description does not allow; empty if there is none."""
    role = party.partition(".")[0]
    for field in form_of_component(manifest).fields:
        if field.conditions or (field.roles and role not in field.roles):
            continue
        # Whether it may be left out is another matter.
        for value in _BAD:
            if read(replace(field, required=False), value).fault is not None and _is_checkable(field):
                return field.name, value
    return "", ""


def _is_checkable(field: Field) -> bool:
    return field.kind is not Kind.TEXT or field.validator is not None or bool(selectable(field.choices))
