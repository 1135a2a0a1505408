"""What an administrator looks at now and then: tokens, secrets, the policy, this node's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import bullets, fact_lines, grouped, when
from nodeconsole.viewmodels.sentences import sentences
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import printable, short_id
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import IdentityRow
    from embedded_scheduler.wire.console_policy import PolicyRow, PolicyTestReply, RulingRow
    from embedded_scheduler.wire.console_secrets import SecretRow
    from embedded_scheduler.wire.console_tokens import TokenRow
    from nodeconsole.viewmodels.display import Display

_VERDICTS: dict[str, Role] = {"approve": "ok", "refuse": "bad", "reject": "bad"}
_TOKEN_SIGNS: dict[str, tuple[str, Role]] = {"valid": ("ok", "ok"), "expired": ("bad", "warn")}


def token_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("tokens.column.name"), 14, flex=1, most=40),
        Column("state", text("tokens.column.state"), 11),
        Column("scopes", text("tokens.column.scopes"), 14, flex=3, most=60),
        Column("expires", text("tokens.column.expires"), 8, right=True),
        Column("used", text("tokens.column.used"), 9, right=True, drop=1),
        Column("by", text("tokens.column.by"), 10, flex=1, most=24, drop=2),
    )


def token_cells(token: TokenRow, display: Display) -> Line:
    sign, role = _TOKEN_SIGNS.get(token.state, ("stopped", "dim"))
    word = display.catalogue.get(f"tokens.state.{token.state}", printable(token.state))
    ends = span_text(token.expires_ms - display.now_ms) if token.expires_ms else display.text("tokens.never")
    return (
        Span(printable(token.name), "strong" if token.state == "valid" else "dim"),
        Span(f"{getattr(display.glyphs, sign)} {word}", role),
        Span(printable(" ".join(token.scopes))),
        Span(ends if token.state == "valid" else "", "dim"),
        Span(age(token.last_used_ms, display.now_ms), "dim"),
        Span(printable(token.created_by.removeprefix("operator:")), "dim"),
    )


def secret_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("secrets.column.name"), 20, flex=2, most=60),
        Column("changed", text("secrets.column.changed"), 19),
        Column("key", text("secrets.column.key"), 16, flex=1, most=40, drop=1),
    )


def secret_cells(secret: SecretRow, display: Display) -> Line:
    return (
        Span(printable(secret.name), "strong"),
        Span(when(secret.changed_ms, display)),
        Span(printable(secret.key_id), "dim"),
    )


def policy_page(policy: PolicyRow, display: Display, width: int) -> list[Line]:
    """The text in force, with its version above it."""
    text = display.text
    if not policy.version:
        return [(Span(text("policy.none"), "strong"),), *bullets([text("policy.none_hint")], width, "dim")]
    by = printable(policy.set_by.removeprefix("operator:"))
    head = text("policy.version", n=policy.version, by=by, at=when(policy.at_ms, display))
    return [(Span(head, "accent"),), (), *((Span(printable(line)),) for line in policy.text.splitlines())]


def trial_lines(reply: PolicyTestReply, display: Display, width: int) -> list[Line]:
    """What the policy would do with a job file, or would have done with jobs of the past, beside what was decided."""
    text = display.text
    if reply.ruling is not None:
        return _ruling_lines(reply, reply.ruling, display, width)
    lines: list[Line] = [(Span(text("policy.trial"), "accent"),)]
    for trial in reply.jobs:
        word = trial.decided.lower()
        decided = display.catalogue.get(f"policy.decided.{word}", printable(word)) if word else "-"
        lines.append(
            (
                Span(f"  {short_id(trial.job_id)}  {printable(trial.initiator)}  ", "dim"),
                _verdict(trial.ruling, display),
                Span(f"   {text('policy.was', decided=decided)}", "dim"),
            )
        )
        if trial.ruling.version:  # without a policy there is no more to say
            lines += [(Span("  "), *line) for line in bullets(_reasoning(trial.ruling, display), width - 2, "dim")]
    return lines if reply.jobs else [*lines, (Span(f"  {text('policy.no_jobs')}", "dim"),)]


def _verdict(ruling: RulingRow, display: Display) -> Span:
    if not ruling.binding:
        return Span(display.text("policy.no_rule"), "wait")
    action = display.catalogue.get(f"policy.action.{ruling.action}", printable(ruling.action))
    return Span(f"{action}{display.aside(printable(ruling.rule))}", _VERDICTS.get(ruling.action, "wait"))


def _reasoning(ruling: RulingRow, display: Display) -> list[str]:
    return sentences(ruling.reasoning, ruling.said, "reasoning", display)


def _ruling_lines(reply: PolicyTestReply, ruling: RulingRow, display: Display, width: int) -> list[Line]:
    text = display.text
    lines: list[Line] = [(_verdict(ruling, display),), *bullets(_reasoning(ruling, display), width, "")]
    if ruling.reason:
        lines += [(), *bullets([text("policy.told", reason=printable(ruling.reason))], width, "dim")]
    problems = sentences(reply.problems, reply.said, "problems", display)
    if problems:
        lines += [(), (Span(text("policy.cannot_run"), "bad"),), *bullets(problems, width, "")]
    return lines


def identity_lines(identity: IdentityRow, display: Display, width: int) -> list[Line]:
    """Who this node is: the key that partners compare, the files, a rotation under way."""
    text = display.text
    facts = [
        (text("identity.node"), printable(identity.node_id)),
        (text("contract.institution"), printable(identity.institution or identity.inst_id)),
        (text("contract.address"), printable(identity.address)),
        (text("contract.key"), grouped(printable(identity.fingerprint))),
        (text("identity.algorithm"), printable(identity.algorithm)),
        (text("identity.valid"), f"{when(identity.not_before_ms, display)} - {when(identity.not_after_ms, display)}"),
        (text("identity.issuer"), printable(identity.issuer)),
    ]
    lines = fact_lines(facts, width)
    if identity.next_fingerprint:
        waiting = " ".join(map(printable, identity.waiting_for)) or "-"
        lines += [(), (Span(text("identity.rotating"), "wait"),)]
        lines += fact_lines(
            [
                (text("identity.next"), grouped(printable(identity.next_fingerprint))),
                (text("identity.waiting"), waiting),
            ],
            width,
        )
    lines += [(), (Span(text("identity.files"), "accent"),)]
    return [*lines, *bullets((printable(f"{file.path}: {file.text}") for file in identity.files), width, "")]
