"""What may stand as a value on the command line, and how it is read."""

from __future__ import annotations

import argparse

from nodeconsole.cli.text import span_ms

JOB_STATES = ("PENDING", "READY", "REJECTED", "RUNNING", "FINISHED")


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def hours(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= 24 * 366:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours up to {24 * 366}")
    return int(text)


def span(text: str) -> int:
    """In milliseconds."""
    found = span_ms(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a span such as 30m, 12h, 90d or 2w")
    return found


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def version(text: str) -> int:
    if not text.isdecimal() or int(text) >= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version")
    return int(text)


def states(text: str) -> str:
    found = [part.strip().upper() for part in text.split(",") if part.strip()]
    unknown = [state for state in found if state not in JOB_STATES]
    if unknown or not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(JOB_STATES)}")
    return ",".join(found)


def pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
