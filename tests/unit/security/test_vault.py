"""The vault: what it seals only its key opens, and only under the same name."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from embedded_scheduler.security.vault import CREDENTIAL, KeyPlace, KeySource, Vault

TEXT = "k" * 43


def _source(home: Path, place: KeyPlace = "auto", **environment: str) -> KeySource:
    return KeySource(place, home / "data.key", "alice", environment)


def test_a_value_comes_back_and_is_sealed_differently_each_time() -> None:
    vault = Vault(TEXT)
    first, second = vault.seal("db", "pässword"), vault.seal("db", "pässword")
    assert vault.open("db", first) == vault.open("db", second) == "pässword"
    assert first != second
    assert b"ssword" not in first


def test_every_changed_bit_is_noticed() -> None:
    vault = Vault(TEXT)
    sealed = vault.seal("db", "pw")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Conflict, match="secret set db"):
            vault.open("db", bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises(Conflict):
            vault.open("db", sealed[:length])


def test_rows_cannot_be_exchanged_nor_opened_with_another_key() -> None:
    vault, other = Vault(TEXT), Vault("o" * 43)
    sealed = vault.seal("reading", "pw")
    with pytest.raises(Conflict):
        vault.open("writing", sealed)
    with pytest.raises(Conflict):
        other.open("reading", sealed)
    assert vault.key_id != other.key_id
    assert TEXT not in vault.key_id


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    source = _source(tmp_path)
    with pytest.raises(NotFound, match="secret set"):
        source.vault()
    made = source.vault(create=True)
    assert stat.S_IMODE((tmp_path / "data.key").stat().st_mode) == 0o600
    assert source.vault(create=True).key_id == source.vault().key_id == made.key_id
    (tmp_path / "data.key").chmod(0o644)
    with pytest.raises(Forbidden, match="chmod 600"):
        source.vault()


def test_a_credential_goes_before_the_file(tmp_path: Path) -> None:
    directory = tmp_path / "credentials"
    directory.mkdir()
    (directory / CREDENTIAL).write_text(TEXT + "\n")
    source = _source(tmp_path, CREDENTIALS_DIRECTORY=str(directory))
    assert source.vault(create=True).key_id == Vault(TEXT).key_id
    assert not (tmp_path / "data.key").exists()
    with pytest.raises(Unavailable, match="LoadCredentialEncrypted"):
        _source(tmp_path, "systemd").vault(create=True)
    asked = KeySource("file", tmp_path / "data.key", "alice", {"CREDENTIALS_DIRECTORY": str(directory)})
    assert asked.vault(create=True).key_id != Vault(TEXT).key_id


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text("short")
    with pytest.raises(InvalidRequest, match="at least 32"):
        _source(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).vault()


KEYRING = """
kept = {}
def get_password(service, account): return kept.get((service, account))
def set_password(service, account, value): kept[service, account] = value
"""
PROGRAM = """
import sys
from pathlib import Path
from embedded_scheduler.errors import NotFound
from embedded_scheduler.security.vault import KeySource
source = KeySource("keyring", Path("/nowhere"), "alice", {})
try:
    source.vault()
except NotFound as missing:
    print(missing.message)
made = source.vault(create=True)
import keyring
print(source.vault().key_id == made.key_id, list(keyring.kept), len(keyring.kept["nodeconsole", "alice"]) > 40)
"""


def test_the_keyring_is_asked_for_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text(KEYRING)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    missing, made = done.stdout.splitlines()
    assert "no data key of alice" in missing
    assert made == "True [('nodeconsole', 'alice')] True"
