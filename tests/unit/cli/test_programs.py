"""What another program gets of this one's environment."""

from __future__ import annotations

import pytest

from nodeconsole.programs import environment_for_others

_UNPACKED = {"_PYI_APPLICATION_HOME_DIR": "/tmp/_MEI1", "_PYI_PARENT_PROCESS_LEVEL": "1"}
_OURS = {"LD_LIBRARY_PATH": "/tmp/_MEI1"}


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ({"HOME": "/home/li"}, {"HOME": "/home/li"}),
        # From a package: nothing was changed, so nothing is put back.
        ({"LD_LIBRARY_PATH": "/opt/lib"}, {"LD_LIBRARY_PATH": "/opt/lib"}),
        ({"HOME": "/home/li", **_UNPACKED, **_OURS}, {"HOME": "/home/li"}),
        ({**_UNPACKED, **_OURS, "LD_LIBRARY_PATH_ORIG": "/opt/lib"}, {"LD_LIBRARY_PATH": "/opt/lib"}),
    ],
)
def test_libraries_of_the_executable_are_not_given_on(own: dict[str, str], others: dict[str, str]) -> None:
    assert environment_for_others(own) == others
