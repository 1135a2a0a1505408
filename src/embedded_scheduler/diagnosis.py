"""What `doctor` looks at. Every finding says what was found and, unless it is fine, what to do."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from embedded_scheduler.addresses import parse_address, parse_loopback, parse_told
from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import MIB, Settings, load_settings
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.space import Level, Usage, level_of
from embedded_scheduler.engine.space import disk_level, kept_free, quota_of
from embedded_scheduler.errors import NodeError, StoreError
from embedded_scheduler.home import Home
from embedded_scheduler.security.identity import CERTIFICATE_FILE
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.security.secrets import read_secret
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import migrate
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.wire.console import DoctorReport, Finding

NO_DISK = 100 * MIB
_FEW_FILES = 1024
WARN_DAYS = 30


def offline_report(home: Home) -> DoctorReport:
    """Everything that can be found out while the node does not run. Changes nothing."""
    if not home.path.is_dir():
        missing = say("home_missing", path=str(home.path))
        return DoctorReport(findings=[_error("home", missing, f"nodeconsole init --home {home.path}")])
    try:
        settings = load_settings(home)
    except NodeError as error:
        findings = [*home_findings(home, Settings(node_id=""))]
        findings.append(_error("settings", error.message, say("edit", path=str(home.settings_file))))
    else:
        findings = [*home_findings(home, settings), _ok("settings", say("settings_ok", node=settings.node_id))]
        findings += _port_findings(home, settings)
    findings.append(_database_finding(home))
    return DoctorReport(findings=findings)


def home_findings(home: Home, settings: Settings) -> Iterator[Finding]:
    """The directory, its secrets, its disk, and the limits of this process: the same whether the node runs or not."""
    yield _directory_finding(home.path)
    if home.platform_token.exists():
        yield _secret_finding(home.platform_token)
    yield disk_finding(home, settings)
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
    fix: Words


def certificate_findings(home: Home, settings: Settings, agreed: Iterable[Contract], now_ms: int) -> Iterator[Finding]:
    """This node's certificates, its partners', and the contracts: what ends within `WARN_DAYS`, and what has ended."""
    for ending in endings(home, settings, agreed):
        yield _end_finding(ending, now_ms)


def endings(home: Home, settings: Settings, agreed: Iterable[Contract]) -> Iterator[Ending]:
    """Every certificate and contract with its end. Reads files."""
    partner = settings.partner
    own = _certificate_end(home.identity / CERTIFICATE_FILE)
    yield Ending("own_certificate", settings.node_id, own, "nodeconsole identity rotate")
    if partner.certificate:
        fix = say("listener_certificate_fix", path=partner.certificate)
        end = _certificate_end(Path(partner.certificate))
        yield Ending("listener_certificate", partner.certificate, end, fix)
    for contract in agreed:
        if contract.state is not AgreementState.APPROVED:
            continue
        who = contract.node_id
        if contract.auth_type == CERT:
            fix = say("partner_certificate_fix", who=who)
            yield Ending("partner_certificate", who, _end_of(contract.auth_credential.encode()), fix)
        if contract.expires_ms is not None:
            yield Ending("contract", who, contract.expires_ms, say("contract_fix"))


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


def _end_finding(ending: Ending, now_ms: int) -> Finding:
    what, end_ms = say(ending.what, who=ending.who), ending.end_ms
    if end_ms is None:
        return _error("certificate", say("end_unreadable", what=what), ending.fix)
    date = str(datetime.fromtimestamp(end_ms / 1000, UTC).date())
    days = (end_ms - now_ms) // DAY_MS
    if end_ms <= now_ms:
        return _error("certificate", say("end_over", what=what, date=date), ending.fix)
    if days < WARN_DAYS:
        return _warning("certificate", say("end_soon", what=what, date=date, days=days), ending.fix)
    return _ok("certificate", say("end_ok", what=what, date=date))


def _directory_finding(path: Path) -> Finding:
    status = path.stat()
    mode, place = stat.S_IMODE(status.st_mode), str(path)
    if status.st_uid != os.geteuid():
        found = say("home_of_another", path=place, user=status.st_uid)
        return _error("home", found, say("home_of_another_fix", user=os.geteuid()))
    if not os.access(path, os.W_OK | os.X_OK):
        return _error("home", say("home_not_writable", path=place), say("home_not_writable_fix", path=place))
    if mode & 0o077:
        return _warning("home", say("home_open", path=place, mode=f"{mode:04o}"), f"chmod 700 {path}")
    return _ok("home", say("home_ok", path=place))


def _secret_finding(path: Path) -> Finding:
    try:
        read_secret(path)
    except NodeError as error:
        return _error("platform token", error.message, say("old_token_fix", path=str(path)))
    return _ok("platform token", say("old_token_ok"))


def disk_finding(home: Home, settings: Settings) -> Finding:
    """How much is left where the home is, and what follows from it."""
    free, total, level = disk_level(home, settings)
    text = say("disk", free=free // MIB, total=total // MIB)
    if free < NO_DISK:
        return _error("disk", text, say("disk_none_fix"))
    if level is Level.FULL:
        keep = kept_free(settings) // MIB
        return _error("disk", say("disk_keep", free=free // MIB, total=total // MIB, keep=keep), say("disk_low_fix"))
    return _ok("disk", text) if level is Level.FINE else _warning("disk", text, say("disk_low_fix"))


def quota_finding(usage: Usage, settings: Settings) -> Finding:
    """How much of the quota is used."""
    quota, used = quota_of(settings), usage.total
    if not quota:
        code = "quota_none" if usage.storage else "quota_unseen"
        return _ok("quota", say(code, used=used // MIB))
    if not usage.storage:
        return _warning("quota", say("quota_unseen", used=used // MIB), say("storage_fault_fix"))
    percent = 100 * used // quota
    facts = {"used": used // MIB, "quota": quota // MIB}
    match level_of(used, quota):
        case Level.FULL:
            return _error("quota", say("quota_over", **facts), say("quota_fix"))
        case Level.SOON | Level.TIGHT:
            return _warning("quota", say("quota_tight", percent=percent, **facts), say("quota_fix"))
    return _ok("quota", say("quota", percent=percent, **facts))


def _files_finding() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = say("files", limit=soft)
    if soft < _FEW_FILES:
        return _warning("open files", text, say("files_few_fix", wanted=_FEW_FILES * 4))
    return _ok("open files", text)


def _port_findings(home: Home, settings: Settings) -> Iterator[Finding]:
    if _is_held(home):
        yield _warning("process", say("process_silent", path=str(home.lock)), say("process_silent_fix"))
        return
    place = str(home.settings_file)
    for setting, text, parse in (
        ("partner.listen", settings.partner.listen, parse_address),
        ("platform.listen", settings.platform.listen, parse_loopback),
        ("platform.remote", settings.platform.remote, parse_told),
    ):
        if not text:
            continue
        try:
            address = parse(text, setting)
        except NodeError as error:
            yield _error(setting, error.message, say("edit", path=place))
            continue
        fault = _bind_fault(address.host, address.port)
        if fault:
            taken = say("port_taken", address=str(address), fault=fault)
            yield _error(setting, taken, say("port_taken_fix", setting=setting, path=place))
        else:
            yield _ok(setting, say("port_free", address=str(address)))


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
        return _ok("database", say("database_new"))
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
        return _error("database", f"{home.database}: {error}", say("database_restore_fix", path=str(home.backups)))
    return _ok("database", say("database_ok", events=events))


def _ok(check: str, text: Words) -> Finding:
    return Finding.of(check, "ok", text)


def _warning(check: str, text: Words, fix: Words) -> Finding:
    return Finding.of(check, "warning", text, fix)


def _error(check: str, text: Words, fix: Words) -> Finding:
    return Finding.of(check, "error", text, fix)
