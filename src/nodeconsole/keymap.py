"""Which keys lead to which action: the table, changed by a preset and by the operator's own file.

The file is `keymap.toml` in the configuration directory (TOML as everywhere here; no further library for YAML):

    preset = "vim"
    jobs.stop = "S,f7"        # keys separated by commas; "g x" = one after the other; "comma", "space", "enter" by name
    app.theme = ""            # no key
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodeconsole.actions import ACTIONS, GLOBAL, Action, plain_key
from nodeconsole.places import replace_file
from nodeconsole.preferences import toml_value

Bindings = Mapping[str, tuple[str, ...]]
"""Keys by the id of the binding."""

PRESETS: Mapping[str, Bindings] = {
    "k9s": {},
    # h j k l stay with movement, so logs are L; y begins copying, so a document is what gf goes to.
    "vim": {
        "jobs.logs": ("L",),
        "job.logs": ("enter", "L"),
        "job.spec": ("g f",),
        "list.document": ("g f",),
        "list.copy": ("y y",),
        "document.format": ("g f",),
        "document.copy": ("y y",),
        "card.spec": ("g f",),
        "grant.request": ("g f",),
        "invitation.copy": ("y y",),
        "log.right": ("right", "l"),
        "move.page_down": ("ctrl+f", "ctrl+d", "pagedown", "space"),
        "move.page_up": ("ctrl+u", "pageup"),
    },
    # For those who know neither: arrows and function keys, and a menu.
    "plain": {
        "move.down": ("down",),
        "move.up": ("up",),
        "move.page_down": ("pagedown",),
        "move.page_up": ("pageup",),
        "move.first": ("home",),
        "move.last": ("end",),
        "list.filter": ("f4", "/"),
        "log.search": ("f4", "/"),
        "app.refresh": ("f5",),
        "pane.zoom": ("f6",),
        "app.command": ("f9", ":"),
        "app.palette": ("f10", "ctrl+p"),
    },
}
DEFAULT_PRESET = "k9s"

NAMED = frozenset(
    [
        *("enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"),
        *("up", "down", "left", "right"),
        *(f"f{number}" for number in range(1, 25)),
    ]
)
"""Keys that are no character."""
NEVER = frozenset(
    f"ctrl+{name}" for name in ("a", "b", "h", "i", "j", "m", "z", "space", "at", "enter", "left_square_bracket")
)
"""A terminal cannot tell them from others, or they belong to somebody else: tmux, screen, an input method, the shell.
With Alt, a terminal sends Escape and the key."""
NEEDED = ("app.command", "app.back", "app.quit", "app.help")
"""Without a key for these an operator would be locked out."""


@dataclass(frozen=True, slots=True)
class UserKeys:
    """What the operator's file says, and what is wrong with it."""

    preset: str = DEFAULT_PRESET
    keys: Bindings = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """The table with the keys that count, and what could not be done as asked."""

    actions: tuple[Action, ...]
    faults: tuple[str, ...]


