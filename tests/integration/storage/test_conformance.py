"""Every storage fulfils the contract, as the kit for third parties checks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

from embedded_scheduler.spi.conformance import StorageConformance
from embedded_scheduler.storage.layouts import LayoutName
from embedded_scheduler.storage.local import LocalStorage
from embedded_scheduler.storage.s3 import Place, S3Storage

ON_LAYOUTS = (
    "what_was_written_is_read",
    "list_and_delete",
    "absent_object_is_not_found",
    "write_replaces_whole_or_not_at_all",
)


async def reveal() -> str:
    return f"{ACCESS_KEY}:{SECRET_KEY}"


@pytest.mark.parametrize("check", StorageConformance.checks())
async def test_local(check: str, tmp_path: Path) -> None:
    await StorageConformance(lambda: LocalStorage(tmp_path / "storage")).run(check)


@pytest.mark.parametrize("check", StorageConformance.checks())
async def test_s3(check: str, s3_process: str) -> None:
    place = Place(s3_process)
    await StorageConformance(lambda: S3Storage(place, "storage", reveal)).run(check)


@pytest.mark.parametrize("layout", ["guide", "fate"])
@pytest.mark.parametrize("check", ON_LAYOUTS)
async def test_s3_layouts(check: str, layout: LayoutName, s3: S3Server) -> None:
    place = Place(s3.endpoint, layout=layout)
    await StorageConformance(lambda: S3Storage(place, "storage", reveal)).run(check)


@pytest.mark.parametrize("check", StorageConformance.checks())
async def test_s3_of_another_make(check: str, rclone: Place) -> None:
    await StorageConformance(lambda: S3Storage(rclone, "storage", reveal)).run(check)
