"""A real nginx in front of nodes, as institutions run one: it ends TLS, adds a path prefix, buffers, limits bodies."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodeconsole.node_process import free_addresses
from tests.support.certificates import Authority

BINARY = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

needs_nginx = pytest.mark.skipif(BINARY is None, reason="nginx is not installed: apt-get install nginx-light")

_CONFIGURATION = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen {address} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size {body};
    keepalive_timeout {idle}s;
    client_body_timeout {idle}s;
    proxy_read_timeout {idle}s;
    proxy_send_timeout {idle}s;
    proxy_request_buffering on;
    proxy_buffering on;
    underscores_in_headers off;
{locations}
  }}
}}
"""

_LOCATION = """\
    location {prefix}/ {{
      proxy_pass http://{upstream}{path};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
    }}
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """`pin` is the fingerprint of its TLS key; `authority` the CA file that vouches for its certificate."""

    address: str
    pin: str
    authority: Path
    directory: Path

    def url(self, prefix: str) -> str:
        return f"https://{self.address}{prefix}"

    @property
    def log(self) -> str:
        return (self.directory / "access.log").read_text()


def reserved_address() -> str:
    """Where a gateway can listen that is started after the nodes that are to know it."""
    return free_addresses(1)[0]


@asynccontextmanager
async def gateway(
    directory: Path,
    upstreams: Mapping[str, str],
    *,
    address: str = "",
    body: str = "1m",
    idle: int = 60,
    keeps_prefix: bool = True,
) -> AsyncIterator[Gateway]:
    """nginx with one location per prefix (such as `/pc`) and upstream (`HOST:PORT`, plain HTTP). `keeps_prefix` = the
    upstream sees the prefix too. Ended on the way out."""
    assert BINARY is not None
    directory.mkdir(parents=True)
    authority = Authority(directory)
    certificate, key, pin = authority.issue()
    address = address or reserved_address()
    locations = "".join(
        _LOCATION.format(prefix=prefix, upstream=upstream, path="" if keeps_prefix else "/")
        for prefix, upstream in upstreams.items()
    )
    file = directory / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(
            directory=directory,
            address=address,
            certificate=certificate,
            key=key,
            body=body,
            idle=idle,
            locations=locations,
        )
    )
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [BINARY, "-p", str(directory), "-c", str(file)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        await _listening(process, address, directory)
        yield Gateway(address, pin, authority.file, directory)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def _listening(process: subprocess.Popen[bytes], address: str, directory: Path) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(10):
        while True:
            if process.poll() is not None:
                raise AssertionError(f"nginx ended: {(directory / 'output').read_text()}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return
            await asyncio.sleep(0.02)
