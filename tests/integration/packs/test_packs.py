"""Component packs through the command line and a real node: a tiny pack and a directory of wheels, no network."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.cli.test_commands import Done, run
from tests.support import packs
from tests.support.hosted import Hosted, started

from embedded_scheduler.config import load_settings
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.server import BackgroundNode
from nodeconsole.cli.exits import Exit
from nodeconsole.client import ClientError
from nodeconsole.i18n.catalogue import load
from nodeconsole.packs import archive_of
from nodeconsole.viewmodels.components import component_facts
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import UNICODE

RUNNING, FINISHED = "RUNNING", "FINISHED"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    home = Home(tmp_path_factory.mktemp("packs") / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
    background = BackgroundNode(home)
    yield Hosted(home, background.start(), background)
    background.stop()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="module")
def digest(wheels: Path) -> str:
    return packs.write_wheel(wheels)


async def install(home: Home, folder: Path, wheels: Path, verb: str = "install", *more: str) -> Done:
    return await run("component", verb, str(folder), "--wheels", str(wheels), *more, home=home)


async def until(node: Hosted, job_id: str, state: str) -> None:
    async with node.client() as client, asyncio.timeout(30):
        while (await client.job(job_id)).job.state != state:
            await asyncio.sleep(0.1)


async def greeting(node: Hosted, job_id: str) -> list[str]:
    async with node.client() as client:
        stream = client.result_content(job_id, "greet", "guest.0", "greeting")
        content = b"".join([piece async for piece in stream])
    return list(csv.reader(io.StringIO(content.decode())))[1]


async def test_a_pack_is_installed_used_checked_upgraded_and_removed(
    node: Hosted, tmp_path: Path, wheels: Path, digest: str
) -> None:
    home, place = node.home, node.home.packs / "tiny" / "1.0.0"
    folder = packs.write_pack(tmp_path / "tiny", digest)
    done = await install(home, folder, wheels)
    assert done.code == Exit.OK, done.err
    assert "Successfully installed tiny-greeting-1.0" in done.err
    assert "tiny/greeter/1.0.0" in done.out
    assert oct(place.stat().st_mode & 0o777) == oct(0o700)
    assert not list(home.packs.glob(".*")), "nothing of the building is left"
    assert not list((place / "env" / "bin").glob("tiny-*")), "programs that name the place of building are taken away"

    # A component of it runs with the libraries that the pack pins, in the pack's environment.
    async with node.client() as client:
        job_id = (await client.submit(packs.job(load_settings(node.home).node_id))).job_id
    await until(node, job_id, FINISHED)
    assert await greeting(node, job_id) == ["hello from the wheel", str(place / "env")]

    listed = await run("component", "packs", "--json", home=home)
    (row,) = [row for row in listed.json["packs"] if row["name"] == "tiny"]
    assert (row["name"], row["version"], row["state"]) == ("tiny", "1.0.0", "installed")
    assert row["components"] == ["tiny/greeter/1.0.0"]
    again = await install(home, folder, wheels)
    assert (again.code, "installed already" in again.err) == (Exit.OK, True)

    # A newer version stands beside the old one until that is removed.
    newer = packs.write_pack(tmp_path / "newer", digest, version="1.1.0")
    done = await install(home, newer, wheels, "upgrade")
    assert done.code == Exit.OK, done.err
    assert "uninstall tiny/1.0.0" in done.err
    async with node.client() as client:
        addresses = {row.image_url for row in await client.components() if row.provider == "tiny"}
        assert addresses == {"pack:tiny/1.0.0:greeter", "pack:tiny/1.1.0:greeter"}
        row = await client.component("tiny", "greeter", "1.1.0")
        assert row.pack == "tiny/1.1.0"
        shown = "".join(
            span.text for line in component_facts(row, Display(load("en_US"), UNICODE, 0), 80) for span in line
        )
        assert "tiny/1.1.0" in shown, "the console says which pack a component came with"
        assert all(row.runnable for row in await client.components())
    which = await run("component", "uninstall", "tiny", home=home)
    assert (which.code, "tiny/1.0.0, tiny/1.1.0" in which.err) == (Exit.USAGE, True)
    done = await run("component", "uninstall", "tiny/1.0.0", home=home)
    assert done.code == Exit.OK, done.err
    async with node.client() as client:
        left = [row.image_url for row in await client.components() if row.provider == "tiny"]
    assert left == ["pack:tiny/1.1.0:greeter"]
    assert not place.exists()
    ledger = await run("ledger", "list", "--json", home=home)
    events = [
        event["event"]
        for event in ledger.json["events"]
        if event["subject"] == "pack" and event["subject_id"].startswith("tiny/")
    ]
    assert sorted(events) == ["pack.installed", "pack.installed", "pack.removed"]


async def test_what_was_changed_is_found(node: Hosted, tmp_path: Path, wheels: Path, digest: str) -> None:
    done = await install(node.home, packs.write_pack(tmp_path / "checked", digest, name="checked"), wheels)
    assert done.code == Exit.OK, done.err
    good = await run("component", "verify", "checked", home=node.home)
    assert (good.code, "as installed" in good.out) == (Exit.OK, True)
    place = node.home.packs / "checked" / "1.0.0"
    (module,) = place.glob("env/lib/*/site-packages/tiny_greeting.py")
    module.write_text("def word(): return 'changed'\n")
    (place / "code" / "greeter" / "added.py").touch()
    (place / "code" / "greeter" / "__init__.py").unlink()
    bad = await run("component", "verify", "checked", "--json", home=node.home)
    assert bad.code == Exit.FAILED
    assert bad.json["checked/1.0.0"]["faults"] == [
        "code/greeter/__init__.py is missing",
        "code/greeter/added.py was added",
        f"{module.relative_to(place)} was changed",
    ]
    # Whoever changes the list of files too is found out by the ledger.
    listing = place / "files.sha256"
    listing.write_text(listing.read_text().replace("tiny_greeting.py", "other.py"))
    worse = await run("component", "verify", "checked", home=node.home)
    assert "is not the one that the ledger notes" in worse.out


async def attempt_started(node: Hosted, job_id: str) -> None:
    async with node.client() as client, asyncio.timeout(20):
        while not any(attempt.launched_ms for attempt in (await client.task(job_id, "greet")).attempts):
            await asyncio.sleep(0.05)


async def test_what_cannot_be_installed_is_refused_and_leaves_nothing(
    node: Hosted, tmp_path: Path, wheels: Path, digest: str
) -> None:
    other = "0" * 64
    cases = {
        "DO NOT MATCH THE HASHES": packs.write_pack(tmp_path / "hash", other, name="no"),
        "there is no Python >=3.88,<3.89": packs.write_pack(tmp_path / "old", digest, python=">=3.88,<3.89", name="no"),
        "the pack needs 9000000 MB": packs.write_pack(tmp_path / "big", digest, name="no"),
        "form must be": packs.write_pack(tmp_path / "form", digest, name="no"),
        "has no code/greeter/__main__.py": packs.write_pack(tmp_path / "main", digest, name="no"),
        "neither a file, a folder nor a pack": tmp_path / "nothing",
    }
    big, form = tmp_path / "big" / "pack.toml", tmp_path / "form" / "pack.toml"
    big.write_text(big.read_text().replace("disk_mb = 5", "disk_mb = 9000000"))
    form.write_text(form.read_text().replace("pack/1", "pack/9"))
    (tmp_path / "main" / "code" / "greeter" / "__main__.py").unlink()
    for expected, folder in cases.items():
        done = await install(node.home, folder, wheels)
        assert done.code != Exit.OK
        assert expected.lower() in done.err.lower(), done.err
    missing = await install(
        node.home, packs.write_pack(tmp_path / "tiny", digest, name="no"), tmp_path / "no such directory"
    )
    assert "is no directory of the node's machine" in missing.err
    other_python = await install(
        node.home, packs.write_pack(tmp_path / "tiny", digest, name="no"), wheels, "install", "--python", "/bin/true"
    )
    assert "/bin/true is no Python" in other_python.err
    assert list(node.home.packs.glob("no/*")) + list(node.home.packs.glob(".*")) == []
    async with node.client() as client:
        assert "no" not in [row.provider for row in await client.components()]


async def test_a_pack_travels_as_one_file_and_other_content_under_its_name_is_a_conflict(
    node: Hosted, tmp_path: Path, wheels: Path, digest: str
) -> None:
    folder = packs.write_pack(tmp_path / "file", digest, name="file")
    one, two = tmp_path / "one.pack", tmp_path / "two.pack"
    for target in (one, two):
        made = await run("component", "pack", str(folder), "--output", str(target))
        assert made.code == Exit.OK, made.err
    assert one.read_bytes() == two.read_bytes()
    done = await install(node.home, one, wheels)
    assert done.code == Exit.OK, done.err
    (folder / "code" / "greeter" / "more.py").write_text("WORD = 1\n")
    done = await install(node.home, folder, wheels)
    assert done.code == Exit.REFUSED, done.err
    assert "another pack file/1.0.0 is installed" in done.err


async def test_a_pack_takes_nobodys_place(node: Hosted, tmp_path: Path, wheels: Path, digest: str) -> None:
    """Its author says that its component is one of the node's own, or one that the operator has registered."""
    manifest = packs.manifest("vendor", "1.0.0")
    async with node.client() as client:
        (own,) = [row for row in await client.components() if row.name == "sample_alignment"]
        await client.register_component("registry.example/vendor/greeter:1", manifest)
    for provider, name, version in ((own.provider, own.name, own.version), ("vendor", "greeter", "1.0.0")):
        folder = packs.write_pack(tmp_path / name, digest, name="thief")
        described = packs.manifest(provider, version) | {"componentName": name}
        (folder / "code" / "greeter" / "manifest.json").write_text(json.dumps(described))
        done = await install(node.home, folder, wheels)
        assert done.code == Exit.REFUSED, done.err
        assert f"component {provider}/{name}/{version} of the pack is registered already" in done.err
    assert not list(node.home.packs.glob("thief*"))
    async with node.client() as client:
        assert (await client.component(own.provider, own.name, own.version)).image_url == own.image_url
        await client.remove_component("vendor", "greeter", "1.0.0")
    # Now its place is free.
    done = await install(node.home, tmp_path / "greeter", wheels)
    assert done.code == Exit.OK, done.err
    assert (await run("component", "uninstall", "thief", home=node.home)).code == Exit.OK


