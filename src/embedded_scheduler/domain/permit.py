"""A permit as a request carries it, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Permit:
    """`resource` is the uniform name (`resource_name`), `level` a number as text, `token` the secret itself."""

    resource: str
    level: str
    token: str = field(repr=False)


def resource_name(node_id: str, resource_id: str) -> str:
    """`<node id>:<resource id>`, percent-encoded so that it holds neither `/` nor `,` and is plain ASCII."""
    return f"{node_id}:{quote(resource_id, safe='#:')}"
