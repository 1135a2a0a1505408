"""Whether the parties of a job mean the same by its components: what partners have, asked from them now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from embedded_scheduler.domain.flow import ComponentRef
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.errors import NodeError, Unavailable
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import components
from embedded_scheduler.store.database import Reader

_ASKING_SECONDS = 3.0
_MOST_RECORDS = 1000
_LONGEST_WORD = 256
_MOST_VERSIONS = 20
"""What a partner says of itself is shown to people: no more of it than they can read."""
_MOST_DETAILS = 50
"""So many components of one partner are asked about one by one; a flow rarely has more than ten."""


class Match(StrEnum):
    """What is known of a partner's component beside ours."""

    SAME = "same"
    """The same self-description, byte for byte in its canonical form."""
    LISTED = "listed"
    """It is there in this version; whether its self-description is ours is not known."""
    DIFFERENT = "different"
    """It is there in this version, with another self-description."""
    DISABLED = "disabled"
    OTHER_VERSION = "other_version"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """The partner was not asked or did not answer."""


IN_THE_WAY = frozenset({Match.DIFFERENT, Match.DISABLED, Match.OTHER_VERSION, Match.MISSING})
"""With these the job will probably fail on the partner's side."""


@dataclass(frozen=True, slots=True)
class PartnerComponent:
    """One component that a partner says it has."""

    code: str
    version: str
    provider: str


@dataclass(frozen=True, slots=True)
class Finding:
    """About one component that a partner needs for a job. `versions`: those it has; `note`: why it is not known."""

    node_id: str
    tasks: tuple[str, ...]
    component: ComponentRef
    match: Match
    versions: tuple[str, ...] = ()
    note: Words = ""

    @property
    def sentence(self) -> Words:
        """Empty when nothing is wrong."""
        named = " ".join(filter(None, (self.component.provider, _name(self.component), self.component.version)))
        node = self.node_id
        told: dict[Match, Words] = {
            Match.DIFFERENT: say("match_different", component=named, node=node),
            Match.DISABLED: say("match_disabled", component=named, node=node),
            Match.OTHER_VERSION: say(
                "match_other_version", node=node, component=named, versions=", ".join(self.versions)
            ),
            Match.MISSING: say("match_missing", node=node, component=named),
            Match.UNKNOWN: say("match_unknown", node=node, why=self.note),
        }
        words = told.get(self.match, "")
        if not words or self.match is Match.UNKNOWN:
            return words
        return say("about", name=", ".join(self.tasks), what=words)


async def of_job(engine: Engine, spec: JobSpec) -> list[Finding]:
    """What each partner has of the components it needs, partners in the job's order. Takes a few seconds at most: who
    does not answer in time is UNKNOWN."""
    partners = [node for node in spec.nodes if node != engine.node_id]
    ours = await engine.db.read(lambda reader: _own_digests(reader, spec))
    found = await asyncio.gather(*(_of_partner(engine, spec, node, ours) for node in partners))
    return [finding for findings in found for finding in findings]


async def partner_components(engine: Engine, node_id: str) -> list[PartnerComponent]:
    """What a partner says it has, asked now (management layer §4.1). `Unavailable` says why it cannot be known."""
    answer = await _ask(engine, node_id, "component/list", {"page_num": 1, "page_size": -1})
    records = answer.get("records")
    if not isinstance(records, list):
        raise Unavailable(say("components_unreadable", node=node_id))
    return [
        PartnerComponent(_text(record, "code"), _text(record, "version"), _text(record, "developer"))
        for record in records[:_MOST_RECORDS]
        if isinstance(record, Mapping)
    ]


async def _ask(engine: Engine, node_id: str, operation: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    contract = await engine.db.read(lambda reader: contract_with(reader, node_id))
    body = {"contract_id": contract.contract_id, **question}
    try:
        async with asyncio.timeout(_ASKING_SECONDS):
            call = Outgoing(node_id, operation, body, engine.mint.nonce(), engine.mint.nonce())
            reply = await engine.gateway.call(call)
    except TimeoutError:
        raise Unavailable(
            say("no_answer_within", node=node_id, operation=operation, seconds=f"{_ASKING_SECONDS:g}")
        ) from None
    if reply.delivery is not Delivery.OK:
        raise Unavailable(reply.error)
    return reply.data


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) and len(value) <= _LONGEST_WORD else ""


async def _of_partner(engine: Engine, spec: JobSpec, node_id: str, ours: Mapping[ComponentRef, str]) -> list[Finding]:
    needed = _needed(spec, node_id)
    if not needed:
        return []
    try:
        listed = await partner_components(engine, node_id)
    except NodeError as error:
        tasks = tuple(name for names in needed.values() for name in names)
        return [Finding(node_id, tasks, next(iter(needed)), Match.UNKNOWN, note=error.words)]
    found = []
    for number, (ref, tasks) in enumerate(needed.items()):
        own = ours.get(ref, "") if number < _MOST_DETAILS else ""
        match, versions = await _match(engine, node_id, ref, listed, own)
        found.append(Finding(node_id, tasks, ref, match, versions))
    return found


async def _match(
    engine: Engine, node_id: str, ref: ComponentRef, listed: Sequence[PartnerComponent], own: str
) -> tuple[Match, tuple[str, ...]]:
    theirs = [one for one in listed if _is_of(one, ref)]
    versions = tuple(sorted({one.version for one in theirs if one.version})[:_MOST_VERSIONS])
    there = next((one for one in theirs if ref.version in ("", one.version) or not one.version), None)
    if there is None:
        return (Match.OTHER_VERSION if versions else Match.MISSING), versions
    if not own:
        return Match.LISTED, versions
    try:
        question = {"code": there.code, "version": there.version}
        detail = await _ask(engine, node_id, "component/query", question)
    except NodeError:
        # Not every vendor answers this question; that it is listed is known all the same.
        return Match.LISTED, versions
    return _judged(detail, own), versions


def _judged(detail: Mapping[str, Any], own: str) -> Match:
    if _text(detail, "status").upper() == "DISABLED":
        return Match.DISABLED
    extension = detail.get("extension")
    digest = _text(extension, DIGEST) if isinstance(extension, Mapping) else ""
    if not digest:
        return Match.LISTED
    return Match.SAME if digest == own else Match.DIFFERENT


DIGEST = "manifest_sha256"
"""Member of `extension` in an answer to component/query: SHA-256 (hex) of the canonical self-description. Ours."""


def _needed(spec: JobSpec, node_id: str) -> dict[ComponentRef, tuple[str, ...]]:
    """The components that a node runs in a job, with the tasks, in the flow's order."""
    needed: dict[ComponentRef, tuple[str, ...]] = {}
    for name in spec.flow.order:
        if any(party.node_id == node_id for party in spec.parties_of(name)):
            ref = spec.flow.node(name).component
            needed[ref] = (*needed.get(ref, ()), name)
    return needed


def _own_digests(reader: Reader, spec: JobSpec) -> dict[ComponentRef, str]:
    refs = {spec.flow.node(name).component for name in spec.flow.order}
    found = {ref: components.resolve(reader, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)
             for ref in refs}  # fmt: skip
    return {ref: row.digest for ref, row in found.items() if row is not None}


def _is_of(one: PartnerComponent, ref: ComponentRef) -> bool:
    """In any version. Partners name a component by its code, or by its name."""
    return one.code in _codes(ref) and (not ref.provider or one.provider in ("", ref.provider))


def _codes(ref: ComponentRef) -> Iterable[str]:
    return filter(None, (ref.code, ref.name))


def _name(ref: ComponentRef) -> str:
    return ref.name or ref.code
