"""Which control group is a container's own, in the ways in which engines name them."""

from __future__ import annotations

import pytest

from embedded_scheduler.runners.memory_peak import _down_to

ID = "4c01db0b339c"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (f"/docker/{ID}", f"/docker/{ID}"),
        (f"/system.slice/docker-{ID}.scope", f"/system.slice/docker-{ID}.scope"),
        # crun puts the program one further down, so that the group itself can be handed on.
        (f"/machine.slice/libpod-{ID}.scope/container", f"/machine.slice/libpod-{ID}.scope"),
        (
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
        ),
        # What it shares with others tells nothing of it, and from outside of what is seen here nothing is known.
        ("/user.slice/user-1000.slice/session-3.scope", ""),
        ("/", ""),
    ],
)
def test_the_groups_own_path_ends_with_the_container(path: str, own: str) -> None:
    assert _down_to(path, ID) == own
