"""Packs that were put together badly, or by somebody who means harm: each is refused with a reason."""

from __future__ import annotations

import io
import json
import random
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support import packs

from embedded_scheduler.errors import InvalidRequest, NodeError
from embedded_scheduler.packs import inventory
from embedded_scheduler.packs.archive import MOST_BYTES, read_archive
from embedded_scheduler.packs.lock import pins

SHA = "a" * 64
LOCK = "requirements.lock"


def good_files(tmp_path: Path) -> dict[str, bytes]:
    folder = packs.write_pack(tmp_path / "pack", SHA)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zipped(files: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for info, data in more:
            archive.writestr(info, data)
    return content.getvalue()


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside", "only files at its top"),
        ("code/../../outside", "only files at its top"),
        ("/etc/passwd", "only files at its top"),
        ("code\\..\\outside", "only files at its top"),
        ("elsewhere/file", "only files at its top"),
        ("code/greeter/a\nb", "no name for a file"),
        ("code/greeter/\x1b[2Jx", "no name for a file"),
        ("code/greeter/\u202egpj.exe", "no name for a file"),
        ("code/greeter/" + "x" * 300, "no name for a file"),
        ("code/" + "x/" * 600 + "y", "no name for a file"),
        ("code//greeter/__main__.py", "twice"),
        ("code/greeter/__main__.py/x.py", "as a file and as a folder"),
        ("installed.json", "which the installation itself makes"),
        ("files.sha256", "which the installation itself makes"),
        ("env", "which the installation itself makes"),
        ("tmp", "which the installation itself makes"),
    ],
)
def test_names_that_lead_elsewhere_or_hide_are_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refusal:
        read_archive(zipped(good_files(tmp_path) | {name: b"x"}))
    assert refusal.value.message.isprintable()


def test_links_and_devices_are_no_files_of_a_pack(tmp_path: Path) -> None:
    device = zipfile.ZipInfo("code/greeter/device")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    for info in (linked("code/greeter/link"), linked("secret"), device):
        with pytest.raises(InvalidRequest, match="no plain file"):
            read_archive(zipped(good_files(tmp_path), (info, b"/etc/shadow")))


def test_a_pack_that_would_unpack_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="64 MiB"):
        read_archive(zipped(good_files(tmp_path) | {"code/greeter/zeros": bytes(MOST_BYTES + 1)}))
    many = {f"code/greeter/{number}": b"" for number in range(5001)}
    with pytest.raises(NodeError, match="5000 files"):
        read_archive(zipped(good_files(tmp_path) | many))


def test_deep_documents_are_refused(tmp_path: Path) -> None:
    deep = b"[" * 200_000
    for name, content in (
        ("pack.toml", b"x = " + deep),
        ("code/greeter/manifest.json", deep),
        ("code/greeter/manifest.json", b"[]"),
        ("code/greeter/manifest.json", b"\xff"),
        ("pack.toml", b"\xff"),
    ):
        with pytest.raises(InvalidRequest):
            read_archive(zipped(good_files(tmp_path) | {name: content}))


def test_damaged_archives_are_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    whole = zipped(good_files(tmp_path))
    chance = random.Random(7)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        # Damage may lie where nobody looks; any other error than this one would be a traceback.
        with suppress(NodeError):
            read_archive(bytes(damaged))
    for size in range(0, len(whole), 97):
        with pytest.raises(InvalidRequest):
            read_archive(whole[:size])


def test_what_a_lock_pins_is_what_pip_gets() -> None:
    text = f"""
    # a comment
    numpy==1.26.4 \\
        --hash=sha256:{SHA} \\
        --hash=sha512:{"b" * 128}
        # via pandas
    jax[cpu]==0.4.34 ; python_version < "3.12" and sys_platform == 'linux' --hash=sha256:{SHA}  # why
    """
    assert pins(LOCK, text.encode()) == (
        f"numpy==1.26.4 --hash=sha256:{SHA} --hash=sha512:{'b' * 128}\n"
        f"jax[cpu]==0.4.34 ; python_version < \"3.12\" and sys_platform == 'linux' --hash=sha256:{SHA}\n"
    )


