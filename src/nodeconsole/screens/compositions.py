"""Where compositions come from and are kept: nothing, the draft of last time, job files."""

from __future__ import annotations

import os
from pathlib import Path

from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from nodeconsole.screens.saving import load
from nodeconsole.screens.session import Session
from nodeconsole.state import Json
from nodeconsole.viewmodels.composer.composition import Composition, empty, is_job

_DRAFT = "compose"


def fresh(session: Session) -> Composition:
    """Empty, begun by this node."""
    return Composition(empty(session.status.node_id if session.status is not None else ""))


def keep_draft(session: Session, composition: Composition) -> None:
    """For the next time, should it not be submitted."""
    draft: Json = composition.document
    session.state.remember(_DRAFT, draft)


def forget_draft(session: Session) -> None:
    nothing: Json = {}
    session.state.remember(_DRAFT, nothing)


def kept_draft(session: Session) -> Composition | None:
    """What was not finished last time."""
    nothing: dict[str, Json] = {}
    draft = session.state.recall(_DRAFT, nothing)
    return Composition(draft) if is_job(draft) else None


async def read_composition(session: Session, path: Path) -> Composition | None:
    """A job file; None after telling the operator what is wrong with it."""
    text = await load(session, path)
    if text is None:
        return None
    try:
        document, _ = parse_object(text)
    except Unreadable as error:
        session.say(session.text("saving.unreadable", path=path, why=error), "bad")
        return None
    if not is_job(document):
        session.say(session.text("compose.no_job", path=path), "bad")
        return None
    return Composition(document, text)


def write_job(path: Path, text: str, *, replace: bool) -> None:
    """For this user alone: a job file names partners and data."""
    flags = os.O_TRUNC if replace else os.O_EXCL
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
