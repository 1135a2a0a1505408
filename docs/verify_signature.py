"""Checks the recorded signatures beside this file, with nothing but `cryptography`: `python verify_signature.py`."""

import base64, hashlib, json, pathlib, sys  # noqa: E401, I001
from urllib.parse import parse_qsl, quote
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

RSA, ECDSA = (padding.PKCS1v15(), hashes.SHA256()), (ec.ECDSA(hashes.SHA256()),)


def signed_bytes(said, entry):
    fields = sorted(parse_qsl(entry["query"], keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in fields)
    start = ("ANSWER", entry["status"], entry["path"]) if "status" in entry else (entry["method"], entry["path"], query)
    headers = [said[f"x-{name}"] for name in ("source-node-id", "target-node-id", "nonce", "timestamp", "trace-id")]
    permits = [said["x-mprac-token-set"]] if said.get("x-mprac-token-set") else []
    body = hashlib.sha256(entry["body"].encode()).hexdigest()
    return "\n".join(map(str, [*start, *headers, body, *permits])).encode()


def is_valid(entry, auth_type, pem):
    public = serialization.load_pem_public_key
    key = x509.load_pem_x509_certificate(pem).public_key() if auth_type == "CERT" else public(pem)
    how = RSA if isinstance(key, rsa.RSAPublicKey) else ECDSA if isinstance(key, ec.EllipticCurvePublicKey) else ()
    try:
        signature = base64.b64decode(entry["signature"], validate=True)
        key.verify(signature, signed_bytes(entry["headers"], entry), *how)
    except (exceptions.InvalidSignature, ValueError):
        return False
    return base64.b64encode(signature).decode() == entry["signature"]  # one spelling only


recorded = json.loads(pathlib.Path(__file__).with_name("signature_vectors.json").read_text())
keys = {name: (key["auth_type"], key["auth_credential"].encode()) for name, key in recorded["keys"].items()}
wrong = [entry["name"] for entry in recorded["vectors"] if is_valid(entry, *keys[entry["key"]]) is not entry["valid"]]
sys.stdout.write(f"{len(recorded['vectors'])} signatures checked; not as recorded: {', '.join(wrong) or 'none'}\n")
sys.exit(bool(wrong))
