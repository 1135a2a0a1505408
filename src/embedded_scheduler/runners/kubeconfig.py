"""How a Kubernetes cluster is reached: by a kubeconfig, or from a pod of the cluster itself.

A kubeconfig may hold tokens, client certificates and CAs, in place or as files. It is YAML, which needs the extra
`nodeconsole[kubernetes]`; one in JSON (`kubectl config view --raw --flatten --output json`) needs nothing. Plug-ins
that fetch credentials by running a program are not run: a node has a service account's token.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded_scheduler.errors import Refused
from embedded_scheduler.extras import how_to_get
from embedded_scheduler.runners.engine_http import Access
from embedded_scheduler.sentences import say

IN_CLUSTER = "in-cluster"
_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Cluster:
    server: str
    namespace: str
    access: Access = field(repr=False)


def read_cluster(kubeconfig: str, context: str = "", *, pod: Path = _POD) -> Cluster:
    """`kubeconfig` is a path, or `in-cluster`. `Refused` says what is missing; `context` "" = the current one."""
    try:
        return _of_pod(pod) if kubeconfig == IN_CLUSTER else _of_file(Path(kubeconfig).expanduser(), context)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = str(error) or type(error).__name__
        raise Refused(say("kubeconfig", path=repr(kubeconfig), error=what)) from None


def _of_pod(pod: Path) -> Cluster:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    access = Access((pod / "token").read_text("ascii").strip(), (pod / "ca.crt").read_text("ascii"))
    return Cluster(
        f"https://{f'[{host}]' if ':' in host else host}:{port}", (pod / "namespace").read_text().strip(), access
    )


def _of_file(path: Path, context: str) -> Cluster:
    document = _document(path)
    chosen = _named(document, "contexts", context or str(document.get("current-context") or ""))["context"]
    cluster = _named(document, "clusters", chosen["cluster"])["cluster"]
    user = _named(document, "users", chosen["user"])["user"]
    for plugin in ("exec", "auth-provider"):
        if plugin in user:
            raise ValueError(f"user {chosen['user']} needs a program ({plugin}): use the token of a service account")
    if cluster.get("insecure-skip-tls-verify"):
        raise ValueError("insecure-skip-tls-verify is not honoured: give the cluster's certificate-authority")
    token = str(user.get("token") or "") or _file(path, user.get("tokenFile")).strip()
    access = Access(
        token,
        _inline(path, cluster, "certificate-authority"),
        _inline(path, user, "client-certificate"),
        _inline(path, user, "client-key"),
    )
    return Cluster(str(cluster["server"]).rstrip("/"), str(chosen.get("namespace") or "default"), access)


def _document(path: Path) -> Mapping[str, Any]:
    text = path.read_text("utf-8")
    try:
        found = json.loads(text)
    except ValueError:
        try:
            import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        except ImportError:
            raise ValueError(f"YAML needs a library, JSON does not: {how_to_get('kubernetes')}") from None
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error).replace("\n", " ")) from None
    if not isinstance(found, Mapping):
        raise TypeError("it is no kubeconfig")
    return found


def _named(document: Mapping[str, Any], member: str, name: str) -> Mapping[str, Any]:
    for entry in document.get(member) or ():
        if entry["name"] == name:
            found: Mapping[str, Any] = entry
            return found
    raise ValueError(f"it has no {name!r} among its {member}")


def _inline(path: Path, holder: Mapping[str, Any], member: str) -> str:
    """PEM from `<member>-data`, or from the file that `member` names."""
    data = holder.get(f"{member}-data")
    return base64.b64decode(str(data)).decode("ascii") if data else _file(path, holder.get(member))


def _file(beside: Path, name: object) -> str:
    return (beside.parent / str(name)).read_text("ascii") if name else ""
