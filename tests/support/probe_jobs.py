"""Job documents made of the built-in `probe`, for tests and benchmarks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any


def probe_job(
    parties: Mapping[str, str],
    tasks: Mapping[str, Sequence[str]],
    *,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    coordinator: str = "",
    sync_type: str = "",
) -> dict[str, Any]:
    """A job of `probe` tasks. `parties` maps role to node; `tasks` maps each task to those it reads from.

    `parameters` are per task and common to all parties. The initiator is the guest.
    """
    output = [{"key": "data", "type": "dataset"}]
    common_job = {"coordinator": coordinator} if coordinator else {}
    if sync_type:
        common_job["sync_type"] = sync_type
    return {
        "flow_id": f"mesh-{secrets.token_hex(4)}",
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": name,
                    "componentName": "probe",
                    "provider": "nodeconsole",
                    "version": "1.0.0",
                    "input": [{"key": f"{source}.data", "type": "dataset"} for source in sources],
                    "output": output,
                }
                for name, sources in tasks.items()
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": parties["guest"]},
            "role": {role: [node] for role, node in parties.items()},
            "job_params": {"common": common_job},
            "task_params": {
                "common": {name: dict(given) for name, given in (parameters or {}).items()},
                **{role: {"0": {name: {} for name in tasks}} for role in parties},
            },
        },
    }


def chain(length: int) -> dict[str, list[str]]:
    """`probe_0` to `probe_<n-1>`, each reading the one before."""
    return {f"probe_{n}": [f"probe_{n - 1}"] if n else [] for n in range(length)}


def fan(width: int) -> dict[str, list[str]]:
    """`probe_0` to `probe_<n-1>`, none reading another."""
    return {f"probe_{n}": [] for n in range(width)}
