"""TLS between nodes: certificates are pinned to what a contract says, not to who signed them.

Partners' certificates are self-signed as a rule, so a server trusts exactly the certificates of its contracts (and the
institution's CA where one is configured), and a client compares the server's key with the one it expects.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.security.keys import certificate_fingerprint


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files in PEM; `passphrase` opens the key."""

    certificate: Path
    key: Path
    passphrase: bytes | None = field(default=None, repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        try:
            # A callable in any case: OpenSSL would otherwise ask for a passphrase on the terminal.
            context.load_cert_chain(self.certificate, self.key, password=lambda: self.passphrase or b"")
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError; neither text holds anything of the key.
            raise InvalidRequest(
                f"the TLS certificate {self.certificate} with key {self.key} cannot be used: {error}"
            ) from None


class ServerTls:
    """The context of a listener. `renew` takes effect for the next connection; open ones go on undisturbed."""

    def __init__(self, pair: KeyPair, *, mutual: bool) -> None:
        self._pair = pair
        self._mutual = mutual
        self._current = self._build(())
        self.context = self._build(())
        self.context.sni_callback = self._choose

    def renew(self, trusted: Iterable[str], pair: KeyPair | None = None) -> None:
        """Use the certificate files as they are now and let in clients with these certificates (PEM).

        `InvalidRequest` when the files cannot be used; what was in force stays then.
        """
        self._pair = pair or self._pair
        self._current = self._build(trusted)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _build(self, trusted: Iterable[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        self._pair.load_into(context)
        if self._mutual:
            # A stranger has no certificate that this node could know; which requests need one is decided per request.
            context.verify_mode = ssl.CERT_OPTIONAL
            # A self-signed certificate is its own anchor although it is no CA.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            for pem in trusted:
                with contextlib.suppress(ssl.SSLError):
                    context.load_verify_locations(cadata=pem)
        return context


class PinnedConnection(ssl.SSLObject):
    """Ends the handshake when the server's key is not one of those its context expects: before anything is sent."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        assert isinstance(context, PinnedContext)
        der = self.getpeercert(binary_form=True)
        shown = certificate_fingerprint(der) if der else ""
        if shown not in context.pins:
            raise ssl.SSLCertVerificationError(
                f"the server shows the key {shown[:16] or '(none)'}…, not the one of the contract"
            )


class PinnedContext(ssl.SSLContext):
    """A client context that accepts the keys in `pins` (fingerprints) and no others; names and dates do not matter."""

    pins: frozenset[str] = frozenset()
    sslobject_class = PinnedConnection


def client_context(
    *, pins: Iterable[str] = (), ca_file: Path | None = None, pair: KeyPair | None = None
) -> ssl.SSLContext:
    """For calls to one partner: with `pins` its server must show one of these keys; without, a certificate for its host
    name that `ca_file` (or else this machine's list of CAs) vouches for. `pair` is shown when the server asks."""
    wanted = frozenset(pins)
    if wanted:
        context: ssl.SSLContext = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        assert isinstance(context, PinnedContext)
        context.pins = wanted
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if pair is not None:
        pair.load_into(context)
    return context
