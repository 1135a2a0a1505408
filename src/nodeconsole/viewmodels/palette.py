"""What the palette finds: actions of the screen, and jobs, partners, datasets and components of the node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from nodeconsole.actions import Action, KeyMap, key_name, plain_key
from nodeconsole.viewmodels.commands import fuzzy
from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable, short_id

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow, DatasetRow, JobRow, PeerRow
    from nodeconsole.viewmodels.display import Display

Kind = Literal["action", "job", "partner", "dataset", "component"]
SIGNS: dict[str, Kind] = {":": "action", "#": "job", "@": "partner", "=": "dataset", "+": "component"}
"""Marks each kind in the list; typed first, it asks for this kind only. The same in every set of signs."""
_SIGN_OF = {kind: sign for sign, kind in SIGNS.items()}
_NOTHING = Span("")
_FAR = 10_000
"""What the node found for a reason that its name does not show comes last."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose. `key` is unique among its kind; `texts` is what is searched, the most telling one first."""

    kind: Kind
    key: str
    name: str
    texts: tuple[str, ...]
    aside: Span = _NOTHING
    end: Span = _NOTHING
    thing: object = None
    """The action, or the row of the node's answer."""
    among: Sequence[object] = ()
    """The rows that came with it, for a page that looks at others of its kind too."""


class Wanted(NamedTuple):
    """`kind` None = of any kind."""

    kind: Kind | None
    pattern: str

    def wants(self, kind: Kind) -> bool:
        return self.kind in (None, kind)


def wanted(typed: str) -> Wanted:
    """What was typed: `@bo` asks for partners."""
    text = typed.strip()
    kind = SIGNS.get(plain_key(text[:1]))
    return Wanted(kind, text[1:].strip()) if kind is not None else Wanted(None, text)


def ranked(asked: Wanted, entries: Iterable[Entry]) -> list[Entry]:
    """Those that fit, best first; all in their order for an empty pattern, jobs among them as the node sent them."""
    scored: list[tuple[int, int, Entry]] = []
    for place, entry in enumerate(entries):
        score = _score(asked.pattern, entry) if asked.wants(entry.kind) else None
        if score is not None:
            scored.append((score, place, entry))
    return [entry for _, _, entry in sorted(scored, key=lambda one: one[:2])]


def still_found(asked: Wanted, jobs: Iterable[Entry]) -> list[Entry]:
    """What of an answer to something else can be shown until the node has answered this."""
    return [job for job in jobs if any(fuzzy(asked.pattern, text) is not None for text in job.texts)]


def _score(pattern: str, entry: Entry) -> int | None:
    scores = [score + place for place, text in enumerate(entry.texts) if (score := fuzzy(pattern, text)) is not None]
    # The node searches more than names: its answer counts.
    return min(scores) if scores else _FAR if entry.kind == "job" else None


def action_entry(action: Action, keymap: KeyMap, display: Display) -> Entry:
    keys, does = keymap.keys_of(action), display.text(f"help.{action.id}")
    command = f":{action.command[0]}" if action.command else ""
    return Entry(
        "action",
        action.id,
        does,
        (*action.command, display.text(f"action.{action.id}"), f"{does} {' '.join(action.command)} {action.id}"),
        Span(key_name(keys[0]) if keys else "", "key"),
        Span(command, "dim"),
        action,
    )


def job_entry(job: JobRow, display: Display) -> Entry:
    name = job_name(job)
    return Entry(
        "job",
        job.job_id,
        name,
        (name, job.job_id),
        Span(short_id(job.job_id), "dim"),
        display.badge(job_status(job)),
        job,
    )


def partner_entry(peer: PeerRow) -> Entry:
    return Entry("partner", peer.node_id, printable(peer.node_id), (peer.node_id,), thing=peer)


def dataset_entry(dataset: DatasetRow) -> Entry:
    aside = Span(printable(dataset.namespace), "dim")
    texts = (dataset.name, dataset.dataset_id, dataset.description)
    return Entry("dataset", dataset.dataset_id, printable(dataset.name), texts, aside, thing=dataset)


def component_entry(component: ComponentRow, listed: Sequence[ComponentRow]) -> Entry:
    name = f"{component.provider}/{component.name}"
    texts = (component.name, name, component.title)
    aside = Span(printable(component.version), "dim")
    key = f"{name}/{component.version}"
    return Entry("component", key, printable(name), texts, aside, thing=component, among=listed)


def columns(display: Display) -> Sequence[Column]:
    text = display.text
    return (
        Column("kind", text("palette.kind"), 11),
        Column("what", text("palette.what"), 26, flex=1, most=80),
        Column("key", text("palette.key"), 12),
        Column("command", text("palette.command"), 12),
    )


def entry_cells(entry: Entry, display: Display) -> Line:
    word = f"{_SIGN_OF[entry.kind]} {display.text(f'palette.kinds.{entry.kind}')}"
    return Span(word, "dim" if entry.kind == "action" else "accent"), Span(entry.name), entry.aside, entry.end


def hint(display: Display, *, online: bool) -> Line:
    """What the signs mean, and why there may be actions only."""
    if not online:
        return (Span(display.text("palette.offline"), "warn"),)
    spans: list[Span] = []
    for sign, kind in SIGNS.items():
        spans += [Span(f" {sign}", "key"), Span(f" {display.text(f'palette.kinds.{kind}')} ", "dim")]
    return tuple(spans)
