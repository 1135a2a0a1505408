"""Completion scripts, tried in the shells themselves where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from embedded_scheduler.domain.lifecycle import JobState
from embedded_scheduler.peers import profiles
from nodeconsole.cli.completion import places, script
from nodeconsole.cli.grammar.partners import PROFILES
from nodeconsole.cli.grammar.program import KEY_PRESETS, SHELLS
from nodeconsole.cli.grammar.values import JOB_STATES
from nodeconsole.cli.parser import build_parser
from nodeconsole.keymap import PRESETS


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    parser = build_parser()
    return {shell: script(shell, parser) for shell in SHELLS}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_of_the_tree_is_offered(shell: str, scripts: dict[str, str]) -> None:
    for place in places(build_parser()):
        for word in place.words:
            assert word.lstrip("-") in scripts[shell], (place.path, word)
    assert all(profile in scripts[shell] for profile in PROFILES)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_its_script(shell: str, scripts: dict[str, str]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n"], input=scripts[shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _complete(scripts: dict[str, str], *words: str) -> set[str]:
    """What bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    program = f"{scripts['bash']}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}\n_nodeconsole\n"
    program += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


SHARED = ("--home", "--socket", "--node", "--remote-program", "--json", "-h", "--help")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nodeconsole", "le"), {"ledger"}),
        (("nodeconsole", "job", "s"), {"submit", "show", "stop"}),
        (("nodeconsole", "job", "submit", "--w"), {"--wait"}),
        (("nodeconsole", "peer", "add", "bob", "http://x", "--profile", "k"), {"kuscia"}),
        (("nodeconsole", "--json", "peer", "add", "--approval", ""), {"auto", "manual"}),
        (("nodeconsole", "completion", ""), {*SHELLS, *SHARED}),
        (("nodeconsole", "job", "logs", "x", "--level", "e"), {"error"}),
        (("nodeconsole", "--home", ""), set()),
    ],
)
def test_bash_offers_what_can_follow(scripts: dict[str, str], words: tuple[str, ...], expected: set[str]) -> None:
    assert _complete(scripts, *words) == expected


def test_words_that_are_written_again_to_start_fast_are_those_of_their_owners() -> None:
    assert set(JOB_STATES) == {state.value for state in JobState}
    assert tuple(PRESETS) == KEY_PRESETS
    assert tuple(profiles.PROFILES) == PROFILES


def test_bash_offers_the_names_of_contexts(
    scripts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nodeconsole"
    program.write_text("#!/bin/sh\n[ \"$*\" = 'context list --names' ] && printf '%s\\n' prod test\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert _complete(scripts, "nodeconsole", "--node", "p") == {"prod"}
    assert _complete(scripts, "nodeconsole", "context", "use", "t") == {"test"}
    assert _complete(scripts, "nodeconsole", "attach", "pr") == {"prod"}
