"""What needs a person, in the console's own words. The node sends kinds and facts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.panes import PaneRow, Target
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Role, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_pulse import AttentionItem, AttentionList
    from nodeconsole.viewmodels.display import Display

_SECTIONS = {"peer": "peers", "node": "doctor"}


def attention_rows(found: AttentionList | None, display: Display, snoozed: Collection[str] = ()) -> list[PaneRow]:
    """The most urgent first; empty as long as nothing is known. What was put off (`<kind> <id>`) is counted only."""
    if found is None:
        return []
    shown = [item for item in found.items if f"{item.target} {item.subject}" not in snoozed]
    rows = [_row(item, display) for item in shown]
    if len(shown) < len(found.items):
        later = display.text("attention.snoozed", n=len(found.items) - len(shown))
        rows.append(PaneRow((Span(later, "dim"),), target=Target("section", "approvals", ())))
    if found.left_out:
        rows.append(PaneRow((Span(display.text("attention.left_out", n=found.left_out), "dim"),)))
    return rows or [PaneRow((Span(f"{display.glyphs.ok} {display.text('attention.none')}", "ok"),))]


def _row(item: AttentionItem, display: Display) -> PaneRow:
    sign, role = severity_sign(item.severity, display)
    text = attention_text(item, display)
    return PaneRow(
        line=(Span(f"{sign} ", role), Span(text, role if item.severity == "decide" else "")),
        right=(Span(age(item.since_ms, display.now_ms), "dim"),),
        key=f"{item.kind}:{item.subject}:{item.facts.get('task', '')}",
        target=_target(item),
        problem=True,
        why=(Span(f"{sign} {text}", role), Span(_more(item, display))),
    )


def severity_sign(severity: str, display: Display) -> tuple[str, Role]:
    signs: Mapping[str, tuple[str, Role]] = {
        "decide": (display.glyphs.waiting, "wait"),
        "error": (display.glyphs.bad, "bad"),
    }
    return signs.get(severity, ("!", "warn"))


def attention_text(item: AttentionItem, display: Display) -> str:
    """One short sentence. Of a kind that is newer than this console, the node's own in English."""
    template = display.catalogue.get(f"attention.{item.kind}", "")
    facts = {name: told(item, name, display) for name in item.facts}
    return template.format(name=printable(item.name), **facts) if template else printable(item.text)


def _more(item: AttentionItem, display: Display) -> str:
    """What there is no room for in the list: the reason, the error, until when."""
    facts = item.facts
    parts = [told(item, name, display) for name in ("reason", "error") if facts.get(name)]
    if "expires_ms" in facts:
        left = int(facts["expires_ms"]) - display.now_ms
        parts.append(display.text("attention.expires", span=span_text(left)))
    if facts.get("partner"):
        heard = age(int(facts["partner_ms"]), display.now_ms)
        parts.append(display.text("attention.heard", node=printable(facts["partner"]), age=heard))
    return "".join(f"  {part}" for part in parts)


def _target(item: AttentionItem) -> Target:
    if item.kind == "job_decision":
        return Target("card", item.subject)
    if item.target in ("job", "contract", "grant"):
        return Target(item.target, item.subject)
    words = (item.subject,) if item.target == "peer" else ()
    return Target("section", _SECTIONS.get(item.target, "doctor"), words)
