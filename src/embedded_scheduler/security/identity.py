"""This node's identity: its signing key and certificate, in files only the owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from embedded_scheduler.errors import InvalidRequest, NotFound, Unavailable
from embedded_scheduler.security.keys import SigningKey
from embedded_scheduler.security.secrets import read_private, write_new
from embedded_scheduler.security.tls import KeyPair
from embedded_scheduler.sentences import say

KEY_FILE = "signing.key"
CERTIFICATE_FILE = "certificate.pem"
CREDENTIAL = "nodeconsole.passphrase"
VARIABLE = "NODECONSOLE_PASSPHRASE"
VALID_DAYS = 730
_LONGEST_KEY = 16_384
NEXT, OLD = ".next", ".old"
"""Endings of key and certificate that a rotation has made but not yet put into use, and of those it replaced."""
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

    def csr(self, node_id: str, institution: str) -> str:
        """A request (PEM) for a certificate of this key, for the institution's CA."""
        key = _load_key(self.directory / KEY_FILE, self.pair.passphrase)
        request = x509.CertificateSigningRequestBuilder().subject_name(_name(node_id, institution)).sign(key, None)
        return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Dates in epoch ms; `issuer` as one line; `digest` is the SHA-256 of the certificate itself,
    `public_key` PEM."""

    not_before_ms: int
    not_after_ms: int
    issuer: str
    digest: str
    public_key: str


def certificate_facts(pem: str) -> CertificateFacts:
    """Of a certificate that was checked before."""
    certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    return CertificateFacts(
        int(certificate.not_valid_before_utc.timestamp() * 1000),
        int(certificate.not_valid_after_utc.timestamp() * 1000),
        certificate.issuer.rfc4514_string(),
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii"),
    )


def describe_files(identity: Identity) -> list[tuple[Path, str]]:
    """Each file of the identity with a sentence: what it is, who may have it, when it ends."""
    ends = f"{identity.not_after:%Y-%m-%d}"
    sealed = "encrypted with a passphrase" if identity.pair.passphrase else "not encrypted"
    sentences = {
        KEY_FILE: f"signs for this node ({sealed}); nobody else may have it; counts until it is rotated",
        CERTIFICATE_FILE: f"shows partners the public half of the key; everybody may have it; ends {ends}",
        KEY_FILE + NEXT: "the key of a rotation under way; nobody else may have it; replaces the present one",
        CERTIFICATE_FILE
        + NEXT: "the certificate of a rotation under way; partners are being told; everybody may have it",
        KEY_FILE + OLD: "the key before the last rotation; nobody else may have it; removed when the overlap ends",
        CERTIFICATE_FILE + OLD: "the certificate before the last rotation; everybody may have it; removed with its key",
    }
    return [
        (identity.directory / name, text) for name, text in sentences.items() if (identity.directory / name).exists()
    ]


def prepare_next(identity: Identity, node_id: str, institution: str) -> Identity:
    """A new key and certificate beside the present ones; those of an earlier call if they are there."""
    directory, passphrase = identity.directory, identity.pair.passphrase
    key_path = directory / (KEY_FILE + NEXT)
    if not key_path.exists():
        write_new(key_path, _private_pem(Ed25519PrivateKey.generate(), passphrase))
    certificate_path = directory / (CERTIFICATE_FILE + NEXT)
    if not certificate_path.exists():
        write_new(certificate_path, _self_signed(_load_key(key_path, passphrase), node_id, institution))
    return _load_pair(directory, NEXT, passphrase)


def prepare_certificate(identity: Identity, pem: str) -> Identity:
    """Another certificate of the present key, as the next one; `InvalidRequest` when it is not of this key."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        raise InvalidRequest(say("certificate_no_pem")) from None
    key_path = identity.directory / KEY_FILE
    if certificate.public_key() != _load_key(key_path, identity.pair.passphrase).public_key():
        raise InvalidRequest(say("certificate_other_key"))
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidRequest(say("certificate_dates"))
    text = certificate.public_bytes(serialization.Encoding.PEM)
    write_new(identity.directory / (CERTIFICATE_FILE + NEXT), text)
    with contextlib.suppress(FileExistsError):
        (identity.directory / (KEY_FILE + NEXT)).hardlink_to(key_path)
    return _load_pair(identity.directory, NEXT, identity.pair.passphrase)


def load_next(identity: Identity) -> Identity | None:
    """What a rotation under way is to put into use; None when there is none, or its making was interrupted."""
    if not (identity.directory / (CERTIFICATE_FILE + NEXT)).exists():
        return None
    return _load_pair(identity.directory, NEXT, identity.pair.passphrase)


def load_old(identity: Identity) -> Identity | None:
    """What the last rotation replaced, as long as it is kept."""
    if not (identity.directory / (KEY_FILE + OLD)).exists():
        return None
    return _load_pair(identity.directory, OLD, identity.pair.passphrase)


def switched_ms(identity: Identity) -> int:
    """When the present key came into use (Unix epoch), as long as the one before is kept; 0 = not known."""
    try:
        return (identity.directory / (KEY_FILE + OLD)).stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 0


def drop_old(identity: Identity) -> None:
    for name in (KEY_FILE, CERTIFICATE_FILE):
        (identity.directory / (name + OLD)).unlink(missing_ok=True)


