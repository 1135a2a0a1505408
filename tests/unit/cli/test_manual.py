"""The manual page: every command and option is in it, and roff has nothing to complain about."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from nodeconsole.cli.completion import places, script
from nodeconsole.cli.exits import EXPLAINED
from nodeconsole.cli.grammar.program import SHELLS
from nodeconsole.cli.manual import page
from nodeconsole.cli.parser import build_parser

PAGE = page(build_parser())
READABLE = PAGE.replace("\\-", "-")


def test_every_command_has_a_section() -> None:
    leaves = {" ".join(place.path) for place in places(build_parser()) if place.path and not place.commands}
    assert set(re.findall(r'^\.SS "(.*)"$', READABLE, flags=re.M)) == leaves


def test_every_option_is_described() -> None:
    for place in places(build_parser()):
        for option in place.options:
            if "--help" not in option.names:
                assert f"\\fB{option.names[0]}\\fR" in READABLE, (place.path, option.names)


def test_exit_codes_are_explained() -> None:
    for code in EXPLAINED:
        assert f".B {code.value}\n" in PAGE


def test_it_is_the_same_every_time() -> None:
    assert page(build_parser()) == PAGE
    assert PAGE.isascii()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_roff_has_no_complaint() -> None:
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=PAGE, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "NODECONSOLE(1)" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_offers_what_opens_a_node_to_look_at(shell: str) -> None:
    offered = script(shell, build_parser())
    assert "demo" in offered
    assert "man" in offered
