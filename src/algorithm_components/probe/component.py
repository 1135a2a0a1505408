"""A diagnostic: waits, writes lines, fails on request, reads what it is given and writes what it is to.

Loads next to nothing, so that a run of it measures the node and not Python.
"""

from __future__ import annotations

import os
import sys
import time

from algorithm_components.sdk.environment import Address, ComponentError, Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK = 1024 * 1024
_LINES_AT_ONCE = 1000


def main() -> int:
    """Exit code of the run: 0, what parameter `fail` asks for, or 1 with the reason as the last log line."""
    try:
        return run(Environment())
    except ComponentError as error:
        sys.stdout.write(f"error: {error}\n")
        sys.stdout.flush()
        return 1


def run(environment: Environment) -> int:
    exit_code = _exit_code(environment.text("fail", "false"))
    seconds = environment.number("sleep", 0.0, least=0.0, most=86400.0)
    lines = environment.integer("lines", 0, least=0, most=100_000_000)
    echo = environment.text("echo", "")
    _say(f"probe of {environment.self_party}, task {environment.task_id}")
    if echo:
        _say(f"echo: {echo!r}" if "\n" in echo else f"echo: {echo}")
    _write_lines(lines)
    if seconds:
        time.sleep(seconds)
    if exit_code:
        _say(f"failing as asked with exit code {exit_code}")
        return exit_code
    _copy(environment, echo)
    return 0


def _exit_code(fail: str) -> int:
    word = fail.strip().lower()
    if word in ("true", "yes"):
        return 1
    if word in ("false", "no", ""):
        return 0
    if not word.isdigit() or int(word) > 255:
        raise ComponentError(
            f"the parameter fail must be true, false or an exit code from 0 to 255 (got {fail[:60]!r})"
        )
    return int(word)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _write_lines(count: int) -> None:
    for start in range(1, count + 1, _LINES_AT_ONCE):
        end = min(start + _LINES_AT_ONCE, count + 1)
        sys.stdout.write("".join(f"line {number} of {count}\n" for number in range(start, end)))
    sys.stdout.flush()


def _copy(environment: Environment, echo: str) -> None:
    inputs, outputs = environment.inputs, environment.outputs
    if not inputs and not outputs:
        return
    root = environment.required("system.storage")
    if not root.startswith("file:///"):
        _copy_elsewhere(root, environment, echo)
        return
    paths = {name: _path(root.removeprefix("file://"), address) for name, address in sorted(inputs.items())}
    for name, path in paths.items():
        _say(f"input {name}: {sum(len(chunk) for chunk in _read(name, path))} bytes")
    for name, address in sorted(outputs.items()):
        chunks: Iterable[bytes] = (chunk for source, path in paths.items() for chunk in _read(source, path))
        if not paths:
            chunks = [f"{echo or 'probe'}\n".encode()]
        _say(f"output {name}: {_write(name, _path(root.removeprefix('file://'), address), chunks)} bytes")


def _copy_elsewhere(url: str, environment: Environment, echo: str) -> None:
    """The same where objects are no files."""
    from algorithm_components.sdk.tables import Tables  # noqa: PLC0415 - of what the probe does on files, most of its time

    tables = Tables(url)
    inputs = sorted(environment.inputs.items())
    for name, address in inputs:
        _say(f"input {name}: {sum(map(len, tables.chunks(address)))} bytes")
    for name, address in sorted(environment.outputs.items()):
        content = (chunk for _, source in inputs for chunk in tables.chunks(source))
        tables.write_chunks(address, content if inputs else [f"{echo or 'probe'}\n".encode()])
        _say(f"output {name}: stored")


def _path(root: str, address: Address) -> str:
    if any(not part or "/" in part or part.startswith(".") for part in (address.namespace, address.name)):
        raise ComponentError(f"{address} is not a storage address")
    return f"{root}/{address.namespace}/{address.name}"


def _read(name: str, path: str) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            while chunk := os.read(descriptor, _CHUNK):
                yield chunk
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ComponentError(f"input {name} cannot be read: {error.strerror or error}") from None


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102 - pathlib is not loaded
    except FileExistsError:
        return


def _write(name: str, path: str, chunks: Iterable[bytes]) -> int:
    directory, _, file_name = path.rpartition("/")
    pending = f"{directory}/.pending-{os.getpid()}-{file_name[-100:]}"
    size = 0
    try:
        _make_directory(directory)
        descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                size += len(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(pending, path)  # noqa: PTH105
    except OSError as error:
        raise ComponentError(f"output {name} cannot be written: {error.strerror or error}") from None
    return size
