"""`nodeconsole component new`: a folder with a small real component, its tests, and all that makes it a program."""

from __future__ import annotations

import hashlib
import json
import keyword
import re
import sys
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from nodeconsole import __version__
from nodeconsole.kit.archives import SDK_WHEEL, write_sdk_wheel
from nodeconsole.kit.project import KitFault

_NAME = re.compile(r"[a-z][a-z0-9_]{1,62}")
_PROVIDER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TEMPLATE = "template"
_SUFFIX = ".tmpl"
_TAKEN = frozenset(
    {"algorithm_components", "nodeconsole", "embedded_scheduler", "component", "tests", "data", "dist", "wheels"}
)
_IDS = 7


def create(name: str, provider: str, roles: Sequence[str], directory: Path) -> list[Path]:
    """Make the folder and return its files. `KitFault` if a name cannot be used or the folder holds anything."""
    check_name(name)
    if not _PROVIDER.fullmatch(provider):
        raise KitFault(f"{provider!r} cannot name a provider: 1 to 64 letters, digits, blanks, dots, _ and -")
    unusable = [role for role in roles if not _ROLE.fullmatch(role)]
    if unusable or not roles or len(set(roles)) != len(roles):
        raise KitFault(f"{','.join(roles)!r} are no roles: different lower-case names such as guest,host")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise KitFault(f"{directory} is there already and not empty: nothing was written; name another folder")
    try:
        return _written(name, provider, roles, directory)
    except OSError as error:
        raise KitFault(f"{directory} cannot be written: {error.strerror or error}") from None


def check_name(name: str) -> None:
    """A name is that of a Python package, of a component, and of a file."""
    if not _NAME.fullmatch(name):
        raise KitFault(f"{name!r} cannot name a component: 2 to 63 lower-case letters, digits and _, a letter first")
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name in _TAKEN:
        raise KitFault(f"{name} is taken: Python or this program has a module of that name")


def _written(name: str, provider: str, roles: Sequence[str], directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    wheel = write_sdk_wheel(directory / "wheels")
    facts = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "provider": provider,
        "version": "0.1.0",
        "roles": ", ".join(f'"{role}"' for role in roles),
        "role_list": " and ".join(roles),
        "first": roles[0],
        "second": roles[1] if len(roles) > 1 else roles[0],
        "role_map": ", ".join(f'"{role}": ["{role}"]' for role in roles),
        "own_params": _own_parameters(name, roles),
        "tables": _tables(roles),
        "wheel": SDK_WHEEL,
        "wheel_hash": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "sdk_version": __version__,
    }
    found = [wheel]
    for place, text in _templates(files("nodeconsole.kit").joinpath(_TEMPLATE), ""):
        target = directory / place.replace("NAME", name).replace("DOT", ".")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(text).substitute(facts), "utf-8")
        found.append(target)
    for number, role in enumerate(roles):
        table = directory / "data" / f"{role}.csv"
        table.parent.mkdir(exist_ok=True)
        table.write_text(_sample(number), "utf-8")
        found.append(table)
    return sorted(found)


def _templates(place: Traversable, name: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in place.iterdir():
        below = f"{name}{entry.name}"
        if entry.is_dir():
            found += _templates(entry, f"{below}/")
        elif entry.name.endswith(_SUFFIX):
            found.append((below.removesuffix(_SUFFIX), entry.read_text("utf-8")))
    return found


def _own_parameters(name: str, roles: Sequence[str]) -> str:
    """What each party of the demo job reads; only the first one's table has the column."""
    lines = []
    for number, role in enumerate(roles):
        values = {"dataset_id": "demo#breast_cancer"} | ({} if number else {"column": "mean_radius"})
        lines.append(f'"{role}": {{"0": {{"{name}_0": {json.dumps(values)}}}}}')
    return ",\n      ".join(lines)


def _tables(roles: Sequence[str]) -> str:
    """The first two roles' tables in the example test."""
    rows = ['[["id", "radius"], ["a", "1"], ["b", "2"], ["c", ""]]', '[["id", "texture"], ["a", "5"]]']
    return ", ".join(f'"{role}": {table}' for role, table in zip(roles, rows, strict=False))


def _sample(number: int) -> str:
    """A few invented rows for one party; some ids are at several parties."""
    lines = ["id,mean_radius,mean_texture"]
    lines += [f"P{number * 3 + row:03d},{10 + number + row * 0.5:.1f},{20 - row}" for row in range(_IDS)]
    return "\n".join(lines) + "\n"
