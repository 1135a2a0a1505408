"""How a demo fails."""

from __future__ import annotations


class DemoFailure(Exception):
    """The demo did not come to its result; the message says at which step and why."""
