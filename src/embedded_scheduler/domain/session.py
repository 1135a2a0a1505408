"""Which channel session the parties of a task meet in: nothing on the wire says it, every node has to find the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.sentences import Words, say

JOB = "job"
SESSION_JOB = "session_job"
SESSION_TASK = "session_task"
STYLES = (JOB, SESSION_JOB, SESSION_TASK)
"""`<job id>`, `session_<job id>`, `session_<task id>`."""

Needs = Callable[[str], str]
"""The style a node cannot do without, by node id; empty = it follows the others, as this node does."""


def session_id(spec: JobSpec, task_name: str, task_id: str, coordinator: str, needs: Needs) -> str:
    """`config.session_id` of one task: what the job says, else what one of the task's nodes needs, else what the
    coordinator needs, else `session_<job id>`."""
    nodes = _nodes_of(spec, task_name)
    wanted = [style for style in map(needs, (*nodes, coordinator)) if style]
    style = spec.session_hint if spec.session_hint in STYLES else next(iter(wanted), SESSION_JOB)
    if style == JOB:
        return spec.job_id
    return f"session_{task_id}" if style == SESSION_TASK else f"session_{spec.job_id}"


def common_style(nodes: Iterable[str], needs: Needs) -> Words:
    """The one style other than ours that nodes of the job need, or empty: what a job has to say for those who do not
    know the node that needs it."""
    wanted = {style for style in map(needs, nodes) if style}
    return wanted.pop() if len(wanted) == 1 and wanted != {SESSION_JOB} else ""


def session_conflict(spec: JobSpec, needs: Needs) -> Words:
    """Why the parties of a task could never meet, as a sentence; empty = they can."""
    if spec.session_hint in STYLES:
        return ""
    for task_name in spec.flow.order:
        wanted = {node: style for node in _nodes_of(spec, task_name) if (style := needs(node))}
        if len(set(wanted.values())) > 1:
            said = ", ".join(f"{node} {style}" for node, style in wanted.items())
            return say("session_styles", task=task_name, styles=said)
    return ""


def _nodes_of(spec: JobSpec, task_name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(party.node_id for party in spec.parties_of(task_name)))
