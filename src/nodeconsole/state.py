"""What the console remembers of one node between two starts: where one was, filters, order, histories.

Nothing here matters for the node: a file that cannot be read is ignored, and said.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypeVar

from nodeconsole.places import replace_file

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
T = TypeVar("T", bound=Json)
_FORMAT = 1


class State:
    """Values by name. Without a file it remembers as long as it lives.

    Two consoles of one node share the file: each writes only the values that it changed itself.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._values: dict[str, Json] = {}
        self._changed: dict[str, Json] = {}
        self.fault = ""
        """Why the file was not taken, if it was not."""
        if path is not None:
            self._values, self.fault = _read(path)

    @classmethod
    def of_node(cls, directory: Path | None, address: str) -> State:
        """The state about the node at this address; without a directory, one that is not kept."""
        return cls(state_path(directory, address) if directory is not None else None)

    def remember(self, key: str, value: Json) -> None:
        """Keep a value; it is written within a second or so."""
        if key not in self._values or self._values[key] != value:
            self._values[key] = self._changed[key] = value

    def recall(self, key: str, default: T) -> T:
        """What was kept under `key`; `default` when that is nothing, or another kind of thing."""
        value = self._values.get(key)
        return value if type(value) is type(default) else default

    def recall_texts(self, key: str) -> list[str]:
        """The list of texts that was kept; empty when that is nothing."""
        value = self._values.get(key)
        return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []

    @property
    def unsaved(self) -> bool:
        return self._path is not None and bool(self._changed)

    def save(self) -> None:
        """Write what changed; OSError when that is not possible."""
        if self._path is None or not self._changed:
            return
        changed, self._changed = self._changed, {}
        on_disk, _ = _read(self._path)
        document = {"format": _FORMAT, "values": on_disk | changed}
        replace_file(self._path, json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True))


def state_path(directory: Path, address: str) -> Path:
    """The file about the node at this address: the path of its socket, or where it is reached."""
    return directory / f"{hashlib.sha256(address.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.json"


def _read(path: Path) -> tuple[dict[str, Json], str]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{path}: {error}"
    if (
        not isinstance(document, dict)
        or document.get("format") != _FORMAT
        or not isinstance(document.get("values"), dict)
    ):
        return {}, f"{path}: not a state file of this console"
    return document["values"], ""