def test_the_lock_of_the_pack_that_comes_with_the_node_is_read(tmp_path: Path) -> None:
    lock = Path(__file__).parents[3] / "packaging" / "packs" / "algorithms" / LOCK
    pinned = pins(LOCK, lock.read_bytes())
    assert pinned.count("\n") == lock.read_text().count("==")
    assert pinned.count("--hash=") == lock.read_text().count("--hash=")


@pytest.mark.parametrize(
    "line",
    [
        "--no-binary :all:",
        "--index-url https://evil.example/simple",
        "--extra-index-url=https://evil.example/simple",
        "-i https://evil.example/simple",
        "--find-links /home",
        "--trusted-host evil.example",
        "-r /etc/passwd",
        "-c other.txt",
        "-e ./code",
        "./code/evil.tar.gz --hash=sha256:" + SHA,
        "code/evil.tar.gz --hash=sha256:" + SHA,
        "file:///home/evil.tar.gz --hash=sha256:" + SHA,
        "https://evil.example/evil.tar.gz --hash=sha256:" + SHA,
        "evil @ https://evil.example/evil.tar.gz --hash=sha256:" + SHA,
        "evil@git+https://evil.example/evil --hash=sha256:" + SHA,
        "evil==1.0",
        "evil>=1.0 --hash=sha256:" + SHA,
        "evil --hash=sha256:" + SHA,
        "evil==1.0 --hash=md5:" + "a" * 32,
        "evil==1.0 --hash=sha256:" + "a" * 63,
        f"evil==1.0 --hash=sha256:{SHA} --no-binary :all:",
        f"evil==1.0 --no-binary :all: --hash=sha256:{SHA}",
        f"evil==1.0 ; --no-binary :all: --hash=sha256:{SHA}",
        f"evil==1.0 ; python_version > '3' --no-binary :all: --hash=sha256:{SHA}",
        f"evil==1.0 --global-option=--evil --hash=sha256:{SHA}",
        f"evil==1.0 --config-settings=x=y --hash=sha256:{SHA}",
        f"evil==1.0 ; python_version > '${{HOME}}' --hash=sha256:{SHA}",
        "evil==1.0 \\\n--no-binary :all: --hash=sha256:" + SHA,
        f"evil==1.0 --hash=sha256:{SHA}\x0b--no-binary :all:",
        f"evil==1.0 --hash=sha256:{SHA}\u2028-e .",
        "../evil.zip==1.0 --hash=sha256:" + SHA,
    ],
)
def test_a_lock_cannot_tell_pip_anything_else(line: str) -> None:
    with pytest.raises(InvalidRequest, match="without options and addresses") as refusal:
        pins(LOCK, f"good==1.0 --hash=sha256:{SHA}\n{line}\n".encode())
    assert refusal.value.message.isprintable()


def test_a_lock_that_is_no_text_is_refused() -> None:
    for content in (b"\xff\xfe", "evil==1.0".encode("utf-16")):
        with pytest.raises(InvalidRequest, match="not UTF-8"):
            pins(LOCK, content)


def test_the_list_of_files_holds_every_name_that_a_file_can_have(tmp_path: Path) -> None:
    names = ["plain", "two  blanks", "a\nb", "a\\nb", "\\\n\\", "a\x85b", "a\u2028b", "\udcff", " "]
    for name in names:
        (tmp_path / name).write_text(name, errors="surrogateescape")
    taken = inventory.take(tmp_path)
    assert set(taken.entries) == set(names)
    (tmp_path / "files.sha256").write_bytes(taken.encode())
    assert inventory.read(tmp_path) == taken.entries
    assert inventory.differences(inventory.read(tmp_path), inventory.take(tmp_path).entries) == []


def test_two_components_of_one_pack_are_two(tmp_path: Path) -> None:
    files = good_files(tmp_path)
    files |= {name.replace("greeter", "again"): data for name, data in files.items() if name.startswith("code/greeter")}
    files["pack.toml"] = files["pack.toml"].replace(b'["greeter"]', b'["greeter", "again"]')
    with pytest.raises(InvalidRequest, match="twice"):
        read_archive(zipped(files))
    other = json.loads(files["code/again/manifest.json"]) | {"componentName": "again"}
    files["code/again/manifest.json"] = json.dumps(other).encode()
    assert len(read_archive(zipped(files)).manifests) == 2
