"""What is asked before results are kept, released or removed, and what is said after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

from nodeconsole.screens.confirm import at_once, put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.space import SPACE
from nodeconsole.viewmodels.text import count, printable, short_id, size

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Keeping
    from embedded_scheduler.wire.console_space import Discarded


def keep(screen: Screen[None], session: Session, job_id: str) -> None:
    def done(_: Keeping) -> None:
        _told(session, job_id, session.text("keeping.kept", job=short_id(job_id)))

    what = session.text("keeping.keeping", job=short_id(job_id))
    at_once(screen, session, what, lambda client: client.keep(job_id), done)


def release(screen: Screen[None], session: Session, job_id: str) -> None:
    def done(_: Keeping) -> None:
        _told(session, job_id, session.text("keeping.released", job=short_id(job_id)))

    what = session.text("keeping.releasing", job=short_id(job_id))
    at_once(screen, session, what, lambda client: client.release(job_id), done)


def ask_discard(screen: Screen[None], session: Session, job_id: str, total: int) -> None:
    """Remove the results, `total` bytes, after the last four characters of the id were typed."""
    text = session.text
    facts = ((text("card.job"), printable(job_id)), (text("keeping.goes"), text("keeping.size", size=size(total))))
    question = Question(
        title=text("keeping.discard_title"),
        facts=(*question_facts(facts),),
        fields=(typed_id(session, job_id),),
        act=text("action.results.discard"),
        typed_confirmation=True,
    )

    def done(gone: Discarded) -> None:
        said = text("keeping.discarded", n=count(gone.objects), job=short_id(job_id), size=size(gone.size))
        _told(session, job_id, said)

    put_question(screen, session, question, lambda client, _: client.discard(job_id), done)


def _told(session: Session, job_id: str, said: str) -> None:
    session.say(said, "ok")
    session.publish(Changes(jobs=frozenset({job_id}), subjects=frozenset({SPACE})))
