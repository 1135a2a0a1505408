"""References to images: what they mean, and which of them may run."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.image_supply import _keep
from embedded_scheduler.runners.images import ImageReference, Pins, parse_reference, require_allowed

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("psi", "docker.io/library/psi:latest"),
        ("psi:1.0", "docker.io/library/psi:1.0"),
        ("team/psi:1.0", "docker.io/team/psi:1.0"),
        ("docker.io/psi:1.0", "docker.io/library/psi:1.0"),
        ("localhost/psi", "localhost/psi:latest"),
        ("registry.example.com/psi", "registry.example.com/psi:latest"),
        ("127.0.0.1:5000/a/b/c_d:v1", "127.0.0.1:5000/a/b/c_d:v1"),
        (f"registry.example.com/psi@{DIGEST}", f"registry.example.com/psi@{DIGEST}"),
        (f"registry.example.com/psi:1.0@{DIGEST}", f"registry.example.com/psi@{DIGEST}"),
    ],
)
def test_a_reference_is_spelt_out(text: str, meaning: str) -> None:
    assert str(parse_reference(text)) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/psi",
        "psi:",
        "Team/psi",
        "registry.example.com/",
        "registry.example.com/../etc",
        "a b",
        "psi@sha256:12",
        f"psi@{DIGEST}0",
        "https://registry.example.com/psi",
        "registry.example.com:port/psi",
        "x" * 600,
        "registry.example.com/psi?x=1",
        "registry.example.com/psi\n",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="not the address of an image"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("registry.example.com", True),
        ("registry.example.com/*", True),
        ("registry.example.com/team", True),
        ("registry.example.com/team/psi", True),
        ("registry.example.com/team/psi:1.0", True),
        ("registry.example.com/team/psi:2.0", False),
        ("registry.example.com/tea", False),
        ("registry.example", False),
        ("registry.example.com.evil", False),
        ("*", False),
        ("", False),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, allowed: bool) -> None:
    reference = ImageReference("registry.example.com", "team/psi", "1.0")
    if allowed:
        require_allowed(reference, [entry])
    else:
        with pytest.raises(Refused, match=r'add "registry\.example\.com" or'):
            require_allowed(reference, [entry])


def test_a_pin_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    pins, reference = Pins(tmp_path), parse_reference("team/psi:1")
    assert pins.content(reference) == ""
    pins.path(reference).write_text('{"content": "docker.io/team/psi@')
    with pytest.raises(Refused, match="remove it"):
        pins.content(reference)


@pytest.mark.parametrize("replace", [True, False])
def test_attempts_that_bring_the_same_image_at_once_agree_on_what_it_meant(tmp_path: Path, replace: bool) -> None:
    pin = tmp_path / "images" / "image.json"
    barrier = threading.Barrier(16)

    def keep(number: int) -> None:
        barrier.wait()
        _keep(pin, "localhost/x:1", f"sha256:{number}", pulled=False, replace=replace)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(keep, range(16)))
    assert json.loads(pin.read_text())["content"].startswith("sha256:")
    assert [path.name for path in pin.parent.iterdir()] == [pin.name]


def test_what_one_team_may_is_nothing_that_docker_io_itself_calls_so() -> None:
    with pytest.raises(Refused):
        require_allowed(parse_reference("docker.io/team"), ["docker.io/team"])
    require_allowed(parse_reference("docker.io/team/psi"), ["docker.io/team"])


@pytest.mark.parametrize(
    "image",
    [
        "REGISTRY.example.com/team/psi",
        "registry.example.com.evil.example/team/psi",
        "registry.example.com:444/team/psi",
        "registry.example.com@evil.example/team/psi",
        "registry.example.com/teams/psi",
        "registry.example.com/team-x/psi",
        "registry.example.com./team/psi",
        "r\u0435gistry.example.com/team/psi",
        "localhost/registry.example.com/team/psi",
        "index.docker.io/registry.example.com/team/psi",
        "registry.example.com/team/../other/psi",
        "registry.example.com/team%2fother/psi",
        "registry.example.com//team/psi",
        "//registry.example.com/team/psi",
        "registry.example.com/team/psi:1.0:2.0",
        f"registry.example.com/other/psi:registry.example.com/team/psi@{DIGEST}",
    ],
)
def test_nothing_gets_around_what_is_allowed(image: str) -> None:
    with pytest.raises(Refused):
        require_allowed(parse_reference(image), ["registry.example.com/team"])
