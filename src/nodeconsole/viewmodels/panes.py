"""Rows of the small lists that stand side by side on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nodeconsole.viewmodels.spans import Line


class Target(NamedTuple):
    """What Enter opens: a job, its card, a contract or grant by its id, or a section with the words to open it with."""

    kind: str
    name: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PaneRow:
    """One line: its left part is cut where there is no room, its right part keeps its place.

    Without a `key` the cursor passes over it. `why` is said while it is under the cursor.
    """

    line: Line
    right: Line = ()
    key: str = ""
    target: Target | None = None
    problem: bool = False
    why: Line = ()
