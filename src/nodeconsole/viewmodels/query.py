"""What is typed after `/` in the job list."""

from __future__ import annotations

from dataclasses import dataclass

_STATES = {
    "pending": "PENDING",
    "ready": "READY",
    "running": "RUNNING",
    "rejected": "REJECTED",
    "finished": "FINISHED",
    "done": "FINISHED",
}
_WAITING = frozenset({"waiting", "wait", "mine"})


@dataclass(frozen=True, slots=True)
class JobQuery:
    """What the node is asked for. It does the filtering, over all jobs, not over what happens to be loaded."""

    q: str = ""
    states: tuple[str, ...] = ()
    needs_decision: bool = False
    unknown: tuple[str, ...] = ()
    """State words that mean nothing; they filter nothing and the operator is told."""

    @property
    def state(self) -> str | None:
        return ",".join(self.states) or None

    @property
    def empty(self) -> bool:
        return not (self.q or self.states or self.needs_decision)


def parse_query(text: str) -> JobQuery:
    """`waiting` = those that need this node's decision; `state:running,pending` (or `status:`) = states; the rest is
    a substring of id, flow, component or party."""
    words: list[str] = []
    states: list[str] = []
    unknown: list[str] = []
    needs = False
    for word in text.split():
        name, colon, value = word.partition(":")
        if word.lower() in _WAITING:
            needs = True
        elif colon and name.lower() in ("state", "status"):
            for item in filter(None, value.lower().split(",")):
                if item in _WAITING:
                    needs = True
                elif item in _STATES:
                    states.append(_STATES[item])
                else:
                    unknown.append(item)
        else:
            words.append(word)
    return JobQuery(" ".join(words), tuple(dict.fromkeys(states)), needs, tuple(unknown))
