"""`nodeconsole` without a command where nobody sits at a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from nodeconsole import launcher


@pytest.mark.parametrize("present", [True, False])
def test_without_a_terminal_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], present: bool
) -> None:
    home = tmp_path / "home"
    if present:
        provision(Home(home), node_id="alice")
    before = sorted(tmp_path.rglob("*"))
    assert launcher.run(["--home", str(home)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("nodeconsole: ")
    assert said.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_demo_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.run(["--demo"]) == 2
    assert "terminal" in capsys.readouterr().err
