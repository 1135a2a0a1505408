"""Talks to a node; used by the terminal app and the command line alike."""

from nodeconsole.client.errors import ClientClosed, ClientError, NodeUnreachable
from nodeconsole.client.link import Link
from nodeconsole.client.node import NodeClient

__all__ = ["ClientClosed", "ClientError", "Link", "NodeClient", "NodeUnreachable"]
