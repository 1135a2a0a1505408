"""Several logs as one, in the order of their times: what each side of a task, or each task of a job, did meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodeconsole.screens.log_view import LogView
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.logs import Merged
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, printable, short_id

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen

_BEHIND = 2_000
"""Lines before the end from which each log is merged."""
_WIDEST_TAG = 20
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class LogAddress:
    """One log of the node; `party` empty = the first share that ran here."""

    job_id: str
    task: str
    party: str


def tags_of(addresses: Sequence[LogAddress]) -> list[str]:
    """The shortest names that tell the logs apart."""
    for name in (
        lambda a: a.task,
        lambda a: f"{a.task} {a.party}",
        lambda a: f"{short_id(a.job_id)} {a.task} {a.party}",
    ):
        names = [printable(name(address)) for address in addresses]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {address.task}" for number, address in enumerate(addresses, 1)]


def choose_more(screen: ConsoleScreen, addresses: Sequence[LogAddress]) -> None:
    """Let the operator pick one more log, then show all of them together in place of `screen`."""
    from nodeconsole.screens.logs import LogsScreen  # noqa: PLC0415 - loaded when it is asked for

    def merge(chosen: LogAddress) -> None:
        if chosen in addresses:
            return
        screen.app.switch_screen(MergedLogScreen(screen.session, [*addresses, chosen]))

    screen.app.push_screen(LogsScreen(screen.session, chosen=merge))


class MergedLogScreen(LogView):
    """Begins `_BEHIND` lines before the end of each log and follows all of them."""

    def __init__(self, session: Session, addresses: Sequence[LogAddress]) -> None:
        super().__init__(session)
        self._addresses = tuple(addresses)
        self._tags = tags_of(addresses)
        self._ended: set[str] = set()

    @property
    def file_name(self) -> str:
        return (
            "-".join(["merged", *dict.fromkeys(address.task.replace("/", "_") for address in self._addresses)]) + ".log"
        )

    @property
    def wants_times(self) -> bool:
        return True

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [Span(f" {text('log.merged')} ", "dim"), Span(" + ".join(self._tags), "accent")]
        if isinstance(self.main.buffer, Merged) and self.main.buffer.begins_late:
            left.append(Span(f"  {text('log.merged_from', n=_BEHIND)}", "wait"))
        return tuple(left), self.levels()

    def repaint_body(self) -> None:
        super().repaint_body()
        width = min(_WIDEST_TAG, max(cells(tag) for tag in self._tags))
        self.main.margin = replace(self.main.margin, tag_width=width)

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self.has_data:
            return True
        merged = Merged()
        self._ended.clear()
        self.main.show(merged)
        for address, tag in zip(self._addresses, self._tags, strict=True):
            self.work(f"follow-{tag}", self._follow, merged, address, tag)
        return True

    def reconnected(self, *, another: bool) -> None:
        # All are read again: what came meanwhile has to find its place among the rest.
        super().reconnected(another=another or self.has_data)

    def start_over(self) -> None:
        self.changed(EVERYTHING)

    async def _follow(self, merged: Merged, address: LogAddress, tag: str) -> None:
        from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        client, level, party = self.session.client, self.level, address.party or None
        if client is None:
            return
        try:
            page = await client.log(
                address.job_id, address.task, party=party, level=level, start=-_BEHIND, limit=_BEHIND, times=True
            )
            merged.begins_late = merged.begins_late or page.start > 0
            self._put(merged, tag, page.start, page.lines, page.times)
            start = page.start + len(page.lines)
            async for page in client.follow_log(
                address.job_id, address.task, party=party, level=level, start=start, times=True
            ):
                self._put(merged, tag, page.start, page.lines, page.times)
        except ClientError as error:
            self.session.say(error.message, "bad")
        except NodeUnreachable:
            return
        self._ended.add(tag)
        merged.complete = len(self._ended) == len(self._tags)
        self.plan_repaint()

    def _put(self, merged: Merged, tag: str, start: int, lines: list[str], times: list[int | None]) -> None:
        if merged is self.main.buffer:
            merged.add(tag, start, lines, times)
            self.plan_repaint()

    async def whole(self) -> AsyncIterator[list[str]]:
        buffer = self.main.buffer
        for start in range(0, buffer.total, _BATCH):
            numbers = range(start, min(start + _BATCH, buffer.total))
            yield [f"[{buffer.tag(number)}] {buffer.line(number) or ''}" for number in numbers]

    def act_log_merge(self) -> None:
        choose_more(self, self._addresses)

    def act_log_filter(self) -> None:
        # The lines are all here, so finding them does.
        self.act_log_search()
