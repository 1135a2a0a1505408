"""The page that an operator gives to the network department, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

LANGUAGES = ("en", "zh")


def request_sheet(language: str, *, own: Mapping[str, str], target: str) -> str:
    """One page of plain text. `own` holds node_id, public_url, listen, tls, path_prefix and proxy of this node;
    `target` is the partner's address."""
    here, there = urlsplit(own["public_url"]), urlsplit(target)
    values = {
        **own,
        "target": target,
        "here_host": here.hostname or "",
        "here_port": str(here.port or _port(here.scheme)),
        "there_host": there.hostname or target,
        "there_port": str(there.port or _port(there.scheme)),
        "via": own["proxy"] or {"en": "none", "zh": "无"}[language],
        # Behind a gateway on the same machine the node itself needs no TLS (partner.tls = "off").
        "scheme": "http" if own["tls"] == "off" else "https",
        "location": f"{own['path_prefix'] or here.path.rstrip('/')}/",
    }
    return _SHEETS[language].format(**values) + _SNIPPET.format(**values)


def _port(scheme: str) -> int:
    return 80 if scheme == "http" else 443


_ENGLISH = """\
Network request: link between two privacy-computing nodes
==========================================================
Our node    {node_id}, reached at {public_url}
Partner     {target}

Connections to allow (TCP, HTTP/1.1 over TLS 1.2 or newer)
  outgoing  this machine                -> {there_host} port {there_port}    (proxy: {via})
  incoming  the partner's addresses     -> {here_host} port {here_port}, passed on to {listen}
  Both directions are needed: either node may call the other.

What has to pass through every gateway, proxy and firewall
  paths     everything below {location}v1/interconn/ , unchanged
  methods   GET, POST
  headers   all x-… headers, unchanged, values up to 8 KB; up to 100 headers
  bodies    requests and answers up to 16 MB (at least 1 MB); no rewriting, no content filter
  idle      an answer may take 60 s; keep connections open for at least 60 s
  TLS       if TLS is ended on the way, tell us the certificate's fingerprint (SHA-256 of the key);
            do not re-encrypt with an inspection certificate: the nodes notice and refuse
  addresses several connections at a time from one address (up to 256)

Example for nginx in front of our node
"""

_CHINESE = """\
网络开通申请：两个隐私计算节点之间的连接
==========================================================
我方节点    {node_id}，对外地址 {public_url}
合作方      {target}

需要放行的连接（TCP，HTTP/1.1，TLS 1.2 或更高版本）
  出方向    本机            -> {there_host} 端口 {there_port}    （代理：{via}）
  入方向    合作方地址      -> {here_host} 端口 {here_port}，转发到 {listen}
  两个方向都需要：任一节点都会主动呼叫对方。

所有网关、代理和防火墙必须允许通过的内容
  路径      {location}v1/interconn/ 以下的全部路径，不得改写
  方法      GET、POST
  请求头    所有 x-… 请求头原样通过，单个值最长 8 KB，最多 100 个
  报文体    请求和应答最大 16 MB（至少 1 MB）；不得改写或做内容过滤
  空闲时间  应答可能需要 60 秒；连接空闲至少保持 60 秒
  TLS       如在中途终止 TLS，请告知证书指纹（公钥的 SHA-256）；
            不得用审计证书重新加密：节点会发现并拒绝
  并发      同一地址可能同时有多个连接（最多 256 个）

我方节点前的 nginx 示例
"""

_SHEETS = {"en": _ENGLISH, "zh": _CHINESE}

_SNIPPET = """\
  location {location} {{
    proxy_pass {scheme}://{listen};
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    client_max_body_size 16m;
    proxy_read_timeout 75s;
    proxy_send_timeout 75s;
    proxy_request_buffering off;
    proxy_buffering off;
    large_client_header_buffers 8 16k;
  }}
"""
