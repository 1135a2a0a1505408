"""The writes about data: showing it, granting and revoking, reading a source again, forgetting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from nodeconsole.screens.confirm import at_once, put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Field, Question, anything
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.data import OwnData, audience
from nodeconsole.viewmodels.grants import kind_name
from nodeconsole.viewmodels.text import printable, short_id

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetRow
    from embedded_scheduler.wire.console_grants import GrantRow, PartnerDatasetRow, PublicationRow, RevokeReply
    from nodeconsole.client import NodeClient

_SUBJECTS = frozenset({"dataset", "grant"})
_FEW_JOBS = 4


def offered(row: Any, *, admin: bool) -> list[str]:
    """What can be done to one row, in the words of the section: register, rescan, remove, grant, take_back."""
    found = ["register"] if admin else []
    if isinstance(row, OwnData):
        actions = row.dataset.actions
        found += [name for name in ("rescan", "remove") if name in actions]
        if "publish" in actions:
            found += ["grant", "take_back"] if row.publication is not None else ["grant"]
    elif hasattr(row, "grant_id"):
        if "approve" in row.actions:
            found.append("grant")
        if {"reject", "revoke"} & set(row.actions):
            found.append("take_back")
    elif admin and hasattr(row, "owner"):
        found.append("grant")
    return found


def give(screen: Screen[None], session: Session, row: Any) -> None:
    """Show our dataset, decide a request on its card, or ask for a partner's."""
    if isinstance(row, OwnData):
        ask_publish(screen, session, row)
    elif hasattr(row, "grant_id"):
        _open_card(screen, session, row)
    elif row is not None:
        ask_for(screen, session, row)


def take_back(screen: Screen[None], session: Session, row: Any) -> None:
    if isinstance(row, OwnData):
        ask_unpublish(screen, session, row)
    elif "revoke" in row.actions:
        ask_revoke(screen, session, row)
    else:
        _open_card(screen, session, row)


def _open_card(screen: Screen[None], session: Session, grant: GrantRow) -> None:
    from nodeconsole.screens.grant import GrantScreen  # noqa: PLC0415 - loaded when it is asked for

    screen.app.push_screen(GrantScreen(session, grant.grant_id))


def _done(session: Session, said: str) -> None:
    session.say(said, "ok")
    session.publish(Changes(subjects=_SUBJECTS))


def rescan(screen: Screen[None], session: Session, dataset: DatasetRow) -> None:
    text = session.text

    def done(row: DatasetRow) -> None:
        same = row.fingerprint == dataset.fingerprint
        key = "data.rescan_same" if same else "data.rescan_changed"
        _done(session, text(key, name=row.dataset_id, rows=row.rows))

    what = text("data.rescanning", name=dataset.dataset_id)
    at_once(screen, session, what, lambda client: client.rescan_dataset(dataset.namespace, dataset.name), done)


def ask_remove(screen: Screen[None], session: Session, own: OwnData) -> None:
    """Forget the registration (L3); the source stays."""
    text, dataset = session.text, own.dataset
    question = Question(
        title=text("data.remove_title", name=printable(dataset.dataset_id)),
        facts=question_facts(
            [
                (text("data.shown_to"), audience(own.publication, session.display()).text),
                (text("datasets.column.grants").lower(), str(len(own.grants))),
                (text("data.means"), text("data.remove_means")),
            ]
        ),
        fields=(typed_id(session, dataset.dataset_id),),
        act=text("action.data.remove"),
        typed_confirmation=True,
    )

    async def send(client: NodeClient, _: dict[str, str]) -> str:
        await client.remove_dataset(dataset.namespace, dataset.name)
        return dataset.dataset_id

    put_question(screen, session, question, send, lambda name: _done(session, text("data.removed", name=name)))


def ask_publish(screen: Screen[None], session: Session, own: OwnData) -> None:
    """Who sees it, which columns, and whether a job needs a permit (L2)."""
    from embedded_scheduler.wire.console_grants import PublicationRequest  # noqa: PLC0415 - not before it is asked for

    text, dataset, known = session.text, own.dataset, own.publication
    names = {column.name for column in dataset.columns}
    shown = [column.name for column in known.columns] if known is not None else []
    every = known is None or len(shown) == len(names)

    def columns_fault(typed: str) -> str:
        missing = [name for name in typed.split() if name not in names]
        return text("data.no_column", name=printable(missing[0])) if missing else ""

    def access_fault(typed: str) -> str:
        return "" if typed in ("approval", "permit") else text("data.bad_access")

    question = Question(
        title=text("data.publish_title", name=printable(dataset.dataset_id)),
        facts=question_facts([(text("data.shown_to"), audience(known, session.display()).text)]),
        fields=(
            Field("to", text("data.publish_to"), anything, 2000, " ".join(known.audience) if known else ""),
            Field("columns", text("data.publish_columns"), columns_fault, 4000, "" if every else " ".join(shown)),
            Field("access", text("data.publish_access"), access_fault, 20, known.access if known else "approval"),
        ),
        act=text("action.data.grant"),
    )

    def send(client: NodeClient, values: dict[str, str]) -> Any:
        request = PublicationRequest(
            access=values["access"],
            audience=values["to"].split(),
            columns=values["columns"].split(),
            description=known.description if known else "",
            category=known.category if known else "",
        )
        return client.publish(dataset.namespace, dataset.name, request)

    def done(row: PublicationRow) -> None:
        to = audience(row, session.display()).text
        _done(session, text("data.published", name=row.dataset_id, to=to))

    put_question(screen, session, question, send, done)


