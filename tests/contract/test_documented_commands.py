"""The operator's guide names every command that there is, and none that is not."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeconsole.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
NOT_TYPED = {"bridge"}
"""Started by ssh."""


def _commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield " ".join(words)
    for action in below:
        for name, child in action.choices.items():
            yield from _commands(child, (*words, name))


@pytest.mark.parametrize("guide", ["docs/operator.md", "docs/operator.zh.md"])
def test_the_table_of_commands_is_complete(guide: str) -> None:
    last_section = (ROOT / guide).read_text("utf-8").rpartition("\n## ")[2]
    named = {quoted.removeprefix("nodeconsole ") for quoted in re.findall(r"`([a-z][^`]*)`", last_section)}
    assert named == set(_commands(build_parser())) - NOT_TYPED
