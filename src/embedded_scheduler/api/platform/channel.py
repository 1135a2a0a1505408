"""The channel's south side: own components push, pop, peek and release on the loopback listener."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.channel import SELECTION_LIMIT, ClientGone, Exchange, mount
from embedded_scheduler.api.platform.authentication import from_a_browser
from embedded_scheduler.domain.identifiers import check_id
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.channel_ports import Arrival, Envelope
from embedded_scheduler.engine.channel_reading import SMALL
from embedded_scheduler.errors import InvalidRequest, TooLarge
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.wire import ptp, ptp_bodies


def register(app: Quart, channel: Channel, *, trust_loopback: bool = False) -> None:
    """Serve `/v1/interconn/chan/push|pop|peek|release` in front of `app`.

    Callers show the token of their attempt in `x-ptp-token`; with `trust_loopback` every program on this machine may
    call, but no web page through somebody's browser.
    """
    side = ComponentSide(channel, trust_loopback=trust_loopback)
    mount(
        app,
        {
            ptp.PUSH_PATH: side.push,
            ptp.POP_PATH: side.pop,
            ptp.PEEK_PATH: side.peek,
            ptp.RELEASE_PATH: side.release,
        },
    )


class ComponentSide:
    """The four handlers."""

    def __init__(self, channel: Channel, *, trust_loopback: bool) -> None:
        self._channel = channel
        self._trust_loopback = trust_loopback

    async def _admit(self, exchange: Exchange) -> str:
        session_id = check_id("x-ptp-session-id", exchange.required(ptp.SESSION_ID))
        if not self._trust_loopback or from_a_browser(name.encode("latin-1") for name in exchange.headers):
            await self._channel.admit_component(session_id, exchange.text(ptp.TOKEN))
        return session_id

    async def push(self, exchange: Exchange) -> None:
        """To the node named by `x-ptp-target-node-id`: kept here if that is this node, else streamed to it."""
        session_id = await self._admit(exchange)
        target = exchange.required(ptp.TARGET_NODE)
        form = ptp.form_of(exchange.headers)
        if exchange.size == 0:
            raise InvalidRequest("the message is empty")
        if exchange.size is not None and exchange.size > self._body_limit(form):
            raise TooLarge(f"a message has at most {self._body_limit(form)} bytes in this form")
        wait = ptp.wait_of(
            exchange.timeout, ptp.BLACK_BOX_PUSH_WAIT if form is ptp.Form.BLACK_BOX else ptp.DEFAULT_WAIT
        )
        # Built also for a forward: it refuses a form that is not served before anything is sent.
        parcel = ptp_bodies.push_body(exchange.headers, exchange.body(), self._channel.limits.body_bytes)
        nonce = exchange.text(ptp.NONCE)
        key = self._key(exchange)
        if target == self._channel.node_id:
            await self._channel.store(Arrival(session_id, target, wait, exchange.size or 0, nonce), parcel)
            self._channel.meter.sent(key, target, parcel.topic, exchange.size or 0)
            await exchange.answer(ptp.Code.OK)
            return
        envelope = Envelope(
            session_id=session_id,
            target=target,
            nonce=nonce,
            topic=parcel.topic,
            content_type=exchange.text("content-type"),
            trace_id=exchange.text(ptp.TRACE_ID),
            provider_code=exchange.text(ptp.PROVIDER_CODE) or exchange.text(ptp.PROVIDER_CODE_MISSPELT),
            source_inst=exchange.text(ptp.SOURCE_INST),
            target_inst=exchange.text(ptp.TARGET_INST),
        )
        small = exchange.size is not None and exchange.size <= SMALL
        body = await exchange.whole_body(SMALL) if small else exchange.body()
        with self._channel.meter.sending(key):
            verdict = await self._channel.push(envelope, body, wait=wait)
        if verdict.code == ptp.Code.OK:
            self._channel.meter.sent(key, target, parcel.topic, exchange.size or 0)
        await exchange.answer(verdict.code, verdict.message)

    @staticmethod
    def _key(exchange: Exchange) -> str:
        """Whose call it is, for the meter: as the attempt's row keeps its token."""
        return kept_of(exchange.text(ptp.TOKEN))

    def _body_limit(self, form: ptp.Form | None) -> int:
        if form is ptp.Form.JSON:
            return self._channel.limits.body_bytes
        # What frames the payload (topic, metadata) does not count against it.
        return self._channel.limits.channel_message_bytes + SELECTION_LIMIT

    async def pop(self, exchange: Exchange) -> None:
        """The oldest message of a topic; waits for one, and answers OK without payload when none came."""
        session_id = await self._admit(exchange)
        selection = await self._selection(exchange)
        key = self._key(exchange)
        async with exchange.watched() as gone:
            with self._channel.meter.waiting(key):
                lease = await self._channel.pop(
                    session_id, selection.topic, self._sender(exchange), wait=selection.wait, until=gone
                )
            if lease is None:
                if gone.done():
                    raise ClientGone
                await exchange.answer(ptp.Code.OK)
                return
            try:
                await exchange.deliver(lease, gone)
            except BaseException:
                lease.put_back()
                raise
            lease.done()
            self._channel.meter.received(key, lease.sender, selection.topic, lease.size)

    async def peek(self, exchange: Exchange) -> None:
        """The oldest message of a topic, which stays; OK without payload when there is none."""
        session_id = await self._admit(exchange)
        selection = await self._selection(exchange)
        glance = self._channel.peek(session_id, selection.topic, self._sender(exchange))
        if glance is None:
            await exchange.answer(ptp.Code.OK)
            return
        try:
            async with exchange.watched() as gone:
                await exchange.deliver(glance, gone)
        finally:
            glance.close()

    async def release(self, exchange: Exchange) -> None:
        session_id = await self._admit(exchange)
        selection = await self._selection(exchange)
        await self._channel.release(session_id, selection.topic)
        await exchange.answer(ptp.Code.OK)

    async def _selection(self, exchange: Exchange) -> ptp.Selection:
        form = ptp.form_of(exchange.headers)
        body = await exchange.whole_body(SELECTION_LIMIT)
        if form is None:
            if exchange.path != ptp.RELEASE_PATH or body:
                raise InvalidRequest(f"name the topic in the header {ptp.TOPIC}, or send {ptp.JSON_TYPE}")
            form = ptp.Form.JSON
        return ptp.read_selection(exchange.path, form, exchange.headers, exchange.timeout, body)

    def _sender(self, exchange: Exchange) -> str | None:
        """On the reading side `x-ptp-target-node-id` names the sender; missing, or this node itself = any sender."""
        named = exchange.text(ptp.TARGET_NODE)
        return None if named in ("", self._channel.node_id) else named
