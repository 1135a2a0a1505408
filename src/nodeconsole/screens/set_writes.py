"""One write over all marked rows of a list: asked once, with their number to type, and sent for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from nodeconsole.screens.confirm import put_question, question_facts, typed_count
from nodeconsole.screens.dialog import Field, Question
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from nodeconsole.client import NodeClient
    from nodeconsole.screens.base import ConsoleScreen

T = TypeVar("T")
_NAMED = 5
"""So many of the rows are named in the question."""


@dataclass(frozen=True, slots=True)
class SetWrite(Generic[T]):
    """One write over several rows. `key` prefixes its texts: `<key>.set_title`, `<key>.set_done`."""

    key: str
    act: str
    send: Callable[[NodeClient, T, dict[str, str]], Awaitable[object]]
    changes: Callable[[list[T]], Changes]
    fields: tuple[Field, ...] = ()


def ask_for_set(
    screen: ConsoleScreen,
    write: SetWrite[T],
    listing: Listing[T],
    marked: Sequence[T],
    offered: Callable[[T], bool],
    carried_out: Callable[[list[T]], None],
) -> None:
    """For the marked rows for which it is `offered`; `carried_out` gets those that the node took."""
    session, text = screen.session, screen.session.text
    rows = [row for row in marked if offered(row)]
    if not rows:
        session.say(text("message.not_offered", action=write.act), "warn")
        return
    number = str(len(rows))
    question = Question(
        title=text(f"{write.key}.set_title", n=number),
        facts=_facts(screen, listing, rows, len(marked) - len(rows)),
        fields=(*write.fields, typed_count(session, len(rows))),
        act=write.act,
        typed_confirmation=True,
    )

    async def send(client: NodeClient, values: dict[str, str]) -> list[T]:
        return [row for row in rows if await session.ask(lambda _: write.send(client, row, values)) is not None]  # noqa: B023

    def done(taken: list[T]) -> None:
        good = len(taken) == len(rows)
        said = text(f"{write.key}.set_done", n=len(taken), of=number)
        why = "" if good or session.flash is None else session.display().aside(session.flash.text)
        session.say(said + why, "ok" if good else "warn")
        carried_out(taken)
        session.publish(write.changes(taken))

    put_question(screen, session, question, send, done)


def _facts(screen: ConsoleScreen, listing: Listing[T], rows: Sequence[T], left_out: int) -> tuple[Line, ...]:
    text = screen.session.text
    facts = [(text("list.set_rows"), text("list.set_count", n=len(rows)))]
    if left_out:
        facts.append((text("list.set_left_out"), text("list.set_not_offered", n=left_out)))
    facts += [("", printable(listing.title(row) or listing.key(row))) for row in rows[:_NAMED]]
    return (*question_facts(facts),)
