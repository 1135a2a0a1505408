"""One file that holds what makes a node, and a node made of such a file.

The file is a gzipped tar: `node.db` (a consistent copy), `node.toml`, the public files of `identity/`, `images/`, on
request `storage/`; then `keys.sealed`, if there is a passphrase; `manifest.json` with the SHA-256 of all others; and
`manifest.sha256`. What must not lie about (the data key, tokens, private keys that have no passphrase of their own) is
in `keys.sealed` alone: AES-256-GCM under a key derived from the passphrase by scrypt, bound to the manifest. So with a
passphrase a deliberate change is found as well as an accident.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import io
import json
import os
import re
import secrets
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from embedded_scheduler.clock import Clock, SystemClock
from embedded_scheduler.config import load_settings
from embedded_scheduler.domain.table_metadata import BESIDE
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NodeError, StoreError, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.store import ledger, migrate, queries
from embedded_scheduler.store.database import Reader

MANIFEST = "manifest.json"
CHECKSUM = "manifest.sha256"
KEYS = "keys.sealed"

_FORMAT = 1
_DATABASE = "node.db"
_SETTINGS = "node.toml"
_PIECE = 1024 * 1024
_LARGEST_TEXT = 64 * 1024 * 1024
_SHORTEST_PASSPHRASE = 8
_SALT = 16
_NONCE = 12
_SCRYPT = {"n": 1 << 16, "r": 8, "p": 1}
_PUBLIC_PEM = (
    b"-----BEGIN CERTIFICATE",
    b"-----BEGIN PUBLIC KEY",
    b"-----BEGIN ENCRYPTED PRIVATE KEY",
)
_PLAIN_NAME = re.compile(r"node\.db|node\.toml|(identity|images)/[^/]+|storage/[^/]+/[^/]+")
_KEY_NAME = re.compile(r"data\.key|attempt\.key|platform\.token|identity/[^/]+")
_DIRECTORIES = ("logs", "runs", "storage", "channel", "backups")
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: names in the file, and the names of keys that are not in it for want of a passphrase."""

    files: tuple[str, ...]
    sealed: tuple[str, ...]
    left_out: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Restored:
    """`events` of the ledger were found in order; `missing` names keys that the backup does not hold."""

    node_id: str
    events: int
    last_hash: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Manifest:
    node_id: str
    files: Mapping[str, str]
    left_out: tuple[str, ...]
    digest: bytes


