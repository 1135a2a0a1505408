"""What somebody who is no partner may send: thousands of requests, no two alike."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Iterator

from tests.support.callers import SCHEDULE

PATHS = (
    *(f"{SCHEDULE}/{path}" for path in ("job/create", "job/create_all", "job/start", "job/stop", "job/status_all")),
    *(f"{SCHEDULE}/{path}" for path in ("task/start", "task/poll", "task/callback", "task/stop", "job/audit_confirm")),
    "/v1/interconn/chan/invoke",
    "/v1/interconn/chan/transport",
    "/v1/interconn/node/update",
    "/v1/interconn/dataset/audit/apply",
    "/v1/console/status",
    "/v1/platform/schedule/job/create_all",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/v1/interconn/%00",
    "//",
)
METHODS = ("POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW")
IDS = ("job-1", "../../x", "%2e%2e", "a\\u0000b", "\\u202e", "x" * 300, "'; DROP TABLE jobs; --", "~", "")
SOURCES = ("", "bob", "bob", "eve", "alice", "../x", "x" * 500, "bob, eve", "\xff")
"""`bob` is a partner of `alice`: whoever says so has to prove it."""


def bombs() -> dict[str, bytes]:
    """Bodies that are small to send and dear to read, if somebody does."""
    return {
        "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
        "arrays": b"[" * 20_000,
        "number": b'{"job_id": ' + b"9" * 20_000 + b"}",
        "exponent": b'{"job_id": 1e999999999}',
        "twice": b'{"job_id": "a", "job_id": "b"}',
        "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(2000)) + b"}",
        "surrogates": b'{"job_id": "' + b"\\ud800" * 2000 + b'"}',
        "gzip": gzip.compress(b'{"job_id": "' + b" " * 5_000_000 + b'"}'),
        "binary": bytes(range(256)) * 16,
        "nothing": b"",
    }


def varied(count: int, seed: int, *, node: str = "alice", partner: str = "bob") -> Iterator[bytes]:
    """Raw HTTP requests to `node`, some of which say that they are of its `partner`; no two alike, always the same for
    one seed but for the time."""
    chance = random.Random(seed)
    bodies = list(bombs().items())
    now_ms = time.time_ns() // 1_000_000
    sources = [source.replace("bob", partner).replace("alice", node) for source in SOURCES]
    for number in range(count):
        what, body = chance.choice(bodies)
        if chance.random() < 0.6:
            what, body = "plain", json.dumps({"job_id": chance.choice(IDS), "task_id": "task-1", "n": number}).encode()
        method = chance.choice(METHODS)
        headers = [
            "host: x",
            f"content-length: {len(body)}",
            f"content-type: {chance.choice(('application/json', 'text/xml', 'multipart/form-data', 'a/b; charset=x'))}",
            f"x-nonce: {number}",
        ]
        if source := chance.choice(sources):
            headers.append(f"{chance.choice(('x-source-node-id', 'X-Node-Id', 'x-ptp-source-node-id'))}: {source}")
        if chance.random() < 0.5:
            headers += [f"x-auth-sign: {'A' * chance.choice((0, 10, 88, 5000))}", f"x-target-node-id: {node}"]
            headers.append(f"x-timestamp: {chance.choice(('0', '9' * 30, 'now', str(now_ms), str(now_ms)))}")
        if what == "gzip":
            headers.append("content-encoding: gzip")
        if chance.random() < 0.02:
            headers.append("x-filler: " + "f" * 20_000)
        if chance.random() < 0.1:
            headers.append("x-ptp-session-id: " + chance.choice(IDS).encode("ascii", "ignore").decode())
        head = f"{method} {chance.choice(PATHS)}?n={number} HTTP/1.1\r\n" + "\r\n".join(headers) + "\r\n\r\n"
        # A HEAD answer has no body, whatever its length says: this sender could not tell where it ends.
        yield head.replace("HEAD ", "LIST ").encode("latin-1") + body
