"""The terminal: what it can show, and what happens when it goes away while the console runs."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import selectors
import signal
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Any, Protocol, cast

from rich.cells import cell_len
from textual import constants, events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from nodeconsole.terminal_kind import encoding_of

_PROBE = "\x1b[2;1H\u25cf\x1b[6n"
"""A character of ambiguous width in the second line, and the question where the cursor is now. Not in the first line:
its answer would look like the key F3."""
_PROBE_ROW = 1
_STAND_IN = "nodeconsole-stand-in"
_POLL_SECONDS = 0.1
_LEAVE_SECONDS = 1.0
"""When the console is to end, a terminal that takes nothing holds it up no longer than this."""


class Console(Protocol):
    """What the driver tells its app."""

    def terminal_lost(self, code: int) -> None:
        """The terminal is gone, or the system wants the console to end; `code` is the exit code for that."""

    def act_app_redraw(self) -> None:
        """Draw everything again."""

    def terminal_draws(self, cells: int) -> None:
        """How many cells it takes for a character of ambiguous width; more than two: it does not read UTF-8."""


class TerminalFile:
    """Where the screen is written. When the terminal is gone, writing does nothing: nobody hangs on it or fails."""

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self.lost = False
        self.leaving = False

    def write(self, text: str) -> int:
        left = memoryview(text.encode(self._encoding, _STAND_IN))
        with selectors.DefaultSelector() as selector:
            with contextlib.suppress(OSError):
                selector.register(self._descriptor, selectors.EVENT_WRITE)
            while left and not self.lost:
                if not selector.select(_LEAVE_SECONDS):
                    self.lost = self.leaving
                    continue
                try:
                    left = left[os.write(self._descriptor, left[:4096]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self.lost = True
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor


class ConsoleDriver(LinuxDriver):
    """Textual's driver, made safe against a terminal that ends first: a dropped ssh session, a closed window."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        # Standard output, which was asked whether it is a terminal: standard error may be a file of the operator's.
        self._encoding = encoding_of(os.environ)
        self._terminal = TerminalFile(sys.stdout.fileno(), self._encoding)
        self._file = cast("Any", self._terminal)
        self._probing = False
        self._suspended = False

    @property
    def _console(self) -> Console:
        return cast("Console", self._app)

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, self._ending(loop))
        if self.input_tty and self._encoding == "utf-8":
            self._probing = True
            self.write(_PROBE)

    def _ending(self, loop: asyncio.AbstractEventLoop) -> Callable[[int, object], None]:
        """Runs also while the app waits for a terminal that takes nothing: lets that wait end."""

        def handle(number: int, frame: object) -> None:  # noqa: ARG001
            self._terminal.leaving = True
            self._terminal.lost = self._terminal.lost or number == signal.SIGHUP
            loop.call_soon_threadsafe(self._console.terminal_lost, 128 + number)

        return handle

    def suspend_application_mode(self) -> None:
        self._suspended = True
        super().suspend_application_mode()

    def resume_application_mode(self) -> None:
        self._suspended = False
        super().resume_application_mode()

    def _sigcont_application(self, *_: object) -> None:
        """After a plain SIGSTOP everything runs already; whoever had the terminal meanwhile may have written on it."""
        if self._suspended:
            self.resume_application_mode()
        else:
            self._app.call_later(self._console.act_app_redraw)

    def process_message(self, message: Message) -> None:
        if self._probing and isinstance(message, events.CursorPosition) and message.y == _PROBE_ROW:
            self._probing = False
            self._app.call_later(self._console.terminal_draws, message.x)
            return
        super().process_message(message)

    def run_input_thread(self) -> None:
        """As the original, which would read the end of the input again and again for ever, and would look but ten times
        a second whether an Escape was all that came."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder(self._encoding)("replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            wait = _POLL_SECONDS
            while not self.exit_event.is_set():
                heard = selector.select(wait)
                wait = constants.ESCAPE_DELAY if heard else _POLL_SECONDS
                if heard:
                    try:
                        content = os.read(self.fileno, 4096)
                    except OSError:
                        content = b""
                    if not content:
                        self._end_of_input()
                        break
                    for event in parser.feed(decode(content)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        with contextlib.suppress(EOFError, ParseError):
            list(parser.feed(""))

    def _end_of_input(self) -> None:
        self._terminal.lost = True
        self._app.call_later(self._console.terminal_lost, 128 + signal.SIGHUP)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """What is drawn for characters that the terminal cannot: as wide as they are, so that nothing shifts."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in "\u2500\u2501\u2550":
        return "-"
    if character in "\u2502\u2503\u2551":
        return "|"
    if "\u2500" <= character <= "\u257f":
        return "+"
    if "\u2580" <= character <= "\u259f":
        return " "
    return "?" * cell_len(character)


codecs.register_error(_STAND_IN, _stand_in)
