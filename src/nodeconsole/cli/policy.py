"""`nodeconsole policy …`"""

from __future__ import annotations

from embedded_scheduler.wire.console_policy import PolicyRow, PolicyTestReply, RulingRow, TrialRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_document, read_text
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await client.policy()
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    if not row.version:
        call.out.note("no policy is set: partners' own settings decide (`nodeconsole policy set FILE`)")
        return Exit.OK
    call.out.note(_head(row))
    for line in row.text.splitlines():
        call.out.line(line)
    return Exit.OK


async def put(call: Invocation) -> Exit:
    text = read_text(call.args.file)
    async with call.client() as client:
        row = await client.set_policy(text, expected=call.args.expect)
    call.out.done(row, _head(row))
    return Exit.OK


def _head(row: PolicyRow) -> str:
    return f"policy {row.version}, set {moment(row.at_ms)} by {row.set_by.removeprefix('operator:')}"


async def test(call: Invocation) -> Exit:
    args = call.args
    if (args.job is None) == (args.last is None):
        raise CommandError("name a job file, or --last N", Exit.USAGE)
    text = read_text(args.policy) if args.policy else None
    document = read_document(args.job) if args.job else None
    async with call.client() as client:
        reply = await client.test_policy(document, coordinator=args.coordinator, last=args.last, text=text)
    if call.out.as_json:
        result = {"jobs": plain(reply.jobs)} if document is None else reply.model_dump(mode="json", exclude={"jobs"})
        call.out.document(result)
    elif document is None:
        _show_trials(call, reply.jobs)
    else:
        _show_ruling(call, reply)
    return Exit.OK


def _show_ruling(call: Invocation, reply: PolicyTestReply) -> None:
    assert reply.ruling is not None
    call.out.line(_verdict(reply.ruling))
    for sentence in reply.ruling.reasoning:
        call.out.line(f"  {sentence}")
    if reply.ruling.reason:
        call.out.line(f"  the partner is told: refused by policy: {reply.ruling.reason}")
    for problem in reply.problems:
        call.out.line(f"  cannot run here: {problem}")


def _show_trials(call: Invocation, trials: list[TrialRow]) -> None:
    rows = (
        (
            trial.job_id,
            trial.initiator,
            moment(trial.created_ms),
            _verdict(trial.ruling),
            _decided(trial),
            trial.ruling.reasoning[-1] if trial.ruling.reasoning else "",
        )
        for trial in trials
    )
    columns = ("JOB", "INITIATOR", "CREATED", "POLICY", "WAS", "WHY")
    call.out.table(columns, rows, empty="no partner has created a job here yet")


def _verdict(ruling: RulingRow) -> str:
    return ruling.action if ruling.binding else "no rule applies: the partner's setting decides"


def _decided(trial: TrialRow) -> str:
    by = trial.decided_by.removeprefix("operator:")
    return f"{trial.decided} by {by}" if by else trial.decided


COMMANDS: dict[str, Command] = {"show": show, "set": put, "test": test}
