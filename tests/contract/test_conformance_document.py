"""docs/conformance.md cites tests that exist and lists every endpoint and profile."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.test_specification_ledger import SERVED

from embedded_scheduler.peers.profiles import PROFILES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "conformance.md").read_text("utf-8")
FILES = dict(re.findall(r"^\| `(\w+)` \| (tests/\S+\.py) \|$", TEXT, re.MULTILINE))
CITED = re.findall(r"`(\w+):(test_\w+)`", TEXT)


def test_every_cited_test_exists() -> None:
    sources = {short: (ROOT / path).read_text("utf-8") for short, path in FILES.items()}
    missing = [f"{short}:{name}" for short, name in CITED if f"def {name}(" not in sources.get(short, "")]
    assert missing == []
    assert len(CITED) > 80


def test_every_listed_file_is_cited() -> None:
    assert set(FILES) == {short for short, _ in CITED}


def test_every_endpoint_and_every_profile_is_in_the_document() -> None:
    assert [path for _, path in SERVED if f"`{path}`" not in TEXT] == []
    assert [name for name in PROFILES if f" {name} |" not in TEXT] == []
