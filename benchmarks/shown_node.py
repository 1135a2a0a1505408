"""The node with a month's history, in a process of its own: says where its socket is, and ends with standard input."""

from __future__ import annotations

import sys

from tests.support.showcase import serving

if __name__ == "__main__":
    with serving() as node:
        print(node.home.socket, flush=True)
        sys.stdin.read()
