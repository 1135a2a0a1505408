"""The operator's policies by version, and what they said of each request."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.sentences import Sentence, Words, document, restored
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One policy as it was set. Versions count from 1."""

    version: int
    text: str
    digest: str
    set_by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class StoredRuling:
    """What a policy said of one request. `rule` empty = none applied; `binding` = it counts whatever else is set;
    `reasoning` is for the operator alone."""

    kind: str
    subject_id: str
    digest: str
    version: int
    action: str
    rule: str
    reason: str
    reasoning: tuple[Words, ...]
    binding: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for this node's decision since `since_ms`; `seq` is the event with which it began to, 0 =
    not known. `kind`: job, grant."""

    kind: str
    subject_id: str
    since_ms: int
    seq: int


def current(reader: Reader) -> PolicyVersion | None:
    """The policy in force; None when none was ever set."""
    row = reader.one("policies.current")
    return None if row is None else PolicyVersion(**dict(row))


def set_text(tx: Tx, text: str, *, actor: str) -> PolicyVersion:
    """Put a text that was checked into force as the next version, with its event."""
    before = current(tx)
    version = before.version + 1 if before else 1
    after = PolicyVersion(version, text, hashlib.sha256(text.encode()).hexdigest(), actor, tx.now_ms)
    tx.run("policies.insert", version=version, text=text, digest=after.digest, set_by=after.set_by, at_ms=after.at_ms)
    ledger.append(
        tx,
        subject="policy",
        subject_id=str(version),
        event="policy.changed",
        actor=actor,
        data={"version": version, "digest": after.digest},
    )
    return after


def ruling(reader: Reader, kind: str, subject_id: str) -> StoredRuling | None:
    """What a policy said of the request, or None when none was asked."""
    row = reader.one("policies.ruling", kind=kind, subject_id=subject_id)
    if row is None:
        return None
    columns = dict(row)
    columns["binding"] = bool(columns["binding"])
    columns["reasoning"] = tuple(map(_words, json.loads(columns["reasoning"])))
    return StoredRuling(**columns)


def put_ruling(tx: Tx, said: StoredRuling) -> None:
    """Keep what was said; replaces what was said of other content under the same id."""
    tx.run(
        "policies.put_ruling",
        kind=said.kind,
        subject_id=said.subject_id,
        digest=said.digest,
        version=said.version,
        action=said.action,
        rule=said.rule,
        reason=said.reason,
        reasoning=json.dumps(list(map(_kept, said.reasoning))),
        binding=said.binding,
        at_ms=said.at_ms,
    )


def approvals_since(reader: Reader, rule: str, after_ms: int) -> int:
    """How many requests the rule of this name approved after `after_ms`, under whatever version."""
    row = reader.one("policies.approvals_since", rule=rule, after_ms=after_ms)
    return 0 if row is None else int(row["number"])


def waiting(reader: Reader, self_node: str) -> list[Waiting]:
    """Every job and every other request of a partner that waits for this node's decision."""
    jobs = reader.all("policies.waiting_jobs", self=self_node)
    grants = reader.all("policies.waiting_grants")
    return [
        *(Waiting("job", row["job_id"], row["since_ms"], row["state_seq"]) for row in jobs),
        *(Waiting("grant", row["grant_id"], row["since_ms"], 0) for row in grants),
    ]


def _kept(words: Words) -> str | dict[str, Any]:
    """A sentence with what it was made of; another program may have other words for it."""
    return {"text": str(words), **document(words)} if isinstance(words, Sentence) else words


def _words(kept: str | dict[str, Any]) -> Words:
    return kept if isinstance(kept, str) else restored(kept, str(kept["text"]))
