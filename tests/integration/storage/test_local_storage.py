"""The local storage on a real file system."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedded_scheduler.errors import InvalidRequest, NotFound, Unavailable
from embedded_scheduler.spi.storage import LinkingStorage, Storage
from embedded_scheduler.storage.local import LocalStorage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(storage: LocalStorage, namespace: str, name: str) -> bytes:
    return b"".join([chunk async for chunk in storage.read(namespace, name)])


def everything_below(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*")}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def same_file(one: Path, other: Path) -> bool:
    return one.samefile(other)


async def test_fulfils_the_contracts(storage: LocalStorage, root: Path) -> None:
    assert isinstance(storage, Storage)
    assert isinstance(storage, LinkingStorage)
    assert await storage.url() == f"file://{root}"


async def test_what_is_written_is_read(storage: LocalStorage, root: Path) -> None:
    stored = await storage.write("job-1-guest-0", "task-1-表", chunks(b"a" * 3_000_000, b"", b"end"))
    assert stored.size == 3_000_003
    assert stored == await storage.stat("job-1-guest-0", "task-1-表")
    assert await read(storage, "job-1-guest-0", "task-1-表") == b"a" * 3_000_000 + b"end"
    assert mode(root) == mode(root / "job-1-guest-0") == 0o700
    assert mode(root / "job-1-guest-0" / "task-1-表") == 0o600


async def test_a_second_write_replaces_the_first(storage: LocalStorage) -> None:
    await storage.write("n", "x", chunks(b"first"))
    await storage.write("n", "x", chunks(b"second"))
    assert await read(storage, "n", "x") == b"second"


async def test_a_write_that_fails_leaves_the_old_object_and_nothing_else(storage: LocalStorage, root: Path) -> None:
    await storage.write("n", "x", chunks(b"old"))

    async def broken() -> AsyncIterator[bytes]:
        yield b"new"
        raise ConnectionResetError("the sender is gone")

    # What the source raises comes through: it is no fault of the storage.
    with pytest.raises(ConnectionResetError):
        await storage.write("n", "x", broken())
    assert await read(storage, "n", "x") == b"old"
    assert everything_below(root) == {"n", "n/x"}


async def test_a_cancelled_write_leaves_nothing(storage: LocalStorage, root: Path) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"some"
        reached.set()
        await asyncio.Event().wait()
        yield b"never"

    task = asyncio.ensure_future(storage.write("n", "x", endless()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert everything_below(root) == {"n"}


async def test_concurrent_writes_store_one_of_them_whole(storage: LocalStorage, root: Path) -> None:
    parts = [bytes([65 + number]) * 200_000 for number in range(8)]
    await asyncio.gather(*(storage.write("n", "x", chunks(part, part)) for part in parts))
    content = await read(storage, "n", "x")
    assert content in [part + part for part in parts]
    assert everything_below(root) == {"n", "n/x"}


async def test_list_and_delete(storage: LocalStorage, root: Path) -> None:
    assert await storage.list("n") == []
    for name in ("b", "a"):
        await storage.write("n", name, chunks(b"1"))
    assert [found.name for found in await storage.list("n")] == ["a", "b"]
    await storage.delete("n", "a")
    await storage.delete("n", "a")
    assert [found.name for found in await storage.list("n")] == ["b"]
    await storage.delete("n", "b")
    assert everything_below(root) == set()


async def test_what_is_not_there(storage: LocalStorage) -> None:
    assert await storage.stat("n", "x") is None
    with pytest.raises(NotFound, match="n"):
        await read(storage, "n", "x")
    await storage.write("n", "y", chunks(b"1"))
    with pytest.raises(NotFound, match="n/x"):
        await read(storage, "n", "x")


BAD = ["", ".", "..", ".hidden", "a/b", "/", "a\0b", "a\nb", "\x7f", "x" * 256, "表" * 86, "\ud800"]


@pytest.mark.parametrize("bad", BAD)
async def test_hostile_names_are_refused_everywhere(storage: LocalStorage, root: Path, bad: str) -> None:
    for namespace, name in ((bad, "x"), ("n", bad)):
        with pytest.raises(InvalidRequest):
            await storage.write(namespace, name, chunks(b"1"))
        with pytest.raises(InvalidRequest):
            await read(storage, namespace, name)
        with pytest.raises(InvalidRequest):
            await storage.stat(namespace, name)
        with pytest.raises(InvalidRequest):
            await storage.delete(namespace, name)
        with pytest.raises(InvalidRequest):
            await storage.link(namespace, name, Path("/etc/hostname"))
    with pytest.raises(InvalidRequest):
        await storage.list(bad)
    assert everything_below(root) == set()


async def test_links_made_by_others_are_not_followed(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "key").write_text("secret")
    await storage.write("n", "x", chunks(b"1"))
    (root / "n" / "link").symlink_to(secret / "key")
    (root / "linked").symlink_to(secret, target_is_directory=True)
    with pytest.raises(NotFound):
        await read(storage, "n", "link")
    with pytest.raises(NotFound):
        await read(storage, "linked", "key")
    assert [found.name for found in await storage.list("n")] == ["x"]
    assert await storage.list("linked") == []
    with pytest.raises(Unavailable):
        await storage.write("linked", "new", chunks(b"1"))
    # Writing over a link replaces the link.
    await storage.write("n", "link", chunks(b"mine"))
    assert (secret / "key").read_text() == "secret"
    assert sorted(path.name for path in secret.iterdir()) == ["key"]


async def test_a_linked_file_is_the_source_itself(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_bytes(b"id\n1\n")
    for _ in range(2):
        stored = await storage.link("datasets", "people", source)
        assert stored is not None
        assert stored.size == 5
    assert same_file(root / "datasets" / "people", source)
    assert everything_below(root) == {"datasets", "datasets/people"}
    await storage.write("datasets", "people", chunks(b"other"))
    assert source.read_bytes() == b"id\n1\n"


async def test_a_link_leads_to_the_file_behind_a_symbolic_link(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"data")
    (tmp_path / "alias").symlink_to("real")
    await storage.link("n", "x", tmp_path / "alias")
    assert await read(storage, "n", "x") == b"data"


async def test_a_missing_source_cannot_be_linked(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await storage.link("n", "x", tmp_path / "missing")
    assert everything_below(root) == {"n"}


async def test_leftovers_of_a_crash_are_removed_at_the_start(root: Path) -> None:
    (root / "n").mkdir(parents=True)
    (root / "n" / ".pending-0123456789abcdef").write_bytes(b"half")
    (root / "n" / "x").write_bytes(b"whole")
    LocalStorage(root)
    assert everything_below(root) == {"n", "n/x"}
