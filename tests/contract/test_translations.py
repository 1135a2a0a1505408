"""The Chinese documents tell to type the same as the English ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = (("README.md", "README.zh.md"), ("docs/operator.md", "docs/operator.zh.md"))


def _blocks(text: str) -> list[str]:
    """What stands in fences, without the comments behind commands."""
    found = re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.M | re.S)
    return [re.sub(r"[ \t]+#.*$", "", block, flags=re.M).strip() for block in found]


def _quoted(text: str) -> set[str]:
    """What is quoted as it is typed, outside of fences."""
    outside = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.M | re.S)
    return {" ".join(quoted.split()) for quoted in re.findall(r"`([^`]+)`", outside)}


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_commands_are_the_same(english: str, chinese: str) -> None:
    one, other = ((ROOT / name).read_text("utf-8") for name in (english, chinese))
    assert _blocks(other) == _blocks(one)


def test_the_readme_names_the_same_things() -> None:
    one, other = ((ROOT / name).read_text("utf-8") for name in PAIRS[0])
    assert _quoted(other) == _quoted(one)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_each_links_to_the_other(english: str, chinese: str) -> None:
    one, other = ((ROOT / name).read_text("utf-8") for name in (english, chinese))
    assert f"({Path(chinese).name})" in one
    assert f"({Path(english).name})" in other
