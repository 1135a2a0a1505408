"""A component's memory does not grow with its tables. `benchmarks/tables.py` does the same with 2 GiB and a node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY

MIB = 1024 * 1024
SIZE = 64 * MIB
CAP = 72 * MIB
"""Growth beyond a table of a few rows: some parts of an upload, some row groups, and what the allocator keeps."""
PROGRAM = """
import resource, sys
from algorithm_components.sdk.environment import Address
from algorithm_components.sdk.tables import Tables

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def through(count):
    one, two = Address("memory", "one"), Address("memory", "two")
    assert tables.write(one, ["id", "text"], ((str(n), "x" * 10000) for n in range(count)), format=kind) == count
    with tables.read(one) as table:
        assert tables.write(two, table.header, table, format=kind) == count

url, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
tables = Tables(url)
through(100)
before = peak()
through(count)
print(peak() - before)
"""


@pytest.mark.parametrize(("where", "kind"), [("file", "csv"), ("s3", "csv"), ("s3", "parquet")])
def test_a_table_of_64_mib(where: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    if where == "s3":
        address = request.getfixturevalue("s3_process").removeprefix("http://")
        url = f"s3://{address}?username={ACCESS_KEY}&password={SECRET_KEY.replace('/', '%2F').replace('+', '%2B')}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, kind, str(SIZE // 10000)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < CAP, f"it grew by {int(done.stdout) // MIB} MiB"