def ask_unpublish(screen: Screen[None], session: Session, own: OwnData) -> None:
    """Show it to nobody (L3); what was granted stays."""
    text, dataset = session.text, own.dataset
    facts = [
        (text("data.shown_to"), audience(own.publication, session.display()).text),
        (text("data.means"), text("data.unpublish_means", n=len(own.grants))),
    ]
    question = Question(
        title=text("data.unpublish_title", name=printable(dataset.dataset_id)),
        facts=question_facts(facts),
        fields=(typed_id(session, dataset.dataset_id),),
        act=text("action.data.revoke"),
        typed_confirmation=True,
    )

    async def send(client: NodeClient, _: dict[str, str]) -> str:
        await client.unpublish(dataset.namespace, dataset.name)
        return dataset.dataset_id

    put_question(screen, session, question, send, lambda name: _done(session, text("data.unpublished", name=name)))


def ask_revoke(screen: Screen[None], session: Session, grant: GrantRow) -> None:
    """Take a grant back (L3). The jobs under way that came with it are named before."""
    text = session.text
    jobs = " ".join(map(short_id, grant.open_jobs[:_FEW_JOBS]))
    more = f" +{len(grant.open_jobs) - _FEW_JOBS}" if len(grant.open_jobs) > _FEW_JOBS else ""
    facts = [
        (text("card.asked_by"), printable(grant.node_id)),
        (text("grant.wants"), f"{kind_name(grant.kind, session.display())} {printable(grant.resource_id)}"),
        (text("grants.open_jobs"), f"{jobs}{more}" if jobs else text("grants.no_open_jobs")),
    ]
    fields = [typed_id(session, grant.grant_id), Field("reason", text("stop.reason"), anything)]
    if grant.open_jobs:
        fields.insert(1, Field("stop", text("grants.stop_too"), _yes_or_no(session), 8, "no"))
    question = Question(
        title=text("grants.revoke_title"),
        facts=question_facts(facts),
        fields=tuple(fields),
        act=text("action.data.revoke"),
        typed_confirmation=True,
    )

    def done(reply: RevokeReply) -> None:
        what = printable(reply.grant.resource_id)
        _done(session, text("grants.revoked", what=what, node=reply.grant.node_id, n=len(reply.jobs)))

    put_question(
        screen,
        session,
        question,
        lambda client, v: client.revoke_grant(grant.grant_id, v["reason"], stop_jobs=v.get("stop") == "yes"),
        done,
        undo=f"{question.act} {printable(grant.resource_id)}",
    )


def _yes_or_no(session: Session) -> Callable[[str], str]:
    return lambda typed: "" if typed in ("yes", "no") else session.text("grants.yes_or_no")


def ask_for(screen: Screen[None], session: Session, row: PartnerDatasetRow) -> None:
    """Ask a partner for its dataset (L2)."""
    from embedded_scheduler.wire.console_grants import GrantRequest  # noqa: PLC0415 - not before it is asked for

    text = session.text

    def times_fault(typed: str) -> str:
        good = not typed or (typed.isascii() and typed.isdecimal() and len(typed) < 10 and int(typed) > 0)
        return "" if good else text("grant.bad_times")

    question = Question(
        title=text("theirs.ask_title", node=printable(row.node_id)),
        facts=question_facts([(text("datasets.id"), printable(row.dataset_id))]),
        fields=(Field("times", text("theirs.ask_times"), times_fault, 10),),
        act=text("theirs.ask"),
    )

    def send(client: NodeClient, values: dict[str, str]) -> Any:
        members = {"times_limit": int(values["times"])} if values["times"] else {}
        request = GrantRequest(kind="dataset", node_id=row.node_id, resource_id=row.dataset_id, members=members)
        return client.request_grant(request)

    def done(grant: GrantRow) -> None:
        _done(session, text("theirs.asked", what=grant.resource_id, node=grant.node_id))

    put_question(screen, session, question, send, done)
