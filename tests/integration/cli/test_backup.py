"""Backup and restore: complete, private, and refused when anything about the file is not as it was written."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.test_commands import run
from tests.support.hosted import hosted

from embedded_scheduler.backup import CHECKSUM, KEYS, MANIFEST, restore_backup, write_backup
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NodeError
from embedded_scheduler.home import Home
from nodeconsole.cli.exits import Exit

PASSPHRASE = "correct horse battery"
CANARY = "canary-91b7"
SECRET_FILES = ("data.key", "attempt.key", "platform.token", "identity/signing.key")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of a node that ran, with a secret and a result; nobody may change it."""
    import asyncio  # noqa: PLC0415

    path = tmp_path_factory.mktemp("left") / "alice"

    async def prepare() -> Home:
        async with hosted(path) as node, node.client() as client:
            await client.put_secret("db", CANARY)
        return node.home

    home = asyncio.run(prepare())
    home.images.mkdir()
    (home.images / "psi.json").write_text('{"content": "sha256:1"}')
    (home.storage / "job-1").mkdir()
    (home.storage / "job-1" / "result").write_bytes(b"r" * 3_000_000)
    (home.storage / "job-1" / ".metadata-result").write_bytes(b"{}")
    (home.storage / "job-1" / ".pending-x").touch()
    (home.storage / "job-1" / "link").symlink_to("/etc/passwd")
    return home


def _names(file: Path) -> set[str]:
    with tarfile.open(file) as archive:
        return set(archive.getnames())


