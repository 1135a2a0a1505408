"""The published vectors: our code makes and accepts exactly these, and so does the published verifier."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from embedded_scheduler.security.keys import SigningKey, parse_credential
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers
from embedded_scheduler.wire.bfia.signature import SignedAnswer, SignedRequest, Signer, is_signed

DOCS = Path(__file__).parents[3] / "docs"
RECORDED = json.loads((DOCS / "signature_vectors.json").read_text("ascii"))
KEYS = {name: parse_credential(key["auth_type"], key["auth_credential"]) for name, key in RECORDED["keys"].items()}
VECTORS: list[dict[str, Any]] = RECORDED["vectors"]


def message(vector: dict[str, Any]) -> bytes:
    said = read_headers((name.encode(), value.encode("latin-1")) for name, value in vector["headers"].items())
    body = vector["body"].encode()
    if "status" in vector:
        return SignedAnswer(
            vector["status"], vector["path"], said.source, said.target, said.nonce, said.timestamp, said.trace_id, body
        ).message()
    return SignedRequest(vector["method"], vector["path"], vector["query"], said, body).message()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_is_as_recorded(vector: dict[str, Any]) -> None:
    assert message(vector).decode() == vector["message"]
    assert is_signed(message(vector), vector["signature"], [KEYS[vector["key"]]]) is vector["valid"]


def test_every_algorithm_has_a_request_and_an_answer() -> None:
    good = {(vector["key"], "status" in vector) for vector in VECTORS if vector["valid"]}
    assert good == {(key, answer) for key in KEYS for answer in (False, True)}
    assert {key["auth_type"] for key in RECORDED["keys"].values()} == {"ED25519", "SHA256_RSA", "SHA256_ECDSA", "CERT"}


def test_our_signer_makes_the_recorded_signatures() -> None:
    seed = bytes.fromhex(RECORDED["keys"]["ed25519"]["private_seed_hex"])
    signer = Signer(SigningKey(Ed25519PrivateKey.from_private_bytes(seed)))
    mine = [vector for vector in VECTORS if vector["valid"] and vector["key"] == "ed25519"]
    assert len(mine) > 3
    assert [signer.sign(message(vector)) for vector in mine] == [vector["signature"] for vector in mine]


def test_the_published_verifier_agrees_and_notices_a_forged_vector(tmp_path: Path) -> None:
    script = (DOCS / "verify_signature.py").read_text()
    assert len([line for line in script.splitlines() if line.strip()]) <= 30
    (tmp_path / "verify_signature.py").write_text(script)
    for tampered, expected in ((False, 0), (True, 1)):
        vectors = [vector | {"body": vector["body"] + " "} if tampered else vector for vector in VECTORS]
        (tmp_path / "signature_vectors.json").write_text(json.dumps(RECORDED | {"vectors": vectors}))
        done = subprocess.run(
            [sys.executable, tmp_path / "verify_signature.py"], capture_output=True, text=True, check=False
        )
        assert done.returncode == expected, done.stderr
        assert f"{len(VECTORS)} signatures" in done.stdout


def test_permits_and_channel_headers_are_never_taken_for_one_another() -> None:
    def signed(token_set: str, transport: str) -> bytes:
        said = PartnerHeaders("alice", "bob", "n", "t", "1", token_set=token_set)
        return SignedRequest("POST", "/v1/interconn/chan/invoke", "", said, b"", transport).message()

    text = "x-ptp-session-id=s"
    assert len({signed(text, ""), signed("", text), signed(text, text), signed("", "")}) == 4
