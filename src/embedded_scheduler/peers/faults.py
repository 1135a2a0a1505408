"""Why a partner could not be reached, in words that say what to do."""

from __future__ import annotations

import httpx

_HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"),
        "the other side speaks plain HTTP there, not TLS: begin its address with http://, or have TLS switched on",
    ),
    (
        ("HTTP_REQUEST",),
        "the other side speaks TLS there: begin its address with https://",
    ),
    (
        ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE", "ALERT_ACCESS_DENIED"),
        "it does not accept this node's certificate: it has no contract with it, or not any more; compare"
        " `nodeconsole identity show` with the contract there",
    ),
    (
        ("ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"),
        "it has no TLS version from 1.2 on: have its TLS server brought up to date",
    ),
    (
        ("ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL"),
        "the two sides have no secure cipher in common: have its TLS server brought up to date",
    ),
    (
        ("Hostname mismatch", "IP address mismatch"),
        "its certificate is for another name: use the name in the certificate, or pin its key with a contract",
    ),
    (
        ("certificate has expired",),
        "its certificate has expired: its operator has to renew it",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "no CA known here vouches for its certificate: make a contract (`nodeconsole peer invite`, `peer join`), or set"
        " partner.ca_file",
    ),
    (
        ("Name or service not known", "Temporary failure in name resolution", "nodename nor servname"),
        "its name has no address here: check the address and this machine's DNS",
    ),
)


def reason(url: str, error: httpx.TransportError) -> str:
    """What happened, and what to do about it where that is known."""
    detail = str(error) or _UNNAMED.get(type(error), type(error).__name__)
    if isinstance(error, httpx.ProxyError):
        return f"the proxy of partner.proxy refused: {detail}"
    for marks, hint in _HINTS:
        if any(mark in detail for mark in marks):
            return f"{detail}; {hint}"
    if url.startswith("http:") and isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return f"{detail}; if the other side speaks TLS there, begin its address with https://"
    if url.startswith("https:") and isinstance(error, httpx.ConnectError) and not str(error):
        return f"{detail} during the TLS handshake"
    return detail


_UNNAMED: dict[type[httpx.TransportError], str] = {
    httpx.ConnectTimeout: "no connection in time: a firewall may drop what is sent there",
    httpx.ReadTimeout: "no answer in time",
    httpx.ReadError: "the connection was closed",
    httpx.ConnectError: "the connection was closed",
    httpx.WriteError: "the connection was closed",
}
