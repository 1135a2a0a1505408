"""One container of a rootless engine, run by its own user: started by the test in a process of that user.

Arguments: the engine's socket, the image, a directory of the user. Prints how it ended, as JSON.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from embedded_scheduler.config import ContainerSection
from embedded_scheduler.runners.container import ContainerRunner
from embedded_scheduler.spi.runner import LaunchSpec


async def main(socket: str, image: str, home: Path, node: str) -> None:
    """Run it to its end."""
    (home / "runs").mkdir()
    (home / "out").mkdir(mode=0o700)
    (home / "in").write_text("input")
    settings = ContainerSection(allow=("localhost",), socket=socket)
    runner = ContainerRunner(home / "runs", settings, node_id="alice", home=home, images=home / "images")
    spec = LaunchSpec(
        "a",
        image,
        {},
        home / "runs" / "a",
        home / "a.log",
        node_address=node,
        reads=(home / "in",),
        writes=(home / "out",),
    )
    await runner.launch(spec)
    ending = await runner.wait(runner.handle(spec))
    found = await runner.diagnose()
    contained = runner.containment()
    said = [str(found.text) if found else "", str(contained.text) if contained else ""]
    print(json.dumps({"ending": asdict(ending), "said": said}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
