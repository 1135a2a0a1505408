"""Why a partner could not be reached, in words that say what to do."""

from __future__ import annotations

import httpx

from embedded_scheduler.sentences import Words, say

_HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"),
        "hint_plain",
    ),
    (
        ("HTTP_REQUEST",),
        "hint_tls",
    ),
    (
        ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE", "ALERT_ACCESS_DENIED"),
        "hint_our_certificate",
    ),
    (
        ("ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"),
        "hint_tls_version",
    ),
    (
        ("ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL"),
        "hint_cipher",
    ),
    (
        ("Hostname mismatch", "IP address mismatch"),
        "hint_name",
    ),
    (
        ("certificate has expired",),
        "hint_expired",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "hint_ca",
    ),
    (
        ("Name or service not known", "Temporary failure in name resolution", "nodename nor servname"),
        "hint_dns",
    ),
)


def reason(url: str, error: httpx.TransportError) -> Words:
    """What happened, and what to do about it where that is known."""
    told = str(error)
    unnamed = _UNNAMED.get(type(error))
    detail: Words = told or (say(unnamed) if unnamed else type(error).__name__)
    if isinstance(error, httpx.ProxyError):
        return say("proxy_refused", error=detail)
    for marks, hint in _HINTS:
        if any(mark in told for mark in marks):
            return say("fault_with_hint", error=detail, hint=say(hint))
    if url.startswith("http:") and isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return say("fault_with_hint", error=detail, hint=say("hint_maybe_tls"))
    if url.startswith("https:") and isinstance(error, httpx.ConnectError) and not told:
        return say("during_handshake", error=detail)
    return detail


_UNNAMED: dict[type[httpx.TransportError], str] = {
    httpx.ConnectTimeout: "no_connection",
    httpx.ReadTimeout: "no_answer_in_time",
    httpx.ReadError: "connection_closed",
    httpx.ConnectError: "connection_closed",
    httpx.WriteError: "connection_closed",
}
