"""What `doctor` looks at. Every finding says what was found and, unless it is fine, what to do."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from embedded_scheduler.addresses import parse_address, parse_loopback
from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import MIB, Home, Settings
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.errors import NodeError, StoreError
from embedded_scheduler.security.identity import CERTIFICATE_FILE
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.security.secrets import read_secret
from embedded_scheduler.store import migrate
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.wire.console import DoctorReport, Finding

LOW_DISK = 1024 * MIB
NO_DISK = 100 * MIB
_FEW_FILES = 1024
WARN_DAYS = 30


def offline_report(home: Home) -> DoctorReport:
    """Everything that can be found out while the node does not run. Changes nothing."""
    if not home.path.is_dir():
        fix = f"nodeconsole init --home {home.path}"
        return DoctorReport(findings=[_error("home", f"{home.path} does not exist", fix)])
    findings = [*home_findings(home)]
    try:
        settings = home.load()
    except NodeError as error:
        findings.append(_error("settings", error.message, f"edit {home.settings_file}"))
    else:
        findings.append(_ok("settings", f"node {settings.node_id}"))
        findings += _port_findings(home, settings)
    findings.append(_database_finding(home))
    return DoctorReport(findings=findings)


def home_findings(home: Home) -> Iterator[Finding]:
    """The directory, its secrets, its disk, and the limits of this process: the same whether the node runs or not."""
    yield _directory_finding(home.path)
    if home.platform_token.exists():
        yield _secret_finding(home.platform_token)
    yield _disk_finding(home.path)
    yield _files_finding()


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that trust rests on and that ends some day. `end_ms` None = it cannot be read.

    `what`: own_certificate, listener_certificate (`partner.certificate`), partner_certificate or contract.
    """

    what: str
    who: str
    """The node, or the file of a listener's certificate."""
    end_ms: int | None
    fix: str

    @property
    def name(self) -> str:
        return _ENDINGS[self.what].format(who=self.who)


_ENDINGS = {
    "own_certificate": "this node's certificate",
    "listener_certificate": "the certificate of partner.certificate",
    "partner_certificate": "the certificate of {who}",
    "contract": "the contract with {who}",
}


def certificate_findings(home: Home, settings: Settings, agreed: Iterable[Contract], now_ms: int) -> Iterator[Finding]:
    """This node's certificates, its partners', and the contracts: what ends within `WARN_DAYS`, and what has ended."""
    for ending in endings(home, settings, agreed):
        yield _end_finding(ending.name, ending.end_ms, now_ms, ending.fix)


def endings(home: Home, settings: Settings, agreed: Iterable[Contract]) -> Iterator[Ending]:
    """Every certificate and contract with its end. Reads files."""
    partner = settings.partner
    own = _certificate_end(home.identity / CERTIFICATE_FILE)
    yield Ending("own_certificate", settings.node_id, own, "nodeconsole identity rotate")
    if partner.certificate:
        fix = f"renew {partner.certificate}; the node takes it up by itself"
        end = _certificate_end(Path(partner.certificate))
        yield Ending("listener_certificate", partner.certificate, end, fix)
    for contract in agreed:
        if contract.state is not AgreementState.APPROVED:
            continue
        who = contract.node_id
        if contract.auth_type == CERT:
            fix = f"ask {who} to renew it and to announce it (identity rotate)"
            yield Ending("partner_certificate", who, _end_of(contract.auth_credential.encode()), fix)
        if contract.expires_ms is not None:
            yield Ending("contract", who, contract.expires_ms, "make a new contract: nodeconsole peer invite")


def _certificate_end(path: Path) -> int | None:
    try:
        return _end_of(path.read_bytes())
    except OSError:
        return None


def _end_of(pem: bytes) -> int | None:
    """Epoch ms at which a certificate ends; None when it cannot be read."""
    try:
        return int(x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp() * 1000)
    except ValueError:
        return None


def _end_finding(what: str, end_ms: int | None, now_ms: int, fix: str) -> Finding:
    if end_ms is None:
        return _error("certificate", f"{what} cannot be read", fix)
    date = datetime.fromtimestamp(end_ms / 1000, UTC).date()
    days = (end_ms - now_ms) // DAY_MS
    if end_ms <= now_ms:
        return _error("certificate", f"{what} ended on {date}", fix)
    if days < WARN_DAYS:
        return _warning("certificate", f"{what} ends on {date}, in {days} days", fix)
    return _ok("certificate", f"{what} is valid until {date}")


def _directory_finding(path: Path) -> Finding:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        return _error(
            "home", f"{path} belongs to user {status.st_uid}", f"run as that user, or chown it to {os.geteuid()}"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        return _error("home", f"{path} cannot be written", f"chmod u+rwx {path}, or mount that disk writable")
    if mode & 0o077:
        return _warning("home", f"{path} is open to others (mode {mode:04o})", f"chmod 700 {path}")
    return _ok("home", f"{path} is yours alone")


def _secret_finding(path: Path) -> Finding:
    try:
        read_secret(path)
    except NodeError as error:
        return _error("platform token", error.message, f"`nodeconsole token create NAME`, then remove {path}")
    return _ok("platform token", "present, readable by the owner only")


def _disk_finding(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    text = f"{usage.free // MIB} MiB of {usage.total // MIB} MiB free"
    if usage.free < NO_DISK:
        return _error("disk", text, "free space now: the node cannot record anything on a full disk")
    if usage.free < LOW_DISK:
        return _warning("disk", text, "free space, or shorten retention.runs_days in node.toml")
    return _ok("disk", text)


def _files_finding() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"at most {soft} open files"
    if soft < _FEW_FILES:
        return _warning("open files", text, f"ulimit -n {_FEW_FILES * 4}, or LimitNOFILE= of the service")
    return _ok("open files", text)


def _port_findings(home: Home, settings: Settings) -> Iterator[Finding]:
    if _is_held(home):
        yield _warning("process", f"{home.lock} is held: a node runs here but does not answer", "see node.log")
        return
    for setting, text, parse in (
        ("partner.listen", settings.partner.listen, parse_address),
        ("platform.listen", settings.platform.listen, parse_loopback),
    ):
        try:
            address = parse(text, setting)
        except NodeError as error:
            yield _error(setting, error.message, f"edit {home.settings_file}")
            continue
        fault = _bind_fault(address.host, address.port)
        if fault:
            yield _error(setting, f"{address}: {fault}", f"free that port or change {setting} in {home.settings_file}")
        else:
            yield _ok(setting, f"{address} is free")


def _is_held(home: Home) -> bool:
    try:
        descriptor = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _bind_fault(host: str, port: int) -> str:
    """Why nothing can listen there; empty when something can."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _database_finding(home: Home) -> Finding:
    if not home.database.exists():
        return _ok("database", "not there yet: it is created at the first start")
    try:
        connection = sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            migrate.check(connection, home.database, home.backups)
            events = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        finally:
            connection.close()
    except StoreError as error:
        return _error("database", error.message, "")
    except sqlite3.Error as error:
        return _error("database", f"{home.database}: {error}", f"restore the newest copy of {home.backups}")
    return _ok("database", f"in order, {events} events")


def _ok(check: str, text: str) -> Finding:
    return Finding(check=check, level="ok", text=text)


def _warning(check: str, text: str, fix: str) -> Finding:
    return Finding(check=check, level="warning", text=text, fix=fix)


def _error(check: str, text: str, fix: str) -> Finding:
    return Finding(check=check, level="error", text=text, fix=fix)
