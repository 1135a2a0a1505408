"""`nodeconsole keys`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodeconsole.launcher import run


def test_keys_are_printed_as_they_are_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nodeconsole").mkdir()
    (tmp_path / "nodeconsole" / "keymap.toml").write_text('app.quit = "f9"\nno.such = "x"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NODECONSOLE_LANG", "en")
    assert run(["keys"]) == 0
    told = capsys.readouterr()
    assert "F9               app.quit" in told.out
    assert "no.such: there is no such binding" in told.err
    assert run(["keys", "--json", "--preset", "vim"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["preset"] == "vim"
    assert {"scope", "id", "keys", "command", "does"} == set(document["bindings"][0])
