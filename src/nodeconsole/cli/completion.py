"""Completion scripts for bash, zsh and fish, made from the parser tree."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nodeconsole.cli.grammar.tree import NODE

_PROGRAM = "nodeconsole"
_CONTEXTS = f"({_PROGRAM} context list --names 2>/dev/null)"
"""Words that a command prints at the time; written like this in fish, with a dollar in other shells."""


@dataclass(frozen=True, slots=True)
class Option:
    """`names` as typed; `choices` of its value; `takes_value` tells flags from the rest."""

    names: tuple[str, ...]
    help: str
    choices: tuple[str, ...]
    takes_value: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One command: the words that may follow it. `path` is empty at the top."""

    path: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    choices: tuple[str, ...]
    """Values of its positional arguments, when they are a fixed set."""

    @property
    def words(self) -> tuple[str, ...]:
        names = tuple(name for option in self.options for name in option.names)
        return tuple(name for name, _ in self.commands) + self.choices + names


def places(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every command of the tree, the top first."""
    commands: list[tuple[str, str]] = []
    options: list[Option] = []
    choices: list[str] = []
    below: list[tuple[str, argparse.ArgumentParser]] = []
    # argparse offers no public way to walk its tree.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands += [(pseudo.dest, pseudo.help or "") for pseudo in action._choices_actions]
            below += action.choices.items()
        elif action.option_strings:
            values = _values(action)
            options.append(Option(tuple(action.option_strings), action.help or "", values, action.nargs != 0))
        else:
            choices += _values(action)
    yield Place(path, tuple(commands), tuple(options), tuple(choices))
    for name, parser_below in below:
        yield from places(parser_below, (*path, name))


def _values(action: argparse.Action) -> tuple[str, ...]:
    """What the value may be: a fixed set, or the words that a command prints when completion is asked for."""
    if action.metavar == NODE:
        return (_CONTEXTS,)
    return tuple(str(choice) for choice in action.choices or ())


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script to source (bash, fish) or to put on `fpath` (zsh)."""
    writers: dict[str, Callable[[list[Place]], list[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return "\n".join(writers[shell](list(places(parser)))) + "\n"


def _key(path: tuple[str, ...]) -> str:
    return "".join(f"/{word}" for word in path)


def _walk(found: list[Place], words: str, first: str, last: str) -> list[str]:
    """Shell code that leaves in `at` which command the words typed so far name."""
    paths = "|".join(_key(place.path) for place in found if place.path)
    return [
        '  local at="" word i',
        f"  for ((i = {first}; i < {last}; i++)); do",
        f"    word={words}",
        '    case "$at/$word" in',
        f'      {paths}) at="$at/$word" ;;',
        "    esac",
        "  done",
    ]


def _posix_words(words: tuple[str, ...]) -> str:
    return " ".join(f"${word}" if word.startswith("(") else word for word in words)


def _value_cases(found: list[Place], offer: Callable[[str], str]) -> list[str]:
    lines = ['  case "$at:$previous" in']
    for place in found:
        for option in place.options:
            if not option.takes_value:
                continue
            patterns = "|".join(f"{_key(place.path)}:{name}" for name in option.names)
            lines.append(f"    {patterns}) {offer(_posix_words(option.choices))}; return ;;")
    return [*lines, "  esac"]


def _word_cases(found: list[Place]) -> list[str]:
    lines = ['  case "$at" in']
    lines += [f'    "{_key(place.path)}") words="{_posix_words(place.words)}" ;;' for place in found]
    return [*lines, "  esac"]


def _bash(found: list[Place]) -> list[str]:
    def offer(choices: str) -> str:
        return f'COMPREPLY=($(compgen -W "{choices}" -- "$current"))' if choices else "COMPREPLY=()"

    return [
        f"# bash completion of {_PROGRAM}: source <({_PROGRAM} completion bash)",
        f"_{_PROGRAM}() {{",
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""',
        *_walk(found, '"${COMP_WORDS[i]}"', "1", "COMP_CWORD"),
        *_value_cases(found, offer),
        *_word_cases(found),
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        f"complete -o default -F _{_PROGRAM} {_PROGRAM}",
    ]


def _zsh(found: list[Place]) -> list[str]:
    def offer(choices: str) -> str:
        return f"compadd -- {choices}" if choices else "_files"

    return [
        f"#compdef {_PROGRAM}",
        f"# zsh completion: {_PROGRAM} completion zsh > a directory of $fpath as _{_PROGRAM}",
        f"_{_PROGRAM}() {{",
        '  local previous="${words[CURRENT-1]}" offered=""',
        *_walk(found, '"${words[i]}"', "2", "CURRENT"),
        *_value_cases(found, offer),
        *(line.replace("words=", "offered=") for line in _word_cases(found)),
        "  compadd -- ${=offered}",
        "  _files",
        "}",
        f'if [ "$funcstack[1]" = "_{_PROGRAM}" ]; then _{_PROGRAM} "$@"; else compdef _{_PROGRAM} {_PROGRAM}; fi',
    ]


def _fish(found: list[Place]) -> list[str]:
    lines = [
        f"# fish completion of {_PROGRAM}: {_PROGRAM} completion fish | source",
        f"function __{_PROGRAM}_at",
        "  set -l at",
        "  for word in (commandline -opc)[2..-1]",
        '    if contains -- "$at/$word" ' + " ".join(_key(place.path) for place in found if place.path),
        '      set at "$at/$word"',
        "    end",
        "  end",
        '  test "$at" = "$argv[1]"',
        "end",
    ]
    for place in found:
        condition = f"-n {shlex.quote(f'__{_PROGRAM}_at {shlex.quote(_key(place.path))}')}"
        for name, text in place.commands:
            lines.append(f"complete -c {_PROGRAM} -f {condition} -a {name} -d {shlex.quote(text)}")
        if place.choices:
            lines.append(f"complete -c {_PROGRAM} -f {condition} -a {_fish_words(place.choices)}")
        lines += [f"complete -c {_PROGRAM} {condition} {_fish_option(option)}" for option in place.options]
    return lines


def _fish_words(words: tuple[str, ...]) -> str:
    return shlex.quote(" ".join(words))


def _fish_option(option: Option) -> str:
    parts = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.takes_value:
        parts.append("-r")
    if option.choices:
        parts.append(f"-f -a {_fish_words(option.choices)}")
    if option.help:
        parts.append(f"-d {shlex.quote(option.help.replace('%%', '%'))}")
    return " ".join(parts)
