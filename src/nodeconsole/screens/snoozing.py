"""Putting off what waits for a decision, on the list and on each card."""

from __future__ import annotations

from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.session import Session
from nodeconsole.state import Json
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.snoozing import KEY, asleep, put_off
from nodeconsole.viewmodels.times import clock


def snoozed(session: Session) -> dict[str, int]:
    """By `<kind> <id>`: until when it is put off."""
    nothing: dict[str, Json] = {}
    return asleep(session.state.recall(KEY, nothing), session.now_ms())


def snooze(screen: ConsoleScreen, key: str) -> None:
    """For an hour, or not any longer. Nothing is sent: the node and other persons see no difference."""
    session = screen.session
    now = put_off(snoozed(session), key, session.now_ms())
    kept: dict[str, Json] = dict(now.items())
    session.state.remember(KEY, kept)
    until = now.get(key)
    said = session.text("snooze.until", at=clock(until, session.zone)) if until else session.text("snooze.over")
    session.say(said, "ok")
    session.publish(Changes(subjects=frozenset({"snooze"})))
