"""Brings the image of a container: looks for it on the engine, pulls it, and keeps what its tag meant.

Only the standard library, as in `keeper.py`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedded_scheduler.errors import Spoken
from embedded_scheduler.runners.attempt import replace_file
from embedded_scheduler.runners.engine_api import (
    EngineApi,
    EngineGoneError,
    EngineRefusalError,
    EngineSilentError,
    EngineStrangeError,
)
from embedded_scheduler.sentences import say

ALWAYS, MISSING, NEVER = "always", "missing", "never"

_REPORT_EVERY_S = 2.0
_MIB = 1024 * 1024
_PAUSES_S = (2.0, 5.0)
_FINAL = ("unauthorized", "denied", "authentication", "manifest unknown", "not found", "no basic auth", "invalid")
"""What a registry says when asking again would not help."""


class ImageFaultError(Spoken):
    """The image cannot be had; the message is for the operator."""


class StoppedError(Exception):
    """The attempt was stopped before its container started."""


class ImageSupply:
    """`tell` gets lines for the attempt's log; `stopped` is set when the attempt is to end."""

    def __init__(self, api: EngineApi, tell: Callable[[str], None], stopped: threading.Event) -> None:
        self._api = api
        self._tell = tell
        self._stopped = stopped
        self._pulling: socket.socket | None = None

    def interrupt(self) -> None:
        """From another thread, after `stopped` was set."""
        if (pulling := self._pulling) is not None:
            with suppress(OSError):
                pulling.shutdown(socket.SHUT_RDWR)

    def _connected(self, pulling: socket.socket) -> None:
        self._pulling = pulling
        if self._stopped.is_set():
            # Whoever stops the attempt may have looked a moment too early.
            self.interrupt()

    def bring(
        self, content: str, image: str, repository: str, policy: str, pin: str, login: Mapping[str, str] | None
    ) -> str:
        """Id of the image that `content` names. `pin` = file that keeps it. `login` is the registry's."""
        found = None if policy == ALWAYS and content == image else self._api.image(content)
        pulled = found is None
        if found is None:
            self._require_pull(content, image, policy, pin)
            self._pull(content, login)
            found = self._api.image(content)
        if found is None:
            raise ImageFaultError(say("image_vanished", image=content))
        exact = _content(found, repository)
        self._tell(f"the image is {exact}")
        _keep(Path(pin), image, exact, pulled=pulled, replace=policy == ALWAYS)
        return str(found["Id"])

    def _require_pull(self, content: str, image: str, policy: str, pin: str) -> None:
        if policy == NEVER:
            raise ImageFaultError(say("image_not_there", image=content))
        if content.startswith("sha256:"):
            raise ImageFaultError(say("image_changed", image=image, content=content, pin=pin))

    def _pull(self, content: str, login: Mapping[str, str] | None) -> None:
        self._tell(f"pulling {content}")
        for pause in (*_PAUSES_S, None):
            fault = self._pulled(content, login)
            if self._stopped.is_set():
                raise StoppedError
            if not fault:
                return
            if pause is None or any(word in fault.lower() for word in _FINAL):
                raise ImageFaultError(say("image_not_pulled", image=content, fault=fault, advice=_advice(fault)))
            self._tell(f"{content} could not be pulled, trying again: {fault}")
            self._stopped.wait(pause)

    def _pulled(self, content: str, login: Mapping[str, str] | None) -> str:
        """Why it could not be pulled; empty = it was."""
        try:
            with self._api.pull(content, login, self._connected) as lines:
                return self._follow(content, lines)
        except (EngineSilentError, EngineStrangeError) as fault:
            if self._stopped.is_set():
                raise StoppedError from None
            raise ImageFaultError(say("image_not_pulled_now", image=content, fault=fault.words)) from None
        except (EngineGoneError, EngineRefusalError) as fault:
            return str(fault)
        finally:
            self._pulling = None

    def _follow(self, content: str, lines: Iterator[dict[str, Any]]) -> str:
        layers: dict[str, tuple[int, int]] = {}
        said = time.monotonic()
        for line in lines:
            if self._stopped.is_set():
                raise StoppedError
            if line.get("error"):
                return str(line["error"])[:400]
            detail = line.get("progressDetail")
            have, total = (detail.get("current"), detail.get("total")) if isinstance(detail, dict) else (0, 0)
            if isinstance(total, int) and total > 0:
                layers[str(line.get("id"))] = (have if isinstance(have, int) else 0, total)
            if layers and time.monotonic() - said >= _REPORT_EVERY_S:
                said = time.monotonic()
                done, whole = (sum(part) for part in zip(*layers.values(), strict=True))
                self._tell(f"pulling {content}: {done / _MIB:.1f} of {whole / _MIB:.1f} MiB")
        return ""


def _content(found: Mapping[str, Any], repository: str) -> str:
    """The exact content of an image: its digest in the repository, or its id if it came from none."""
    familiar = repository.removeprefix("docker.io/").removeprefix("library/")
    digests = found.get("RepoDigests")
    for entry in digests if isinstance(digests, list) else ():
        name, _, digest = str(entry).partition("@")
        if name in (repository, familiar) and digest:
            return f"{repository}@{digest}"
    return str(found["Id"])


def _keep(pin: Path, image: str, exact: str, *, pulled: bool, replace: bool) -> None:
    content = json.dumps({"image": image, "content": exact, "pulled": pulled}).encode()
    pin.parent.mkdir(mode=0o700, exist_ok=True)
    if replace or not pin.exists():
        # The attempts of one job bring the same image at the same moment, each by a keeper of its own.
        draft = pin.with_name(f".{secrets.token_hex(8)}")
        replace_file(str(draft), content, durable=True)
        if replace:
            draft.replace(pin)
            return
        with suppress(FileExistsError):
            os.link(draft, pin)
        draft.unlink()
    else:
        # Images that nobody used for long are removed by the age of this file.
        os.utime(pin)


def _advice(fault: str) -> str:
    if any(word in fault.lower() for word in ("unauthorized", "denied", "authentication", "no basic auth")):
        return (
            ". Store the registry's login with `nodeconsole secret set NAME` as USER:PASSWORD and name it under "
            "[container.credentials] in node.toml"
        )
    return ""
