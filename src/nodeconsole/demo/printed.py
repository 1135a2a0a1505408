"""What the command says of a demo: for a person, or as JSON."""

from __future__ import annotations

from typing import Any

from nodeconsole.cli.output import Output
from nodeconsole.demo.steps import DATA_HOLDERS, Demo
from nodeconsole.demo.verdict import Verdict

RECORDS = 569
"""Records of the whole table; every one is on at least one side."""


def print_verdict(verdict: Verdict, demo: Demo, out: Output, *, keep: bool) -> None:
    parties = "two parties" if len(demo.roles) == len(DATA_HOLDERS) else "two parties and a coordinating arbiter"
    out.line(f"Private set intersection between {parties}, job {verdict.job_id}")
    out.line()
    rows = [
        (side.role, str(side.rows), str(side.intersection), "right" if not side.problems else "WRONG")
        for side in verdict.sides
    ]
    out.table(("PARTY", "ROWS", "INTERSECTION", "RESULT"), rows, empty="")
    out.line(f"Plain join of the two files: {verdict.expected} of {RECORDS} records are on both sides.")
    for problem in verdict.problems:
        out.line(f"WRONG: {problem}")
    out.line()
    out.table(("STEP", "SECONDS"), [(step, f"{took:.2f}") for step, took in verdict.steps.items()], empty="")
    out.line()
    for side in verdict.sides:
        out.line(f"{side.role}: result {side.result}")
        out.line(f"{' ' * len(side.role)}  log    {side.log}")
    out.line()
    if not keep:
        out.line(f"Everything lies in {demo.directory}; remove it when you have looked.")
        return
    out.line("The nodes go on running. Look at them with")
    for node in demo.nodes.values():
        out.line(f"  nodeconsole attach --home {node.home.path}")
    out.line(f"and end them with `nodeconsole demo --end --home {demo.directory}`.")


def as_json(verdict: Verdict, demo: Demo, *, keep: bool) -> dict[str, Any]:
    return {
        "right": verdict.right,
        "job_id": verdict.job_id,
        "expected": verdict.expected,
        "problems": verdict.problems,
        "sides": [
            {
                "role": side.role,
                "node_id": side.node_id,
                "rows": side.rows,
                "intersection": side.intersection,
                "result": str(side.result),
                "log": str(side.log),
            }
            for side in verdict.sides
        ],
        "seconds": {step: round(took, 3) for step, took in verdict.steps.items()},
        "directory": str(demo.directory),
        "nodes": [
            {"node_id": node.node_id, "home": str(node.home.path), "pid": node.pid if keep else None}
            for node in demo.nodes.values()
        ],
    }
