"""The card of a contract: the six words to compare, whose key it is, and how to agree, refuse or end it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.dialog import FACTS_WIDTH, Field, Question, anything, required
from nodeconsole.screens.neighbours import Neighbours, OneOfMany
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.contracts import contract_badge, contract_lines, contract_next
from nodeconsole.viewmodels.facts import grouped
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import MessageRow

_WORDS = 6


class ContractScreen(OneOfMany):
    SCOPES: ClassVar[tuple[str, ...]] = ("contract", "one_of_many", "move", GLOBAL)

    def __init__(self, session: Session, contract_id: str, neighbours: Neighbours | None = None) -> None:
        super().__init__(session, neighbours)
        self._contract_id = contract_id
        self._contract: ContractRow | None = None
        self._messages: list[MessageRow] = []

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="contract")

    @property
    def key(self) -> str:
        return f"contract {self._contract_id}"

    @property
    def main(self) -> Sheet:
        return self.query_one("#contract", Sheet)

    @property
    def subject(self) -> str:
        return self._contract_id

    def crumbs(self) -> tuple[Line, Line]:
        text, contract = self.session.text, self._contract
        left: Line = (Span(f" {text('contract.title')}", "accent"),)
        if contract is None:
            return left, self.place()
        badge = contract_badge(contract, self.session.display())
        return (*left, Span(f" > {printable(contract.node_id)}", "accent"), Span("  "), badge), self.place()

    def why(self) -> Line:
        if self._contract is None:
            return ()
        if "confirm" in self._contract.actions:
            return (Span(self.session.text("contract.decide"), "wait"),)
        return (Span(contract_next(self._contract, self.session.display()), "wait"),)

    def offered(self) -> Sequence[str]:
        return self._contract.actions if self._contract is not None else ()

    def repaint_body(self) -> None:
        if self._contract is not None:
            width = max(20, self.main.view_width - 2)
            lines = contract_lines(self._contract, self._messages, self.session.display(), width)
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.subjects & {"contract", "peer", "message"}:
            return True
        contract = await self.session.ask(lambda client: client.contract(self._contract_id))
        if contract is None:
            return False
        messages = await self.session.ask(lambda client: client.messages(to=contract.node_id, limit=50))
        self._contract = contract
        self._messages = [row for row in messages or () if row.operation.startswith("node/")]
        self.retranslate()
        return True

    def act_contract_confirm(self, *_: str) -> None:
        if self._contract is not None:
            ask_confirm(self, self.session, self._contract)

    def act_contract_refuse(self, *_: str) -> None:
        if self._contract is not None:
            ask_refuse(self, self.session, self._contract)

    def act_contract_terminate(self, *_: str) -> None:
        if self._contract is not None:
            ask_terminate(self, self.session, self._contract)


def ask_confirm(screen: Screen[None], session: Session, contract: ContractRow) -> None:
    """Agree, after the words that the partner's operator reads out were typed. The node compares and records."""
    text = session.text
    fault = text("confirm.not_six")
    question = Question(
        title=text("confirm.title", node=printable(contract.node_id)),
        facts=(*_facts(session, contract), (), *_wrapped(text("confirm.call"))),
        fields=(
            Field("words", text("confirm.words"), lambda typed: "" if len(typed.split()) == _WORDS else fault, 500),
        ),
        act=text("action.contract.confirm"),
        typed_confirmation=True,
    )

    def done(row: ContractRow) -> None:
        if row.state == "APPLIED" and not row.compared_by:
            what = printable(row.node_id)
            session.say(text("grant.counted", what=what, given=len(row.approvals), needed=row.approvers_needed), "ok")
            session.publish(Changes(subjects=frozenset({"contract"})))
        else:
            _said(session, "confirm.done" if row.state == "APPROVED" else "confirm.half", row)

    put_question(
        screen,
        session,
        question,
        lambda client, values: client.confirm_contract(contract.contract_id, values["words"]),
        done,
        {"refused": text("confirm.wrong")},
        undo=_what(question, contract),
    )


def ask_refuse(screen: Screen[None], session: Session, contract: ContractRow) -> None:
    text = session.text
    question = Question(
        title=text("refuse.title", node=printable(contract.node_id)),
        facts=_facts(session, contract),
        fields=(Field("reason", text("refuse.reason"), required(text("reject.no_reason"))),),
        act=text("action.contract.refuse"),
    )
    put_question(
        screen,
        session,
        question,
        lambda client, values: client.refuse_contract(contract.contract_id, values["reason"]),
        lambda row: _said(session, "refuse.done", row),
        undo=_what(question, contract),
    )


def ask_terminate(screen: Screen[None], session: Session, contract: ContractRow) -> None:
    """End it, after the end of the partner's node id was typed: what is under way with it ends too."""
    text = session.text
    node_id = contract.node_id
    question = Question(
        title=text("terminate.title", node=printable(node_id)),
        facts=(*_facts(session, contract), (), *_wrapped(text("terminate.means"))),
        fields=(typed_id(session, node_id), Field("reason", text("stop.reason"), anything)),
        act=text("action.contract.terminate"),
        typed_confirmation=True,
    )
    put_question(
        screen,
        session,
        question,
        lambda client, values: client.terminate_contract(contract.contract_id, values["reason"]),
        lambda row: _said(session, "terminate.done", row),
        undo=_what(question, contract),
    )


def _what(question: Question, contract: ContractRow) -> str:
    return f"{question.act} {printable(contract.node_id)}"


def _facts(session: Session, contract: ContractRow) -> tuple[Line, ...]:
    text = session.text
    key = grouped(printable(contract.fingerprint))
    half = len(key) // 2
    facts = [
        (text("contract.partner"), printable(contract.node_id)),
        (text("contract.institution"), printable(contract.institution or contract.inst_id) or "-"),
        (text("contract.address"), printable(contract.address) or "-"),
        (text("contract.key"), key[:half].strip()),
        ("", key[half:].strip()),
    ]
    return question_facts(facts)


def _wrapped(sentence: str) -> list[Line]:
    return [(Span(part, "wait"),) for part in wrap(sentence, FACTS_WIDTH)]


def _said(session: Session, done: str, row: ContractRow) -> None:
    session.say(session.text(done, node=row.node_id), "ok")
    session.publish(Changes(subjects=frozenset({"contract", "peer"})))
