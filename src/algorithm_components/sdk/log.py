"""Lines of the task's log, with levels that every node reads from the line itself."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line of the task's log, at once; line breaks in `text` are shown as \\n."""
    sys.stdout.write(text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n") + "\n")
    sys.stdout.flush()


class Log:
    """What a component has to say. No rows of data and no secrets: operators and their partners' support read it."""

    __slots__ = ()

    def debug(self, text: str) -> None:
        """For the author; the console hides it unless asked."""
        say(f"debug: {text}")

    def info(self, text: str) -> None:
        say(f"info: {text}")

    def warning(self, text: str) -> None:
        """Something the operator may want to look at, although the run goes on."""
        say(f"warning: {text}")

    def error(self, text: str) -> None:
        """Why the run fails; the last such line is what the operator is shown."""
        say(f"error: {text}")
