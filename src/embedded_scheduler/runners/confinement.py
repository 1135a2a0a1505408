"""What a container gets of this machine, and what it does not: the body of the engine's create call.

It sees its image (read-only), its inputs (each a single file, read-only), the directories of its outputs, a temporary
directory and a directory for logs of its own, and on its loopback the addresses that the node gives it. No capability,
no privilege to gain, no device, no socket of the engine.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.attempt import SCRATCH
from embedded_scheduler.runners.engine_api import EngineFacts
from embedded_scheduler.runners.routes import Route, host_names, routes_to
from embedded_scheduler.sentences import Sentence, say
from embedded_scheduler.spi.runner import Containment, LaunchSpec, Limits

HOST_NETWORK = "host"
NO_NETWORK = "none"
OWN_LOGS = "own-logs"
_INSIDE_TMP = "/tmp"  # noqa: S108 - inside the container
_MOST_FILES = 65536
_MOST_OF_USER = 16384
"""Processes of the node's user in all, which is how this limit is counted."""
_MOST_PROCESSES = 1024
_SPLITS = re.compile(r'[,"]')
"""Podman writes mounts as its command line has them and takes them apart again: what follows a comma in a name would be
an option, another source for example."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """How this node runs containers. `network`: NO_NETWORK (its routes only) or HOST_NETWORK."""

    facts: EngineFacts
    network: str = NO_NETWORK

    def routes(self, spec: LaunchSpec) -> list[Route]:
        """Where the attempt gets to; `Refused` names an address that cannot be reached from inside."""
        if self.network == HOST_NETWORK:
            return []
        return routes_to((spec.node_address, *spec.reaches))

    def body(
        self, spec: LaunchSpec, routes: list[Route], reads: Mapping[Path, Path], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """The create call without the image. `reads`: where the component looks for a file, to where it is."""
        mounts = _mounts(spec, reads)
        split = [
            mount for mount in mounts if self.facts.is_podman and _SPLITS.search(mount["Source"] + mount["Target"])
        ]
        environment = {"HOME": _INSIDE_TMP, "TMPDIR": _INSIDE_TMP, **spec.environment}
        return {
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "User": self._user(),
            "Labels": dict(labels),
            "Healthcheck": {"Test": ["NONE"]},
            "StopSignal": "SIGTERM",
            "HostConfig": {
                "NetworkMode": self.network,
                "ExtraHosts": [f"{name}:{host}" for name, host in host_names(routes)],
                "UsernsMode": self._user_namespace(),
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges", *(["label=disable"] if self.facts.selinux else [])],
                "Init": True,
                "Mounts": [mount for mount in mounts if mount not in split],
                "Binds": list(map(_bind, split)),
                "Ulimits": [
                    {"Name": name, "Soft": value, "Hard": value} for name, value in self._ulimits(spec.limits).items()
                ],
                **self._resources(spec),
                # Keeps every byte; the engine's default may replace what is no text, or drop old lines.
                "LogConfig": {"Type": "k8s-file" if self.facts.is_podman else "local", "Config": self._log_options()},
                "RestartPolicy": {"Name": "no"},
            },
        }

    def containment(self) -> Containment:
        weak = tuple(self._weaknesses())
        text = say("contained_containers_but", weak=weak) if weak else say("contained_containers")
        if self.network == HOST_NETWORK:
            return Containment("plain", text, say("weak_network_fix"))
        return Containment("sandbox", text)

    def _weaknesses(self) -> Iterator[Sentence]:
        """What a container here can do that it should not be able to."""
        if self.network == HOST_NETWORK:
            yield say("weak_network")
        if os.geteuid() == 0 and not self.facts.rootless:
            yield say("weak_root")
        if not self.facts.memory:
            yield say("weak_memory")
        if self.facts.selinux:
            yield say("weak_selinux")

    def _user(self) -> str:
        if self.facts.rootless and not self.facts.is_podman:
            # Its root is the user whom the engine runs as.
            return "0:0"
        return f"{os.geteuid()}:{os.getegid()}"

    def _user_namespace(self) -> str:
        if self.facts.rootless and self.facts.is_podman and os.geteuid() != 0:
            return "keep-id"
        return "host" if self.facts.remapped else ""

    def _log_options(self) -> dict[str, str]:
        return {} if self.facts.is_podman else {"max-size": "1000g", "max-file": "1", "compress": "false"}

    def _ulimits(self, limits: Limits) -> dict[str, int]:
        # Set without need: an engine's own defaults may be more than it is allowed to give.
        found = {
            "core": 0,
            "nofile": _at_most(resource.RLIMIT_NOFILE, _MOST_FILES),
            "nproc": _at_most(resource.RLIMIT_NPROC, _MOST_OF_USER),
        }
        if limits.disk_bytes:
            found["fsize"] = limits.disk_bytes
        if limits.memory_bytes and not self.facts.memory:
            found["as"] = limits.memory_bytes
        return found

    def _resources(self, spec: LaunchSpec) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.facts.pids:
            found["PidsLimit"] = _MOST_PROCESSES
        if spec.limits.memory_bytes and self.facts.memory:
            found |= {"Memory": spec.limits.memory_bytes, "MemorySwap": spec.limits.memory_bytes}
        if spec.limits.cpu and self.facts.cpu:
            found["NanoCpus"] = int(spec.limits.cpu * 1e9)
        if spec.limits.cpu and self.facts.cpuset:
            found["CpusetCpus"] = _cores(spec.attempt_id, math.ceil(spec.limits.cpu))
        return found


def container_name(node_id: str, home: Path, attempt_id: str) -> str:
    """The same for every launch of an attempt; different for another node on the same engine."""
    digest = hashlib.sha256(f"{node_id}\n{home}\n{attempt_id}".encode()).hexdigest()[:12]
    readable = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "-" for letter in attempt_id
    )[:80]
    return f"nodeconsole-{digest}-{readable}"


def _mounts(spec: LaunchSpec, reads: Mapping[Path, Path]) -> list[dict[str, Any]]:
    found = [_mount(spec.run_directory / SCRATCH, Path(_INSIDE_TMP))]
    logs = spec.environment.get("config.log.path", "")
    if logs.startswith("/"):
        # What the component writes there is its own; the log of the attempt is what it prints.
        found.append(_mount(spec.run_directory / OWN_LOGS, Path(logs)))
    found += [_mount(path, path) for path in spec.writes]
    found += [_mount(source, target, read_only=True) for target, source in reads.items()]
    # What is deeper goes on top.
    return sorted(found, key=lambda mount: (mount["Target"].count("/"), mount["Target"]))


def _mount(source: Path, target: Path, *, read_only: bool = False) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(source.absolute()), "Target": str(target), "ReadOnly": read_only}


def _bind(mount: Mapping[str, Any]) -> str:
    """The same in the older form, which is divided by colons."""
    if ":" in mount["Source"] or ":" in mount["Target"]:
        raise Refused(say("podman_name", target=shorten(mount["Target"])))
    return f"{mount['Source']}:{mount['Target']}:{'ro' if mount['ReadOnly'] else 'rw'}"


def _at_most(kind: int, wanted: int) -> int:
    highest = resource.getrlimit(kind)[1]
    return wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)


def _cores(attempt_id: str, wanted: int) -> str:
    """Some cores of this machine, spread over the attempts."""
    cores = sorted(os.sched_getaffinity(0))
    first = int.from_bytes(hashlib.sha256(attempt_id.encode()).digest()[:4], "big")
    return ",".join(str(cores[(first + number) % len(cores)]) for number in range(min(wanted, len(cores))))