def write_backup(
    home: Home, target: Path, *, passphrase: str = "", with_storage: bool = False, clock: Clock | None = None
) -> Backup:
    """Write the backup (0600), whole or not at all; the node may run meanwhile.

    `Conflict` when the file is there already, `StoreError` or `Unavailable` when something cannot be read or written.
    """
    _check_passphrase(passphrase)
    settings = load_settings(home)
    if target.exists():
        raise Conflict(f"{target} exists already: choose another name")
    keys = _keys(home)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.new")
    try:
        with _private(draft) as file, tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            sums = {}
            with _database_copy(home, target.parent) as copy:
                sums[_DATABASE] = _add_file(archive, _DATABASE, copy)
            for name, path in _plain_files(home, keys, with_storage=with_storage):
                sums[name] = _add_file(archive, name, path)
            manifest = _encoded(
                {
                    "format": _FORMAT,
                    "node_id": settings.node_id,
                    "created_ms": (clock or SystemClock()).now_ms(),
                    "files": sums,
                    "left_out": [] if passphrase else sorted(keys),
                }
            )
            if passphrase:
                _add_bytes(archive, KEYS, _sealed(keys, passphrase, manifest))
            _add_bytes(archive, MANIFEST, manifest)
            _add_bytes(archive, CHECKSUM, hashlib.sha256(manifest).hexdigest().encode() + b"\n")
        _publish(draft, target)
    except OSError as error:
        raise Unavailable(f"the backup cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
    sealed = tuple(sorted(keys)) if passphrase else ()
    return Backup(tuple(sums), sealed, () if passphrase else tuple(sorted(keys)), target.stat().st_size)


def restore_backup(source: Path, home: Home, *, passphrase: str = "") -> Restored:
    """Make the node in a home that is missing or empty; whole or not at all.

    `Conflict` for a home that holds something, `InvalidRequest` for a file that is no intact backup, `Forbidden` for a
    passphrase that is missing or wrong.
    """
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise Conflict(f"{home.path} is not empty: restore into a new home")
    draft = home.path.with_name(f".{home.path.name}.{secrets.token_hex(8)}.restoring")
    try:
        draft.mkdir(mode=0o700, parents=True)
        manifest, keys = _unpacked(source, Home(draft), passphrase)
        report = _checked_database(Home(draft))
        for name in _DIRECTORIES:
            (draft / name).mkdir(mode=0o700, exist_ok=True)
        load_settings(Home(draft))
        _sync_tree(draft)
        draft.rename(home.path)
    except OSError as error:
        raise Unavailable(f"the backup cannot be restored: {error.strerror or error} ({error.filename})") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    missing = tuple(name for name in manifest.left_out if name not in keys)
    return Restored(manifest.node_id, report.events, report.last_hash, missing)


# What goes in


def _check_passphrase(passphrase: str) -> None:
    if passphrase and len(passphrase) < _SHORTEST_PASSPHRASE:
        raise InvalidRequest(f"the passphrase has {len(passphrase)} characters; use at least {_SHORTEST_PASSPHRASE}")


def _keys(home: Home) -> dict[str, bytes]:
    """What must not lie about in the open, by name."""
    found = {}
    for path in (home.data_key, home.platform_token, home.path / "attempt.key", *_files(home.identity)):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if path.parent != home.identity or not content.startswith(_PUBLIC_PEM):
                found[path.relative_to(home.path).as_posix()] = content
    return found


def _plain_files(home: Home, keys: Mapping[str, bytes], *, with_storage: bool) -> Iterator[tuple[str, Path]]:
    yield _SETTINGS, home.settings_file
    for path in _files(home.identity):
        name = path.relative_to(home.path).as_posix()
        if name not in keys:
            yield name, path
    # What was approved is content, not a tag: the node that is restored runs the same.
    for path in _files(home.images):
        yield path.relative_to(home.path).as_posix(), path
    if with_storage:
        for namespace in sorted(path for path in home.storage.iterdir() if path.is_dir() and not path.is_symlink()):
            for path in [*_files(namespace), *_files(namespace, BESIDE)]:
                yield path.relative_to(home.path).as_posix(), path


def _files(directory: Path, hidden: str = "") -> list[Path]:
    """The plain files of a directory that are not in the making: those without a leading dot, or those `hidden` so."""
    if not directory.is_dir():
        return []
    wanted = f"{hidden}*" if hidden else "[!.]*"
    return sorted(path for path in directory.glob(wanted) if path.is_file() and not path.is_symlink())


@contextmanager
def _database_copy(home: Home, directory: Path) -> Iterator[Path]:
    """A consistent copy of the database as it is now, gone afterwards."""
    copy = directory / f".{secrets.token_hex(8)}.db.new"
    try:
        with _private(copy):
            pass
        with (
            closing(sqlite3.connect(f"{home.database.as_uri()}?mode=rw", uri=True, timeout=30.0)) as reading,
            closing(sqlite3.connect(copy)) as writing,
        ):
            reading.execute("PRAGMA query_only = ON")
            reading.backup(writing)
            # One file, without a journal beside it.
            writing.execute("PRAGMA journal_mode = DELETE")
        yield copy
    except sqlite3.Error as error:
        raise StoreError(f"{home.database} cannot be copied: {error}") from None
    finally:
        copy.unlink(missing_ok=True)


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """SHA-256 of what was added."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        hashing = _Hashing(file)
        archive.addfile(_entry(name, size), hashing)
        return hashing.digest.hexdigest()


class _Hashing:
    """A file that sums up what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_entry(name, len(content)), io.BytesIO(content))


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _sealed(keys: Mapping[str, bytes], passphrase: str, manifest: bytes) -> bytes:
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    content = _encoded({name: base64.b64encode(value).decode() for name, value in keys.items()})
    return salt + nonce + AESGCM(_derived(passphrase, salt)).encrypt(nonce, content, _bound(manifest))


def _derived(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **_SCRYPT).derive(passphrase.encode())


def _bound(manifest: bytes) -> bytes:
    return b"nodeconsole backup\n" + hashlib.sha256(manifest).digest()


# What comes out


def _unpacked(source: Path, home: Home, passphrase: str) -> tuple[_Manifest, frozenset[str]]:
    """Write the files, after everything was checked; the manifest and the names of the keys that were in it."""
    try:
        sums, texts = _survey(source)
        manifest = _read_manifest(texts, sums)
    except NodeError:
        raise
    except _DAMAGE as damage:
        if isinstance(damage, FileNotFoundError | PermissionError | IsADirectoryError):
            raise InvalidRequest(f"{source}: {damage.strerror}") from None
        raise _not_intact(source, "it ends too early, or is no backup") from None
    keys = _opened(texts, passphrase, texts[MANIFEST])
    for name, content in keys.items():
        _place(home.path / name, io.BytesIO(content))
    with tarfile.open(source, "r:gz") as archive:
        for entry in archive:
            if entry.name in manifest.files:
                file = archive.extractfile(entry)
                assert file is not None
                if _place(home.path / entry.name, file) != manifest.files[entry.name]:
                    raise _not_intact(source, "it changes while it is read")
    return manifest, frozenset(keys)


