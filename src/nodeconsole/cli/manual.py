"""The manual page (roff, section 1), made from the parser tree."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from nodeconsole import __version__
from nodeconsole.cli.exits import EXPLAINED

ENVIRONMENT: Mapping[str, str] = {
    "NODECONSOLE_HOME": "the node's directory, where --home is not given",
    "NODECONSOLE_SOCKET": "the socket of the node, where neither --socket nor --home is given",
    "NODECONSOLE_PASSPHRASE": "opens an encrypted signing key",
    "NODECONSOLE_LANG": "language of the console: en or zh",
    "NODECONSOLE_THEME": "theme of the console",
    "NODECONSOLE_GLYPHS": "signs of the console: unicode, safe or ascii",
    "NO_COLOR": "when set, the console uses no colours",
}
FILES: Mapping[str, str] = {
    "~/.nodeconsole/": "the node: node.toml, its database, key, logs and results",
    "~/.config/nodeconsole/": "the operator's settings.toml, keymap.toml, aliases.toml and themes",
    "~/.local/state/nodeconsole/": "what the console remembers of each node",
}


def page(parser: argparse.ArgumentParser) -> str:
    """The whole page. It is the same for the same program: no date is in it."""
    lines = [f'.TH NODECONSOLE 1 "" "nodeconsole {_text(__version__)}" "User Commands"', ".nh", ".ad l"]
    lines += [".SH NAME", f"nodeconsole \\- {_text(_lower(parser.description or '').rstrip('.'))}"]
    lines += [".SH SYNOPSIS", *_usage(parser, frozenset())]
    lines += [".SH DESCRIPTION", "Without a command, the console of the node that is here is opened;"]
    lines += ["where there is none, five questions are asked first. Every command takes the options that come first."]
    lines += [".SH OPTIONS", *_options(parser, frozenset())]
    common = frozenset(name for action in parser._actions for name in action.option_strings)
    lines += [".SH COMMANDS"]
    for command in _leaves(parser):
        lines += _command(command, common)
    lines += [".SH EXIT STATUS"]
    for code, text in EXPLAINED.items():
        lines += [".TP", f".B {code.value}", _text(text)]
    for title, entries in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines.append(f".SH {title}")
        for name, text in entries.items():
            lines += [".TP", f".B {_text(name)}", _text(text)]
    lines += [".SH SEE ALSO", ".BR ssh (1),", ".BR tmux (1)"]
    return "\n".join(lines) + "\n"


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands that can be given, in the order of help."""
    # argparse offers no public way to walk its tree.
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for below in dict.fromkeys(group.choices.values()):
            yield from _leaves(below)


def _command(parser: argparse.ArgumentParser, common: frozenset[str]) -> list[str]:
    words = parser.prog.split(" ", 1)[1]
    lines = [f'.SS "{_text(words)}"', *_usage(parser, common), ".PP", _text(parser.description or "")]
    return lines + _options(parser, common)


def _usage(parser: argparse.ArgumentParser, known: frozenset[str]) -> list[str]:
    """How it is typed, without the options that are described already."""
    own = [action for action in parser._actions if not {"-h", *known} & set(action.option_strings)]
    formatter = parser._get_formatter()
    formatter.add_usage("%(prog)s" if not own else None, own, parser._mutually_exclusive_groups, prefix="")
    words = " ".join(formatter.format_help().split())
    return [f".B {_text(parser.prog)}", _text(words.removeprefix(parser.prog).strip())]


def _options(parser: argparse.ArgumentParser, known: frozenset[str]) -> list[str]:
    """Options and arguments with a text, without those that are described already."""
    lines: list[str] = []
    for action in parser._actions:
        names = [name for name in action.option_strings if name not in known]
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        if not names and (action.option_strings or not action.help):
            continue
        value = "" if action.nargs == 0 else _value(action)
        head = ", ".join(f"\\fB{_text(name)}\\fR" for name in names)
        head += f"{' ' if head and value else ''}\\fI{_text(value)}\\fR" if value else ""
        lines += [".TP", head, _text(_expanded(action))]
    return lines


def _value(action: argparse.Action) -> str:
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _expanded(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default, "prog": "nodeconsole"} if action.help else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _text(text: str) -> str:
    """As roff takes it literally: minus signs stay minus signs, and nothing at a line's start is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in escaped)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
