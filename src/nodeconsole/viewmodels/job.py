"""One job: its tasks by party, and what there is to say about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import approval_status, job_status, share_status, task_status
from nodeconsole.viewmodels.facts import bullets, fact_lines, when
from nodeconsole.viewmodels.sentences import sentences, told
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import count, printable, size, wrap
from nodeconsole.viewmodels.times import age, duration, moment
from nodeconsole.viewmodels.waiting import waiting_text, why_line

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, JobRow, ResultRow, ShareRow, TaskRow
    from nodeconsole.viewmodels.display import Display


def parties_of(detail: JobDetail) -> tuple[str, ...]:
    """`guest.0` … of every share of every task, in the order of the job's parties."""
    keys: dict[str, None] = {}
    per_role: dict[str, int] = {}
    for party in detail.job.parties:
        role = party.split(":", 1)[0]
        index = per_role.get(role, 0)
        per_role[role] = index + 1
        keys[f"{role}.{index}"] = None
    for task in detail.tasks:
        for share in task.shares:
            keys.setdefault(party_key(share))
    return tuple(keys)


def task_why(task: TaskRow, display: Display) -> Line:
    """Why a task waits, or why it ended as it did."""
    share = next((share for share in task.shares if share.reason), None)
    reason = told(share, "reason", display) if share is not None else ""
    return why_line(printable(task.name), task.waiting, reason, task_status(task), display)


def party_key(share: ShareRow) -> str:
    return f"{share.role}.{share.index}"


def party_nodes(detail: JobDetail) -> dict[str, str]:
    """Which node holds which party."""
    nodes: dict[str, str] = {}
    per_role: dict[str, int] = {}
    for party in detail.job.parties:
        role, _, node = party.partition(":")
        index = per_role.get(role, 0)
        per_role[role] = index + 1
        nodes[f"{role}.{index}"] = node
    for task in detail.tasks:
        for share in task.shares:
            nodes.setdefault(party_key(share), share.node_id)
    return nodes


def task_columns(detail: JobDetail, display: Display) -> tuple[Column, ...]:
    text = display.text
    nodes = party_nodes(detail)
    own = display.node_id
    parties = tuple(
        # Our own share matters most here: partners' columns go first when it is tight.
        Column(f"party:{key}", _heading(key, nodes), 13, flex=1, drop=0 if nodes.get(key) == own else 2)
        for key in parties_of(detail)
    )
    return (
        Column("task", text("job.column.task"), 14, flex=2),
        Column("component", text("job.column.component"), 12, flex=2, drop=3),
        Column("status", text("job.column.status"), 11),
        *parties,
        Column("time", text("job.column.time"), 6, right=True, drop=1),
    )


def _heading(key: str, nodes: dict[str, str]) -> str:
    role = key.split(".", 1)[0]
    node = printable(nodes.get(key, ""))
    return f"{node}:{role}" if node else key


def task_cells(task: TaskRow, parties: tuple[str, ...], display: Display) -> Line:
    shares = {party_key(share): share for share in task.shares}
    return (
        Span(printable(task.name), "strong"),
        Span(printable(_component(task)), "dim"),
        display.badge(task_status(task)),
        *(_share_cell(shares.get(key), display) for key in parties),
        Span(duration(task.started_ms, task.ended_ms, display.now_ms), "dim"),
    )


def _component(task: TaskRow) -> str:
    return f"{task.component} {task.version}".strip()


def _share_cell(share: ShareRow | None, display: Display) -> Span:
    return Span("-", "dim") if share is None else display.badge(share_status(share))


def head_lines(detail: JobDetail, display: Display) -> tuple[Line, Line]:
    """Above everything else: what the job is up to and who takes part; and why it waits or ended so (may be empty)."""
    job = detail.job
    badge = display.badge(job_status(job))
    text = display.text
    first: list[Span] = [Span(f" {badge.text}", badge.role)]
    first.append(Span(f"  {job.tasks_done}/{job.tasks_total}"))
    took = duration(job.started_ms, job.ended_ms, display.now_ms) if job.started_ms else ""
    first.append(Span(f"  {took or text('job.age', age=age(job.created_ms, display.now_ms))}", "dim"))
    first += [Span(f"  {text('job.parties')} ", "dim"), Span(" ".join(_party_words(job)))]
    if len(detail.warnings):
        first.append(Span(f"  {text('job.warnings', n=len(detail.warnings))}", "warn"))
    why = waiting_text(job.waiting, display) if job.waiting else told(job, "reason", display)
    if detail.stops and job.outcome is None:
        why = _stop_text(detail, display)
    second: Line = (Span(f" {why}", "wait" if job.waiting else badge.role),) if why else ()
    return tuple(first), second


def _stop_text(detail: JobDetail, display: Display) -> str:
    """How far a stop has come, and whom it waits for."""
    done = sum(1 for row in detail.stops if row.state != "asked")
    line = display.text("stops.line", done=done, all=len(detail.stops))
    late = [
        f"{printable(row.node_id)} {told(row, 'error', display)}".strip()
        for row in detail.stops
        if row.state == "asked"
    ]
    waits = display.text("stops.waits", names=display.listed(late))
    return display.text("sentence.then").join((line, waits)) if late else line


def _party_words(job: JobRow) -> list[str]:
    words = []
    for party in job.parties:
        role, _, node = party.partition(":")
        words.append(printable(f"{node}:{role}" if node else role))
    return words


