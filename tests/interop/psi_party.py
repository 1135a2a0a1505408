"""One party of an ECDH-PSI with the `spu` wheel over its black-box link; run by the interpreter that has `spu`.

`python psi_party.py RANK INPUT.csv OUTPUT.csv`; the link is configured by the specification's environment variables.
"""

import json
import os
import sys
from pathlib import Path

import spu.libspu.link as link
from spu import psi


def main(rank: int, source: str, target: str) -> None:
    desc = link.Desc()
    desc.link_type = "blackbox"
    desc.brpc_channel_protocol = "http"
    desc.recv_timeout_ms = 60_000
    for party, node_id in json.loads(os.environ["TEST_PARTIES"]):
        desc.add_party(party, node_id)
    context = link.create_brpc(desc, rank)
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=psi.PsiProtocol.PROTOCOL_ECDH,
            receiver_rank=0,
            broadcast_result=True,
            ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
        ),
        input_params=psi.InputParams(type=psi.SourceType.SOURCE_TYPE_FILE_CSV, path=source, selected_keys=["id"]),
        output_params=psi.OutputParams(type=psi.SourceType.SOURCE_TYPE_FILE_CSV, path=target),
    )
    report = psi.psi_execute(config, context)
    counts = {"original": report.original_count, "intersection": report.intersection_count}
    Path(f"{target}.report").write_text(json.dumps(counts), "utf-8")
    context.stop_link()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
