"""What an administrator looks at now and then: tokens, secrets, the policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Field, Question, required
from nodeconsole.screens.editing import NoEditor, edit_outside
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.saving import load, read_object
from nodeconsole.screens.session import Session
from nodeconsole.screens.sheet import LinesScreen
from nodeconsole.viewmodels.administration import (
    policy_page,
    secret_cells,
    secret_columns,
    token_cells,
    token_columns,
    trial_lines,
)
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.viewmodels.times import DAY
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_policy import PolicyRow, PolicyTestReply
    from embedded_scheduler.wire.console_secrets import SecretRow
    from embedded_scheduler.wire.console_tokens import TokenCreated, TokenRow
    from nodeconsole.client import NodeClient

_TRIED = 20
_MOST_DAYS = 3650
_TRIAL = "trial"


def is_admin(session: Session) -> bool:
    return session.status is not None and session.status.role == "admin"


class TokensScreen(InventoryScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("tokens", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 0

    def __init__(self, session: Session) -> None:
        listing: Listing[TokenRow] = Listing(
            "tokens",
            lambda row: row.token_id,
            token_columns,
            token_cells,
            document=as_document,
            title=lambda row: row.name,
        )
        super().__init__(session, Kind(listing, frozenset({"token"}), lambda client: client.tokens()))

    @property
    def token(self) -> TokenRow | None:
        found: TokenRow | None = self.main.item
        return found

    def offered(self) -> Sequence[str]:
        if not is_admin(self.session):
            return ()
        return ("create", "end_token") if self.token is not None and self.token.state == "valid" else ("create",)

    def act_tokens_create(self, *_: str) -> None:
        session, text = self.session, self.session.text

        def days_fault(typed: str) -> str:
            good = not typed or (
                typed.isascii() and typed.isdecimal() and len(typed) < 6 and 0 < int(typed) <= _MOST_DAYS
            )
            return "" if good else text("tokens.bad_days")

        question = Question(
            title=text("tokens.create_title"),
            facts=question_facts([(text("tokens.shown"), text("tokens.once"))]),
            fields=(
                Field("name", text("tokens.name"), required(text("tokens.no_name")), 200),
                Field("scopes", text("tokens.scopes"), required(text("tokens.no_scopes")), 200, "all"),
                Field("days", text("tokens.days"), days_fault, 6, "90"),
            ),
            act=text("action.tokens.create"),
        )

        async def send(client: NodeClient, values: dict[str, str]) -> TokenCreated:
            lasts = int(values["days"]) * DAY if values["days"] else None
            return await client.create_token(values["name"], values["scopes"].split(), lasts_ms=lasts)

        def done(made: TokenCreated) -> None:
            def lines(width: int) -> list[Line]:
                shown: list[Line] = [(Span(part, "strong"),) for part in wrap(printable(made.text), width)]
                return [*shown, (), *((Span(part, "wait"),) for part in wrap(text("tokens.keep"), width))]

            self.app.push_screen(LinesScreen(session, lambda: printable(made.token.name), lines))
            session.publish(Changes(subjects=frozenset({"token"})))

        put_question(self, session, question, send, done)

    def act_tokens_revoke(self, *_: str) -> None:
        token, text, session = self.token, self.session.text, self.session
        if token is None:
            return
        question = Question(
            title=text("tokens.revoke_title", name=printable(token.name)),
            facts=question_facts([(text("data.means"), text("tokens.revoke_means"))]),
            fields=(typed_id(session, token.name),),
            act=text("action.tokens.revoke"),
            typed_confirmation=True,
        )

        def done(row: TokenRow) -> None:
            session.say(text("tokens.revoked", name=row.name), "ok")
            session.publish(Changes(subjects=frozenset({"token"})))

        put_question(self, session, question, lambda client, _: client.revoke_token(token.name), done)


class SecretsScreen(InventoryScreen):
    """Names and dates: no value ever comes out of the node."""

    SCOPES: ClassVar[tuple[str, ...]] = ("secrets", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 0

    def __init__(self, session: Session) -> None:
        listing: Listing[SecretRow] = Listing(
            "secrets", lambda row: row.name, secret_columns, secret_cells, document=as_document
        )
        super().__init__(session, Kind(listing, frozenset({"secret"}), lambda client: client.secrets()))

    def offered(self) -> Sequence[str]:
        if not is_admin(self.session):
            return ()
        return ("put", "forget") if self.main.item is not None else ("put",)

    def act_secrets_put(self, *names: str) -> None:
        session, text = self.session, self.session.text
        question = Question(
            title=text("secrets.put_title"),
            facts=question_facts([(text("secrets.value_label"), text("secrets.sealed"))]),
            fields=(
                Field("name", text("secrets.name"), required(text("secrets.no_name")), 200, " ".join(names)),
                Field("value", text("secrets.value"), required(text("secrets.no_value")), 60_000, masked=True),
            ),
            act=text("action.secrets.put"),
        )

        def done(row: SecretRow) -> None:
            session.say(text("secrets.kept", name=row.name), "ok")
            session.publish(Changes(subjects=frozenset({"secret"})))

        put_question(self, session, question, lambda client, v: client.put_secret(v["name"], v["value"]), done)

    def act_secrets_remove(self, *_: str) -> None:
        secret, session, text = self.main.item, self.session, self.session.text
        if secret is None:
            return
        question = Question(
            title=text("secrets.remove_title", name=printable(secret.name)),
            facts=question_facts([(text("data.means"), text("secrets.remove_means"))]),
            fields=(typed_id(session, secret.name),),
            act=text("action.secrets.remove"),
            typed_confirmation=True,
        )

        async def send(client: NodeClient, _: dict[str, str]) -> str:
            await client.remove_secret(secret.name)
            return str(secret.name)

        def done(name: str) -> None:
            session.say(text("secrets.removed", name=name), "ok")
            session.publish(Changes(subjects=frozenset({"secret"})))

        put_question(self, session, question, send, done)


class PolicyScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("policy", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._policy: PolicyRow | None = None

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="policy")

    @property
    def main(self) -> Sheet:
        return self.query_one("#policy", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self.session.text('policy.heading')}", "accent"),), ()

    def offered(self) -> Sequence[str]:
        return ("edit",) if is_admin(self.session) and self._policy is not None else ()

    def repaint_body(self) -> None:
        if self._policy is not None:
            lines = policy_page(self._policy, self.session.display(), max(20, self.main.view_width - 2))
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and "policy" not in changes.subjects:
            return True
        policy = await self.session.ask(lambda client: client.policy())
        if policy is None:
            return False
        self._policy = policy
        self.retranslate()
        return True

    def act_policy_edit(self, *_: str) -> None:
        """In the operator's editor; nothing is set before it was agreed to."""
        policy, session, text = self._policy, self.session, self.session.text
        if policy is None:
            return
        try:
            edited = edit_outside(self.app, policy.text, suffix=".toml")
        except NoEditor as error:
            session.say(text("form.no_editor", why=error), "bad")
            return
        if edited == policy.text:
            session.say(text("policy.same"), "dim")
            return
        question = Question(
            title=text("policy.set_title"),
            facts=question_facts([(text("data.means"), text("policy.set_means", n=policy.version + 1))]),
            fields=(),
            act=text("action.policy.edit"),
        )

        def done(row: PolicyRow) -> None:
            session.say(text("policy.set", n=row.version), "ok")
            session.publish(Changes(subjects=frozenset({"policy"})))

        put_question(
            self, session, question, lambda client, _: client.set_policy(edited, expected=policy.version), done
        )

    def act_policy_test(self, *_: str) -> None:
        self.run_worker(self._try(), group="policy")

    def act_policy_trial(self, *paths: str) -> None:
        """Of a job file, what the policy in force would do with it; of a policy file, what it would have done."""
        if paths:
            self.prompt_entered(_TRIAL, " ".join(paths))
        else:
            self.open_prompt(_TRIAL, f"{self.session.text('policy.trial_of')}:")

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == _TRIAL and text.strip():
            self.run_worker(self._try_file(Path(text.strip()).expanduser()), group="policy")
        else:
            super().prompt_entered(kind, text)

    async def _try(self) -> None:
        self._show(await self.session.ask(lambda client: client.test_policy(last=_TRIED)))

    async def _try_file(self, path: Path) -> None:
        content = await load(self.session, path)
        if content is None:
            return
        if not content.lstrip().startswith("{"):
            # A job file is a JSON object; TOML never begins like one.
            self._show(await self.session.ask(lambda client: client.test_policy(last=_TRIED, text=content)), path.name)
            return
        document = read_object(self.session, path, content)
        if document is not None:
            self._show(await self.session.ask(lambda client: client.test_policy(document)), path.name)

    def _show(self, reply: PolicyTestReply | None, of: str = "") -> None:
        if reply is not None:
            title = f"{self.session.text('action.policy.test')} {printable(of)}".rstrip()
            self.app.push_screen(
                LinesScreen(
                    self.session, lambda: title, lambda width: trial_lines(reply, self.session.display(), width)
                )
            )
