"""View models of the console as lines of the command line: English, without colours, as wide as the terminal."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable

from nodeconsole.cli.invocation import Invocation
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import default_glyphs
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.spans import plain as text_of


def display_here() -> Display:
    return Display(load("en_US"), default_glyphs(os.environ), time.time_ns() // 1_000_000)


def width_here() -> int:
    return max(60, shutil.get_terminal_size((100, 24)).columns)


def print_lines(call: Invocation, lines: Iterable[Line], *, indent: str = "") -> None:
    for line in lines:
        call.out.line(f"{indent}{text_of(line)}".rstrip())