def put_next_into_use(identity: Identity) -> Identity:
    """Replace key and certificate; an interruption at any point is completed by `load_identity`."""
    directory = identity.directory
    for name in (CERTIFICATE_FILE, KEY_FILE):
        copy = directory / f"{name}.{secrets.token_hex(8)}.new"
        copy.hardlink_to(directory / name)
        copy.replace(directory / (name + OLD))
        # Hard links of one file are not replaced by each other: the second name would stay.
        copy.unlink(missing_ok=True)
    (directory / (CERTIFICATE_FILE + NEXT)).replace(directory / CERTIFICATE_FILE)
    _complete_switch(directory)
    return load_identity(directory, passphrase=identity.pair.passphrase)


def _complete_switch(directory: Path) -> None:
    """The certificate went first, so a key that waits is the one that belongs to it."""
    waiting = directory / (KEY_FILE + NEXT)
    if waiting.exists() and not (directory / (CERTIFICATE_FILE + NEXT)).exists():
        os.utime(directory / (KEY_FILE + OLD))
        waiting.replace(directory / KEY_FILE)
        waiting.unlink(missing_ok=True)


def _load_pair(directory: Path, ending: str, passphrase: bytes | None) -> Identity:
    key = _load_key(directory / (KEY_FILE + ending), passphrase)
    path = directory / (CERTIFICATE_FILE + ending)
    try:
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError):
        raise InvalidRequest(say("certificate_unreadable", path=str(path), name=path.name)) from None
    pair = KeyPair(path, directory / (KEY_FILE + ending), passphrase)
    return Identity(directory, SigningKey(key), pem.decode("ascii"), certificate.not_valid_after_utc, pair)


def find_passphrase(file: str) -> bytes | None:
    """The passphrase of the signing key: from `file` if one is set, else from the service manager's credential, else
    from the environment; None when there is none. Never from a command line: all users of the machine read it."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / CREDENTIAL if credentials else None
    chosen = Path(file) if file else credential if credential is not None and credential.is_file() else None
    if chosen is not None:
        try:
            return chosen.read_bytes().rstrip(b"\r\n") or None
        except OSError as error:
            raise Unavailable(say("passphrase_unreadable", path=str(chosen), error=str(error.strerror))) from None
    return os.environ.get(VARIABLE, "").encode("utf-8", "surrogateescape") or None


def create_identity(directory: Path, node_id: str, *, institution: str = "", passphrase: bytes | None = None) -> None:
    """Make the key and a self-signed certificate unless they are there; safe to repeat after an interruption.

    Both appear whole (0600), the key first. `Unavailable` when they cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        key_path = directory / KEY_FILE
        # Nothing is written over: two that start at once must not leave key and certificate of different makes.
        if not key_path.exists():
            write_new(key_path, _private_pem(Ed25519PrivateKey.generate(), passphrase))
        certificate_path = directory / CERTIFICATE_FILE
        if not certificate_path.exists():
            key = _load_key(key_path, passphrase)
            write_new(certificate_path, _self_signed(key, node_id, institution))
    except OSError as error:
        raise Unavailable(say("identity_not_created", path=str(directory), error=str(error.strerror))) from None


def load_identity(directory: Path, *, passphrase: bytes | None = None) -> Identity:
    """The identity; `NotFound`, `Forbidden` (others can read the key), `InvalidRequest` (passphrase, damaged, key and
    certificate that do not belong together) say what to do."""
    key = _load_key(directory / KEY_FILE, passphrase)
    path = directory / CERTIFICATE_FILE
    if _is_half_switched(directory, key, passphrase):
        _complete_switch(directory)
        key = _load_key(directory / KEY_FILE, passphrase)
    try:
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
    except FileNotFoundError:
        raise NotFound(say("identity_missing", path=str(path), home=str(directory.parent))) from None
    except OSError as error:
        raise Unavailable(say("unreadable_short", path=str(path), error=str(error.strerror))) from None
    except ValueError:
        raise InvalidRequest(say("path_no_pem", path=str(path))) from None
    if certificate.public_key() != key.public_key():
        raise InvalidRequest(say("identity_mismatch", path=str(path), key=KEY_FILE))
    pair = KeyPair(path, directory / KEY_FILE, passphrase)
    return Identity(directory, SigningKey(key), pem.decode("ascii", "replace"), certificate.not_valid_after_utc, pair)


def _is_half_switched(directory: Path, key: Ed25519PrivateKey, passphrase: bytes | None) -> bool:
    waiting = directory / (KEY_FILE + NEXT)
    if not waiting.exists() or (directory / (CERTIFICATE_FILE + NEXT)).exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    shown = certificate.public_key()
    return shown != key.public_key() and shown == _load_key(waiting, passphrase).public_key()


def _load_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    content = read_private(path, path.parent.parent, _LONGEST_KEY)
    try:
        key = serialization.load_pem_private_key(content, password=passphrase)
    except TypeError:
        wanted = (
            "is encrypted: give its passphrase" if passphrase is None else "is not encrypted: take the passphrase away"
        )
        raise InvalidRequest(say("key_sealed", path=str(path), wanted=wanted)) from None
    except ValueError:
        raise InvalidRequest(say("key_not_opened", path=str(path))) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidRequest(say("key_no_ed25519", path=str(path)))
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
