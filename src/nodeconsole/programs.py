"""Programs of the machine that this one starts: ssh, an editor, a pager, another Python."""

from __future__ import annotations

import os
from collections.abc import Mapping

_LIBRARIES = "LD_LIBRARY_PATH"
_LIBRARIES_BEFORE = "LD_LIBRARY_PATH_ORIG"
_UNPACKED = "_PYI_"
"""So begins what the standalone executable tells its own processes: where it was unpacked."""


def environment_for_others(own: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that the operator has, for a program that is not ours.

    The standalone executable finds its libraries through a variable. Another program would load them too, instead of
    the machine's: ssh refuses to work with the libcrypto of another system.
    """
    given = dict(os.environ if own is None else own)
    kept = {name: value for name, value in given.items() if not name.startswith(_UNPACKED)}
    if len(kept) == len(given):
        return given
    before = kept.pop(_LIBRARIES_BEFORE, None)
    kept.pop(_LIBRARIES, None)
    return kept if before is None else {**kept, _LIBRARIES: before}
