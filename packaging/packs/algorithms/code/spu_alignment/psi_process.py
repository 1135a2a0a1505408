"""`python -m spu_alignment.psi_process ORDER.json`: one party of the protocol; the link is configured by the node's
environment variables, over which the messages go to the node's channel ("black box" link)."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spu import psi
from spu.libspu import link

_CONNECTIONS = 600
_WINDOW = 10
_MESSAGE_BYTES = 960_000
"""Just below what one request between nodes carries (1,000,000 bytes): the library's own size goes out in two."""


def main(order: dict[str, Any]) -> int:
    found: dict[str, Any] = {"version": version("spu")}
    try:
        report = run(order, connect(order))
        found |= {"own": report.original_count, "common": report.intersection_count}
    except Exception as error:  # noqa: BLE001 - the library raises whatever its C++ half throws
        found["fault"] = str(error)
        return 1
    finally:
        Path(order["report"]).write_text(json.dumps(found))
    return 0


def connect(order: dict[str, Any]) -> Any:
    desc = link.Desc()
    desc.link_type = "blackbox"
    desc.brpc_channel_protocol = "http"
    desc.recv_timeout_ms = order["timeout_ms"]
    desc.http_timeout_ms = min(order["timeout_ms"], 120_000)
    desc.connect_retry_times = _CONNECTIONS
    desc.throttle_window_size = _WINDOW
    desc.http_max_payload_size = _MESSAGE_BYTES
    for party, node_id in order["parties"]:
        desc.add_party(party, node_id)
    return link.create_brpc(desc, order["rank"])


def run(order: dict[str, Any], context: Any) -> Any:
    three = len(order["parties"]) > 2
    if three:
        # This form of the library connects a second time, by the same messages: one that is still at the first would
        # take them for its own, and wait for ever at the second.
        context.barrier()
    protocols = psi.PsiProtocol
    protocol = protocols.PROTOCOL_RR22 if order["protocol"] == "rr22" else protocols.PROTOCOL_ECDH
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=protocols.PROTOCOL_ECDH_3PC if three else protocol,
            receiver_rank=order["receiver_rank"],
            broadcast_result=order["broadcast"],
            ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
        ),
        input_params=psi.InputParams(
            type=psi.SourceType.SOURCE_TYPE_FILE_CSV, path=order["source"], selected_keys=["key"], keys_unique=True
        ),
        output_params=psi.OutputParams(type=psi.SourceType.SOURCE_TYPE_FILE_CSV, path=order["target"]),
    )
    report = psi.psi_execute(config, context)
    context.stop_link()
    return report


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
