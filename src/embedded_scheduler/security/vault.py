"""Seals the secrets that are kept in the database, with a key that is kept elsewhere.

AES-256-GCM with a fresh nonce per value; the name is authenticated with it, so one secret cannot stand in for another.
The data key is derived (HKDF-SHA256) from a text that comes from a systemd credential, the desktop's keyring, or the
file `<home>/data.key`.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound, Unavailable
from embedded_scheduler.security.secrets import create_secret, read_secret
from embedded_scheduler.sentences import say

KeyPlace = Literal["auto", "file", "systemd", "keyring"]

CREDENTIAL = "nodeconsole.datakey"
"""Name of the systemd credential."""
CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"

_SERVICE = "nodeconsole"
_NONCE = 12
_SHORTEST = 32
_VERSION = b"\x01"


class Vault:
    """Seals and opens values. `key_id` tells one data key from another and says nothing about it."""

    def __init__(self, text: str) -> None:
        if len(text) < _SHORTEST:
            raise InvalidRequest(say("data_key_short", count=len(text), least=_SHORTEST))
        self._cipher = AESGCM(_derived(text, b"nodeconsole data key 1"))
        self.key_id = _derived(text, b"nodeconsole data key id 1")[:8].hex()

    def seal(self, name: str, value: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, value.encode(), _bound(_VERSION, name))

    def open(self, name: str, sealed: bytes) -> str:
        """The value; `Conflict` if it was sealed with another key or under another name, or was changed."""
        version, nonce, content = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, content, _bound(version, name)).decode()
        except (InvalidTag, ValueError):
            raise Conflict(say("secret_sealed", name=name)) from None


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a node's data key is kept. `environment` is the process's; `account` names the node in the keyring."""

    place: KeyPlace
    file: Path
    account: str
    environment: Mapping[str, str] = field(repr=False)

    def vault(self, *, create: bool = False) -> Vault:
        """The key's vault. `create` makes a missing key where the node may make one (file, keyring)."""
        return Vault(self._text(create=create))

    def _text(self, *, create: bool) -> str:
        credential = self._credential()
        if self.place == "systemd" or (self.place == "auto" and credential is not None):
            return self._from_systemd(credential)
        if self.place == "keyring":
            return self._from_keyring(create=create)
        if create and not self.file.exists():
            create_secret(self.file, secrets.token_urlsafe(32))
        try:
            return read_secret(self.file)
        except NotFound:
            raise NotFound(say("data_key_missing", path=str(self.file))) from None

    def _credential(self) -> Path | None:
        directory = self.environment.get(CREDENTIALS_DIRECTORY)
        path = Path(directory) / CREDENTIAL if directory else None
        return path if path is not None and path.exists() else None

    def _from_systemd(self, credential: Path | None) -> str:
        if credential is None:
            raise Unavailable(say("credential_missing", name=CREDENTIAL))
        try:
            return credential.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(say("credential_unreadable", name=CREDENTIAL, error=type(error).__name__)) from None

    def _from_keyring(self, *, create: bool) -> str:
        ring: Any
        try:
            ring = importlib.import_module("keyring")
        except ImportError:
            raise Unavailable(say("keyring_missing")) from None
        try:
            found = ring.get_password(_SERVICE, self.account)
            if found is None and create:
                found = secrets.token_urlsafe(32)
                ring.set_password(_SERVICE, self.account, found)
        except Exception as error:  # noqa: BLE001 - every desktop's keyring fails in its own way
            raise Unavailable(say("keyring_locked", error=type(error).__name__)) from None
        if found is None:
            raise NotFound(say("keyring_empty", account=self.account))
        return str(found)


def _derived(text: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(text.encode())


def _bound(version: bytes, name: str) -> bytes:
    return b"nodeconsole secret\n" + version + name.encode()
