"""What may follow the word of a command: from this console, from this machine, or asked of the node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from embedded_scheduler.wire.query import STATUSES
from nodeconsole.keymap import PRESETS
from nodeconsole.preferences import CHOICES, NAMES, shown
from nodeconsole.viewmodels.completion import Candidate, beginning_with
from nodeconsole.viewmodels.data import TABS
from nodeconsole.viewmodels.glyphs import GLYPH_SETS
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.text import short_id

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow
    from nodeconsole.actions import Action
    from nodeconsole.client import NodeClient
    from nodeconsole.screens.base import ConsoleScreen

T = TypeVar("T")
_REST_SECONDS = 0.12
"""So long nothing is typed before the node is asked."""
_MOST = 20
_MOST_FILES = 500
"""Entries of a folder that are looked at."""

Source = Callable[["ConsoleScreen", tuple[str, ...], str], Awaitable[Iterable[str | Candidate]]]
"""Given the words that are whole, the command's left out, and the one that is being typed."""


async def candidates(screen: ConsoleScreen, action: Action, words: tuple[str, ...], last: str) -> tuple[Candidate, ...]:
    """What the word that is being typed may become; nothing where nobody can know."""
    source = _SOURCES.get(action.id)
    if source is None and any(kind in action.argument for kind in ("PATH", "FILE")):
        source = _files
    if source is None and "FILTER" in action.argument:
        source = _no_filter
    if source is None:
        return ()
    found = tuple(await source(screen, words, last))
    return found if source in _ASKED else beginning_with(last, found)  # type: ignore[return-value]


# What the console knows.


async def _themes(screen: ConsoleScreen, words: tuple[str, ...], _: str) -> Iterable[str]:
    return () if words else screen.console.theme_names


def _fixed(*choices: str) -> Source:
    async def source(_screen: ConsoleScreen, words: tuple[str, ...], _last: str) -> Iterable[str]:
        return () if words else choices

    return source


async def _settings(screen: ConsoleScreen, words: tuple[str, ...], _: str) -> Iterable[str]:
    if not words:
        return (*NAMES, "preset")
    if len(words) > 1:
        return ()
    if words[0] == "theme":
        return ("default", *screen.console.theme_names)
    if words[0] == "preset":
        return tuple(PRESETS)
    return [shown(choice) or "default" for choice in CHOICES.get(words[0], ())]


async def _tasks(screen: ConsoleScreen, words: tuple[str, ...], _: str) -> Iterable[str]:
    return () if words else screen.task_names()


async def _data(_screen: ConsoleScreen, words: tuple[str, ...], _last: str) -> Iterable[str]:
    return () if words else TABS


async def _no_filter(_screen: ConsoleScreen, _words: tuple[str, ...], _last: str) -> Iterable[str]:
    return ()


# What this machine knows.


async def _contexts(screen: ConsoleScreen, words: tuple[str, ...], last: str) -> Iterable[str | Candidate]:
    if words:
        return ()
    if "/" in last or last.startswith(("~", ".")):
        return await _files(screen, words, last)
    return [Candidate(name, where) for name, where in (await asyncio.to_thread(screen.console.known_nodes)).items()]


async def _files(_screen: ConsoleScreen, words: tuple[str, ...], last: str) -> Iterable[str]:
    return () if words else await asyncio.to_thread(_entries, last)


def _entries(last: str) -> list[str]:
    """Of the folder that is named so far; hidden ones only for who begins with a dot."""
    folder, name = os.path.split(last)
    prefix = last[: len(last) - len(name)]
    found: list[str] = []
    with suppress(OSError), os.scandir(Path(folder).expanduser() if folder else Path()) as entries:
        for entry in islice(entries, _MOST_FILES):
            # A blank would end the word.
            writable = " " not in entry.name and entry.name.isprintable()
            visible = name.startswith(".") or not entry.name.startswith(".")
            if writable and visible and entry.name.startswith(name):
                found.append(f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}")
    return sorted(found)


# What the node knows.


async def _ask(screen: ConsoleScreen, request: Callable[[NodeClient], Awaitable[T]]) -> T | None:
    """Quietly, and when nobody types any more."""
    from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

    await asyncio.sleep(_REST_SECONDS)
    client = screen.session.client
    if client is None or not screen.session.online:
        return None
    try:
        return await request(client)
    except (ClientError, NodeUnreachable):
        return None


async def _found_jobs(screen: ConsoleScreen, last: str) -> Sequence[JobRow]:
    page = await _ask(screen, lambda client: client.jobs(q=f'"{last}"' if last else None, limit=_MOST))
    return page.jobs if page is not None else ()


async def _jobs(screen: ConsoleScreen, words: tuple[str, ...], last: str) -> Iterable[Candidate]:
    """Found by name too: the id is what stands in the line then."""
    jobs = () if words else await _found_jobs(screen, last)
    # The node looks at components and parties too; whoever types here means an id or a name.
    named = [job for job in jobs if last.casefold() in f"{job.job_id} {job_name(job)}".casefold()]
    return [Candidate(short_id(job.job_id), job_name(job)) for job in named or jobs]


async def _flows(screen: ConsoleScreen, words: tuple[str, ...], last: str) -> Iterable[Candidate]:
    jobs = () if words else await _found_jobs(screen, last)
    flows = dict.fromkeys(job.flow_id for job in jobs if job.flow_id and " " not in job.flow_id)
    return [Candidate(flow) for flow in flows if last.casefold() in flow.casefold()]


async def _filter(screen: ConsoleScreen, _: tuple[str, ...], last: str) -> Iterable[str]:
    """One more term of the filter language."""
    if last.startswith("party:"):
        peers = await _ask(screen, lambda client: client.peers())
        return [f"party:{peer.node_id}" for peer in peers or ()]
    if last.startswith("status:"):
        done = last[: max(last.rfind(","), last.find(":")) + 1]
        return [f"{done}{status}" for status in STATUSES]
    return ("status:", "party:", "age:<", "age:>", "dur:<", "dur:>", "re:", "mine", "waiting")


_SOURCES: Mapping[str, Source] = {
    "app.theme": _themes,
    "app.language": _fixed("en", "zh"),
    "app.glyphs": _fixed(*GLYPH_SETS),
    "app.read_only": _fixed("off"),
    "app.set": _settings,
    "app.node": _contexts,
    "go.jobs": _filter,
    "go.job": _jobs,
    "go.runs": _flows,
    "go.data": _data,
    "go.audit": _fixed("1h", "1d", "7d", "30d"),
    "go.statistics": _fixed("24h", "7d", "30d"),
    "job.logs": _tasks,
    "job.stop": _tasks,
}
_ASKED = frozenset({_jobs, _flows})
"""They are found by more than their beginning."""
