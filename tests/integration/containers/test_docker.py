"""What the runner does differently for Docker, and with engines that behave badly."""

from __future__ import annotations

import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.containers.conftest import talker
from tests.support.docker_face import Face, docker_face

from embedded_scheduler.errors import Unavailable
from embedded_scheduler.spi.runner import Exit, LaunchSpec, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.containers.conftest import Harness, Machine


@pytest.fixture
def face(harness: Harness, machine: Machine) -> Iterator[Face]:
    with tempfile.TemporaryDirectory(prefix="ncface-", dir="/tmp") as directory:
        path = Path(directory) / "docker.sock"
        harness.settings = harness.settings.model_copy(update={"socket": str(path)})
        with docker_face(machine.engine.socket, path) as made:
            yield made


async def _end_of(harness: Harness, spec: LaunchSpec) -> Exit:
    runner = harness.runner()
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


async def test_docker_runs_containers_that_reach_the_node(harness: Harness, face: Face) -> None:
    program = (
        "import os, socket, time\n"
        "until = time.monotonic() + 10\n"
        "while True:\n"
        "    try:\n"
        "        print('SAID', socket.create_connection(ADDRESS, 5).recv(9), flush=True)\n"
        "        break\n"
        "    except ConnectionRefusedError:\n"
        "        # With Docker the way to the node is there a moment after the program's start.\n"
        "        if time.monotonic() > until: raise\n"
        "        time.sleep(0.01)\n"
        "os.kill(os.getpid(), 15)\n"
    )
    with talker(b"node") as address:
        spec = harness.spec("a", f"ADDRESS = {address!r}\n{program}")
        ending = await _end_of(harness, replace(spec, node_address=f"{address[0]}:{address[1]}"))
    assert (ending.code, ending.signal) == (None, signal.SIGTERM), harness.log("a")
    assert "SAID b'node'\n" in harness.log("a")
    assert face.bodies[0]["HostConfig"]["LogConfig"]["Type"] == "local"
    assert not any("/libpod/" in path for _, path in face.asked)
    found = await harness.runner().diagnose()
    assert found is not None
    assert str(found.text).startswith("Docker 27.5.1, rootful at ")


def _state(**changed: Any) -> Any:
    """A change of what the engine says of a container that has ended."""

    def change(method: str, path: str, status: int, found: Any) -> tuple[int, Any]:
        asked = (method, path.startswith("/containers/"), path.endswith("/json"), status) == ("GET", True, True, 200)
        if asked and isinstance(found, dict) and found["State"]["Status"] == "exited":
            found["State"].update(changed)
        return status, found

    return change


@pytest.mark.parametrize(
    ("changed", "limits", "expected"),
    [
        ({"OOMKilled": True, "ExitCode": 137}, Limits(memory_bytes=1 << 30), (None, signal.SIGKILL, "memory")),
        ({"OOMKilled": True, "ExitCode": 1}, Limits(memory_bytes=1 << 30), (1, None, "memory")),
        ({"OOMKilled": True, "ExitCode": 1}, Limits(), (1, None, "memory")),
        ({"OOMKilled": True, "ExitCode": 0}, Limits(), (0, None, "")),
        ({"OOMKilled": False, "ExitCode": 137}, Limits(), (None, signal.SIGKILL, "")),
    ],
)
async def test_what_the_engine_says_of_memory_is_believed(
    harness: Harness, face: Face, changed: dict[str, Any], limits: Limits, expected: tuple[Any, ...]
) -> None:
    face.change = _state(**changed)
    ending = await _end_of(harness, harness.spec("a", "", limits=limits))
    assert (ending.code, ending.signal, ending.cause) == expected
    assert ("out of memory" in ending.error) == (expected[2] == "memory")


async def test_an_engine_that_never_answers_for_the_log_holds_up_nothing(harness: Harness, face: Face) -> None:
    face.mute = True
    assert (await _end_of(harness, harness.spec("a", "print('ran')"))).ok
    assert "ran\n" in harness.log("a")
    assert any("follow=1" in path for _, path in face.asked)


async def test_an_engine_without_an_init_runs_components_all_the_same(harness: Harness, face: Face) -> None:
    def change(method: str, path: str, status: int, found: Any) -> tuple[int, Any]:
        if path.startswith("/containers/create") and face.bodies[-1]["HostConfig"]["Init"]:
            return 500, {"message": "container-init binary not found on the host"}
        if len(face.bodies) == 1 and method == "GET" and path.startswith("/containers/nodeconsole"):
            return 404, {"message": "no such container"}
        return status, found

    face.change = change
    spec = harness.spec("a", "print('ran')")
    ending = await _end_of(harness, spec)
    assert [body["HostConfig"]["Init"] for body in face.bodies] == [True, False]
    # The container that Podman made behind the face has an init; what counts is that it was asked again without.
    assert (ending.ok, "install catatonit" in harness.log("a")) == (True, True), harness.log("a")


async def test_what_does_not_speak_the_engines_language_is_no_engine(harness: Harness, face: Face) -> None:
    face.change = lambda _method, _path, _status, _found: (500, {"message": "storage is damaged"})
    with pytest.raises(Unavailable, match="storage is damaged"):
        await harness.runner().launch(harness.spec("a", ""))
    found = await harness.runner().diagnose()
    assert found is not None
    assert (found.level, "storage is damaged" in str(found.text)) == ("error", True)
