"""What an object store's refusals mean, as sentences that say what to change."""

from __future__ import annotations

import re
from collections.abc import Callable

from embedded_scheduler.errors import Conflict, NodeError, NotFound, Refused, Unavailable
from embedded_scheduler.sentences import say

_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w*)|certificate verify failed")
_LONGEST = 300

_CREDENTIALS = "the object store {at} does not accept the access key: check the secret {secret}"

_SENTENCES: dict[str, tuple[Callable[[str], NodeError], str]] = {
    "InvalidAccessKeyId": (Refused, _CREDENTIALS),
    "SignatureDoesNotMatch": (
        Refused,
        "the object store {at} does not accept the signature: the secret key in the secret {secret} is another, "
        "or something on the way changes requests",
    ),
    "AccessDenied": (
        Refused,
        "the object store {at} does not let this access key use the bucket {bucket}: give it rights to list, read, "
        "write and delete there",
    ),
    "AllAccessDisabled": (Refused, "the object store {at} has shut the bucket {bucket}"),
    "NoSuchBucket": (Refused, "{at} has no bucket {bucket}: create it, or change storage.bucket"),
    "InvalidBucketName": (Refused, "{at} does not take {bucket} as a bucket's name: change storage.bucket"),
    "PermanentRedirect": (Refused, "the bucket {bucket} is in another region: change storage.endpoint and region"),
    "AuthorizationHeaderMalformed": (Refused, "the bucket {bucket} is in another region: change storage.region"),
    "RequestTimeTooSkewed": (
        Unavailable,
        "the clocks of this machine and of the object store {at} differ by more than 15 minutes: set them (NTP)",
    ),
    "SlowDown": (Unavailable, "the object store {at} is too busy just now"),
    "QuotaExceeded": (Unavailable, "the object store {at} is full: make room, or raise the quota of {bucket}"),
    "XMinioStorageFull": (Unavailable, "the object store {at} is full"),
    "NoSuchUpload": (Unavailable, "the object store {at} forgot an upload that was under way; try again"),
}
_BY_STATUS = {401: "InvalidAccessKeyId", 403: "AccessDenied", 429: "SlowDown", 503: "SlowDown"}


def fault(error: Exception, *, at: str, bucket: str, secret: str, hidden: tuple[str, ...]) -> NodeError:
    """The sentence for an error of the store's client. `hidden`: values that must not be in it."""
    text = str(error)
    facts = {"at": at, "bucket": bucket, "secret": secret}
    known = _SENTENCES.get(_code(text) or _BY_STATUS.get(_status(text), ""))
    if known is not None:
        kind, sentence = known
        return kind(sentence.format(**facts))
    if _status(text) == 404:
        return NotFound(say("s3_nothing", address=at))
    if _status(text) == 412 or "Precondition" in type(error).__name__:
        return Conflict(say("s3_changed"))
    certificate = _CERTIFICATE.search(text)
    if certificate:
        return Refused(say("s3_certificate", address=at, why=certificate[1] or "invalid"))
    for mark in ("dns error", "failed to lookup"):
        if mark in text:
            return Unavailable(say("s3_dns", address=at))
    if "error sending request" in text or "tcp connect" in text or "request or response body" in text:
        return Unavailable(say("s3_unreachable", address=at))
    return Unavailable(say("s3_fault", address=at, error=_first_line(text, hidden)))


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1]) if found else 0


def _first_line(text: str, hidden: tuple[str, ...]) -> str:
    line = text.partition("\n")[0]
    for value in hidden:
        line = line.replace(value, "(secret)") if value else line
    return line[:_LONGEST]
