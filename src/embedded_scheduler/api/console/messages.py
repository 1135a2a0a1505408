"""`/messages`: what was sent to partners and how far it has come."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.api.courier import Courier
from embedded_scheduler.engine import receipts as verbs
from embedded_scheduler.engine.receipts import Receipt
from embedded_scheduler.errors import InvalidRequest, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.wire.console_grants import MessageFile, MessagePage, MessageRow

_LONGEST_PAGE = 500


def install(app: Quart, console: Console) -> None:
    messages = Messages(console)
    endpoint.route(app, "GET", "/messages", messages.page)
    endpoint.route(app, "GET", "/messages/<message_id>", messages.show)
    endpoint.route(app, "POST", "/messages/<message_id>/resend", messages.resend)
    endpoint.route(app, "POST", "/messages/<message_id>/export", messages.export)
    endpoint.route(app, "POST", "/messages/import", messages.take)


class Messages:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def page(self) -> MessagePage:
        limit = endpoint.number_query("limit", 200, low=1, high=_LONGEST_PAGE)
        found = await verbs.listing(self._engine, node_id=endpoint.text_query("to"), limit=limit)
        return MessagePage(messages=[message_row(receipt) for receipt in found])

    async def show(self, message_id: str) -> MessageRow:
        return message_row(await verbs.show(self._engine, _number(message_id)))

    async def resend(self, message_id: str) -> MessageRow:
        return message_row(await verbs.resend(self._engine, _number(message_id)))

    async def export(self, message_id: str) -> MessageFile:
        """Holds a permit's token when the message gives one, so it is for administrators."""
        return MessageFile(document=await _courier(self._console).export(_number(message_id)))

    async def take(self) -> MessageFile:
        """The answer to hand back; empty when the file was an answer itself."""
        file = await endpoint.body_message(MessageFile, self._console.depth)
        return MessageFile(document=await _courier(self._console).take(file.document) or {})


def _courier(console: Console) -> Courier:
    if console.courier is None:
        raise Unavailable(say("no_courier"))
    return console.courier


def message_row(receipt: Receipt) -> MessageRow:
    message = receipt.message
    return MessageRow(
        id=message.id,
        node_id=message.node_id,
        operation=message.operation,
        subject=receipt.subject,
        state=receipt.state,
        attempts=message.attempts,
        last_error=message.last_error,
        created_ms=message.created_ms,
        next_ms=message.next_ms,
        opened_ms=receipt.opened_ms,
        actions=["resend"] if _can_go_again(receipt) else [],
    )


def _can_go_again(receipt: Receipt) -> bool:
    return receipt.state in ("queued", "sent") or (receipt.state == "refused" and not receipt.message.job_id)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise InvalidRequest(say("message_number"))
    return int(text)
