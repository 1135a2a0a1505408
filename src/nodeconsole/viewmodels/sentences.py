"""The node's own sentences in the operator's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Finding, Said, Telling
    from nodeconsole.viewmodels.display import Display

_NAMED = 3
"""Names in one line."""


def sentence(said: Said | None, english: str, display: Display) -> str:
    """`english` where the node says it in no other language, or this console has no text for it."""
    return (_in_language(said, display) if said is not None else "") or printable(english)


def told(message: Telling, name: str, display: Display) -> str:
    """A text of a message that was stored."""
    return sentence(message.said.get(name), message.texts[name], display)


def sentences(english: Sequence[str], said: Mapping[str, Said], name: str, display: Display) -> list[str]:
    """Those of a list that is called `name` in its message."""
    return [sentence(said.get(f"{name}.{place}"), text, display) for place, text in enumerate(english)]


def finding_text(finding: Finding, display: Display) -> str:
    return sentence(finding.said.get("text"), finding.text, display)


def finding_fix(finding: Finding, display: Display) -> str:
    return sentence(finding.said.get("fix"), finding.fix, display)


def _in_language(said: Said, display: Display) -> str:
    """Empty if there is no text for it or for a sentence within it."""
    template = display.catalogue.sentence(said.code)
    facts = {name: _fact(fact, display) for name, fact in said.facts.items()}
    if not template or "" in facts.values():
        return ""
    try:
        return template.format(**facts)
    except KeyError:  # of a node whose sentence has other facts by now
        return ""


def _fact(fact: int | str | Said | list[str | Said], display: Display) -> str:
    if isinstance(fact, list):
        named = [_fact(part, display) for part in fact[:_NAMED]]
        text = display.listed(named)
        return text if len(fact) <= _NAMED else display.text("sentence.more", names=text, n=len(fact) - _NAMED)
    if isinstance(fact, (str, int)):
        return printable(str(fact)) or "-"
    return _in_language(fact, display)