def _survey(source: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """SHA-256 of every file by name, and the content of our own three."""
    sums: dict[str, str] = {}
    texts: dict[str, bytes] = {}
    with gzip.open(source) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for entry in archive:
            _check_entry(source, entry, sums)
            file = archive.extractfile(entry)
            assert file is not None
            if entry.name in (MANIFEST, CHECKSUM, KEYS):
                texts[entry.name] = file.read(_LARGEST_TEXT)
                sums[entry.name] = ""
                continue
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            sums[entry.name] = digest.hexdigest()
        # The tar ends before the stream does, whose own check sum comes last.
        while stream.read(_PIECE):
            continue
    return sums, texts


def _check_entry(source: Path, entry: tarfile.TarInfo, seen: Mapping[str, str]) -> None:
    known = entry.name in (MANIFEST, CHECKSUM, KEYS) or _is_inside(entry.name, _PLAIN_NAME)
    if not entry.isreg() or not known or entry.name in seen:
        raise _not_intact(source, f"it holds {entry.name[:80]!a}, which no backup does")


def _is_inside(name: str, allowed: re.Pattern[str]) -> bool:
    """Whether a name is one that we write, and so stays below the home."""
    return allowed.fullmatch(name) is not None and not any(part in ("", ".", "..") for part in name.split("/"))


def _read_manifest(texts: Mapping[str, bytes], sums: Mapping[str, str]) -> _Manifest:
    text = texts[MANIFEST]
    digest = hashlib.sha256(text)
    if not hmac.compare_digest(texts[CHECKSUM].strip(), digest.hexdigest().encode()):
        raise InvalidRequest("the backup is not intact: its manifest was altered; use another copy")
    members: dict[str, Any] = json.loads(text)
    if members["format"] != _FORMAT:
        raise InvalidRequest(
            f"the backup has format {members['format']}, this program reads {_FORMAT}: use a newer nodeconsole"
        )
    files = dict(members["files"])
    found = {name: value for name, value in sums.items() if name not in (MANIFEST, CHECKSUM, KEYS)}
    if found != files:
        wrong = sorted(set(found.items()) ^ set(files.items()))[0][0]
        raise InvalidRequest(f"the backup is not intact: {wrong[:80]!a} is altered or missing; use another copy")
    return _Manifest(str(members["node_id"]), files, tuple(members["left_out"]), digest.digest())


def _opened(texts: Mapping[str, bytes], passphrase: str, manifest: bytes) -> dict[str, bytes]:
    sealed = texts.get(KEYS)
    if sealed is None:
        if passphrase:
            # Whoever takes the seal off a backup could change anything else in it.
            raise Forbidden(
                "this backup has no keys that a passphrase could open: it was made without one, or its seal was taken"
                " off; restore it without the passphrase only if you know that nobody changed it"
            )
        return {}
    if not passphrase:
        raise Forbidden(
            "the keys in this backup are sealed: give the passphrase with --passphrase-file FILE or in "
            "NODECONSOLE_PASSPHRASE"
        )
    salt, nonce, content = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        opened = AESGCM(_derived(passphrase, salt)).decrypt(nonce, content, _bound(manifest))
    except (InvalidTag, ValueError):
        raise Forbidden("the passphrase is wrong, or the backup was altered") from None
    keys = {name: base64.b64decode(value) for name, value in json.loads(opened).items()}
    if not all(_is_inside(name, _KEY_NAME) for name in keys):
        raise InvalidRequest("the backup holds keys under names that no node has: it is not used")
    return keys


def _place(path: Path, content: IO[bytes]) -> str:
    """Write a private file; SHA-256 of what was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with _private(path) as file:
        while piece := content.read(_PIECE):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _checked_database(home: Home) -> ledger.VerifyReport:
    try:
        with closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            migrate.check(connection, home.database, home.backups)
            report = ledger.verify(Reader(connection, queries.statements(), 0))
    except sqlite3.Error as error:
        raise StoreError(f"the database in the backup cannot be read: {error}") from None
    if not report.ok:
        raise Conflict(f"the ledger in this backup is not in order: {report.fault}; use another copy")
    return report


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _publish(draft: Path, target: Path) -> None:
    """Give the complete file its name, unless somebody took it meanwhile."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise Conflict(f"{target} was created meanwhile: choose another name") from None
    except OSError:
        # A file system without hard links.
        draft.rename(target)
    _sync(target.parent)


def _sync_tree(directory: Path) -> None:
    for path in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
        _sync(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encoded(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"


def _not_intact(source: Path, why: str) -> InvalidRequest:
    return InvalidRequest(f"{source} is not an intact backup: {why}; use another copy")
