"""The card of a partner's request: what it wants and may get, and the two keys that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.confirm import put_question, question_facts
from nodeconsole.screens.dialog import Field, Question, anything, required
from nodeconsole.screens.neighbours import Neighbours, OneOfMany
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.grants import asked_limits, grant_approvals, grant_badge, grant_lines, kind_name, limit_of
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, short_id
from nodeconsole.viewmodels.times import moment, parse_until
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetRow
    from embedded_scheduler.wire.console_grants import GrantDetail, GrantRow
    from nodeconsole.client import NodeClient

_DEFAULT_SPAN = "90d"
"""For data, when the partner asks for no end: what nobody remembers should end by itself."""
_MOST_TIMES = 1 << 31


class GrantScreen(OneOfMany):
    SCOPES: ClassVar[tuple[str, ...]] = ("grant", "one_of_many", "move", GLOBAL)

    def __init__(self, session: Session, grant_id: str, neighbours: Neighbours | None = None) -> None:
        super().__init__(session, neighbours)
        self._grant_id = grant_id
        self._detail: GrantDetail | None = None
        self._dataset: DatasetRow | None = None

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="grant")

    @property
    def key(self) -> str:
        return f"grant {self._grant_id}"

    @property
    def main(self) -> Sheet:
        return self.query_one("#grant", Sheet)

    @property
    def subject(self) -> str:
        return self._grant_id

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left: Line = (Span(f" {text('approvals.heading')} > ", "dim"), Span(text("grant.title"), "accent"))
        if self._detail is None:
            return left, self.place()
        return (*left, Span("  "), grant_badge(self._detail.grant, self.session.display())), self.place()

    def why(self) -> Line:
        if self._detail is None:
            return ()
        grant = self._detail.grant
        if "approve" in grant.actions:
            return (Span(self.session.text("card.decide"), "wait"),)
        return (Span(grant_approvals(grant, self.session.display()), "wait"),)

    def offered(self) -> Sequence[str]:
        return self._detail.grant.actions if self._detail is not None else ()

    def repaint_body(self) -> None:
        if self._detail is not None:
            width = max(20, self.main.view_width - 2)
            lines = grant_lines(self._detail, self._dataset, self.session.display(), width)
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.subjects & {"grant", "message"}:
            return True
        detail = await self.session.ask(lambda client: client.grant(self._grant_id))
        if detail is None:
            return False
        if detail.grant.kind == "dataset" and self._dataset is None:
            ours = await self.session.ask(lambda client: client.datasets())
            wanted = detail.grant.resource_id
            self._dataset = next((row for row in ours or () if row.dataset_id == wanted), None)
        self._detail = detail
        self.retranslate()
        return True

    def act_grant_approve(self, *_: str) -> None:
        if self._detail is not None:
            ask_approve(self, self.session, self._detail)

    def act_grant_reject(self, *_: str) -> None:
        if self._detail is not None:
            ask_reject(self, self.session, self._detail.grant)

    def act_grant_request(self) -> None:
        from nodeconsole.screens.document import RecordScreen  # noqa: PLC0415 - loaded when it is asked for

        if self._detail is not None:
            title = f"{short_id(self._grant_id)} > {self.session.text('action.grant.request')}"
            self.app.push_screen(RecordScreen(self.session, title, self._detail.body))


def ask_approve(screen: Screen[None], session: Session, detail: GrantDetail) -> None:
    """Grant it, within limits: those that were asked for, or tighter ones."""
    text, grant = session.text, detail.grant
    times, until = limit_of(detail.body, "times_limit"), limit_of(detail.body, "time_limit")
    first = moment(until, session.zone)[:16] if until else _DEFAULT_SPAN if grant.kind == "dataset" else ""
    question = Question(
        title=text("grant.approve_title"),
        facts=_facts(session, grant, asked_limits(detail.body, session.display())),
        fields=(
            Field("times", text("grant.field_times"), _times_fault(session), 10, str(times or "")),
            Field("until", text("grant.field_until"), _until_fault(session), 32, first),
            Field("reason", text("approve.reason"), anything),
        ),
        act=text("action.grant.approve"),
    )

    async def send(client: NodeClient, values: dict[str, str]) -> GrantRow:
        limit = int(values["times"]) if values["times"] else None
        end = parse_until(values["until"], session.now_ms(), session.zone) if values["until"] else None
        # An end that nobody touched stays as it was asked for, to the millisecond.
        if until and values["until"] == first:
            end = None
        return await client.approve_grant(grant.grant_id, values["reason"], times=limit, until_ms=end)

    put_question(
        screen, session, question, send, lambda row: _said(session, "grant.approved", row), undo=_what(question, grant)
    )


def ask_reject(screen: Screen[None], session: Session, grant: GrantRow) -> None:
    text = session.text
    question = Question(
        title=text("grant.reject_title"),
        facts=_facts(session, grant),
        fields=(Field("reason", text("reject.reason"), required(text("reject.no_reason"))),),
        act=text("action.grant.reject"),
    )
    put_question(
        screen,
        session,
        question,
        lambda client, values: client.reject_grant(grant.grant_id, values["reason"]),
        lambda row: _said(session, "grant.rejected", row),
        undo=_what(question, grant),
    )


def _what(question: Question, grant: GrantRow) -> str:
    return f"{question.act} {printable(grant.resource_id)}"


def _times_fault(session: Session) -> Callable[[str], str]:
    def fault(typed: str) -> str:
        good = not typed or (
            typed.isascii() and typed.isdecimal() and len(typed) <= 10 and 0 < int(typed) < _MOST_TIMES
        )
        return "" if good else session.text("grant.bad_times")

    return fault


def _until_fault(session: Session) -> Callable[[str], str]:
    def fault(typed: str) -> str:
        good = not typed or parse_until(typed, session.now_ms(), session.zone) is not None
        return "" if good else session.text("grant.bad_until")

    return fault


def _facts(session: Session, grant: GrantRow, asked: str = "") -> tuple[Line, ...]:
    text = session.text
    kind = kind_name(grant.kind, session.display())
    facts = [
        (text("card.asked_by"), printable(grant.node_id)),
        (text("grant.wants"), f"{kind} {printable(grant.resource_id)}"),
    ]
    if asked:
        facts.append((text("grant.asked"), asked))
    return question_facts(facts)


def _said(session: Session, done: str, row: GrantRow) -> None:
    what = printable(row.resource_id)
    if row.state == "APPLIED":
        counted = session.text("grant.counted", what=what, given=len(row.approvals), needed=row.approvers_needed)
        session.say(counted, "ok")
    else:
        session.say(session.text(done, what=what, node=row.node_id), "ok")
    session.publish(Changes(subjects=frozenset({"grant"})))
