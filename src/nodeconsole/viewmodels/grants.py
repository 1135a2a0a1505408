"""A partner's request for one of our resources: who wants what, within which limits, and who has to agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodeconsole.viewmodels.contracts import message_lines
from nodeconsole.viewmodels.facts import bullets, fact_lines, votes_text, when
from nodeconsole.viewmodels.sentences import sentences, told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.viewmodels.times import age

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetRow
    from embedded_scheduler.wire.console_grants import GrantDetail, GrantRow
    from nodeconsole.viewmodels.display import Display

_SHOWN = frozenset({"audit_id", "contract_id", "contract_Id", "name", "time_limit", "times_limit", "auth_scope"})
_SIGNS: dict[str, tuple[str, Role]] = {
    "APPLIED": ("waiting", "wait"),
    "APPROVED": ("ok", "ok"),
    "REJECTED": ("rejected", "warn"),
    "TERMINATED": ("stopped", "warn"),
}


def grant_badge(grant: GrantRow, display: Display) -> Span:
    """Sign and word of its state."""
    sign, role = _SIGNS.get(grant.state, ("unknown", ""))
    word = display.catalogue.get(f"contract.state.{grant.state.lower()}", grant.state)
    return Span(f"{getattr(display.glyphs, sign)} {word}", role)


def kind_name(kind: str, display: Display) -> str:
    return display.catalogue.get(f"grant.kind.{kind}", printable(kind))


def grant_lines(detail: GrantDetail, dataset: DatasetRow | None, display: Display, width: int) -> list[Line]:
    """The card of a request. `dataset`: what is asked for, where it is one of ours."""
    text = display.text
    lines = fact_lines(_facts(detail, display), width)
    if detail.grant.kind == "dataset":
        lines += [(Span(text("grant.data"), "accent"),), *_dataset_lines(detail, dataset, display, width)]
    if detail.policy:
        lines.append((Span(text("card.policy"), "accent"),))
        lines += bullets(sentences(detail.policy, detail.said, "policy", display), width, "dim")
    if detail.messages:
        lines.append((Span(text("contract.messages"), "accent"),))
        lines += message_lines(detail.messages, display, width)
    return lines


def _facts(detail: GrantDetail, display: Display) -> list[tuple[str, str]]:
    text, grant, body = display.text, detail.grant, detail.body
    asked = f"{printable(grant.node_id)}  {text('card.ago', age=age(grant.created_ms, display.now_ms))}"
    facts = [
        (text("card.asked_by"), asked),
        (text("grant.wants"), f"{kind_name(grant.kind, display)} {printable(grant.resource_id)}"),
        (text("grant.name"), printable(grant.name) if grant.name != grant.resource_id else ""),
        (text("grant.asked"), asked_limits(body, display)),
        (text("grant.components"), " ".join(_components(body))),
    ]
    facts += [(printable(key.replace("_", " ")), value) for key, value in _other_members(grant, body)]
    facts += [
        (text("grant.permit"), _permit(grant, display)),
        (text("card.approvals"), grant_approvals(grant, display)),
        (text("contract.reason"), told(grant, "reason", display)),
        (text("grant.decided_by"), printable(grant.decided_by.removeprefix("operator:"))),
        (text("grant.id"), printable(grant.grant_id)),
    ]
    return facts


def _other_members(grant: GrantRow, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the request says beyond what has a place of its own; documents are behind `y`."""
    hidden = _SHOWN | {f"{grant.kind}_id"}
    scalars = [
        (key, value) for key, value in body.items() if key not in hidden and isinstance(value, str | int | float)
    ]
    return [(key, printable(str(value))) for key, value in scalars if value != ""]


def _components(body: Mapping[str, Any]) -> list[str]:
    """The names in the flow of a request for a flow or a job."""
    flow = body.get("dag")
    nodes = flow.get("components") if isinstance(flow, Mapping) else None
    if not isinstance(nodes, list):
        return []
    return [printable(str(node.get("name") or node.get("code") or "?")) for node in nodes if isinstance(node, Mapping)]


def limit_of(body: Mapping[str, Any], name: str) -> int | None:
    """A limit that the partner asked for; nothing and 0 mean none."""
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def asked_limits(body: Mapping[str, Any], display: Display) -> str:
    """`10 jobs, until 2026-…`, or that it asks for no limit."""
    times, until = limit_of(body, "times_limit"), limit_of(body, "time_limit")
    parts = [display.text("grant.times", n=times)] if times else []
    parts += [display.text("grant.until", at=when(until, display))] if until else []
    return display.clauses(parts) or display.text("grant.no_limit")


def _permit(grant: GrantRow, display: Display) -> str:
    permit = grant.permit
    if permit is None:
        return ""
    used = display.text("grant.used", n=permit.used)
    limits = {"times_limit": permit.times_limit, "time_limit": permit.time_limit_ms}
    return display.text("sentence.then").join((asked_limits(limits, display), used))


def grant_approvals(grant: GrantRow, display: Display) -> str:
    """`1 of 2 persons (ann), still needed: 1 more`; empty where one person is enough."""
    return votes_text(grant.approvals, grant.approvers_needed, display)


def _dataset_lines(detail: GrantDetail, dataset: DatasetRow | None, display: Display, width: int) -> list[Line]:
    if dataset is None:
        return [(Span(f"  {display.text('card.not_found')}", "bad"),)]
    names = " ".join(printable(column.name) for column in dataset.columns)
    facts = [display.text("card.columns_all", of=len(dataset.columns), names=names)]
    facts.append(display.text("card.rows", n=count(dataset.rows)))
    scope = detail.body.get("auth_scope")
    if scope:
        facts.append(display.text("grant.scope", scope=printable(json.dumps(scope, ensure_ascii=False))))
    return bullets(facts, width, "")
