"""How this console shows things right now: language, signs, time zone and the moment ages are counted from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.glyphs import Glyphs
from nodeconsole.viewmodels.spans import Role, Span

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow, ShareRow, TaskRow
    from nodeconsole.i18n.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Display:
    catalogue: Catalogue
    glyphs: Glyphs
    now_ms: int
    zone: tzinfo | None = None
    """None = the zone of this machine."""
    node_id: str = ""

    def text(self, key: str, /, **values: object) -> str:
        return self.catalogue.text(key, **values)

    def listed(self, names: Iterable[str]) -> str:
        """`alice, bob`, as the language lists names."""
        return self.text("sentence.and").join(names)

    def clauses(self, parts: Iterable[str]) -> str:
        """Parts of one sentence."""
        return self.text("sentence.clause").join(parts)

    def aside(self, text: str) -> str:
        """` (text)` to put behind something; nothing for nothing."""
        return self.text("sentence.aside", text=text) if text else ""

    def labelled(self, name: str, text: str) -> str:
        """`name: text`"""
        return self.text("sentence.label", name=name, text=text)

    def badge(self, status: str) -> Span:
        """Sign, word and role of a status word of `job_status`, `task_status` or `share_status`."""
        glyph, role = _SIGNS.get(status, ("unknown", ""))
        word = self.catalogue.get(f"status.{status}", status)
        return Span(f"{getattr(self.glyphs, glyph)} {word}", role)


_SIGNS: dict[str, tuple[str, Role]] = {
    "waiting": ("waiting", "wait"),
    "pending": ("pending", ""),
    "ready": ("ready", ""),
    "running": ("run", "run"),
    "done": ("ok", "ok"),
    "approved": ("ok", "ok"),
    "failed": ("bad", "bad"),
    "stopped": ("stopped", "warn"),
    "cancelled": ("rejected", "dim"),
    "rejected": ("rejected", "warn"),
    "withdrawn": ("rejected", "dim"),
    "finished": ("stopped", "dim"),
}
_JOB_STATES = {"PENDING": "pending", "READY": "ready", "RUNNING": "running", "REJECTED": "rejected"}
_TASK_STATES = {"PENDING": "pending", "READY": "ready", "RUNNING": "running", "SUCCESS": "done", "FAILED": "failed"}
_OUTCOMES = {"succeeded": "done", "failed": "failed", "stopped": "stopped"}
_APPROVALS = {"PENDING": "waiting", "APPROVED": "approved", "REJECTED": "rejected", "WITHDRAWN": "withdrawn"}


def job_status(job: JobRow) -> str:
    """One word for what a job is up to; `waiting` = for this node's decision."""
    return "waiting" if job.needs_decision else run_status(job.state, job.outcome)


def run_status(state: str, outcome: str | None) -> str:
    """The same for somebody who only looks at how it ended."""
    if state == "FINISHED":
        return _OUTCOMES.get(outcome or "", "finished")
    return _JOB_STATES.get(state, state.lower())


def task_status(task: TaskRow) -> str:
    if task.cancelled and task.state in ("PENDING", "READY"):
        return "cancelled"
    failed = [share for share in task.shares if share.state == "FAILED"]
    if task.state == "FAILED" and failed and all(share.outcome == "stopped" for share in failed):
        return "stopped"
    return _TASK_STATES.get(task.state, task.state.lower())


def share_status(share: ShareRow) -> str:
    if share.state == "FAILED" and share.outcome == "stopped":
        return "stopped"
    return _TASK_STATES.get(share.state, share.state.lower())


def approval_status(state: str) -> str:
    return _APPROVALS.get(state, state.lower())