def task_lines(task: TaskRow, detail: JobDetail, display: Display, width: int) -> list[Line]:
    """Everything about the task under the cursor: why it waits, each share, its results."""
    badge = display.badge(task_status(task))
    lines: list[Line] = [(Span(printable(task.name), "strong"), Span("  "), badge)]
    if task.upstream:
        reads = display.text("job.reads", names=display.listed(map(printable, task.upstream)))
        lines[0] = (*lines[0], Span(f"  {reads}", "dim"))
    if task.waiting is not None:
        lines += [(Span(f"  {part}", "wait"),) for part in wrap(waiting_text(task.waiting, display), width - 2)]
    for share in task.shares:
        lines += _share_lines(share, display, width)
    for result in detail.results:
        if result.task == task.name:
            lines += result_lines(result, display, width)
    return lines


def _share_lines(share: ShareRow, display: Display, width: int) -> list[Line]:
    badge = display.badge(share_status(share))
    name = f"  {printable(share.node_id)}:{party_key(share)}"
    head: list[Span] = [Span(name), Span("  "), badge]
    if share.exit_code is not None:
        head.append(Span(f"  {display.text('job.exit', code=share.exit_code)}", "bad" if share.exit_code else "dim"))
    if share.started_ms:
        head.append(Span(f"  {duration(share.started_ms, share.ended_ms, display.now_ms)}", "dim"))
    if share.local:
        head.append(Span(f"  {display.text('job.here')}", "dim"))
    if share.runner:
        head.append(Span(f"  {printable(share.runner)}", "dim"))
    lines: list[Line] = [tuple(head)]
    if share.where:
        lines += [(Span(f"    {part}", "dim"),) for part in wrap(printable(share.where), width - 4)]
    if share.reason:
        role: Role = "bad" if share_status(share) == "failed" else ""
        lines += [(Span(f"    {part}", role),) for part in wrap(told(share, "reason", display), width - 4)]
    return lines


def result_lines(result: ResultRow, display: Display, width: int) -> list[Line]:
    title = f"  {printable(result.task)}.{printable(result.output)}"
    facts = f"  {printable(result.type)}  {size(result.size)}  {printable(result.party)}"
    place = printable(result.path or f"{result.namespace}/{result.name}")
    where = [(Span(f"    {part}"),) for part in wrap(f"{display.glyphs.arrow} {place}", width - 4)]
    schema = ", ".join(f"{printable(column.name)} {printable(column.type)}" for column in result.columns)
    columns = [(Span(f"    {part}", "dim"),) for part in wrap(schema, width - 4)] if schema else []
    return [(Span(title, "ok"), Span(facts, "dim")), *where, *columns]


def approval_lines(detail: JobDetail, display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    for approval in detail.approvals:
        badge = display.badge(approval_status(approval.state))
        since = moment(approval.since_ms, display.zone) if approval.since_ms else ""
        by = f"  {printable(approval.decided_by)}" if approval.decided_by else ""
        lines.append((Span(f"  {printable(approval.node_id)}  "), badge, Span(f"  {since}{by}", "dim")))
        if approval.reason:
            lines += [(Span(f"    {part}"),) for part in wrap(told(approval, "reason", display), width - 4)]
    return lines


def result_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("task", text("job.column.task"), 14, flex=2),
        Column("output", text("results.output"), 12, flex=1),
        Column("type", text("results.type"), 10, flex=1, most=20),
        Column("format", text("results.format"), 7, drop=3),
        Column("party", text("results.party"), 10, drop=4),
        Column("rows", text("results.rows_of"), 9, right=True, drop=2),
        Column("columns", text("results.columns_of"), 7, right=True, drop=1),
        Column("size", text("results.size"), 10, right=True),
    )


def result_cells(row: ResultRow) -> Line:
    return (
        Span(printable(row.task), "strong"),
        Span(printable(row.output)),
        Span(printable(row.type), "dim"),
        Span(printable(row.format), "dim"),
        Span(printable(row.party), "dim"),
        Span(count(row.rows) if row.rows is not None else ""),
        Span(count(len(row.columns)) if row.columns else ""),
        Span(size(row.size)),
    )


def overview_lines(detail: JobDetail, display: Display, width: int) -> list[Line]:
    """What there is to say about the whole job: who drives it, warnings, what the policy said, approvals, results."""
    text, job = display.text, detail.job
    facts = [
        (text("job.id"), printable(job.job_id)),
        (text("job.initiator"), printable(job.initiator)),
        (text("job.coordinator"), printable(job.coordinator)),
        (text("job.created"), when(job.created_ms, display)),
        (text("job.ended"), when(job.ended_ms, display) if job.ended_ms else ""),
    ]
    lines = fact_lines(facts, width)
    for warning in detail.warnings:
        lines += [(Span(f"  {part}", "warn"),) for part in wrap(printable(warning), width - 2)]
    if detail.policy:
        lines.append((Span(text("job.policy"), "accent"),))
        lines += bullets(sentences(detail.policy, detail.said, "policy", display), width, "")
    if detail.approvals:
        lines.append((Span(text("job.approvals"), "accent"),))
        lines += approval_lines(detail, display, width)
    if detail.results:
        lines.append((Span(text("job.results", n=count(len(detail.results))), "accent"),))
        lines += [line for result in detail.results for line in result_lines(result, display, width)]
    return lines
