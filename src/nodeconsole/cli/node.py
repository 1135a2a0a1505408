"""`nodeconsole status` and `nodeconsole doctor`"""

from __future__ import annotations

import time
from collections.abc import Sequence

from embedded_scheduler.wire.console import DoctorReport, Finding
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.text import span
from nodeconsole.client import NodeUnreachable


async def status(call: Invocation) -> Exit:
    async with call.client() as client:
        found = await client.status()
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    jobs = "  ".join(f"{state} {count}" for state, count in found.jobs.items() if state != "waiting" and count)
    waiting = found.jobs.get("waiting", 0)
    call.out.facts(
        {
            "node": f"{found.node_id}{' (read-only)' if found.read_only else ''}",
            "you are": f"{found.operator}, {found.role}" if found.operator else "",
            "version": found.version,
            "home": found.home,
            "up": f"{span(found.now_ms - found.started_ms)}, process {found.pid}",
            "partners reach": found.listen,
            "platform reaches": found.platform,
            "partners": str(found.peers),
            "jobs": jobs or "none",
            "need you": f"{waiting}: `nodeconsole job list --needs-decision`" if waiting else "",
        }
    )
    return Exit.OK


async def doctor(call: Invocation) -> Exit:
    """Ask the node; when it is down, look at what lies in its home."""
    try:
        async with call.client() as client:
            began = time.monotonic()
            report = await call.out.busy("checking", client.doctor())
            took = int((time.monotonic() - began) * 1000)
            answers = Finding(check="node", level="ok", text=f"answers on its socket (checked in {span(took)})")
    except NodeUnreachable as error:
        if call.is_remote:
            raise
        from embedded_scheduler.diagnosis import offline_report  # noqa: PLC0415 - opens the database: rarely needed

        report = offline_report(call.home)
        answers = Finding(check="node", level="warning", text=error.message)
    return _print(call, DoctorReport(findings=[answers, *report.findings]))


def _print(call: Invocation, report: DoctorReport) -> Exit:
    if call.out.as_json:
        call.out.document(report.model_dump(mode="json"))
    else:
        _print_findings(call, report.findings)
    return Exit.FAILED if any(finding.level == "error" for finding in report.findings) else Exit.OK


def _print_findings(call: Invocation, findings: Sequence[Finding]) -> None:
    marks = {"ok": "ok", "warning": "warning", "error": "ERROR"}
    rows = [(finding.check, marks.get(finding.level, finding.level), finding.text) for finding in findings]
    call.out.table(("CHECK", "", "FOUND"), rows, empty="nothing was checked")
    for finding in findings:
        if finding.fix:
            call.out.line(f"to repair {finding.check}: {finding.fix}")


COMMANDS: dict[str, Command] = {"status": status, "doctor": doctor}
