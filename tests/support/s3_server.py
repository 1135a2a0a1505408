"""A small S3 server that is strict where it matters, and fails on request.

It checks every signature (AWS Signature Version 4, computed here from the published steps), the digest of every body,
the clock and the bucket; it speaks multipart uploads, ranges, If-Match and listings. Objects are kept in memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_ROOT = Path(__file__).resolve().parents[2]

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@dataclass(frozen=True, slots=True)
class Request:
    """`part` is the number of an uploaded part, 0 = none."""

    method: str
    key: str
    query: dict[str, str]
    range: str
    host: str

    @property
    def part(self) -> int:
        return int(self.query.get("partNumber", "0"))


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` requests that `matches` accepts.

    `status` with `code`: that answer. `cut_after`: the connection ends after so many bytes of an answer's body.
    `before`: called first, for example to change what is stored.
    """

    matches: Callable[[Request], bool]
    times: int = 1
    status: int = 0
    code: str = ""
    cut_after: int | None = None
    before: Callable[[], object] | None = None


@dataclass(slots=True)
class _Object:
    content: bytes
    etag: str
    modified: datetime


@dataclass(slots=True)
class _Upload:
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class S3Server:
    """`objects` by key, `uploads` that were begun and neither completed nor aborted, `requests` in order."""

    def __init__(self, bucket: str = "storage", *, virtual_host: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.bucket = bucket
        self.virtual_host = virtual_host
        """Host name in front of which the bucket has to stand; empty = the bucket is the path's first part."""
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, _Upload] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.clock_ahead = timedelta()
        self.lock = threading.Lock()
        server = self

        class Handler(_Handler):
            s3 = server

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._tls = tls is not None
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.virtual_host or '127.0.0.1'}:{self.port}"

    @contextmanager
    def running(self) -> Iterator[S3Server]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def put(self, key: str, content: bytes, etag: str = "") -> None:
        self.objects[key] = _Object(content, etag or hashlib.md5(content).hexdigest(), datetime.now(UTC))

    def content(self, key: str) -> bytes:
        return self.objects[key].content

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            for index, fault in enumerate(self.faults):
                if fault.matches(request):
                    left = fault.times - 1
                    kept = [Fault(fault.matches, left, fault.status, fault.code, fault.cut_after, fault.before)]
                    self.faults[index : index + 1] = kept if left else []
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is nothing to report; what went wrong otherwise shows at the client."""


class _Answer(Exception):
    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    s3: S3Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Not on the tests' output."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = None
        try:
            bucket, key = self._target(unquote(parts.path))
            request = Request(self.command, key, query, self.headers.get("Range", ""), self.headers.get("Host", ""))
            self.s3.requests.append(request)
            fault = self.s3.fault_for(request)
            if fault is not None and fault.before is not None:
                fault.before()
            if fault is not None and fault.status:
                raise _Answer(fault.status, fault.code)
            self._authenticate(parts.path, query, body)
            if bucket != self.s3.bucket:
                raise _Answer(404, "NoSuchBucket")
            status, headers, content = self._carry_out(request, body)
        except _Answer as answer:
            status, headers = answer.status, {"Content-Type": "application/xml"}
            content = f"<Error><Code>{answer.code}</Code><Message>as it is</Message></Error>".encode()
        self._send(status, headers, content, fault.cut_after if fault else None)

    def _send(self, status: int, headers: dict[str, str], content: bytes, cut_after: int | None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content if cut_after is None else content[:cut_after])
        if cut_after is not None:
            self.close_connection = True

    def _target(self, path: str) -> tuple[str, str]:
        if self.s3.virtual_host:
            bucket, _, rest = self.headers["Host"].partition(".")
            if rest != f"{self.s3.virtual_host}:{self.s3.port}":
                raise _Answer(400, "InvalidRequest")
            return bucket, path.lstrip("/")
        bucket, _, key = path.lstrip("/").partition("/")
        return bucket, key

    # Signature Version 4, by the published steps.

    def _authenticate(self, path: str, query: dict[str, str], body: bytes) -> None:
        scheme, _, rest = self.headers.get("Authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            raise _Answer(403, "AccessDenied")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, day, region, service, _ = fields["Credential"].split("/")
        if access_key != ACCESS_KEY:
            raise _Answer(403, "InvalidAccessKeyId")
        stamp = self.headers["x-amz-date"]
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) + self.s3.clock_ahead - sent) > timedelta(minutes=15):
            raise _Answer(403, "RequestTimeTooSkewed")
        digest = hashlib.sha256(body).hexdigest()
        if self.headers["x-amz-content-sha256"] != digest:
            raise _Answer(400, "XAmzContentSHA256Mismatch")
        stated = self.headers.get("x-amz-checksum-sha256")
        if stated and base64.b64decode(stated).hex() != digest:
            raise _Answer(400, "BadDigest")
        names = fields["SignedHeaders"].split(";")
        canonical = "\n".join(
            [
                self.command,
                path,
                "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(query.items())),
                *(f"{name}:{' '.join((self.headers[name] or '').split())}" for name in names),
                "",
                ";".join(names),
                digest,
            ]
        )
        scope = f"{day}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET_KEY}".encode()
        for step in (day, region, service, "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), fields["Signature"]):
            raise _Answer(403, "SignatureDoesNotMatch")

    # Operations

    def _carry_out(self, request: Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.s3.lock:
            match request.method, request.key:
                case "GET", "":
                    return 200, {"Content-Type": "application/xml"}, self._listing(request.query)
                case "GET" | "HEAD", key:
                    return self._get(key, request)
                case "PUT", key if request.part:
                    return self._put_part(request.query["uploadId"], request.part, body)
                case "PUT", key:
                    self.s3.put(key, body)
                    return 200, {"ETag": f'"{self.s3.objects[key].etag}"'}, b""
                case "POST", key if "uploads" in request.query:
                    return self._begin(key)
                case "POST", key:
                    return self._complete(key, request.query["uploadId"], body)
                case "DELETE", key if "uploadId" in request.query:
                    self.s3.uploads.pop(request.query["uploadId"], None)
                    return 204, {}, b""
                case "DELETE", key:
                    self.s3.objects.pop(key, None)
                    return 204, {}, b""
        raise _Answer(501, "NotImplemented")

    def _get(self, key: str, request: Request) -> tuple[int, dict[str, str], bytes]:
        found = self.s3.objects.get(key)
        if found is None:
            raise _Answer(404, "NoSuchKey")
        wanted = self.headers.get("If-Match")
        if wanted and wanted.strip('"') != found.etag:
            raise _Answer(412, "PreconditionFailed")
        size = len(found.content)
        headers = {
            "ETag": f'"{found.etag}"',
            "Last-Modified": found.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Accept-Ranges": "bytes",
        }
        if not request.range:
            # The length of a HEAD is that of the object.
            return 200, {**headers, "Content-Length": str(size)}, found.content
        first, _, last = request.range.removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last) + 1 if last else size, size)
        if begin >= size:
            raise _Answer(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        return 206, headers, found.content[begin:end]

    def _put_part(self, upload: str, number: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if upload not in self.s3.uploads:
            raise _Answer(404, "NoSuchUpload")
        self.s3.uploads[upload].parts[number] = body
        return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""

    def _begin(self, key: str) -> tuple[int, dict[str, str], bytes]:
        upload = f"upload-{len(self.s3.requests)}"
        self.s3.uploads[upload] = _Upload(key)
        text = (
            f"<InitiateMultipartUploadResult><Bucket>{self.s3.bucket}</Bucket><Key>{escape(key)}</Key>"
            f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        )
        return 200, {"Content-Type": "application/xml"}, text.encode()

    def _complete(self, key: str, upload: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = self.s3.uploads.pop(upload, None)
        if found is None:
            raise _Answer(404, "NoSuchUpload")
        parts = [found.parts[number] for number in sorted(found.parts)]
        if any(len(part) < 5 * 1024 * 1024 for part in parts[:-1]):
            raise _Answer(400, "EntityTooSmall")
        if body.count(b"<Part>") != len(parts):
            raise _Answer(400, "InvalidPart")
        etag = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + f"-{len(parts)}"
        self.s3.put(key, b"".join(parts), etag)
        text = (
            f"<CompleteMultipartUploadResult><Bucket>{self.s3.bucket}</Bucket><Key>{escape(key)}</Key>"
            f'<ETag>"{etag}"</ETag></CompleteMultipartUploadResult>'
        )
        return 200, {"Content-Type": "application/xml"}, text.encode()

    def _listing(self, query: dict[str, str]) -> bytes:
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        at_most = int(query.get("max-keys", "1000"))
        keys = sorted(key for key in self.s3.objects if key.startswith(prefix) and key > after)
        shown = keys[:at_most]
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(found.content)}</Size><ETag>&quot;{found.etag}&quot;</ETag>"
            f"<LastModified>{found.modified.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified></Contents>"
            for key in shown
            for found in (self.s3.objects[key],)
        )
        more = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if len(keys) > len(shown) else ""
        return f"<ListBucketResult>{items}{more}</ListBucketResult>".encode()


@contextmanager
def server_process() -> Iterator[str]:
    """The address of a server in a process of its own, so that what it keeps does not count as the tests' memory."""
    command = [sys.executable, "-m", "tests.support.s3_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        try:
            yield run.stdout.readline().strip()
        finally:
            run.stdin.close()


def main() -> None:
    """Serve until the standard input ends."""
    with S3Server().running() as server:
        print(server.endpoint, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
