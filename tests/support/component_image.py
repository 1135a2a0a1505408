"""A component of the kit as an image, laid out as its Dockerfile does it, by an engine that builds nothing."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from nodeconsole.kit.archives import write_sdk_wheel
from tests.support import container_engine
from tests.support.container_engine import Engine


def load_component(engine: Engine, tag: str, package: Path) -> None:
    """`package` is the component's Python package with its manifest."""
    name = package.name
    content: dict[str, bytes | Path] = dict(container_engine.python_tree())
    content |= {f"opt/{name}/{name}/{path.name}": path for path in package.iterdir() if path.is_file()}
    content |= _sdk()
    environment = [f"PYTHONPATH=/opt/{name}:/opt/sdk", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"]
    entry = ["/usr/bin/python3", "-m", name]
    engine.load(tag, content, {"Entrypoint": entry, "WorkingDir": f"/opt/{name}", "Env": environment})


def _sdk() -> Mapping[str, bytes]:
    """The files of the wheel that authors install, as pip would lay them out."""
    with (
        tempfile.TemporaryDirectory() as directory,
        zipfile.ZipFile(write_sdk_wheel(Path(directory))) as wheel,
    ):
        return {f"opt/sdk/{name}": wheel.read(name) for name in wheel.namelist()}
