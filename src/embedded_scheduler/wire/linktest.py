"""Messages of link tests: between the nodes (`/v1/interconn/node/probe`, our extension), and to the console."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from embedded_scheduler.wire.console import Said

PATH = "/v1/interconn/node/probe"
REVERSE_PATH = f"{PATH}/reverse"
TICKET, NONCE, PROOF = "x-test-ticket", "x-test-nonce", "x-test-proof"
ECHOED = "x-probe-"
"""Headers with this beginning come back in the answer."""


class Message(BaseModel):
    # Built when first used: a node that starts, or a command, needs few of them.
    model_config = ConfigDict(extra="ignore", defer_build=True)


class ProbeFacts(Message):
    """What the other side saw of one request. `spread_ms` is the time between the first and the last bytes of the body:
    about none when something on the way held it until it had all of it."""

    node_id: str
    remote: str
    now_ms: int
    received: int = 0
    spread_ms: int = 0
    headers: dict[str, str] = Field(default_factory=dict)


class LinkCheck(Message):
    """`state` is ok, bad, note (works, but worth knowing) or skipped. `advice` says what to do about it."""

    name: str
    state: str
    text: str
    advice: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of the other three: the nodes of two parties speak different languages to their operators."""


class LinkChecks(Message):
    checks: list[LinkCheck] = Field(default_factory=list)


class ReverseRequest(Message):
    """Test back to `url`, the caller's own address."""

    url: str = Field(max_length=2000)


class OwnSide(Message):
    """What a network department has to know about this node."""

    node_id: str
    public_url: str
    listen: str
    tls: str
    path_prefix: str = ""
    proxy: str = ""


class LinkReport(Message):
    target: str
    own: OwnSide
    checks: list[LinkCheck]
    reverse: list[LinkCheck] = Field(default_factory=list)
    """The same, seen from the other side towards this node."""


class LinkRequest(Message):
    """`target` is an address, an invitation code or a test code."""

    target: str = Field(max_length=8192)
    quick: bool = False


class WindowRequest(Message):
    minutes: int = 30
    address: str = ""


class WindowReply(Message):
    code: str
    until_ms: int
