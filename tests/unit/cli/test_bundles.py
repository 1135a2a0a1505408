"""Folders and archives of self-descriptions."""

from __future__ import annotations

import gzip
import io
import json
import random
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.self_descriptions import SPECIFICATION_SAMPLE, component

from nodeconsole import bundles

MESSAGE = {"imageUrl": "registry.example/other:2", "component_info": component(version="2")}


def _fill(folder: Path) -> None:
    (folder / "deep").mkdir(parents=True)
    (folder / "bare.json").write_text(json.dumps(component()))
    (folder / "deep" / "message.json").write_text(json.dumps(MESSAGE))
    (folder / "sample.json").write_text("\ufeff" + SPECIFICATION_SAMPLE)
    (folder / "broken.json").write_text("{")
    (folder / "package.json").write_text('{"name": "something else"}')
    (folder / ".git").mkdir()
    (folder / ".git" / "hidden.json").write_text(json.dumps(component(version="9")))
    (folder / "README.md").write_text("not JSON")


def _packed(folder: Path, archive: Path) -> Path:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for file in files:
                packed.write(file, file.relative_to(folder))
        return archive
    with tarfile.open(archive, "w:gz") as tar:
        for file in files:
            tar.add(file, str(Path("bundle") / file.relative_to(folder)))
    return archive


@pytest.mark.parametrize("kind", ["folder", "all.zip", "all.tar.gz"])
def test_a_bundle_is_read_whole_and_what_is_no_description_is_named(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "descriptions"
    _fill(folder)
    place = folder if kind == "folder" else _packed(folder, tmp_path / kind)
    assert bundles.is_bundle(place)
    found = bundles.read(place, "registry.example/{provider}/{name}:{version}")
    assert {(one.manifest["componentName"], one.image_url) for one in found.described} == {
        ("thing", "registry.example/acme/thing:1"),
        ("thing", "registry.example/other:2"),
        ("HeteroLR", "registry.example/FATE/HeteroLR:2.0.0"),
    }
    assert [one.mended for one in found.described if one.manifest["provider"] == "FATE"] == [("commas",)]
    skipped = {Path(file).name: reason for file, reason in found.skipped}
    assert set(skipped) == {"broken.json", "package.json"}
    assert "componentName" in skipped["package.json"]
    assert "line 1" in skipped["broken.json"]


@pytest.mark.parametrize("name", ["out", "out.zip", "out.tar", "out.tgz"])
def test_what_is_written_is_read_again_and_never_replaced(tmp_path: Path, name: str) -> None:
    written: list[tuple[dict[str, Any], str]] = [
        (component(), "registry.example/thing:1"),
        (component(version="../../2", provider="../etc"), "exec:/opt/thing"),
    ]
    names = bundles.write(tmp_path / name, written)
    assert all("/" not in one for one in names)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    found = bundles.read(tmp_path / name)
    assert sorted((one.image_url, one.manifest["version"]) for one in found.described) == [
        ("exec:/opt/thing", "../../2"),
        ("registry.example/thing:1", "1"),
    ]
    with pytest.raises(FileExistsError):
        bundles.write(tmp_path / name, written)
    file = tmp_path / name if (tmp_path / name).is_file() else tmp_path / name / names[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"not a zip file")
    (tmp_path / "no.tar.gz").write_bytes(b"\x1f\x8bnot a tar file")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.json").write_text("{}")
    for name, why in (
        ("no.zip", "not a zip"),
        ("no.tar.gz", "no.tar.gz: "),
        ("missing.zip", "No such file"),
        ("empty", "no JSON file"),
        ("file.json", "neither a folder nor an archive"),
    ):
        with pytest.raises(bundles.BundleError, match=why):
            bundles.read(tmp_path / name)


def test_a_bomb_costs_a_bounded_amount(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(6):
            packed.writestr(f"{number}.json", b" " * (bundles.LARGEST_FILE + 1024))
    with pytest.raises(bundles.BundleError, match="64 MiB"):
        bundles.read(tmp_path / "bomb.zip")
    with tarfile.open(tmp_path / "many.tar", "w") as tar:
        for number in range(bundles.MOST_FILES + 1):
            tar.addfile(tarfile.TarInfo(f"{number}.json"), io.BytesIO())
    with pytest.raises(bundles.BundleError, match="more than 500"):
        bundles.read(tmp_path / "many.tar")


def test_damaged_archives_are_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    written: list[tuple[dict[str, Any], str]] = [(component(version=str(each)), "x:1") for each in range(5)]
    chance = random.Random(11)
    for name in ("whole.zip", "whole.tar", "whole.tgz"):
        bundles.write(tmp_path / name, written)
        whole = (tmp_path / name).read_bytes()
        broken = tmp_path / f"broken{Path(name).suffix}"
        for _ in range(250):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            broken.write_bytes(damaged[: chance.randint(1, len(damaged))])
            # Damage may lie where nobody looks; any other error than this one would be a traceback.
            with suppress(bundles.BundleError):
                bundles.read(broken)


def test_a_small_archive_that_holds_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    def header(name: bytes, size: int, kind: bytes) -> bytes:
        info = tarfile.TarInfo(name.decode())
        info.size, info.type = size, kind
        return info.tobuf(tarfile.GNU_FORMAT)

    for kind, name in ((tarfile.XHDTYPE, "pax"), (tarfile.GNUTYPE_LONGNAME, "long"), (tarfile.REGTYPE, "plain")):
        with gzip.open(tmp_path / f"{name}.tar.gz", "wb", compresslevel=1) as packed:
            packed.write(header(b"x", 8 << 30, kind) + bytes(1024))
        with pytest.raises(bundles.BundleError, match="larger than"):
            bundles.read(tmp_path / f"{name}.tar.gz")


def test_a_header_that_leads_backwards_ends(tmp_path: Path) -> None:
    """A negative size would have the library read the same header for ever."""
    info = tarfile.TarInfo("x.bin")
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\xff" * 10 + b"\xfc\x00"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    (tmp_path / "back.tar").write_bytes(bytes(raw) + bytes(1024))
    with pytest.raises(bundles.BundleError):
        bundles.read(tmp_path / "back.tar")
