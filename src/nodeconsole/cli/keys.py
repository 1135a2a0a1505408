"""`nodeconsole keys`: the keys of the console, as this operator has bound them, or as a page of the docs."""

from __future__ import annotations

import os

from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.text import pad
from nodeconsole.i18n.catalogue import default_language, load
from nodeconsole.keymap import PRESETS, UserKeys, bind
from nodeconsole.own_files import OwnFiles
from nodeconsole.viewmodels.keysheet import Group, groups, markdown

_HEAD = """# Keys

Made by `nodeconsole keys --markdown` from the table of actions (`src/nodeconsole/actions.py`); a test holds it to that.
[The console](console.md) says how keys are changed. L1, L2 and L3 are the levels of confirmation: at once with a few
seconds to take it back; a question whose first answer is No; the end of the id typed. A key of a screen goes before the
same key under "Everywhere". Full-width punctuation is the same as the plain one.
"""


async def keys(call: Invocation) -> Exit:
    """Needs no node."""
    args, out = call.args, call.out
    if args.markdown:
        out.raw(page())
        return Exit.OK
    own = OwnFiles(os.environ)
    user = UserKeys(args.preset) if args.preset else own.keys
    bound = bind(user)
    shown = groups(bound.actions, load(default_language(os.environ)).text)
    if args.json:
        out.document({"preset": user.preset, "bindings": _records(shown), "faults": list(bound.faults)})
        return Exit.OK
    for group in shown:
        out.line(group.title)
        for entry in group.entries:
            written = pad("  ".join(entry.keys), 16)
            out.line(f"  {written} {entry.id:<24} {entry.does}  {entry.command}".rstrip())
        out.line()
    for fault in bound.faults:
        out.note(fault)
    return Exit.OK


def page() -> str:
    """`docs/keymap.md`."""
    text = load("en_US").text
    return _HEAD + markdown({name: groups(bind(UserKeys(name)).actions, text) for name in PRESETS})


def _records(shown: tuple[Group, ...]) -> list[dict[str, object]]:
    return [
        {"scope": group.scope, "id": entry.id, "keys": list(entry.keys), "command": entry.command, "does": entry.does}
        for group in shown
        for entry in group.entries
    ]


COMMANDS: dict[str, Command] = {"keys": keys}
