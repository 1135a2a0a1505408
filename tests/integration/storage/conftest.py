"""Object stores to test against: our strict one, and rclone's where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.rclone import rclone_server
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, server_process

from embedded_scheduler.storage.s3 import Place

_BUCKETS = 12
SECRET = f"{ACCESS_KEY}:{SECRET_KEY}"


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server().running() as server:
        yield server


@pytest.fixture
def s3_process() -> Iterator[str]:
    with server_process() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def rclone_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a bucket for each check: the server sees those that are there when it starts."""
    root = tmp_path_factory.mktemp("rclone")
    for number in range(_BUCKETS):
        (root / f"bucket-{number}").mkdir()
    return root


@pytest.fixture(scope="module")
def rclone_endpoint(rclone_root: Path) -> Iterator[str]:
    """A server of another make that checks signatures."""
    with rclone_server(rclone_root) as endpoint:
        yield endpoint


@pytest.fixture
def rclone(rclone_root: Path, rclone_endpoint: str) -> Place:
    """An empty bucket of it."""
    empty = next(bucket for bucket in sorted(rclone_root.iterdir()) if not any(bucket.iterdir()))
    return Place(rclone_endpoint, bucket=empty.name)
