"""What is asked of Kubernetes for one attempt: a Job of one pod, and a Secret with its environment.

Every variable comes from the Secret, not only the token: Kubernetes rewrites `$(NAME)` in plain values, and shows them
to whoever may look at pods. The Job owns the Secret, so one goes with the other.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.variables import check
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import LaunchSpec, Limits

CONTAINER = "component"
ATTEMPT_LABEL = "nodeconsole.attempt"
STOPPED = "nodeconsole/stopped"
"""Annotation of a Job that was told to end."""
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_MOST_SECRET_BYTES = 1024 * 1024
_KEPT_S = 7 * 24 * 3600
"""What an ended attempt left is removed by the cluster itself after this time, should the node never come."""


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What every pod of this node gets. `claim` is a volume with the storage's files, mounted at `mount`."""

    node_id: str
    grace_s: float = 5.0
    claim: str = ""
    mount: str = ""
    service_account: str = ""
    pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)


def name_of(node_id: str, attempt_id: str) -> str:
    """Of Job and Secret: a name that Kubernetes takes, the same each time."""
    return f"nodeconsole-{hashlib.sha256(f'{node_id}/{attempt_id}'.encode()).hexdigest()[:32]}"


def job_manifest(spec: LaunchSpec, image: str, name: str, settings: PodSettings) -> dict[str, Any]:
    """Suspended: it is let go when its Secret is there. `Refused` for an environment that Kubernetes cannot give."""
    labels = {"app.kubernetes.io/managed-by": "nodeconsole", ATTEMPT_LABEL: name}
    annotations = {"nodeconsole/node": settings.node_id, "nodeconsole/attempt": spec.attempt_id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "suspend": True,
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(spec, image, name, settings),
            },
        },
    }


def secret_manifest(spec: LaunchSpec, name: str, job_uid: str) -> dict[str, Any]:
    data = {f"v{number}": _encoded(value) for number, value in enumerate(spec.environment.values())}
    if sum(map(len, data.values())) > _MOST_SECRET_BYTES:
        raise Refused(say("environment_large"))
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {"name": name, "labels": {ATTEMPT_LABEL: name}, "ownerReferences": [owner]},
        "data": data,
    }


def _pod(spec: LaunchSpec, image: str, name: str, settings: PodSettings) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image,
        "env": _variables(spec.environment, name),
        "resources": _resources(spec.limits),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": math.ceil(settings.grace_s),
        "containers": [container],
    }
    if settings.claim:
        pod["volumes"] = [{"name": "storage", "persistentVolumeClaim": {"claimName": settings.claim}}]
        container["volumeMounts"] = [{"name": "storage", "mountPath": settings.mount}]
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    if settings.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in settings.pull_secrets]
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    return pod


def _variables(environment: Mapping[str, str], secret: str) -> list[dict[str, Any]]:
    check(environment)
    for name in environment:
        if not _NAME.fullmatch(name):
            raise Refused(say("environment_kubernetes", name=shorten(name)))
    keys = enumerate(environment)
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": f"v{n}"}}} for n, name in keys]


def _resources(limits: Limits) -> dict[str, Any]:
    """Asked for and limited alike, so that a pod that was placed has what it needs."""
    amounts = {
        "cpu": f"{math.ceil(limits.cpu * 1000)}m" if limits.cpu is not None else "",
        "memory": str(limits.memory_bytes or ""),
        "ephemeral-storage": str(limits.disk_bytes or ""),
    }
    given = {name: amount for name, amount in amounts.items() if amount}
    return {"requests": given, "limits": given} if given else {}


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode("utf-8")).decode("ascii")
