"""One party of `spu.psi`, run by the interpreter that has the wheel: `psi_party.py ORDER.json`.

With `hosts` in it the parties speak over sockets of their own (brpc), else through their nodes. Prints the seconds from
the first connection to the last byte of the result.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import spu.libspu.link as link
from spu_alignment.psi_process import connect, run


def _own_sockets(order: dict[str, Any]) -> Any:
    desc = link.Desc()
    desc.recv_timeout_ms = order["timeout_ms"]
    for (party, _), host in zip(order["parties"], order["hosts"], strict=True):
        desc.add_party(party, host)
    return link.create_brpc(desc, order["rank"])


def main(order: dict[str, Any]) -> None:
    began = time.perf_counter()
    report = run(order, _own_sockets(order) if order["hosts"] else connect(order))
    taken = time.perf_counter() - began
    print(json.dumps({"seconds": taken, "common": report.intersection_count}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