def _raw(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


async def test_a_node_moves_with_everything(tmp_path: Path) -> None:
    """While it runs, by the command line; the copy runs and opens its secrets."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    file, copy = tmp_path / "alice.backup", Home(tmp_path / "copy")
    async with hosted(tmp_path / "alice") as node, node.client() as client:
        assert (await run("secret", "set", "db", home=node.home, stdin=CANARY + "\n")).code == Exit.OK
        done = await run("backup", str(file), "--passphrase-file", str(passphrase), home=node.home)
        assert done.code == Exit.OK, done
        last = (await client.ledger_verify()).last_hash
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".*")) == [], "nothing half-made is left"
    done = await run("restore", str(file), "--passphrase-file", str(passphrase), "--json", home=copy)
    assert done.code == Exit.OK, done
    assert (done.json["node_id"], done.json["last_hash"], done.json["missing"]) == ("alice", last, [])
    for name in SECRET_FILES:
        if (node.home.path / name).exists():
            assert (copy.path / name).read_bytes() == (node.home.path / name).read_bytes()
    for path in (copy.path, *copy.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    async with hosted(copy.path) as again, again.client() as client:
        assert [row.name for row in await client.secrets()] == ["db"]
        assert (await client.ledger_verify()).ok


def test_without_a_passphrase_no_key_is_in_it(left: Home, tmp_path: Path) -> None:
    file = tmp_path / "b"
    done = write_backup(left, file)
    assert "data.key" in done.left_out
    assert "identity/signing.key" in done.left_out
    assert KEYS not in _names(file)
    raw = _raw(file)
    for name in SECRET_FILES:
        if (left.path / name).exists():
            assert name in done.left_out
            assert (left.path / name).read_bytes().strip() not in raw, name
    assert CANARY.encode() not in raw
    restored = restore_backup(file, Home(tmp_path / "copy"))
    assert restored.missing == done.left_out


def test_with_a_passphrase_keys_are_sealed(left: Home, tmp_path: Path) -> None:
    file = tmp_path / "b"
    done = write_backup(left, file, passphrase=PASSPHRASE)
    assert done.left_out == ()
    raw = _raw(file)
    for name in done.sealed:
        assert (left.path / name).read_bytes().strip() not in raw, name
    for wrong in ("", "another passphrase"):
        with pytest.raises(Forbidden):
            restore_backup(file, Home(tmp_path / "copy"), passphrase=wrong)
    assert not (tmp_path / "copy").exists()
    with pytest.raises(InvalidRequest, match="at least 8"):
        write_backup(left, tmp_path / "c", passphrase="short")


def test_what_tags_of_images_meant_comes_along(left: Home, tmp_path: Path) -> None:
    write_backup(left, tmp_path / "a")
    restore_backup(tmp_path / "a", Home(tmp_path / "copy"))
    assert (Home(tmp_path / "copy").images / "psi.json").read_text() == '{"content": "sha256:1"}'


def test_storage_comes_along_when_asked_for(left: Home, tmp_path: Path) -> None:
    without, with_it = tmp_path / "without", tmp_path / "with"
    write_backup(left, without)
    write_backup(left, with_it, with_storage=True)
    assert not [name for name in _names(without) if name.startswith("storage/")]
    kept = {name for name in _names(with_it) if name.startswith("storage/")}
    assert kept == {"storage/job-1/result", "storage/job-1/.metadata-result"}
    restore_backup(with_it, Home(tmp_path / "copy"))
    assert (tmp_path / "copy" / "storage" / "job-1" / "result").read_bytes() == b"r" * 3_000_000


def test_nothing_is_overwritten(left: Home, tmp_path: Path) -> None:
    file = tmp_path / "b"
    write_backup(left, file)
    before = file.read_bytes()
    with pytest.raises(Conflict, match="exists"):
        write_backup(left, file)
    assert file.read_bytes() == before
    full = Home(tmp_path / "full")
    full.path.mkdir()
    (full.path / "note").touch()
    with pytest.raises(Conflict, match="not empty"):
        restore_backup(file, full)
    assert [entry.name for entry in full.path.iterdir()] == ["note"]


def _refused(file: Path, home: Path, passphrase: str = "") -> str:
    with pytest.raises(NodeError) as refused:
        restore_backup(file, Home(home), passphrase=passphrase)
    assert not home.exists()
    assert not list(home.parent.glob(f".{home.name}*")), "nothing half-made is left"
    return refused.value.message


def test_a_cut_file_is_refused_wherever_it_is_cut(left: Home, tmp_path: Path) -> None:
    file, cut = tmp_path / "b", tmp_path / "cut"
    write_backup(left, file, passphrase=PASSPHRASE)
    whole = file.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 2000, len(whole) - 9, len(whole) - 1):
        cut.write_bytes(whole[:length])
        assert "not an intact backup" in _refused(cut, tmp_path / "copy", PASSPHRASE)
    cut.write_bytes(b"x" * 100_000)
    assert "not an intact backup" in _refused(cut, tmp_path / "copy")
    assert "No such file" in _refused(tmp_path / "missing", tmp_path / "copy")


Change = Callable[[list[tuple[tarfile.TarInfo, bytes]]], list[tuple[tarfile.TarInfo, bytes]]]


def _rewritten(file: Path, target: Path, change: Change) -> Path:
    with tarfile.open(file) as archive:
        entries = [(entry, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
    with tarfile.open(target, "w:gz") as archive:
        for entry, content in change(entries):
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return target


def _replaced(name: str, edit: Callable[[bytes], bytes]) -> Change:
    return lambda entries: [(entry, edit(content) if entry.name == name else content) for entry, content in entries]


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["node.db", "node.toml", MANIFEST, CHECKSUM, KEYS])
def test_an_altered_file_is_refused(left: Home, tmp_path: Path, name: str) -> None:
    file = tmp_path / "b"
    write_backup(left, file, passphrase=PASSPHRASE)
    altered = _rewritten(file, tmp_path / "altered", _replaced(name, _flipped))
    assert "altered" in _refused(altered, tmp_path / "copy", PASSPHRASE)


def test_with_a_passphrase_a_deliberate_change_is_refused_too(left: Home, tmp_path: Path) -> None:
    """Somebody who writes new sums as well, but does not know the passphrase."""
    import hashlib  # noqa: PLC0415

    def forge(entries: list[tuple[tarfile.TarInfo, bytes]]) -> list[tuple[tarfile.TarInfo, bytes]]:
        contents = {entry.name: content for entry, content in entries}
        contents["node.toml"] += b"\nplatform.trust_loopback = true\n"
        manifest: dict[str, Any] = json.loads(contents[MANIFEST])
        manifest["files"]["node.toml"] = hashlib.sha256(contents["node.toml"]).hexdigest()
        contents[MANIFEST] = json.dumps(manifest).encode()
        contents[CHECKSUM] = hashlib.sha256(contents[MANIFEST]).hexdigest().encode()
        return [(entry, contents[entry.name]) for entry, _ in entries]

    file = tmp_path / "b"
    write_backup(left, file, passphrase=PASSPHRASE)
    assert "altered" in _refused(_rewritten(file, tmp_path / "forged", forge), tmp_path / "copy", PASSPHRASE)


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        tarfile.TarInfo("../escaped"),
        tarfile.TarInfo("/etc/escaped"),
        tarfile.TarInfo("storage/../escaped"),
        tarfile.TarInfo("storage/./../../escaped"),
        tarfile.TarInfo("identity/.."),
        tarfile.TarInfo("data.key"),
        tarfile.TarInfo("node.db"),
        _link("identity/signing.key", "/etc/passwd"),
        _link("storage/job-1", "/tmp"),
    ],
    ids=lambda entry: entry.name,
)
def test_a_name_that_leads_elsewhere_is_refused(left: Home, tmp_path: Path, entry: tarfile.TarInfo) -> None:
    file = tmp_path / "b"
    write_backup(left, file)
    hostile = _rewritten(file, tmp_path / "hostile", lambda entries: [*entries, (entry, b"x")])
    assert "which no backup does" in _refused(hostile, tmp_path / "copy")


def test_a_ledger_that_is_not_in_order_is_refused(left: Home, tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415

    broken = Home(tmp_path / "broken")
    shutil.copytree(left.path, broken.path, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
    connection = sqlite3.connect(broken.database)
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE events SET actor = 'somebody else' WHERE seq = 1")
    connection.commit()
    connection.close()
    file = tmp_path / "b"
    write_backup(broken, file)
    assert "event 1 was altered" in _refused(file, tmp_path / "copy")


async def test_the_command_line_says_what_is_missing(left: Home, tmp_path: Path) -> None:
    file = tmp_path / "b"
    done = await run("backup", str(file), home=left)
    assert done.code == Exit.OK
    assert "left out" in done.err
    assert "data.key" in done.err
    again = await run("backup", str(file), home=left)
    assert (again.code, "exists already" in again.err) == (Exit.REFUSED, True)
    done = await run("restore", str(file), home=tmp_path / "copy")
    assert "not in the backup: " in done.err
    assert (await run("backup", str(tmp_path / "c"), home=tmp_path / "nowhere")).code == Exit.USAGE
