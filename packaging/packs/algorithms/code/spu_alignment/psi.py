"""Runs the protocol in a process of its own: it cannot be interrupted, and what it does wrong must not go unsaid."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.running import Task
from spu_alignment.agreement import Terms

_FAULTS = (
    ("Get data timeout", "another party sent nothing for {timeout} s: did it fail, or can its node not be reached?"),
    ("timeout", "a message could not be sent or received within {timeout} s"),
    ("NULL token", "the node does not accept this attempt's token"),
)
_STACK = re.compile(r"\n?Stacktrace.*|\n#\d+ .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    """`bytes_moved`: both ways between this party and its node, where the component has a network of its own; else
    None."""

    version: str
    bytes_moved: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is told, as a file. `parties`: name and node of each, by rank."""

    parties: list[tuple[str, str]]
    rank: int
    protocol: str
    receiver_rank: int
    broadcast: bool
    timeout_ms: int
    source: str
    target: str
    report: str


def intersect(task: Task, terms: Terms, place: Path, timeout: int) -> Result:
    """Reads `own.csv` and leaves `common.csv`; `ComponentError` says why not. SIGTERM ends it like the component."""
    order = Order(
        parties=[(party, task.environment.node_id(party)) for party in terms.parties],
        rank=terms.rank,
        protocol=terms.protocol,
        receiver_rank=terms.receiver_rank,
        broadcast=len(terms.receivers) > 1,
        timeout_ms=timeout * 1000,
        source=str(place / "own.csv"),
        target=str(place / "common.csv"),
        report=str(place / "report.json"),
    )
    (place / "order.json").write_text(json.dumps(asdict(order)))
    before = _loopback_bytes()
    command = [sys.executable, "-m", "spu_alignment.psi_process", str(place / "order.json")]
    process = subprocess.Popen(command, cwd=place, env={**os.environ, "TMPDIR": str(place)})  # noqa: S603 - itself
    try:
        code = process.wait()
    finally:
        # Also when the node asked the component to end.
        process.kill()
        process.wait()
    found = json.loads((place / "report.json").read_text()) if (place / "report.json").is_file() else {}
    if code != 0:
        raise ComponentError(_fault(found.get("fault", ""), code, timeout))
    after = _loopback_bytes()
    moved = None if before is None or after is None else after - before
    return Result(found.get("version", ""), moved)


def _fault(said: str, code: int, timeout: int) -> str:
    for sign, sentence in _FAULTS:
        if sign in said:
            return sentence.format(timeout=timeout)
    if said:
        return f"the protocol failed: {_STACK.sub('', said).strip()[:500]}"
    return f"the protocol's process ended with {code}" if code > 0 else f"the protocol's process died of signal {-code}"


def _loopback_bytes() -> int | None:
    """What went over the loopback so far, which in the node's sandbox is this component's alone; None elsewhere."""
    try:
        lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    except OSError:
        return None
    devices = {name.strip(): figures.split() for name, _, figures in (line.partition(":") for line in lines)}
    return int(devices["lo"][0]) if set(devices) == {"lo"} else None
