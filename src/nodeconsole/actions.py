"""Everything the console can be told to do, once: key bindings, footer, help, palette and `:` commands come from here.

Lower-case keys look, upper-case keys change something. A key is a character or, for the rest, Textual's name of it; two
separated by a space are pressed one after the other. Full-width punctuation is an alias, so that an input method that
is left on does not lock an operator out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. Its texts are `action.<id>` (a word for the footer) and `help.<id>` (a sentence)."""

    id: str
    scope: str
    keys: tuple[str, ...] = ()
    footer: int = 0
    """Place in the footer, 0 = not there."""
    offered: str = ""
    """The name by which the node must offer it on the object under the cursor; empty = always possible."""
    command: tuple[str, ...] = ()
    """Words for the command line, the first one is shown."""
    argument: str = ""
    """What may follow the word."""

    @property
    def writes(self) -> bool:
        return bool(self.offered)

    @property
    def handler(self) -> str:
        """Name of the method that does it, on the screen or else on the app."""
        return "act_" + self.id.replace(".", "_")


GLOBAL = "global"

ACTIONS: tuple[Action, ...] = (
    # The job list.
    Action("jobs.open", "jobs", ("enter",), footer=1),
    Action("jobs.describe", "jobs", ("d",)),
    Action("jobs.logs", "jobs", ("l",), footer=2),
    Action("jobs.filter", "jobs", ("/", "／", "、"), footer=3),
    Action("sort.newest", "jobs", ("s n",)),
    Action("sort.status", "jobs", ("s s",)),
    Action("sort.flow", "jobs", ("s f",)),
    Action("sort.duration", "jobs", ("s d",)),
    Action("sort.progress", "jobs", ("s p",)),
    Action("list.problem", "jobs", ("e",), footer=4),
    Action("list.problem_before", "jobs", ("E",)),
    Action("jobs.approve", "jobs", ("A",), footer=5, offered="approve", command=("approve",)),
    Action("jobs.reject", "jobs", ("X",), offered="reject", command=("reject",)),
    Action("jobs.stop", "jobs", ("S",), footer=6, offered="stop", command=("stop",)),
    # One job.
    Action("job.logs", "job", ("enter", "l"), footer=1, command=("logs",), argument="TASK"),
    Action("job.section", "job", ("tab",), footer=2),
    Action("job.spec", "job", ("y",), footer=3, command=("spec",)),
    Action("list.problem", "job", ("e",)),
    Action("list.problem_before", "job", ("E",)),
    Action("panel.down", "job", ("}",)),
    Action("panel.up", "job", ("{",)),
    Action("job.approve", "job", ("A",), footer=4, offered="approve", command=("approve",)),
    Action("job.reject", "job", ("X",), offered="reject", command=("reject",)),
    Action("job.stop", "job", ("S",), footer=5, offered="stop", command=("stop",)),
    # A log.
    Action("log.follow", "log", ("F", "end"), footer=1),
    Action("log.all", "log", ("1",), footer=2),
    Action("log.info", "log", ("2",)),
    Action("log.error", "log", ("3",)),
    Action("log.search", "log", ("\\", "/", "／", "、"), footer=3),
    Action("log.next", "log", ("n",), footer=4),
    Action("log.before", "log", ("N",)),
    Action("log.problem", "log", ("e",), footer=5),
    Action("log.problem_before", "log", ("E",)),
    Action("log.wrap", "log", ("w",), footer=6),
    Action("log.party", "log", ("p",)),
    Action("log.left", "log", ("left", "h")),
    Action("log.right", "log", ("right",)),
    # The approval card.
    Action("card.approve", "card", ("A",), footer=1, offered="approve", command=("approve",)),
    Action("card.reject", "card", ("X",), footer=2, offered="reject", command=("reject",)),
    Action("card.job", "card", ("d",), footer=3),
    Action("card.spec", "card", ("y",), footer=4, command=("spec",)),
    # Everything that waits for a person.
    Action("approvals.open", "approvals", ("enter",), footer=1),
    Action("approvals.approve", "approvals", ("A",), footer=2, offered="approve", command=("approve",)),
    Action("approvals.reject", "approvals", ("X",), footer=3, offered="reject", command=("reject",)),
    # A contract with a partner.
    Action("contract.confirm", "contract", ("A",), footer=1, offered="confirm", command=("confirm",)),
    Action("contract.refuse", "contract", ("X",), footer=2, offered="refuse", command=("refuse",)),
    Action("contract.terminate", "contract", ("T",), footer=3, offered="terminate", command=("terminate",)),
    # A partner's request.
    Action("grant.approve", "grant", ("A",), footer=1, offered="approve", command=("approve",)),
    Action("grant.reject", "grant", ("X",), footer=2, offered="reject", command=("reject",)),
    Action("grant.request", "grant", ("y",), footer=3),
    # Partners.
    Action("peers.open", "peers", ("enter",), footer=1),
    Action("peers.invite", "peers", ("I",), footer=2, offered="invite", command=("invite",)),
    Action("peers.join", "peers", ("J",), footer=3, offered="join", command=("join",)),
    Action("peers.terminate", "peers", ("T",), footer=4, offered="terminate", command=("terminate",)),
    Action("peers.resend", "peers", ("R",), footer=5, offered="resend", command=("resend",)),
    # A new invitation.
    Action("invitation.copy", "invitation", ("c",), footer=1),
    # Movement, the same everywhere.
    Action("move.down", "move", ("j", "down")),
    Action("move.up", "move", ("k", "up")),
    Action("move.page_down", "move", ("pagedown", "ctrl+f", "space")),
    Action("move.page_up", "move", ("pageup", "ctrl+b")),
    Action("move.first", "move", ("g g", "home", "0")),
    Action("move.last", "move", ("G", "end")),
    # Everywhere.
    Action("go.jobs", GLOBAL, ("g j",), command=("jobs",), argument="FILTER"),
    Action("go.approvals", GLOBAL, ("g a", "!", "！"), command=("approvals",)),
    Action("go.peers", GLOBAL, ("g o",), command=("peers",)),
    Action("go.components", GLOBAL, ("g c",), command=("components",)),
    Action("go.datasets", GLOBAL, ("g d",), command=("data", "datasets")),
    Action("go.warnings", GLOBAL, ("g w",), command=("warnings",)),
    Action("go.job", GLOBAL, command=("job",), argument="ID"),
    Action("app.command", GLOBAL, (":", "：")),
    Action("app.palette", GLOBAL, (";", "；", "ctrl+p"), command=("palette",)),
    Action("app.refresh", GLOBAL, ("r",), command=("refresh",)),
    Action("app.theme", GLOBAL, ("f2",), command=("theme",), argument="NAME"),
    Action("app.language", GLOBAL, ("f3",), command=("lang",), argument="en|zh"),
    Action("app.glyphs", GLOBAL, command=("glyphs",), argument="unicode|safe|ascii"),
    Action("app.back", GLOBAL, ("escape", "q"), footer=7),
    Action("app.quit", GLOBAL, ("ctrl+q",), command=("q", "quit")),
    Action("app.help", GLOBAL, ("?", "？", "f1"), footer=8, command=("help", "keys")),
)

