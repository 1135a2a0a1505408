"""What the state of a Job and its pod means for the attempt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embedded_scheduler.runners.following import Sighting
from embedded_scheduler.runners.kubernetes_manifest import CONTAINER, STOPPED
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import Exit

Object = Mapping[str, Any]

STOPPED_THERE = say("stopped_pod_gone")
_BY_SIGNAL = range(128 + 1, 128 + 65)
_KILL = 9
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_WITHOUT_NEWS = frozenset({"", "ContainerCreating", "PodInitializing"})


def sighting(job: Object, pods: Sequence[Object]) -> Sighting:
    """As of now. A Job of ours has one pod; should it have had more, the newest counts."""
    told_to_end = STOPPED in (_part(job, "metadata", "annotations"))
    pod = max(pods, key=_created, default=None)
    if pod is not None:
        return _of_pod(pod)
    if told_to_end:
        return Sighting(Exit(code=None, error=STOPPED_THERE))
    for condition in _list(job, "status", "conditions"):
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            return Sighting(_failed(condition.get("reason"), condition.get("message")))
    return Sighting(waiting=True)


def ending_of_removed(pod: Object) -> Exit:
    """How a pod ended that is not there any more, by the last that was seen of it."""
    return _of_pod(pod).ending or Exit(code=None, error=say("pod_gone"))


def is_begun(pod: Object) -> bool:
    """Whether the pod's container has run, so that it has output."""
    return any(state in _container(pod) for state in ("running", "terminated"))


def _of_pod(pod: Object) -> Sighting:
    state = _container(pod)
    ended = state.get("terminated")
    if ended is not None:
        return Sighting(_terminated(ended, pod))
    if _part(pod, "status").get("phase") == "Failed":
        return Sighting(_failed(_part(pod, "status").get("reason"), _part(pod, "status").get("message")))
    if "running" in state:
        return Sighting()
    waits = state.get("waiting") or {}
    reason, message = str(waits.get("reason") or ""), _line(waits.get("message"))
    if reason in _HOPELESS:
        return Sighting(_failed(reason, message))
    if reason not in _WITHOUT_NEWS:
        return Sighting(note=_joined(reason, message), waiting=True)
    return Sighting(note="; ".join(_unplaced(pod)), waiting=True)


def _terminated(ended: Object, pod: Object) -> Exit:
    code, reason = int(ended.get("exitCode", 0)), str(ended.get("reason") or "")
    if reason == "OOMKilled":
        limit = _memory_limit(pod)
        why = say("pod_over_limit", limit=limit) if limit else say("pod_over_some_limit")
        return Exit(None, _KILL, why, "memory")
    if reason not in ("", "Completed", "Error"):
        return Exit(code=None, error=say("container_not_run", why=_joined(reason, _line(ended.get("message")))))
    if number := int(ended.get("signal") or 0):
        return Exit(code=None, signal=number)
    return Exit(code=None, signal=code - 128) if code in _BY_SIGNAL else Exit(code=code)


def _failed(reason: object, message: object) -> Exit:
    word = str(reason or "")
    cause = {"Evicted": "disk", "ErrImageNeverPull": "image", "InvalidImageName": "image"}.get(word, "engine")
    return Exit(code=None, error=say("not_run_to_end", why=_joined(word, _line(message))), cause=cause)


def _unplaced(pod: Object) -> Iterator[str]:
    for condition in _list(pod, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"waits for a place: {_joined(str(condition.get('reason') or ''), _line(condition.get('message')))}"


def _container(pod: Object) -> Mapping[str, Any]:
    for status in _list(pod, "status", "containerStatuses"):
        if status.get("name") == CONTAINER:
            found: Mapping[str, Any] = status.get("state") or {}
            return found
    return {}


def _memory_limit(pod: Object) -> str:
    container = next(iter(_list(pod, "spec", "containers")), {})
    return str(_part(container, "resources", "limits").get("memory") or "")


def _created(pod: Object) -> str:
    return str(_part(pod, "metadata").get("creationTimestamp") or "")


def _part(value: Object, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) or {}
    return value


def _list(value: Object, *path: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = _part(value, *path[:-1]).get(path[-1]) or ()
    return found


def _line(text: object) -> str:
    return re.sub(r"\s+", " ", str(text or "")).strip()[:500]


def _joined(reason: str, message: str) -> str:
    return f"{reason}: {message}" if reason and message else reason or message or "it does not say why"