async def test_nothing_of_a_pack_is_built_or_run_by_its_lock(
    node: Hosted, tmp_path: Path, wheels: Path, digest: str
) -> None:
    """Else pip would build a source archive that the pack brings, and that runs its author's code."""
    marker = tmp_path / "ran"
    folder = packs.write_pack(tmp_path / "pack", digest, name="builder")
    source = folder / "code" / "evil-1.0.tar.gz"
    with tarfile.open(source, "w:gz") as tar:
        for name, text in (
            ("evil-1.0/setup.py", f"open({str(marker)!r}, 'w')\n"),
            ("evil-1.0/PKG-INFO", "Metadata-Version: 1.0\nName: evil\nVersion: 1.0\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    pin = f"--hash=sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}"
    for line in (f"--no-binary :all:\nevil==1.0 {pin}", f"evil @ {source.as_uri()} {pin}"):
        (folder / "requirements.lock").write_text(f"{line}\n")
        done = await install(node.home, folder, wheels)
        assert done.code != Exit.OK
        assert "without options and addresses" in done.err
    assert not marker.exists()


async def test_two_packs_of_one_name_are_not_mixed_up(node: Hosted, tmp_path: Path, digest: str) -> None:
    one = packs.write_pack(tmp_path / "one", digest, name="twin")
    other = packs.write_pack(tmp_path / "other", digest, name="twin")
    (other / "code" / "greeter" / "more.py").write_text("WORD = 1\n")
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    index = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/simple"
    async with node.client() as client:
        first, second = await asyncio.to_thread(lambda: (archive_of(str(one)), archive_of(str(other))))
        await client.install_pack(first, index_url=index)
        with pytest.raises(ClientError, match="is being installed"):
            await client.install_pack(second, index_url=index)
        assert (await client.install_pack(first, index_url=index)).state in ("waiting", "installing")
        await client.remove_pack("twin", "1.0.0")
        async with asyncio.timeout(30):
            while (await client.pack_progress("twin", "1.0.0", 1 << 20)).state != "failed":
                await asyncio.sleep(0.05)
    silent.close()


async def test_an_installation_can_be_stopped(node: Hosted, tmp_path: Path, digest: str) -> None:
    """A package index that never answers."""
    folder = packs.write_pack(tmp_path / "slow", digest, name="slow")
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with node.client() as client:
        archive = await asyncio.to_thread(archive_of, str(folder))
        row = await client.install_pack(archive, index_url=f"http://user:geheim@127.0.0.1:{port}/simple")
        assert row.state in ("waiting", "installing")
        lines: list[str] = []
        async with asyncio.timeout(30):
            while not any("what requirements.lock pins" in line for line in lines):
                news = await client.pack_progress("slow", "1.0.0", len(lines))
                lines += news.lines
            await client.remove_pack("slow", "1.0.0")
            while (news := await client.pack_progress("slow", "1.0.0", len(lines))).state != "failed":
                lines += news.lines
        assert "stopped" in news.error
        assert "geheim" not in "".join([*lines, *news.lines, news.error])
        with pytest.raises(ClientError, match="is not installed"):
            await client.verify_pack("slow", "1.0.0")
    silent.close()


async def test_where_no_python_fits_the_image_runs_the_components(node: Hosted, tmp_path: Path, digest: str) -> None:
    folder = packs.write_pack(tmp_path / "image", digest, name="image", python=">=3.88,<3.89")
    with (folder / "pack.toml").open("a") as file:
        file.write('image = "registry.example.com/team/greeter:1"\n')
    done = await run("component", "install", str(folder), home=node.home)
    assert done.code == Exit.OK, done.err
    async with node.client() as client:
        row = await client.component("image", "greeter", "1.0.0")
        assert row.image_url == "registry.example.com/team/greeter:1"
        assert (await client.pack("image", "1.0.0")).components == ["image/greeter/1.0.0"]
    assert (await run("component", "uninstall", "image", home=node.home)).code == Exit.OK
    async with node.client() as client:
        assert "image" not in [row.provider for row in await client.components()]


def test_an_environment_of_the_operator_does_not_leak(tmp_path: Path) -> None:
    """Of the node's variables an installation gets those that pip and proxies need."""
    asked = (
        "from embedded_scheduler.packs.interpreters import own_environment as e; import json; print(json.dumps(e()))"
    )
    given = {"PATH": os.environ["PATH"], "NODECONSOLE_PASSPHRASE": "geheim", "PIP_INDEX_URL": "x", "https_proxy": "p"}
    answer = subprocess.run([sys.executable, "-c", asked], env=given, capture_output=True, check=True)
    assert sorted(json.loads(answer.stdout)) == ["PATH", "PIP_INDEX_URL", "https_proxy"]
    assert shutil.which("python3") is not None


# Last: it stops the node that the others share.
async def test_a_pack_in_use_is_not_removed_and_survives_a_restart(
    node: Hosted, tmp_path: Path, wheels: Path, digest: str
) -> None:
    folder = packs.write_pack(tmp_path / "used", digest, name="used")
    done = await install(node.home, folder, wheels)
    assert done.code == Exit.OK, done.err
    async with node.client() as client:
        job_id = (await client.submit(packs.job("alice", provider="used", wait=True))).job_id
    await until(node, job_id, RUNNING)
    await attempt_started(node, job_id)
    await node.stop()
    left = node.home.packs / ".building-0123456789abcdef" / "env"
    left.mkdir(parents=True)
    async with started(node.home) as again:
        refused = await run("component", "uninstall", "used", home=again.home)
        assert refused.code == Exit.REFUSED, refused.err
        assert "is in use" in refused.err
        assert (again.home.packs / "used" / "1.0.0").is_dir()
        assert not left.exists(), "what an interrupted installation left is removed at the start"
        async with again.client() as client:
            await client.stop(job_id)
        async with asyncio.timeout(20):
            while (done := await run("component", "uninstall", "used", home=again.home)).code != Exit.OK:
                assert "is in use" in done.err
                await asyncio.sleep(0.2)
        assert not (again.home.packs / "used").exists()
        async with again.client() as client:
            assert "used" not in [row.provider for row in await client.components()]