FOOTER_LIMIT = 8


_DECISIONS = ("approve", "reject", "confirm", "refuse", "revoke")


def is_for(role: str, offered: str) -> bool:
    """Whether somebody in this role can ever be offered the action; the node decides, this explains."""
    return role not in ("viewer", "approver") or (role == "approver" and offered in _DECISIONS)


class Pending(Enum):
    """The keys so far are the beginning of something."""

    MORE = auto()


class KeyMap:
    """What keys mean where `scopes` apply; in case of doubt an earlier scope wins."""

    def __init__(self, scopes: Sequence[str], actions: Sequence[Action] = ACTIONS) -> None:
        self._actions = tuple(action for scope in scopes for action in actions if action.scope == scope)
        self._by_keys: dict[tuple[str, ...], Action] = {}
        for action in self._actions:
            for key in action.keys:
                self._by_keys.setdefault(tuple(key.split(" ")), action)
        self._prefixes = {keys[:1] for keys in self._by_keys if len(keys) > 1}

    @property
    def actions(self) -> tuple[Action, ...]:
        return self._actions

    def resolve(self, keys: tuple[str, ...]) -> Action | Pending | None:
        """The action, `Pending.MORE` when a further key decides, or None."""
        if keys in self._prefixes:
            return Pending.MORE
        return self._by_keys.get(keys)

    def following(self, prefix: str) -> Mapping[str, Action]:
        """What may follow `prefix`: the second key and its action."""
        return {keys[1]: action for keys, action in self._by_keys.items() if len(keys) == 2 and keys[0] == prefix}

    def footer(self) -> tuple[Action, ...]:
        """At most eight actions, in order."""
        shown = sorted((action for action in self._actions if action.footer), key=lambda action: action.footer)
        return tuple(shown[:FOOTER_LIMIT])

    def command(self, word: str) -> Action | None:
        """The action of a command word, also when it is cut short without doubt."""
        exact = [action for action in self._actions if word in action.command]
        if exact:
            return exact[0]
        started = [action for action in self._actions if any(name.startswith(word) for name in action.command)]
        return started[0] if len({action.id for action in started}) == 1 else None

    def command_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(action.command[0] for action in self._actions if action.command))

    def keys_of(self, action: Action) -> tuple[str, ...]:
        """The keys that really lead to it here, full-width aliases left out."""
        own = [key for key in action.keys if self._by_keys.get(tuple(key.split(" "))) is action]
        return tuple(key for key in own if key.isascii())


_NAMES = {
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "space": "Space",
}


def key_name(key: str) -> str:
    """How a key is written for people: `Esc`, `g j`, `F2`, `ctrl+q`."""
    if key in _NAMES:
        return _NAMES[key]
    return key.upper() if len(key) > 1 and key[0] == "f" and key[1:].isdigit() else key
