"""The line behind `:` of one screen: history, completion, and what is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.actions import Action
from nodeconsole.viewmodels.commands import parse_command
from nodeconsole.viewmodels.completion import Candidate, Completion, beginning_with, candidate_lines, typed
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen

KIND = "command"


class CommandLine:
    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._recall = 0
        self._completion = Completion()
        self._line = ""
        self._filled = ""
        """What was put into the line from here: no news when it arrives as typed."""
        self._waited = 0
        """A step of Tab that waits for the candidates."""
        self._sought = False

    def open(self, begun: str) -> None:
        self.close()
        self._recall = len(self._screen.session.history)
        words = (*self._screen.keymap.command_words(), *self._screen.session.files.aliases)
        self._screen.open_prompt(KIND, ":", begun, words=words, begun=True)
        if begun:
            self.typed(begun)

    def close(self) -> None:
        self._completion, self._line, self._filled, self._waited, self._sought = Completion(), "", "", 0, False

    def recall(self, step: int) -> None:
        history = self._screen.session.history
        self._recall = max(0, min(self._recall + step, len(history)))
        self._fill(history[self._recall] if self._recall < len(history) else "")
        self._completion = Completion()

    def _fill(self, line: str) -> None:
        self._line = self._filled = line
        self._screen.fill_prompt(line)

    # Completion.

    def typed(self, line: str) -> None:
        """Look for what the line may become; an older search ends."""
        if line == self._filled:
            return
        self._line, self._filled, self._waited, self._sought = line, "", 0, True
        self._screen.work("complete", self._seek, line)

    async def _seek(self, line: str) -> None:
        found = await self._candidates(line)
        if line != self._line:
            return
        words = typed(line)
        self._completion = Completion(words.head, words.last, found)
        self._sought = False
        if self._waited:
            self._step(self._waited)
        self._screen.repaint_chrome()

    async def _candidates(self, line: str) -> tuple[Candidate, ...]:
        from nodeconsole.screens.completing import candidates  # noqa: PLC0415 - when something is typed

        before, _, last = typed(line)
        if not before:
            keymap, aliases = self._screen.keymap, self._screen.session.files.aliases
            return beginning_with(last, (*keymap.command_words(), *aliases)) if last else ()
        action, words = self._meant(line)
        return () if action is None else await candidates(self._screen, action, words, last)

    def _meant(self, line: str) -> tuple[Action | None, tuple[str, ...]]:
        """The action of a line and the whole words behind its own, an alias replaced."""
        before = typed(line).before
        parsed = parse_command(" ".join(before))
        alias = self._screen.session.files.aliases.get(parsed.word) if parsed is not None else None
        if parsed is not None and alias is not None:
            parsed = parse_command(" ".join((alias, *parsed.arguments)))
        return (None, ()) if parsed is None else (self._screen.keymap.command(parsed.word), parsed.arguments)

    def tab(self, step: int) -> None:
        """Complete, or go on to the next candidate; when they are still looked for, as soon as they are there."""
        if self._sought:
            self._waited = step
            return
        if not self._line:
            self._completion = Completion(found=beginning_with("", self._screen.keymap.command_words()))
        self._step(step)
        self._screen.repaint_chrome()

    def _step(self, step: int) -> None:
        self._waited = 0
        one_only = len(self._completion.found) == 1
        self._completion, line = self._completion.stepped(step)
        if line == self._line:
            return
        self._fill(line)
        if one_only:
            # What may come behind it.
            self._filled = ""
            self.typed(line)

    def lines(self, width: int) -> tuple[Line, ...]:
        """What the line may become; or, behind a word that is whole, what it does and takes."""
        if self._completion.found:
            return candidate_lines(self._completion, width)
        action, _ = self._meant(self._line)
        if action is None or not self._line:
            return ()
        text = self._screen.session.text
        usage = f":{action.command[0]} {action.argument}".rstrip()
        return ((Span(usage, "key"), Span(f"  {text(f'help.{action.id}')}", "dim")),)

    # Carrying out.

    def run(self, line: str) -> None:
        screen, session = self._screen, self._screen.session
        parsed = parse_command(line)
        if parsed is None:
            return
        session.typed_command(line.strip())
        alias = session.files.aliases.get(parsed.word)
        if alias is not None:
            parsed = parse_command(" ".join((alias, *parsed.arguments))) or parsed
        action = screen.keymap.command(parsed.word)
        if action is None:
            words = " ".join(screen.keymap.command_words())
            session.say(session.text("message.no_command", word=parsed.word, words=words), "warn")
        elif parsed.arguments and not action.argument:
            surplus = printable(" ".join(parsed.arguments))
            session.say(session.text("message.no_argument", word=action.command[0], surplus=surplus), "warn")
        else:
            screen.perform(action, *parsed.arguments)
