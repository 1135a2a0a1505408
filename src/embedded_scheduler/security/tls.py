"""TLS between nodes: certificates are pinned to what a contract says, not to who signed them.

Partners' certificates are self-signed as a rule, so a server trusts exactly the certificates of its contracts, and a
client compares the server's key with the one it expects.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.security.keys import certificate_fingerprint
from embedded_scheduler.sentences import say

_SHOWN = 16
"""Digits of a fingerprint in a message: enough to compare with what `peer show` prints."""


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
                say("tls_files", certificate=str(self.certificate), key=str(self.key), error=str(error))
            ) from None

    def stamp(self) -> tuple[object, ...]:
        """Differs after either file was replaced or written to."""
        return tuple(_stamp(path) for path in (self.certificate, self.key))

    def not_after(self) -> datetime | None:
        """When the certificate ends; None when that cannot be read."""
        try:
            return x509.load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return None


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_ino, status.st_size)


class ServerConnection(ssl.SSLObject):
    """Keeps what TLS has to say about a handshake that failed: asyncio closes the connection without sending it, and
    the caller would never read that it is his certificate that is not accepted."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            raise HandshakeFailed(str(error), self.outgoing.read()) from None


class HandshakeFailed(ssl.SSLError):
    """`alert` is to be sent before the connection is closed; it may be empty."""

    def __init__(self, text: str, alert: bytes) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, text)
        self.alert = alert


class ServerContext(ssl.SSLContext):
    sslobject_class = ServerConnection

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **named: Any) -> ssl.SSLObject:
        connection = super().wrap_bio(incoming, outgoing, *args, **named)
        assert isinstance(connection, ServerConnection)
        connection.outgoing = outgoing
        return connection


class ServerTls:
    """What a listener shows and whom it lets in. `renew` takes effect for the next connection; open ones go on
    undisturbed."""

    def __init__(self, pair: KeyPair, *, mutual: bool) -> None:
        self._pair = pair
        self._mutual = mutual
        self._trusted: tuple[str, ...] = ()
        self._context = self._build()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection. Never kept: sessions of an earlier context are not resumed in a later one, so what
        it trusted is over with it."""
        return self._context

    @property
    def pair(self) -> KeyPair:
        return self._pair

    def renew(self, trusted: Iterable[str] | None = None, pair: KeyPair | None = None) -> None:
        """Use the certificate files as they are now, and let in clients with these certificates (PEM; None = those of
        before).

        `InvalidRequest` when the files cannot be used; the certificate that was in force stays then.
        """
        before, self._pair = self._pair, pair or self._pair
        if trusted is not None:
            self._trusted = tuple(trusted)
        try:
            self._context = self._build()
        except InvalidRequest:
            self._pair = before
            raise

    def _build(self) -> ssl.SSLContext:
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
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
            for pem in self._trusted:
                with contextlib.suppress(ssl.SSLError, ValueError):
                    context.load_verify_locations(cadata=pem)
        return context


class WrongKey(ssl.SSLCertVerificationError):
    """The server holds another key than the one expected."""


class PinnedConnection(ssl.SSLObject):
    """Ends the handshake when the server's key is not one of those its context expects: before anything is sent."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        assert isinstance(context, PinnedContext)
        der = self.getpeercert(binary_form=True)
        shown = certificate_fingerprint(der) if der else ""
        if shown not in context.pins:
            wanted = " or ".join(f"{pin[:_SHOWN]}…" for pin in sorted(context.pins))
            raise WrongKey(
                ssl.SSL_ERROR_SSL,
                f"its TLS server shows the key {shown[:_SHOWN] or '(none)'}…, expected is {wanted}: do not go on before"
                " the partner confirms its key by phone; a renewed key comes by `identity rotate` of the partner, a"
                " gateway's key is set with `nodeconsole peer add --tls FINGERPRINT`",
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
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:
            raise InvalidRequest(say("ca_file", path=str(ca_file), error=str(error))) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if pair is not None:
        pair.load_into(context)
    return context
