"""One partner: the page, and what can be done to a partner wherever one is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.contract import ContractScreen, ask_confirm, ask_refuse, ask_terminate
from nodeconsole.screens.dialog import Field, Question, anything, required
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.saving import load
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.contracts import APPLIED
from nodeconsole.viewmodels.partner import Acquaintance, partner_lines
from nodeconsole.viewmodels.partners import Partner, connection, partners
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import PeerRow
    from embedded_scheduler.wire.console_contracts import ContractRow, InvitationReply
    from nodeconsole.client import NodeClient

_LONGEST_CODE = 8192
_MOST_HOURS = 24 * 30
_FINGERPRINT_DIGITS = 64
_SUBJECTS = frozenset({"peer", "contract", "message", "grant", "identity"})
_OPEN = "PENDING,READY,RUNNING"


class PartnerActions(ConsoleScreen):
    """Mixed into screens that look at partners; `partner` is the one under the cursor."""

    @property
    def partner(self) -> Partner | None:
        raise NotImplementedError

    def offered(self) -> Sequence[str]:
        status, partner = self.session.status, self.partner
        offered = list(status.actions) if status is not None else []
        if status is not None and status.role == "admin":
            offered.append("add")
        if partner is None:
            return offered
        if partner.peer is not None:
            offered += partner.peer.actions
        if partner.contract is not None:
            offered += partner.contract.actions
            if {"refuse", "terminate"} & set(partner.contract.actions):
                offered.append("end")
        return offered

    def act_partner_confirm(self, *_: str) -> None:
        partner = self.partner
        if partner is not None and partner.contract is not None:
            ask_confirm(self, self.session, partner.contract)

    def act_partner_end(self, *_: str) -> None:
        """Refuse what was asked for, end what was agreed."""
        contract = self.partner.contract if self.partner is not None else None
        if contract is not None:
            (ask_refuse if contract.state == APPLIED else ask_terminate)(self, self.session, contract)

    def act_partner_contract(self, *_: str) -> None:
        partner = self.partner
        if partner is None:
            return
        if partner.contract is None:
            self.session.say(self.session.text("peers.no_contract", node=partner.node_id), "warn")
        else:
            self.app.push_screen(ContractScreen(self.session, partner.contract.contract_id))

    def act_partner_messages(self, *_: str) -> None:
        from nodeconsole.screens.messages import MessagesScreen  # noqa: PLC0415 - loaded when it is asked for

        self.app.push_screen(MessagesScreen(self.session, self.partner.node_id if self.partner is not None else ""))

    def act_partner_test(self, *targets: str) -> None:
        from nodeconsole.screens.linktest import LinkTestScreen  # noqa: PLC0415

        partner = self.partner
        url = partner.peer.url if partner is not None and partner.peer is not None else ""
        target = targets[0] if targets else url
        if target:
            self.app.push_screen(LinkTestScreen(self.session, target))

    def act_partner_approval(self, *_: str) -> None:
        partner = self.partner
        if partner is not None and partner.peer is not None:
            ask_approval(self, self.session, partner.peer)

    def act_partner_remove(self, *_: str) -> None:
        partner = self.partner
        if partner is not None and partner.peer is not None:
            ask_remove(self, self.session, partner.peer)

    def act_partner_add(self, *_: str) -> None:
        ask_add(self, self.session)

    def act_partner_apply(self, *_: str) -> None:
        ask_apply(self, self.session)

    def act_partner_invitations(self, *_: str) -> None:
        from nodeconsole.screens.invitation import InvitationsScreen  # noqa: PLC0415

        self.app.push_screen(InvitationsScreen(self.session))

    def act_partner_invite(self, *_: str) -> None:
        ask_invite(self, self.session)

    def act_partner_join(self, *codes: str) -> None:
        ask_join(self, self.session, "".join(codes))


class PartnerScreen(Moves, PartnerActions):
    SCOPES: ClassVar[tuple[str, ...]] = ("partner_page", "partner", "move", GLOBAL)

    def __init__(self, session: Session, node_id: str) -> None:
        super().__init__(session)
        self._node_id = node_id
        self._known: Acquaintance | None = None

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="partner")

    @property
    def main(self) -> Sheet:
        return self.query_one("#partner", Sheet)

    @property
    def partner(self) -> Partner | None:
        return self._known.partner if self._known is not None else None

    def crumbs(self) -> tuple[Line, Line]:
        left: Line = (
            Span(f" {self.session.text('peers.heading')} > ", "dim"),
            Span(printable(self._node_id), "accent"),
        )
        partner = self.partner
        return (left, ()) if partner is None else ((*left, Span("  "), connection(partner, self.session.display())), ())

    def repaint_body(self) -> None:
        if self._known is not None:
            width = max(20, self.main.view_width - 2)
            lines = partner_lines(self._known, self.session.display(), width)
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.jobs and not changes.subjects & _SUBJECTS:
            return True
        known = await self.session.ask(lambda client: acquaintance(client, self._node_id))
        if known is None:
            return False
        self._known = known
        self.retranslate()
        return True


async def acquaintance(client: NodeClient, node_id: str) -> Acquaintance:
    """Everything about one node; who is neither partner nor applicant is shown by its ended contracts."""
    rows, contracts = await client.peers(), await client.contracts()
    messages = await client.messages(to=node_id)
    jobs = await client.jobs(state=_OPEN, q=node_id, limit=20)
    own = sorted((row for row in contracts if row.node_id == node_id), key=lambda row: -row.created_ms)
    known = [await client.peer(node_id)] if any(row.node_id == node_id for row in rows) else []
    found = [one for one in partners(known, own, messages) if one.node_id == node_id]
    partner = found[0] if found else Partner(node_id, None, own[0] if own else None)
    shared = [job for job in jobs.jobs if any(party.split(":", 1)[-1] == node_id for party in job.parties)]
    return Acquaintance(partner, own, messages, shared)


# -- the writes -------------------------------------------------------------------------------------------------------


def _changed(session: Session) -> None:
    session.publish(Changes(subjects=_SUBJECTS))


def ask_approval(screen: ConsoleScreen, session: Session, peer: PeerRow) -> None:
    """The other way of treating its jobs (L2)."""
    text = session.text
    mode = "manual" if peer.approval == "auto" else "auto"
    question = Question(
        title=text(f"peers.approval_{mode}_title", node=printable(peer.node_id)),
        facts=question_facts(
            [
                (text("peers.approval_now"), text(f"partner.approval_{peer.approval}")),
                (text("peers.approval_then"), text(f"partner.approval_{mode}")),
            ]
        ),
        fields=(),
        act=text("action.partner.approval"),
    )

    def done(row: PeerRow) -> None:
        session.say(text(f"peers.approval_{row.approval}_done", node=row.node_id), "ok")
        _changed(session)

    put_question(screen, session, question, lambda client, _: client.change_peer(peer.node_id, approval=mode), done)


def ask_remove(screen: ConsoleScreen, session: Session, peer: PeerRow) -> None:
    """Forget it (L3). The node refuses while a contract is in force or a job is open, and says so."""
    text = session.text
    question = Question(
        title=text("peers.remove_title", node=printable(peer.node_id)),
        facts=question_facts(
            [
                (text("contract.address"), printable(peer.url)),
                (text("peers.undelivered"), str(peer.undelivered)),
                (text("peers.remove_means_label"), text("peers.remove_means")),
            ]
        ),
        fields=(typed_id(session, peer.node_id),),
        act=text("action.partner.remove"),
        typed_confirmation=True,
    )

    async def send(client: NodeClient, _: dict[str, str]) -> str:
        await client.remove_peer(peer.node_id)
        return peer.node_id

    def done(node_id: str) -> None:
        session.say(text("partner.gone", node=node_id), "ok")
        if isinstance(screen, PartnerScreen) and screen.is_current:
            screen.app.pop_screen()
        _changed(session)

    put_question(screen, session, question, send, done)


def ask_add(screen: ConsoleScreen, session: Session) -> None:
    """A partner whose certificate came by another way; or one that cannot sign: then whoever reaches this node may
    speak in its name (L2)."""
    from embedded_scheduler.wire.console import PeerRequest  # noqa: PLC0415 - not before it is asked for
    from embedded_scheduler.wire.console_contracts import ManualContractRequest  # noqa: PLC0415

    text = session.text
    question = Question(
        title=text("peers.add_title"),
        facts=question_facts([(text("peers.add_means_label"), text("peers.add_means"))]),
        fields=(
            Field("node_id", text("peers.add_node"), required(text("peers.add_no_node")), 128),
            Field("url", text("peers.add_url"), required(text("peers.add_no_url")), 2000, "https://"),
            Field("profile", text("peers.add_profile"), required(text("peers.add_no_profile")), 40, "seed"),
            Field("certificate", text("peers.add_certificate"), anything),
        ),
        act=text("action.partner.add"),
    )

    async def send(client: NodeClient, values: dict[str, str]) -> PeerRow | None:
        node_id, url, profile, file = (values[name] for name in ("node_id", "url", "profile", "certificate"))
        if file:
            certificate = await load(session, _file(file))
            if certificate is None:
                return None
            await client.add_contract(
                ManualContractRequest(
                    node_id=node_id, url=url, auth_type="CERT", auth_credential=certificate, profile=profile
                )
            )
        signing = "required" if file else "off"
        return await client.add_peer(
            PeerRequest(node_id=node_id, url=url, profile=profile, signing=signing, approval="manual")
        )

    def done(row: PeerRow | None) -> None:
        if row is not None:
            unsigned = row.signing == "off"
            key = "peers.added" if unsigned else "peers.added_signed"
            session.say(text(key, node=row.node_id), "warn" if unsigned else "ok")
            _changed(session)

    put_question(screen, session, question, send, done)


def _file(typed: str) -> Path:
    return Path(typed).expanduser()


def ask_apply(screen: ConsoleScreen, session: Session) -> None:
    """Apply at a node that gave no code (L2)."""
    text = session.text

    def fingerprint_fault(typed: str) -> str:
        digits = "".join(typed.split()).lower()
        good = not digits or (len(digits) == _FINGERPRINT_DIGITS and set(digits) <= set("0123456789abcdef"))
        return "" if good else text("apply.bad_fingerprint")

    question = Question(
        title=text("apply.title"),
        facts=question_facts([(text("join.then"), text("join.compare"))]),
        fields=(
            Field("node_id", text("peers.add_node"), required(text("peers.add_no_node")), 256),
            Field("url", text("peers.add_url"), required(text("peers.add_no_url")), 2000, "https://"),
            Field("fingerprint", text("apply.fingerprint"), fingerprint_fault, 128),
            Field("address", text("apply.address"), anything),
        ),
        act=text("action.partner.apply"),
    )

    def applied(contract: ContractRow) -> None:
        session.say(text("join.done", node=contract.node_id), "ok")
        _changed(session)
        screen.app.push_screen(ContractScreen(session, contract.contract_id))

    put_question(
        screen,
        session,
        question,
        lambda client, v: client.apply(
            v["node_id"], v["url"], fingerprint="".join(v["fingerprint"].split()).lower(), address=v["address"]
        ),
        applied,
    )


def ask_invite(screen: ConsoleScreen, session: Session) -> None:
    """Make a code for one partner (L2)."""
    text = session.text

    def fault(typed: str) -> str:
        good = typed.isascii() and typed.isdecimal() and len(typed) < 5 and 0 < int(typed) <= _MOST_HOURS
        return "" if good else text("invite.bad_hours", most=_MOST_HOURS)

    question = Question(
        title=text("invite.title"),
        facts=question_facts([(text("invite.for"), text("invite.one_partner"))]),
        fields=(
            Field("hours", text("invite.hours"), fault, 4, "24"),
            Field("address", text("invite.address"), anything),
        ),
        act=text("action.partner.invite"),
    )

    def made(reply: InvitationReply) -> None:
        from nodeconsole.screens.invitation import InvitationScreen  # noqa: PLC0415

        screen.app.push_screen(InvitationScreen(session, reply))

    put_question(
        screen,
        session,
        question,
        lambda client, v: client.invite(hours=float(v["hours"]), address=v["address"]),
        made,
    )


def ask_join(screen: ConsoleScreen, session: Session, code: str = "") -> None:
    """Use a partner's code (L2)."""
    text = session.text
    question = Question(
        title=text("join.title"),
        facts=question_facts([(text("join.then"), text("join.compare"))]),
        fields=(Field("code", text("join.code"), required(text("join.no_code")), _LONGEST_CODE, code),),
        act=text("action.partner.join"),
    )

    def joined(contract: ContractRow) -> None:
        session.say(text("join.done", node=contract.node_id), "ok")
        _changed(session)
        screen.app.push_screen(ContractScreen(session, contract.contract_id))

    put_question(screen, session, question, lambda client, v: client.join(v["code"]), joined)
