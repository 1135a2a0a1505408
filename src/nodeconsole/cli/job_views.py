"""`nodeconsole job graph | timeline | events | task | why | results | runs`: a job as the console shows it, as text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from embedded_scheduler.wire.console import EventRow, JobDetail, ResultRow, Waiting
from nodeconsole.cli.drawing import display_here, print_lines, width_here
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.space import RESULT_COLUMNS, keeping_note, result_words
from nodeconsole.cli.text import moment
from nodeconsole.client import NodeClient
from nodeconsole.exports.forms import ExportError
from nodeconsole.exports.saving import save_result
from nodeconsole.viewmodels.facts import fact_lines
from nodeconsole.viewmodels.graph import Layout
from nodeconsole.viewmodels.history import chart_lines, event_subject, legend, stretches
from nodeconsole.viewmodels.jobgraph import Face, critical_path, faces_of, graph_of
from nodeconsole.viewmodels.results import preview_lines
from nodeconsole.viewmodels.runs import Grid, grid_lines, run_facts
from nodeconsole.viewmodels.spans import plain as text_of
from nodeconsole.viewmodels.task import task_page
from nodeconsole.viewmodels.text import cells
from nodeconsole.viewmodels.waiting import waiting_facts

_EVENT_PAGE = 1000


async def graph(call: Invocation) -> Exit:
    async with call.client() as client:
        detail = await client.job(call.args.job)
    display = display_here()
    layout = graph_of(detail.tasks, call.args.level, display)
    path = critical_path(detail.tasks, display.now_ms)
    if call.out.as_json:
        tasks = [{"name": task.name, "upstream": task.upstream, "state": task.state} for task in detail.tasks]
        call.out.document({"tasks": tasks, "critical_path": list(path)})
        return Exit.OK
    faces = faces_of(detail.tasks, layout, call.args.level, display)
    for row in graph_text(layout, faces, display.glyphs.lines):
        call.out.line(row)
    if path:
        call.out.note(f"took longest: {f' {display.glyphs.arrow} '.join(path)}")
    return Exit.OK


def graph_text(layout: Layout, faces: dict[str, Face], lines: str) -> list[str]:
    """The drawing as lines of text."""
    rows = []
    for y, drawn in enumerate(layout.rows):
        boxes = {box.x: box for box in layout.boxes.values() if box.y <= y < box.y + box.height}
        row, at = "", 0
        while at < layout.width:
            box = boxes.get(at)
            if box is None:
                row += lines[drawn[at]] if at in drawn else " "
                at += 1
                continue
            face = text_of(faces[box.key][y - box.y])
            row += face + " " * (box.width - cells(face))
            at += box.width
        rows.append(row.rstrip())
    return rows


async def timeline(call: Invocation) -> Exit:
    async with call.client() as client:
        detail = await client.job(call.args.job)
        events = await _events(client, detail.job.job_id)
    rows = stretches(detail, events)
    if call.out.as_json:
        names = ("task", "party", "node", "status", "ready_ms", "started_ms", "ended_ms")
        call.out.document([{name: getattr(row, name) for name in names} for row in rows])
        return Exit.OK
    display = display_here()
    axis, lines = chart_lines(rows, detail, display, width_here(), "")
    print_lines(call, [*axis, *lines, legend(display)])
    return Exit.OK


async def events(call: Invocation) -> Exit:
    async with call.client() as client:
        detail = await client.job(call.args.job)
        found = await _events(client, detail.job.job_id)
    if call.out.as_json:
        call.out.document(plain(found))
        return Exit.OK
    rows = (
        (
            str(event.seq),
            moment(event.at_ms),
            event_subject(event),
            event.event,
            f"{event.source or ''} -> {event.target}" if event.target else "",
            event.actor,
            event.reason,
        )
        for event in found
    )
    call.out.table(("SEQ", "TIME", "WHAT", "EVENT", "STATE", "BY", "WHY"), rows, empty="no events")
    return Exit.OK


async def _events(client: NodeClient, job_id: str) -> list[EventRow]:
    found: list[EventRow] = []
    after: int | None = 0
    while after is not None:
        page = await client.event_page(after, limit=_EVENT_PAGE, job_id=job_id)
        found += page.events
        after = page.next
    return found


async def task(call: Invocation) -> Exit:
    async with call.client() as client:
        found = await client.task(call.args.job, call.args.task)
        detail = await client.job(found.job_id)
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    print_lines(call, task_page(found, detail, display_here(), width_here()))
    return Exit.OK


async def why(call: Invocation) -> Exit:
    """For whom the job waits, and each of its tasks; what waits for the same is said once."""
    async with call.client() as client:
        detail = await client.job(call.args.job)
    job, display = detail.job, display_here()
    if call.out.as_json:
        tasks = [{"task": row.name, "waiting": plain([row.waiting])[0]} for row in detail.tasks if row.waiting]
        call.out.document(
            {"job_id": job.job_id, "waiting": plain([job.waiting])[0] if job.waiting else None, "tasks": tasks}
        )
        return Exit.OK
    if job.waiting is None:
        call.out.line(display.text("waiting.over", state=" ".join(filter(None, (job.state, job.outcome, job.reason)))))
        return Exit.OK
    said: dict[str, tuple[Waiting, list[str]]] = {job.waiting.text: (job.waiting, [])}
    for row in detail.tasks:
        if row.waiting is not None:
            said.setdefault(row.waiting.text, (row.waiting, []))[1].append(row.name)
    for place, (waiting, names) in enumerate(said.values()):
        if place:
            call.out.line()
        call.out.line(" ".join(names) or job.job_id)
        print_lines(call, fact_lines(waiting_facts(waiting, display), width_here() - 2), indent="  ")
    return Exit.OK


async def results(call: Invocation) -> Exit:
    args = call.args
    async with call.client() as client:
        detail = await client.job(args.job)
        rows = [row for row in detail.results if args.task in ("", row.task)]
        if args.form and not args.save:
            raise CommandError("--as says in which form to save: add --save DIRECTORY", Exit.USAGE)
        if args.save:
            return await _save(call, client, detail, rows)
        if not args.task or call.out.as_json or args.columns:
            return _list(call, detail, rows)
        for row in rows:
            shown = await client.result(detail.job.job_id, row.task, row.party, row.output, rows=args.rows)
            call.out.line(f"{row.task}.{row.output}  {row.type}  {row.party}")
            print_lines(call, preview_lines(shown, display_here(), width_here()))
    return Exit.OK


def _list(call: Invocation, detail: JobDetail, rows: Sequence[ResultRow]) -> Exit:
    if call.out.as_json:
        call.out.document(plain(rows))
        return Exit.OK
    call.out.table(RESULT_COLUMNS, map(result_words, rows), empty="no results on this node")
    for row in rows if call.args.columns else ():
        call.out.line()
        call.out.line(f"{row.task}.{row.output} of {row.party}")
        call.out.table(("COLUMN", "TYPE"), ((c.name, c.type) for c in row.columns), empty="no columns are stated")
    if note := keeping_note(detail.keeping):
        call.out.note(note)
    return Exit.OK


async def _save(call: Invocation, client: NodeClient, detail: JobDetail, rows: Sequence[ResultRow]) -> Exit:
    """Each into a file of its own, readable for its owner alone; no file is replaced. What cannot be given the form
    does not keep the others."""
    directory, form = Path(call.args.save), call.args.form
    saved, failed = [], {}
    for row in rows:
        path = directory / f"{row.task}-{row.party}-{row.output}{f'.{form}' if form else ''}"
        try:
            os.makedirs(directory, exist_ok=True)  # noqa: PTH103 - a command waits for its disk
            await save_result(client, detail.job.job_id, row, path)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except ExportError as error:
            failed[str(path)] = str(error)
            call.out.note(f"nodeconsole: {path}: {error}")
            continue
        saved.append(str(path))
        if not call.out.as_json:
            call.out.line(str(path))
    if call.out.as_json:
        call.out.document({"saved": saved, "not_saved": failed})
    return Exit.FAILED if failed else Exit.OK


async def runs(call: Invocation) -> Exit:
    async with call.client() as client:
        page = await client.runs(call.args.flow, before=call.args.before, limit=call.args.limit)
    if call.out.as_json:
        call.out.document(page.model_dump(mode="json"))
        return Exit.OK
    if not page.runs:
        call.out.note("no run of this flow is known here")
        return Exit.OK
    display = display_here()
    grid = Grid(tuple(page.tasks), tuple(reversed(page.runs)))
    print_lines(call, grid_lines(grid, -1, len(grid.runs) - 1, width_here(), display))
    call.out.line()
    for place, run in enumerate(grid.runs):
        print_lines(call, [run_facts(run, "", grid.status(0, place), display)])
    if page.next:
        call.out.note(f"there are more: add --before {page.next}")
    return Exit.OK


COMMANDS: dict[str, Command] = {
    "graph": graph,
    "timeline": timeline,
    "events": events,
    "task": task,
    "why": why,
    "results": results,
    "runs": runs,
}
