"""Registered components: the list, and everything there is to know about one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from algorithm_components.sdk.forms.model import Field, FormSpec
from nodeconsole.viewmodels.facts import bullets, fact_lines, when
from nodeconsole.viewmodels.forms.rows import note_lines, type_text
from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import cells, clip, printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow, PartnerComponentRow, PortRow
    from nodeconsole.viewmodels.display import Display

_DIGITS = 16
_NUMBERED = re.compile(r"\[\d+\]")


def identity(component: ComponentRow) -> str:
    return f"{component.provider}/{component.name}/{component.version}"


def component_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("components.column.name"), 18, flex=1),
        Column("version", text("components.column.version"), 8),
        Column("provider", text("components.column.provider"), 12, drop=3),
        Column("roles", text("components.column.roles"), 12, flex=1, drop=4),
        Column("state", text("components.column.state"), 12),
        Column("warnings", text("components.column.warnings"), 5, right=True, drop=5),
        Column("image", text("components.column.image"), 14, flex=3, drop=2),
    )


def component_cells(component: ComponentRow, display: Display) -> Line:
    warned = len(component.warnings)
    return (
        Span(printable(component.name), "strong"),
        Span(printable(component.version)),
        Span(printable(component.provider)),
        Span(printable(" ".join(component.roles))),
        state_span(component, display),
        Span(str(warned) if warned else "", "warn"),
        Span(printable(component.image_url), "dim"),
    )


def state_span(component: ComponentRow, display: Display) -> Span:
    text, glyphs = display.text, display.glyphs
    if not component.enabled:
        return Span(f"{glyphs.stopped} {text('components.disabled')}", "warn")
    if not component.runnable:
        return Span(f"{glyphs.bad} {text('components.cannot')}", "bad")
    return Span(f"{glyphs.ok} {text('components.runs')}", "ok")


def component_facts(component: ComponentRow, display: Display, width: int) -> list[Line]:
    """In short: the preview of the list."""
    text = display.text
    facts = [
        (text("components.title"), printable(component.title or component.code)),
        (text("components.description"), printable(component.description)),
        (text("components.why_not"), sentence(component.said.get("why_not"), component.why_not, display)),
        (text("components.inputs"), _ports_text(component.inputs)),
        (text("components.outputs"), _ports_text(component.outputs)),
        (text("components.warnings"), text("sentence.then").join(grouped(component.warnings))),
        (text("components.pack"), printable(component.pack)),
        (text("components.registered"), _provenance(component, display)),
    ]
    return fact_lines(facts, width)


def grouped(warnings: Iterable[str]) -> list[str]:
    """Each kind of deviation once: what is wrong with one parameter is often wrong with all."""
    found: dict[str, int] = {}
    for warning in warnings:
        kind = _NUMBERED.sub("[]", printable(warning))
        found[kind] = found.get(kind, 0) + 1
    return [f"{kind} ({number}x)" if number > 1 else kind for kind, number in found.items()]


def _provenance(component: ComponentRow, display: Display) -> str:
    by = printable(component.registered_by.removeprefix("operator:"))
    return display.text("components.registered_by", when=when(component.registered_ms, display), who=by or "-")


def _ports_text(ports: Iterable[PortRow]) -> str:
    return printable("  ".join(f"{port.name}: {port.type}{'' if port.required else '?'}" for port in ports))


Elsewhere = Mapping[str, "Sequence[PartnerComponentRow] | None"]
"""What partners say they have, by node; None = they did not."""


def component_lines(
    component: ComponentRow,
    spec: FormSpec,
    versions: Sequence[str],
    elsewhere: Elsewhere,
    display: Display,
    width: int,
) -> list[Line]:
    """The whole page. `versions`: the others of the same component that are registered here."""
    text = display.text
    lines: list[Line] = [(Span(printable(component.title or component.name), "strong"),)]
    facts = [
        (text("components.identity"), printable(identity(component))),
        (text("components.description"), printable(component.description)),
        (text("components.why_not"), sentence(component.said.get("why_not"), component.why_not, display)),
        (text("components.image"), printable(component.image_url)),
        (text("components.runner"), printable(component.runner)),
        (text("components.column_roles"), printable(" ".join(component.roles)) or text("components.any_role")),
        (text("components.versions"), printable(" ".join(versions))),
        (text("components.pack"), printable(component.pack)),
        (text("components.registered"), _provenance(component, display)),
        (text("components.digest"), component.digest[:_DIGITS]),
        (text("components.available"), _available(component, elsewhere, display)),
    ]
    lines += fact_lines(facts, width)
    for title, ports in (
        (text("components.inputs"), component.inputs),
        (text("components.outputs"), component.outputs),
    ):
        lines += [(), (Span(title, "dim"),), *_port_lines(ports, width, display)]
    lines += [(), (Span(text("components.parameters"), "dim"),)]
    lines += _parameter_lines(spec.fields, width, display)
    said = grouped(component.warnings)
    noted = note_lines(spec.notes, display, width, named=True)
    if said or noted:
        lines += [(), (Span(text("components.warnings"), "dim"),), *noted, *bullets(said, width, "warn")]
    return lines


def _available(component: ComponentRow, elsewhere: Elsewhere, display: Display) -> str:
    """`bob + 1.0.0   carl x (0.9)   not known: dave erin`."""
    glyphs = display.glyphs
    parts, silent = [], []
    for node, found in elsewhere.items():
        if found is None:
            silent.append(node)
            continue
        own = [one.version for one in found if one.code in (component.code, component.name)]
        same = component.version in own
        others = " ".join(version for version in own if version != component.version)
        sign = glyphs.ok if same else glyphs.bad
        parts.append(" ".join(filter(None, (node, sign, component.version if same else "", others and f"({others})"))))
    if silent:
        parts.append(display.text("components.not_known", nodes=" ".join(silent)))
    return printable("   ".join(parts))


def _port_lines(ports: Sequence[PortRow], width: int, display: Display) -> list[Line]:
    if not ports:
        return [(Span("  -", "dim"),)]
    required = display.text("form.required")
    name = _column((port.name for port in ports), 18)
    kind = _column((port.type for port in ports), 14)
    needs = cells(required) if any(port.required for port in ports) else 0
    lines: list[Line] = []
    for port in ports:
        needed = f"{_padded(required if port.required else '', needs)}  " if needs else ""
        left = f"  {_padded(port.name, name)}  {_padded(port.type, kind)}  {needed}"
        about = clip(printable(port.description), max(8, width - cells(left)), display.glyphs.cut)
        lines.append((Span(left), Span(about, "dim")))
    return lines


def _column(texts: Iterable[str], most: int) -> int:
    """The width of a column of these texts."""
    return min(most, max(cells(printable(text)) for text in texts))


def _padded(text: str, width: int) -> str:
    shown = clip(printable(text), width, "..")
    return shown + " " * (width - cells(shown))


def _parameter_lines(fields: Sequence[Field], width: int, display: Display) -> list[Line]:
    if not fields:
        return [(Span("  -", "dim"),)]
    name = _column((one.name for one in fields), 18)
    kind = _column((type_text(one) for one in fields), 8)
    lines: list[Line] = []
    for one in fields:
        needed = display.text("form.required") if one.required else ""
        default = display.text("form.default", value=one.default[:24]) if one.default.strip() else ""
        rule = one.validator.source if one.validator is not None and not one.choices else ""
        roles = " ".join(one.roles)
        left = f"  {_padded(one.name, name)}  {_padded(type_text(one), kind)}  "
        facts = printable(
            "  ".join(filter(None, (one.title if one.title != one.name else "", needed, default, rule, roles)))
        )
        shown = clip(facts, max(8, width - cells(left)), display.glyphs.cut)
        lines.append((Span(left), Span(shown, "dim")))
    return lines
