"""The job of the demo: both data holders align their tables of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TASK = "psi_0"
OUTPUT = "train_data"
REPORT = "report"
NAMESPACE = "demo"
DATASET = "breast_cancer"
ID_COLUMN = "id"


def psi_job(flow_id: str, role: Mapping[str, str]) -> dict[str, Any]:
    """The job document: `role` maps guest, host and perhaps arbiter to node ids; an arbiter coordinates."""
    own = {TASK: {"namespace": NAMESPACE, "name": DATASET, "id": ID_COLUMN}}
    arbiter = role.get("arbiter")
    return {
        "flow_id": flow_id,
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": TASK,
                    "componentName": "sample_alignment",
                    "provider": "nodeconsole",
                    "version": "1.0.0",
                    "input": [],
                    "output": [{"key": OUTPUT, "type": "dataset"}, {"key": REPORT, "type": "report"}],
                }
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": role["guest"]},
            "role": {name: [node_id] for name, node_id in role.items()},
            "job_params": {"common": {"coordinator": arbiter} if arbiter else {}},
            "task_params": {"common": {}, "guest": {"0": own}, "host": {"0": own}},
        },
    }
