"""The operator's own files: settings, keys, aliases. Read at the start, and again when they change."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from nodeconsole import keymap, preferences
from nodeconsole.keymap import UserKeys
from nodeconsole.places import config_directory
from nodeconsole.preferences import Preferences

_Stamp = tuple[int, int] | None


class OwnFiles:
    """What they say, and what is wrong with them. Without a home there are none, and changes live as long as this."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.directory = config_directory(environ)
        self.preferences = Preferences()
        self.keys = UserKeys()
        self.aliases: Mapping[str, str] = {}
        """Command lines by the word that stands for them."""
        self._faults: dict[str, tuple[str, ...]] = {}
        self._stamps: dict[str, _Stamp] = {}
        self._readers: dict[str, Callable[[Path], tuple[str, ...]]] = {
            "settings.toml": self._read_settings,
            "keymap.toml": self._read_keys,
            "aliases.toml": self._read_aliases,
        }
        self.poll()

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(fault for name in sorted(self._faults) for fault in self._faults[name])

    def poll(self) -> frozenset[str]:
        """Read again what changed on disk; the names of those files."""
        if self.directory is None:
            return frozenset()
        changed: set[str] = set()
        for name, read in self._readers.items():
            path = self.directory / name
            stamp = _stamp(path)
            if name not in self._stamps or stamp != self._stamps[name]:
                self._stamps[name] = stamp
                self._faults[name] = read(path)
                changed.add(name)
        return frozenset(changed)

    def save_preferences(self, wanted: Preferences) -> None:
        """OSError when they cannot be written; they count all the same."""
        self.preferences = wanted
        self._save("settings.toml", lambda path: preferences.write(path, wanted))

    def save_keys(self, wanted: UserKeys) -> None:
        self.keys = wanted
        self._save("keymap.toml", lambda path: keymap.write(path, wanted))

    def _save(self, name: str, write: Callable[[Path], None]) -> None:
        if self.directory is not None:
            path = self.directory / name
            write(path)
            self._stamps[name] = _stamp(path)
            self._faults[name] = ()

    def _read_settings(self, path: Path) -> tuple[str, ...]:
        self.preferences, faults = preferences.read(path)
        return faults

    def _read_keys(self, path: Path) -> tuple[str, ...]:
        self.keys = keymap.read(path)
        return self.keys.faults

    def _read_aliases(self, path: Path) -> tuple[str, ...]:
        self.aliases, faults = _aliases(path)
        return faults


def _aliases(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, ()
    except (OSError, ValueError) as error:
        return {}, (f"{path.name}: {error}",)
    good = {name.lower(): line for name, line in document.items() if isinstance(line, str) and line.strip()}
    return good, tuple(f"{path.name}: {name}: not a command line" for name in document if name.lower() not in good)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
