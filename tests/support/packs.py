"""A tiny component pack, and the wheel that it needs, made on the spot: nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

WHEEL = "tiny_greeting-1.0-py3-none-any.whl"
_INFO = "tiny_greeting-1.0.dist-info"
_SCRIPT = "[console_scripts]\ntiny-greeting = tiny_greeting:word\n"
_COMPONENT = """
import sys, time
import tiny_greeting
from algorithm_components.sdk.parameters import manifest_of
from algorithm_components.sdk.running import Task, run


def work(task: Task) -> None:
    while task.parameters["wait"]:
        time.sleep(0.05)
    task.write_table("greeting", ["word", "prefix"], [(tiny_greeting.word(), sys.prefix)])


if __name__ == "__main__":
    sys.exit(run(work, manifest_of("greeter")))
"""


def write_wheel(directory: Path) -> str:
    """The wheel, in a directory; its SHA-256 (hex)."""
    content = {
        "tiny_greeting.py": "def word():\n    return 'hello from the wheel'\n",
        f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: tiny-greeting\nVersion: 1.0\n",
        f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{_INFO}/entry_points.txt": _SCRIPT,
    }
    content[f"{_INFO}/RECORD"] = "".join(f"{name},,\n" for name in [*content, f"{_INFO}/RECORD"])
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(provider: str, version: str) -> dict[str, Any]:
    return {
        "componentName": "greeter",
        "provider": provider,
        "version": version,
        "title": "Greets",
        "roleList": ["guest"],
        "inputParam": [{"name": "wait", "type": "boolean", "defaultValue": False, "optional": True}],
        "outputData": [{"name": "greeting", "category": "dataset"}],
        "disclosure": ["nothing leaves the node"],
    }


def write_pack(folder: Path, digest: str, *, name: str = "tiny", version: str = "1.0.0", python: str = "") -> Path:
    """The pack's folder; `digest` is the wheel's. Its component's provider is the pack's name. `python` default: the
    version of this interpreter."""
    major, minor = sys.version_info[:2]
    python = python or f">={major}.{minor},<{major}.{minor + 1}"
    component = folder / "code" / "greeter"
    component.mkdir(parents=True, exist_ok=True)
    (folder / "pack.toml").write_text(
        f'form = "nodeconsole.pack/1"\nname = "{name}"\nversion = "{version}"\ntitle = "A tiny pack"\n'
        f'python = "{python}"\nlock = "requirements.lock"\ndisk_mb = 5\ncomponents = ["greeter"]\n'
    )
    (folder / "requirements.lock").write_text(f"tiny-greeting==1.0 --hash=sha256:{digest}\n")
    (component / "__init__.py").touch()
    (component / "__main__.py").write_text(_COMPONENT)
    (component / "manifest.json").write_text(json.dumps(manifest(name, version)))
    return folder


def job(node_id: str, *, provider: str = "tiny", version: str = "1.0.0", wait: bool = False) -> dict[str, Any]:
    """A job of the pack's component for one node."""
    return {
        "flow_id": "packs",
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": "greet",
                    "componentName": "greeter",
                    "provider": provider,
                    "version": version,
                    "input": [],
                    "output": [{"key": "greeting", "type": "dataset"}],
                }
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": node_id},
            "role": {"guest": [node_id]},
            "job_params": {"common": {}},
            "task_params": {"common": {"greet": {"wait": wait}}, "guest": {"0": {"greet": {}}}},
        },
    }
