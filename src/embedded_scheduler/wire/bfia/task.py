"""Messages about one task (control layer §3.4, §3.8, §3.9, §4.1), and the words for its state."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import TaskState
from embedded_scheduler.wire.bfia.message import Identifier, InstanceName, Message, Role, Word, upper

_log = logging.getLogger(__name__)

TASK_WORDS = frozenset(state.value for state in TaskState)


class StartTask(Message):
    """§3.4"""

    task_id: Identifier
    job_id: Identifier
    task_name: InstanceName


class PollTask(Message):
    """§3.8"""

    task_id: Identifier
    role: Role = ""


class TaskCallback(Message):
    """§3.9. `status` in any case; a word that is none of the five is read as PENDING by `task_word`."""

    task_id: Identifier
    status: Word
    role: Role = ""
    failure: Any = None
    """Our addition: `{stage, class, exit_code}` beside FAILED. What is not understood counts as not said."""


class ComponentCallback(Message):
    """§4.1: from a component of this node, so a wrong word is refused, not guessed."""

    task_id: Identifier
    status: Annotated[Literal["RUNNING", "SUCCESS", "FAILED", "PENDING", "READY"], BeforeValidator(upper)]
    role: Role = ""


class StopTask(Message):
    """`task/stop`: in no text, sent by Kuscia nodes."""

    task_id: Identifier


class TaskStatus(Message):
    """`data` of a poll. `failure` is our addition, beside FAILED."""

    status: str
    failure: dict[str, Any] | None = None


def task_word(word: object, *, told_by: str) -> str:
    """A partner's word for a task's state as one of the five. Unknown words are PENDING, and logged: they say nothing
    that could be acted on."""
    if isinstance(word, str) and (known := word.strip().upper()) in TASK_WORDS:
        return known
    _log.warning("partner %s says a task is %s, which is no task status; read as PENDING", told_by, shorten(word))
    return TaskState.PENDING.value


def shown_word(state: str, *, ready_as_pending: bool) -> str:
    """Our word for a state as a partner can read it."""
    return TaskState.PENDING.value if ready_as_pending and state == TaskState.READY else str(state)
