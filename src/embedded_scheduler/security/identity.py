"""This node's identity: its signing key and certificate, in files only the owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from embedded_scheduler.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from embedded_scheduler.security.keys import SigningKey
from embedded_scheduler.security.tls import KeyPair

KEY_FILE = "signing.key"
CERTIFICATE_FILE = "certificate.pem"
CREDENTIAL = "nodeconsole.passphrase"
VARIABLE = "NODECONSOLE_PASSPHRASE"
VALID_DAYS = 730
_BACKDATED = timedelta(hours=1)
"""For partners whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What this node signs and introduces itself with. `certificate` is PEM, `pair` both as TLS uses them; the files
    lie in `directory`."""

    directory: Path
    key: SigningKey
    certificate: str
    not_after: datetime
    pair: KeyPair

    @property
    def fingerprint(self) -> str:
        return self.key.fingerprint


def find_passphrase(file: str) -> bytes | None:
    """The passphrase of the signing key: from `file` if one is set, else from the service manager's credential, else
    from the environment; None when there is none. Never from a command line, which all users of the machine can read."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / CREDENTIAL if credentials else None
    chosen = Path(file) if file else credential if credential is not None and credential.is_file() else None
    if chosen is not None:
        try:
            return chosen.read_bytes().rstrip(b"\r\n") or None
        except OSError as error:
            raise Unavailable(f"the passphrase file {chosen} cannot be read: {error.strerror}") from None
    return os.environ.get(VARIABLE, "").encode("utf-8", "surrogateescape") or None


def create_identity(directory: Path, node_id: str, *, institution: str = "", passphrase: bytes | None = None) -> None:
    """Make the key and a self-signed certificate unless they are there; safe to repeat after an interruption.

    Both appear whole (0600), the key first. `Unavailable` when they cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        key_path = directory / KEY_FILE
        if not key_path.exists():
            _write_whole(key_path, _private_pem(Ed25519PrivateKey.generate(), passphrase))
        certificate_path = directory / CERTIFICATE_FILE
        if not certificate_path.exists():
            key = _load_key(key_path, passphrase)
            _write_whole(certificate_path, _self_signed(key, node_id, institution))
    except OSError as error:
        raise Unavailable(f"cannot create the identity in {directory}: {error.strerror}") from None


def load_identity(directory: Path, *, passphrase: bytes | None = None) -> Identity:
    """The identity; `NotFound`, `Forbidden` (others can read the key), `InvalidRequest` (passphrase, damaged, key and
    certificate that do not belong together) say what to do."""
    key = _load_key(directory / KEY_FILE, passphrase)
    path = directory / CERTIFICATE_FILE
    try:
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
    except FileNotFoundError:
        raise NotFound(f"{path} is missing: run `nodeconsole init --home {directory.parent}`") from None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise InvalidRequest(f"{path} is not a certificate in PEM") from None
    if certificate.public_key() != key.public_key():
        raise InvalidRequest(f"{path} does not belong to {KEY_FILE}: one of the two was replaced alone")
    pair = KeyPair(path, directory / KEY_FILE, passphrase)
    return Identity(directory, SigningKey(key), pem.decode("ascii", "replace"), certificate.not_valid_after_utc, pair)


def _load_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(16_384)
    except FileNotFoundError:
        raise NotFound(f"{path} is missing: run `nodeconsole init --home {path.parent.parent}`") from None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    if mode & 0o077:
        raise Forbidden(f"{path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`")
    try:
        key = serialization.load_pem_private_key(content, password=passphrase)
    except TypeError:
        wanted = (
            "is encrypted: give its passphrase" if passphrase is None else "is not encrypted: take the passphrase away"
        )
        raise InvalidRequest(f"{path} {wanted} (identity.passphrase_file, or a credential of the service)") from None
    except ValueError:
        raise InvalidRequest(f"{path} cannot be opened: wrong passphrase, or not a key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidRequest(f"{path} is not an Ed25519 key")
    return key


def _private_pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def _self_signed(key: Ed25519PrivateKey, node_id: str, institution: str) -> bytes:
    name = _name(node_id, institution)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, None)
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(node_id: str, institution: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, node_id[:64])]
    if institution:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, institution[:64]))
    return x509.Name(parts)


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Never over one that is there: two that start at once must not leave key and certificate of different makes.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)
