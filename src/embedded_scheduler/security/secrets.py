"""Secrets in files: written once (0600), read only when nobody else can read them, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path
from secrets import token_hex

from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from embedded_scheduler.sentences import say

_LONGEST = 4096


def create_secret(path: Path, secret: str) -> None:
    """Write a new secret file (0600) whole or not at all; `Conflict` when the file is there already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Conflict(say("file_exists", path=str(path))) from None
    except OSError as error:
        raise Unavailable(say("file_not_created", path=str(path), error=str(error.strerror))) from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            # The umask may have taken bits away, never more than these may stay.
            os.fchmod(file.fileno(), 0o600)
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Unavailable(say("file_not_written", path=str(path), error=str(error.strerror))) from None


def write_new(path: Path, content: bytes) -> bool:
    """The file appears whole (0600) or not at all. False, and nothing changed, when there is one already.

    Raises `OSError`.
    """
    partial = path.with_name(f"{path.name}.{token_hex(8)}.new")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            return False
    finally:
        partial.unlink(missing_ok=True)
    _sync_directory(path.parent)
    return True


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path, home: Path, longest: int) -> bytes:
    """At most `longest` bytes of a file below `home`; refuses one that others may read (`Forbidden`). The errors say
    how to repair it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(longest)
    except FileNotFoundError:
        raise NotFound(say("file_missing", path=str(path), home=str(home))) from None
    except OSError as error:
        raise Unavailable(say("unreadable_short", path=str(path), error=str(error.strerror))) from None
    if mode & 0o077:
        raise Forbidden(say("file_open_to_others", path=str(path), mode=f"{mode:04o}"))
    return content


def read_secret(path: Path) -> str:
    """The secret of a file; refuses one that others may read (`Forbidden`) and says how to repair it."""
    content = read_private(path, path.parent, _LONGEST)
    try:
        secret = content.decode("ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret:
        raise InvalidRequest(say("file_no_secret", path=str(path), home=str(path.parent)))
    return secret


def kept_of(secret: str) -> str:
    """SHA-256 (hex): what is stored of a secret of 256 random bits, which needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_kept(secret: str, kept: str) -> bool:
    """Whether `kept` was made of this secret, in a time that says nothing about where they differ."""
    return hmac.compare_digest(kept_of(secret).encode(), kept.encode())