def read(path: Path) -> UserKeys:
    """The operator's file; what is wrong in it is left out and said."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return UserKeys()
    except (OSError, ValueError) as error:
        return UserKeys(faults=(f"{path.name}: {error}",))
    faults: list[str] = []
    preset = document.pop("preset", DEFAULT_PRESET)
    if preset not in PRESETS:
        faults.append(f"{path.name}: preset {preset!r}: there are {', '.join(PRESETS)}")
        preset = DEFAULT_PRESET
    keys: dict[str, tuple[str, ...]] = {}
    for name, value in _flat("", document):
        found, fault = _asked(name, value)
        if fault:
            faults.append(f"{path.name}: {fault}")
        else:
            keys[name] = found
    return UserKeys(preset, keys, tuple(faults))


def write(path: Path, user: UserKeys) -> None:
    """OSError when that is not possible. Comments of a file written by hand are lost."""
    lines = ["# Keys of the console; written by its settings screen, read again when it changes."]
    lines.append(f"preset = {toml_value(user.preset)}")
    for name, keys in sorted(user.keys.items()):
        lines.append(f"{name} = {toml_value(','.join('comma' if key == ',' else key for key in keys))}")
    replace_file(path, "\n".join(lines) + "\n")


def bind(user: UserKeys, actions: Sequence[Action] = ACTIONS) -> Bound:
    """The actions with their keys: of the table, then the preset's, then the operator's."""
    faults = list(user.faults)
    with_preset = [replace(action, keys=PRESETS[user.preset].get(action.id, action.keys)) for action in actions]
    asked = {name: keys for name, keys in user.keys.items() if keys or name not in NEEDED}
    faults += [f"{name}: it needs a key" for name in user.keys.keys() - asked.keys()]
    taken: dict[tuple[str, str], str] = {}
    for action in with_preset:
        for key in asked.get(action.id, ()):
            owner = taken.setdefault((action.scope, key), action.id)
            if owner != action.id:
                faults.append(f"{key}: both {owner} and {action.id} ask for it; {owner} has it")
    bound: list[Action] = []
    for action in with_preset:
        keys = asked.get(action.id, action.keys)
        own = tuple(key for key in keys if taken.get((action.scope, key), action.id) == action.id)
        lost = [key for key in keys if key not in own]
        if lost and action.id not in asked:
            faults += [f"{key}: {taken[action.scope, key]} takes it from {action.id}" for key in lost]
        bound.append(replace(action, keys=own))
    return Bound(tuple(bound), (*faults, *_hidden(bound)))


def rebound(user: UserKeys, name: str, keys: tuple[str, ...] | None) -> UserKeys:
    """With other keys for one binding; None = as the preset has it."""
    others = {known: its for known, its in user.keys.items() if known != name}
    return replace(user, keys=others if keys is None else others | {name: keys}, faults=())


def fault_of_key(key: str) -> str:
    """Why `key` cannot be bound, or an empty text. Two keys one after the other are separated by a space."""
    parts = key.split(" ")
    if len(parts) > 2 or not all(parts):
        return f"{key!r}: one key, or two separated by a space"
    for part in parts:
        *modifiers, name = part.split("+") if len(part) > 1 else [part]
        if part in NEVER or "alt" in modifiers or "meta" in modifiers:
            return f"{part}: not every terminal sends it, or it belongs to another program"
        if not _known(modifiers, name):
            return f"{part!r} is no key"
    return ""


def _known(modifiers: list[str], name: str) -> bool:
    if not modifiers:
        return name in NAMED or (len(name) == 1 and name.isprintable() and name != " ")
    if not set(modifiers) <= {"ctrl", "shift"}:
        return False
    return name in NAMED or (modifiers == ["ctrl"] and len(name) == 1 and name.isascii() and name.isalnum())


def _asked(name: str, value: object) -> tuple[tuple[str, ...], str]:
    """The keys that a line of the file asks for, or what is wrong with it."""
    if name not in _IDS:
        return (), f"{name}: there is no such binding"
    if not isinstance(value, str):
        return (), f'{name}: keys are a text such as "S,f7"'
    keys = tuple(_folded(part.strip()) for part in value.split(",") if part.strip())
    fault = next((fault for key in keys if (fault := fault_of_key(key))), "")
    return (() if fault else tuple(dict.fromkeys(keys))), f"{name}: {fault}" if fault else ""


def _folded(key: str) -> str:
    return " ".join("," if part == "comma" else plain_key(part) for part in key.split())


_IDS = frozenset(action.id for action in ACTIONS)


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            yield from _flat(key, value)
        else:
            yield key, value


def _hidden(actions: Iterable[Action]) -> list[str]:
    """Keys that are never heard, because the same key begins a pair in the same scope or everywhere."""
    begins: dict[str, set[str]] = {}
    for action in actions:
        for key in action.keys:
            if " " in key:
                begins.setdefault(action.scope, set()).add(key.split(" ")[0])
    everywhere = begins.get(GLOBAL, set()) | begins.get("move", set())
    return [
        f"{key}: {action.id} is never reached, the key begins others"
        for action in actions
        for key in action.keys
        if " " not in key and key in everywhere | begins.get(action.scope, set())
    ]
