"""The writes: what is asked before each, what is sent, what is said after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from textual.screen import Screen

from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Field, Question, anything, required
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import printable, short_id

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow, SubmitReply
    from nodeconsole.client import NodeClient


def ask_approve(screen: Screen[None], session: Session, job: JobRow, warnings: Iterable[Line] = ()) -> None:
    """Approve after the last four characters of the id were typed. `warnings` are read again before it."""
    text = session.text
    question = Question(
        title=text("approve.title"),
        facts=(*_facts(session, job), *warnings),
        fields=(
            typed_id(session, job.job_id),
            Field("reason", text("approve.reason"), anything),
        ),
        act=text("action.card.approve"),
        typed_confirmation=True,
    )
    undo = f"{question.act} {short_id(job.job_id)}"
    _ask(
        screen,
        session,
        question,
        job,
        "approve.done",
        lambda client, v: client.approve(job.job_id, v["reason"]),
        undo=undo,
    )


def ask_reject(screen: Screen[None], session: Session, job: JobRow) -> None:
    """Reject with a reason, which the asking party gets to read."""
    text = session.text
    question = Question(
        title=text("reject.title"),
        facts=_facts(session, job),
        fields=(Field("reason", text("reject.reason"), required(text("reject.no_reason"))),),
        act=text("action.card.reject"),
    )
    undo = f"{question.act} {short_id(job.job_id)}"
    _ask(
        screen,
        session,
        question,
        job,
        "reject.done",
        lambda client, v: client.reject(job.job_id, v["reason"]),
        undo=undo,
    )


def ask_stop(screen: Screen[None], session: Session, job: JobRow, task: str = "") -> None:
    """Stop the job, or a task with everything that follows it."""
    text = session.text
    title = text("stop.task_title", task=printable(task)) if task else text("stop.title")
    question = Question(
        title=title,
        facts=_facts(session, job),
        fields=(Field("reason", text("stop.reason"), anything),),
        act=text("action.job.stop"),
    )
    _ask(screen, session, question, job, "stop.done", lambda client, v: client.stop(job.job_id, task, v["reason"]))


def ask_rerun(screen: Screen[None], session: Session, job: JobRow) -> None:
    """Submit what the job was submitted as once more, as a new job."""
    text = session.text
    question = Question(title=text("rerun.title"), facts=_facts(session, job), fields=(), act=text("action.jobs.rerun"))

    def submitted(reply: SubmitReply) -> None:
        session.say(text("rerun.done", job=short_id(reply.job_id), old=short_id(job.job_id)), "ok")
        session.publish(Changes(jobs=frozenset({reply.job_id})))

    put_question(screen, session, question, lambda client, _: client.rerun(job.job_id), submitted)


def _facts(session: Session, job: JobRow) -> tuple[Line, ...]:
    text = session.text
    facts = (
        (text("card.job"), printable(job.job_id)),
        (text("card.flow"), job_name(job)),
        (text("card.asked_by"), printable(job.initiator)),
    )
    return question_facts(facts)


def _said(session: Session, done: str, job: JobRow) -> str:
    if job.needs_decision and job.approvers_needed > 1:
        given, needed = len(job.approved_by), job.approvers_needed
        return session.text("approve.counted", job=short_id(job.job_id), given=given, needed=needed)
    return session.text(done, job=short_id(job.job_id))


def _ask(
    screen: Screen[None],
    session: Session,
    question: Question,
    job: JobRow,
    done: str,
    send: Callable[[NodeClient, dict[str, str]], Awaitable[JobRow]],
    *,
    undo: str = "",
) -> None:
    def carried_out(answer: JobRow) -> None:
        session.say(_said(session, done, answer), "ok")
        session.publish(Changes(jobs=frozenset({job.job_id})))

    put_question(screen, session, question, send, carried_out, undo=undo)
