"""Signing keys: parsed once, used often. Algorithms by the names that contracts use (management layer §1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

ED25519 = "ED25519"
SHA256_RSA = "SHA256_RSA"
SHA256_ECDSA = "SHA256_ECDSA"
CERT = "CERT"
AUTH_TYPES = (ED25519, SHA256_RSA, SHA256_ECDSA, CERT)

_LONGEST_CREDENTIAL = 16_384
_SMALLEST_RSA = 2048
_LARGEST_RSA = 8192
"""Beyond it a check costs more than the request it protects."""
_UNREADABLE = (ValueError, binascii.Error, UnsupportedAlgorithm, x509.InvalidVersion)
"""What the library raises for encodings that somebody made up."""
_CURVES = ("secp256r1", "secp384r1", "secp521r1")

PublicKeys = Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. `algorithm` is ED25519, SHA256_RSA or SHA256_ECDSA, fixed by the key: a
    message has no say in it. `fingerprint` is the SHA-256 of its SubjectPublicKeyInfo in hex; `certificate` the PEM it
    came in, empty for a bare key."""

    algorithm: str
    fingerprint: str
    certificate: str
    _check: Callable[[bytes, bytes], Any]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            self._check(signature, message)
        except InvalidSignature:
            return False
        return True


def parse_credential(auth_type: str, credential: str) -> PublicKey:
    """The key in `auth_credential`: PEM (public key, or certificate for CERT), or base64 of DER or of 32 raw bytes
    (Ed25519).

    `InvalidRequest` when it is none, not of the stated type, or too weak. The dates of a certificate are not looked at.
    """
    if auth_type not in AUTH_TYPES:
        raise InvalidRequest(say("auth_type", known=", ".join(AUTH_TYPES), value=ascii(auth_type[:40])))
    if not credential or len(credential) > _LONGEST_CREDENTIAL or not credential.isascii():
        raise InvalidRequest(say("auth_credential_long", most=_LONGEST_CREDENTIAL))
    if auth_type == CERT:
        return _certified_key(credential)
    key = _public_key(_bare_key(auth_type, credential), "")
    if key.algorithm != auth_type:
        raise InvalidRequest(say("auth_credential_other", found=key.algorithm, auth_type=auth_type))
    return key


def _certified_key(credential: str) -> PublicKey:
    try:
        certificate = _certificate(credential)
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        key = certificate.public_key()
    except _UNREADABLE:
        raise InvalidRequest(say("auth_credential_no_certificate")) from None
    return _public_key(key, pem)


def _certificate(credential: str) -> x509.Certificate:
    if "-----BEGIN" in credential:
        return x509.load_pem_x509_certificate(credential.encode("ascii"))
    return x509.load_der_x509_certificate(base64.b64decode(credential, validate=True))


def _bare_key(auth_type: str, credential: str) -> Any:
    try:
        if "-----BEGIN" in credential:
            return serialization.load_pem_public_key(credential.encode("ascii"))
        raw = base64.b64decode(credential, validate=True)
        if auth_type == ED25519 and len(raw) == 32:
            return Ed25519PublicKey.from_public_bytes(raw)
        return serialization.load_der_public_key(raw)
    except (*_UNREADABLE, TypeError):
        raise InvalidRequest(say("auth_credential_no_key")) from None


def _public_key(key: Any, certificate: str) -> PublicKey:
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(ED25519, fingerprint(key), certificate, key.verify)
    if isinstance(key, rsa.RSAPublicKey):
        if not _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA:
            raise InvalidRequest(say("rsa_bits", low=_SMALLEST_RSA, high=_LARGEST_RSA, bits=key.key_size))
        rsa_key = key
        return PublicKey(
            SHA256_RSA,
            fingerprint(key),
            certificate,
            lambda signature, message: rsa_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256()),
        )
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise InvalidRequest(say("ec_curve", known=", ".join(_CURVES), curve=key.curve.name))
        ec_key = key
        return PublicKey(
            SHA256_ECDSA,
            fingerprint(key),
            certificate,
            lambda signature, message: ec_key.verify(signature, message, ec.ECDSA(hashes.SHA256())),
        )
    raise InvalidRequest(say("key_kind"))


def fingerprint(key: PublicKeys) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex: the same for a key and for every certificate of it."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def certificate_fingerprint(der: bytes) -> str:
    """Fingerprint of the key in a DER certificate; empty when it holds none that is served."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except _UNREADABLE:
        return ""
    return fingerprint(key) if isinstance(key, PublicKeys) else ""


class SigningKey:
    """This node's private key; Ed25519. Its `repr` shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.fingerprint = fingerprint(key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.fingerprint[:16]}…)"
