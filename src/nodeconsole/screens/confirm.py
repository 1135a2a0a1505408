"""How a write is confirmed: the three levels of `actions.Level`, in one place.

* L1, `at_once`: no question; it is held back for the undo window.
* L2, `put_question` with a `Question` whose first answer is No.
* L3, `put_question` with `typed_confirmation` and a field of `typed_id` (one object) or `typed_count` (a marked set).

With `undo` a confirmed write is held back too. Nothing is sent while the console is read-only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

from nodeconsole.screens.dialog import FACTS_WIDTH, Field, Question, QuestionScreen, exactly
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, confirmation_code, wrap

if TYPE_CHECKING:
    from nodeconsole.client import NodeClient

T = TypeVar("T")


def at_once(
    screen: Screen[None],
    session: Session,
    what: str,
    send: Callable[[NodeClient], Awaitable[T]],
    carried_out: Callable[[T], None],
) -> None:
    """L1. `what` is said while it can be taken back, `carried_out` gets the node's answer."""
    if _refused(session, what):
        return
    _carry_out(screen, session, lambda client, _: send(client), carried_out, None, {}, undo=what)


def put_question(
    screen: Screen[None],
    session: Session,
    question: Question,
    send: Callable[[NodeClient, dict[str, str]], Awaitable[T]],
    carried_out: Callable[[T], None],
    refusals: Mapping[str, str] | None = None,
    *,
    undo: str = "",
) -> None:
    """L2 and L3. When it is decided, `send` what was filled in and hand the node's answer to `carried_out`.

    `refusals`: what to say instead of the node's own words, by the code of the error. `undo`: what is said while it is
    held back; empty = it is sent without delay.
    """

    if _refused(session, question.act):
        return

    def decided(values: dict[str, str] | None) -> None:
        if values is not None:
            _carry_out(screen, session, send, carried_out, refusals, values, undo=undo)

    screen.app.push_screen(QuestionScreen(session, question), decided)


def _refused(session: Session, what: str) -> bool:
    if session.read_only:
        session.say(session.text("message.read_only", action=what), "warn")
    return session.read_only


def _carry_out(
    screen: Screen[None],
    session: Session,
    send: Callable[[NodeClient, dict[str, str]], Awaitable[T]],
    carried_out: Callable[[T], None],
    refusals: Mapping[str, str] | None,
    values: dict[str, str],
    *,
    undo: str,
) -> None:
    async def carry_out() -> None:
        answer = await session.ask(lambda client: send(client, values), refusals)
        if answer is not None:
            carried_out(answer)

    if undo:
        session.held.hold(undo, carry_out)
    else:
        # The app's worker: the screen may be left before the node has answered.
        screen.app.run_worker(carry_out(), group="writes")


def typed_id(session: Session, identifier: str) -> Field:
    """L3 for one object: the end of its id has to be typed."""
    return _typed(session, confirmation_code(identifier), "confirm.typed_id")


def typed_count(session: Session, number: int) -> Field:
    """L3 for a marked set: how many they are has to be typed."""
    return _typed(session, str(number), "confirm.typed_count")


def _typed(session: Session, wanted: str, label: str) -> Field:
    wrong = session.text("confirm.typed_wrong", code=wanted)
    return Field("code", session.text(label, code=wanted), exactly(wanted, wrong), max(8, len(wanted)))


def question_facts(facts: Sequence[tuple[str, str]]) -> tuple[Line, ...]:
    """What a question is about, in one column of labels and one of values, which are printable already; long values
    go on in the next line."""
    column = max(cells(label) for label, _ in facts) + 2
    lines: list[Line] = []
    for label, value in facts:
        for number, part in enumerate(wrap(value, FACTS_WIDTH - column)):
            shown = label if number == 0 else ""
            lines.append((Span(shown + " " * (column - cells(shown)), "dim"), Span(part)))
    return tuple(lines)
