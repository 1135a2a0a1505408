"""What was sent to partners and how far each message has come; one can be sent again or carried by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.confirm import at_once
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.saving import load, read_object, save
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.contracts import is_undelivered
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.messages import message_cells, message_columns, message_facts, message_why
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded_scheduler.wire.console_grants import MessageRow

_MOST = 500


class MessagesScreen(InventoryScreen):
    """`to` empty = to everybody."""

    SCOPES: ClassVar[tuple[str, ...]] = ("messages", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 6
    DEFAULT_CSS = """
    MessagesScreen #list.-below #preview { height: 6; }
    """

    def __init__(self, session: Session, to: str = "") -> None:
        listing: Listing[MessageRow] = Listing(
            "messages",
            lambda row: str(row.id),
            message_columns,
            message_cells,
            values={"age": lambda row, _: -row.created_ms, "next": lambda row, _: row.next_ms},
            problem=lambda row: row.state == "refused" or is_undelivered(row),
            facts=message_facts,
            document=as_document,
            title=lambda row: f"{row.operation} {row.node_id}",
        )
        subjects = frozenset({"message", "contract", "grant", "peer", "job"})
        super().__init__(session, Kind(listing, subjects, lambda client: client.messages(to=to or None, limit=_MOST)))
        self._to = to

    def heading(self) -> str:
        heading = super().heading()
        return f"{heading} > {printable(self._to)}" if self._to else heading

    @property
    def message(self) -> MessageRow | None:
        found: MessageRow | None = self.main.item
        return found

    def why(self) -> Line:
        return () if self.message is None else message_why(self.message, self.session.display())

    def offered(self) -> Sequence[str]:
        status = self.session.status
        carried = ["carry"] if status is not None and status.role == "admin" else []
        return [*(self.message.actions if self.message is not None else ()), *carried]

    def act_messages_resend(self, *_: str) -> None:
        message, text = self.message, self.session.text
        if message is None:
            return

        def done(sent: MessageRow) -> None:
            self.session.say(text("peers.resent", what=sent.operation), "ok")
            self.session.publish(Changes(subjects=frozenset({"message"})))

        what = text("messages.resending", what=message.operation, node=message.node_id)
        at_once(self, self.session, what, lambda client: client.resend_message(message.id), done)

    def act_messages_export(self, *paths: str) -> None:
        if self.message is not None and not paths:
            self.open_prompt("export", f"{self.session.text('messages.export_to')}:", f"message-{self.message.id}.json")
        elif paths:
            self.prompt_entered("export", " ".join(paths))

    def act_messages_import(self, *paths: str) -> None:
        if paths:
            self.prompt_entered("import", " ".join(paths))
        else:
            self.open_prompt("import", f"{self.session.text('messages.import_from')}:")

    def prompt_entered(self, kind: str, text: str) -> None:
        path = Path(text.strip()).expanduser()
        if text.strip() and kind == "export" and self.message is not None:
            self.app.run_worker(self._export(self.message.id, path), group="writes")
        elif text.strip() and kind == "import":
            self.app.run_worker(self._import(path), group="writes")
        else:
            super().prompt_entered(kind, text)

    async def _export(self, message_id: int, path: Path) -> None:
        document = await self.session.ask(lambda client: client.export_message(message_id))
        if document is not None:
            await save(self.session, path, _text(document))

    async def _import(self, path: Path) -> None:
        text, session = self.session.text, self.session
        content = await load(session, path)
        if content is None:
            return
        document = read_object(session, path, content)
        if document is None:
            return
        answer = await session.ask(lambda client: client.import_message(document))
        if answer is None:
            return
        # The answer to an answer is empty: there is nothing to carry back.
        beside = path.with_name(f"{path.name}.answer")
        if not answer:
            session.say(text("messages.imported"), "ok")
        elif await save(session, beside, _text(answer)):
            session.say(text("messages.answered", path=beside), "ok")
        session.publish(Changes(subjects=frozenset({"message", "grant"})))


def _text(document: dict[str, object]) -> str:
    return json.dumps(document, indent=1) + "\n"
