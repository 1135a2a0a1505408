"""Files that the operator names: what a screen shows is written into one, what was carried here is read from one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from nodeconsole.places import create_file
from nodeconsole.screens.session import Session

_LARGEST = 16 * 1024 * 1024


async def save(session: Session, path: Path, content: str, done: str = "") -> bool:
    """Write a new file and say so (in the words of `done`), or say why not; a file that is there is never replaced."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content.encode()

    return await save_stream(session, path, pieces(), done)


async def save_stream(session: Session, path: Path, pieces: AsyncIterator[bytes], done: str = "") -> bool:
    """The same piece by piece; the file is taken away again when the pieces fail."""
    try:
        descriptor = await asyncio.to_thread(create_file, path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
        except BaseException:
            os.unlink(path)  # noqa: PTH108 - ASYNC240 refuses the method, this rule the function
            raise
    except FileExistsError:
        session.say(session.text("saving.exists", path=path), "warn")
    except OSError as error:
        session.say(session.text("saving.failed", path=path, why=error.strerror), "bad")
    else:
        session.say(done or session.text("saving.done", path=path), "ok")
        return True
    return False


async def load(session: Session, path: Path) -> str | None:
    """The text of a file, or None after saying why it cannot be read."""
    try:
        return await asyncio.to_thread(_read, path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        session.say(session.text("saving.unreadable", path=path, why=why), "bad")
        return None


def read_object(session: Session, path: Path, content: str) -> dict[str, Any] | None:
    """The JSON object that was read from the file, or None after saying that it is none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
    else:
        if isinstance(value, dict):
            return value
        why = session.text("saving.no_object")
    session.say(session.text("saving.unreadable", path=path, why=why), "bad")
    return None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("it is too large")
    return content.decode("utf-8-sig")
