"""What the doctor says: the node's findings, and what this console finds out about its own terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import fact_lines
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.sentences import finding_fix, finding_text
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Finding
    from nodeconsole.viewmodels.display import Display

_SLOW_MS = 100
_ORDER = {"error": 0, "warning": 1, "ok": 2}
_WIDE_LANGUAGES = ("zh", "ja", "ko")


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `area` is node or console; `level` ok, warning or error; `kind` names its words and its reason why."""

    area: str
    kind: str
    level: str
    text: str
    fix: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the console knows of where it is shown. `colors`: as the terminal was detected; empty = none.

    `latency_ms`: of one small question to the node. `faults`: of the operator's own files and keys.
    """

    environ: Mapping[str, str]
    encoding: str
    colors: str
    sync_output: bool
    width: int
    height: int
    glyphs: str
    latency_ms: int | None
    console_version: str
    node_version: str
    faults: Sequence[str] = field(default=())


def checks(findings: Iterable[Finding], terminal: Terminal, display: Display) -> list[Check]:
    """What is wrong first, then the rest, each part in the order in which it was looked at."""
    node = [
        Check("node", f.check, f.level, finding_text(f, display), finding_fix(f, display), printable(f.subject))
        for f in findings
    ]
    found = [*node, *terminal_checks(terminal, display)]
    return sorted(found, key=lambda check: _ORDER.get(check.level, 1))


def terminal_checks(terminal: Terminal, display: Display) -> Iterator[Check]:
    for check in (_size, _colors, _encoding, _ambiguous, _type, _sync, _clipboard, _latency, _versions):
        kind, level, values = check(terminal)
        fix = display.catalogue.get(f"checks.fix.{kind}", "") if level != "ok" else ""
        text = display.text(f"checks.{level}.{kind}", **values)
        yield Check("console", kind, level, text, fix)
    if not terminal.faults:
        yield Check("console", "keys", "ok", display.text("checks.ok.keys"))
    for fault in terminal.faults:
        yield Check("console", "keys", "warning", printable(fault), display.text("checks.fix.keys"))


_Found = tuple[str, str, dict[str, object]]


def _size(terminal: Terminal) -> _Found:
    good = terminal.width >= 80 and terminal.height >= 24
    return "size", "ok" if good else "warning", {"width": terminal.width, "height": terminal.height}


def _colors(terminal: Terminal) -> _Found:
    if terminal.environ.get("NO_COLOR"):
        return "colors", "ok", {"colors": "NO_COLOR"}
    good = terminal.colors in ("256", "truecolor")
    return "colors", "ok" if good else "warning", {"colors": terminal.colors or "-"}


def _encoding(terminal: Terminal) -> _Found:
    good = "utf" in terminal.encoding.lower() or terminal.glyphs == "ascii"
    return "encoding", "ok" if good else "warning", {"encoding": terminal.encoding or "-", "glyphs": terminal.glyphs}


def _ambiguous(terminal: Terminal) -> _Found:
    """How wide a terminal draws what Unicode leaves open cannot be asked without disturbing it."""
    locale = next((terminal.environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if terminal.environ.get(n)), "")
    risky = locale.startswith(_WIDE_LANGUAGES) and terminal.glyphs == "unicode"
    return "ambiguous", "warning" if risky else "ok", {"glyphs": terminal.glyphs, "locale": locale or "-"}


def _type(terminal: Terminal) -> _Found:
    name = terminal.environ.get("TERM", "")
    around = " + tmux" if terminal.environ.get("TMUX") else " + screen" if terminal.environ.get("STY") else ""
    return "type", "warning" if name in ("", "dumb", "linux") else "ok", {"term": f"{name or '-'}{around}"}


def _sync(terminal: Terminal) -> _Found:
    return "sync", "ok", {"sync": "2026" if terminal.sync_output else "-"}


def _clipboard(terminal: Terminal) -> _Found:
    inside = bool(terminal.environ.get("TMUX") or terminal.environ.get("STY"))
    return "clipboard", "warning" if inside else "ok", {}


def _latency(terminal: Terminal) -> _Found:
    took = terminal.latency_ms
    if took is None:
        return "latency", "error", {}
    level = "ok" if took < _SLOW_MS else "warning"
    return "latency", level, {"ms": took}


def _versions(terminal: Terminal) -> _Found:
    same = terminal.console_version == terminal.node_version
    return (
        "versions",
        "ok" if same else "warning",
        {"console": terminal.console_version, "node": terminal.node_version or "-"},
    )


# -- the list ---------------------------------------------------------------------------------------------------------


def check_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("level", text("checks.column.level"), 9),
        Column("area", text("checks.column.area"), 8, drop=2),
        Column("kind", text("checks.column.kind"), 14, flex=1, most=26),
        Column("text", text("checks.column.text"), 30, flex=4, most=120),
    )


def check_cells(check: Check, display: Display) -> Line:
    return (
        level_badge(check.level, display),
        Span(display.text(f"checks.area.{check.area}"), "dim"),
        Span(check_name(check, display), "strong" if check.level != "ok" else ""),
        Span(check.text),
    )


def level_badge(level: str, display: Display) -> Span:
    """Sign, word and colour."""
    glyphs = display.glyphs
    if level == "ok":
        return Span(f"{glyphs.ok} {display.text('checks.level.ok')}", "ok")
    if level == "error":
        return Span(f"{glyphs.bad} {display.text('checks.level.error')}", "bad")
    return Span(f"! {display.text('checks.level.warning')}", "warn")


def check_name(check: Check, display: Display) -> str:
    return display.catalogue.get(f"checks.name.{_word(check.kind)}", printable(check.kind))


def check_facts(check: Check, display: Display, width: int) -> list[Line]:
    """What was found, why it matters, what to do."""
    text = display.text
    why = display.catalogue.get(f"checks.why.{_word(check.kind)}", "")
    facts = [
        (check_name(check, display), check.text),
        (text("checks.about"), check.subject),
        (text("checks.because"), why),
    ]
    return [*fact_lines(facts, width), *fact_lines([(text("checks.do"), check.fix)], width, "ok")]


def _word(kind: str) -> str:
    return kind.replace(" ", "_")


CHECKS: Listing[Check] = Listing(
    name="doctor",
    key=lambda check: f"{check.area}/{check.kind}/{check.subject}/{check.text}",
    columns=check_columns,
    cells=check_cells,
    values={"level": lambda check, _: _ORDER.get(check.level, 1)},
    problem=lambda check: check.level != "ok",
    facts=check_facts,
    document=asdict,
    title=lambda check: check.kind,
)
