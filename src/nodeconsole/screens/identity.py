"""Who this node is: the key that partners compare, what is given out of it, a certificate of the institution's CA."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from algorithm_components.sdk.forms.model import Choice
from nodeconsole.actions import GLOBAL
from nodeconsole.screens.administration import is_admin
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.saving import load, save
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.administration import identity_lines
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.facts import when
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import IdentityRow
    from nodeconsole.client import NodeClient

_EXPORTS = {"certificate": "pem", "public-key": "pub.pem", "csr": "csr"}
"""What is given out, by the command line's words for it, and how its file's name ends."""
_EXPORT = "export"
_IMPORT = "import"


class IdentityScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("identity", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._identity: IdentityRow | None = None

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="identity")

    @property
    def main(self) -> Sheet:
        return self.query_one("#identity", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self.session.text('identity.heading')}", "accent"),), ()

    def offered(self) -> Sequence[str]:
        return ("rotate", "import") if is_admin(self.session) and self._identity is not None else ()

    def repaint_body(self) -> None:
        if self._identity is not None:
            lines = identity_lines(self._identity, self.session.display(), max(20, self.main.view_width - 2))
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.subjects & {"identity", "node", "message"}:
            return True
        identity = await self.session.ask(lambda client: client.identity())
        if identity is None:
            return False
        self._identity = identity
        self.retranslate()
        return True

    def act_identity_rotate(self, *_: str) -> None:
        """Begin with a new key, or go on (L3). Partners are told first; both keys count meanwhile."""
        identity, session, text = self._identity, self.session, self.session.text
        if identity is None:
            return
        question = Question(
            title=text("identity.rotate_title"),
            facts=question_facts([(text("data.means"), text("identity.rotate_means"))]),
            fields=(typed_id(session, identity.fingerprint),),
            act=text("action.identity.rotate"),
            typed_confirmation=True,
        )

        def done(row: IdentityRow) -> None:
            key = "identity.rotation_begun" if row.next_fingerprint else "identity.rotated"
            session.say(text(key, n=len(row.waiting_for)), "ok")
            session.publish(Changes(subjects=frozenset({"identity"})))

        put_question(self, session, question, lambda client, _: client.rotate_identity(), done)

    def act_identity_export(self, *words: str) -> None:
        """What everybody may have, into a new file: which of it is asked unless `words` begin with it."""
        text = self.session.text
        if words and words[0] in _EXPORTS:
            self._export_to(words[0], " ".join(words[1:]))
            return
        choices = [Choice(what, text(f"identity.export_{what.replace('-', '_')}")) for what in _EXPORTS]

        def chosen(what: list[str] | None) -> None:
            if what:
                self._export_to(what[0], " ".join(words))

        question = ChoiceScreen(self.session, text("identity.export_title"), choices, [], values=False)
        self.app.push_screen(question, chosen)

    def _export_to(self, what: str, path: str) -> None:
        if path:
            self.prompt_entered(f"{_EXPORT} {what}", path)
        elif self._identity is not None:
            name = f"{self._identity.node_id}.{_EXPORTS[what]}"
            self.open_prompt(f"{_EXPORT} {what}", f"{self.session.text('identity.export_to')}:", name)

    def act_identity_import(self, *paths: str) -> None:
        if paths:
            self.prompt_entered(_IMPORT, " ".join(paths))
        else:
            self.open_prompt(_IMPORT, f"{self.session.text('identity.import_from')}:")

    def prompt_entered(self, kind: str, text: str) -> None:
        path = Path(text.strip()).expanduser()
        if text.strip() and kind == _IMPORT:
            self.app.run_worker(self._ask_import(path), group="writes")
        elif text.strip() and kind.startswith(_EXPORT):
            self.app.run_worker(self._export(kind.removeprefix(f"{_EXPORT} "), path), group="writes")
        else:
            super().prompt_entered(kind, text)

    async def _export(self, what: str, path: Path) -> None:
        async def asked(client: NodeClient) -> str:
            if what == "csr":
                return await client.certificate_request()
            identity = await client.identity()
            return identity.public_key if what == "public-key" else identity.certificate

        content = await self.session.ask(asked)
        if content is not None:
            await save(self.session, path, content)

    async def _ask_import(self, path: Path) -> None:
        """Use a certificate that a CA made for this node's key (L2); the node refuses one for another key."""
        content = await load(self.session, path)
        if content is None:
            return
        session, text = self.session, self.session.text
        question = Question(
            title=text("identity.import_title"),
            facts=question_facts(
                [
                    (text("identity.import_file"), printable(str(path))),
                    (text("data.means"), text("identity.import_means")),
                ]
            ),
            fields=(),
            act=text("action.identity.import"),
        )

        def done(row: IdentityRow) -> None:
            until = when(row.not_after_ms, session.display())
            session.say(text("identity.imported", issuer=printable(row.issuer), until=until), "ok")
            session.publish(Changes(subjects=frozenset({"identity"})))

        put_question(self, session, question, lambda client, _: client.import_certificate(content), done)
