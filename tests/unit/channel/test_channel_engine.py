"""The channel's rules on real files, without HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedded_scheduler.clock import RandomMint
from embedded_scheduler.config import Limits
from embedded_scheduler.engine import channel as module
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.channel_ports import Arrival, BufferFull, Envelope, NotNetworked, SessionOver, Verdict
from embedded_scheduler.engine.channel_reading import Lease
from embedded_scheduler.engine.channel_session import MESSAGE_OVERHEAD, Session
from embedded_scheduler.errors import Forbidden, InvalidRequest, TimedOut, TooLarge, Unavailable

OK = Verdict("E0000000000", "")
MIB = 1024 * 1024


class HandClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Policy:
    def __init__(self) -> None:
        self.members: dict[str, frozenset[str]] = {"s": frozenset({"us", "alice", "bob"})}
        self.tokens: dict[str, str] = {"s": "token"}
        self.partners = {"alice", "bob"}
        self.asked = 0

    async def authorise(self, session_id: str, token: str) -> bool:
        self.asked += 1
        return self.tokens.get(session_id) == token

    async def session_members(self, session_id: str) -> frozenset[str] | None:
        return self.members.get(session_id)

    def knows_partner(self, node_id: str) -> bool:
        return node_id in self.partners


class Forwarder:
    """Answers from a script: a verdict to return or an exception to raise; `read` = use up the body first."""

    def __init__(self, *script: Verdict | Exception, read: bool = False) -> None:
        self.script = list(script)
        self.read = read
        self.seen: list[tuple[Envelope, bytes]] = []

    async def invoke(self, envelope: Envelope, body: bytes | AsyncIterator[bytes], *, wait: float) -> Verdict:
        content = body if isinstance(body, bytes) else b""
        if self.read and not isinstance(body, bytes):
            content = b"".join([chunk async for chunk in body])
        self.seen.append((envelope, content))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class Message:
    def __init__(self, topic: str, *chunks: bytes, metadata: dict[str, str] | None = None) -> None:
        self.topic = topic
        self.metadata = metadata or {}
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


class Setup:
    def __init__(self, root: Path, **limits: int) -> None:
        self.root = root
        self.clock = HandClock()
        self.policy = Policy()
        self.limits = Limits(**limits)
        self.forwarder = Forwarder()
        self.channel = self.restart()

    def restart(self) -> Channel:
        """A fresh channel over what is on disk, as after the death of the process."""
        self.channel = Channel(
            root=self.root,
            limits=self.limits,
            clock=self.clock,
            mint=RandomMint(),
            node_id="us",
            policy=self.policy,
            forwarder=self.forwarder,
            inst_id="inst",
        )
        self.channel.open()
        return self.channel

    async def store(
        self, data: bytes, sender: str = "alice", topic: str = "t", session: str = "s", **more: object
    ) -> None:
        wait = more.get("wait", 0.05)
        assert isinstance(wait, float | int)
        arrival = Arrival(session, sender, wait, len(data), str(more.get("nonce", "")))
        await self.channel.store(arrival, Message(topic, data))

    async def take(self, sender: str | None = "alice", topic: str = "t", session: str = "s") -> bytes | None:
        lease = await self.channel.pop(session, topic, sender, wait=0)
        if lease is None:
            return None
        data = await content(lease)
        lease.done()
        return data

    def files(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith("~")]


def unread(channel: Channel) -> dict[str, Session]:
    """The sessions with unread messages."""
    return {name: session for name, session in channel._sessions.items() if session.files.unread}


async def content(lease: Lease) -> bytes:
    return b"".join([chunk async for chunk in lease.chunks()])


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path / "channel")


async def test_first_in_first_out_per_sender_and_topic(setup: Setup) -> None:
    for data, sender, topic in [(b"1", "alice", "t"), (b"2", "bob", "t"), (b"3", "alice", "u"), (b"4", "alice", "t")]:
        await setup.store(data, sender, topic)
    assert [await setup.take("alice"), await setup.take("alice"), await setup.take("alice")] == [b"1", b"4", None]
    assert await setup.take("bob") == b"2"
    assert await setup.take("alice", "u") == b"3"
    assert not setup.files()


async def test_without_a_sender_the_oldest_of_all_comes_first_also_after_a_restart(setup: Setup) -> None:
    for number in range(6):
        await setup.store(b"%d" % number, ("bob", "alice")[number % 2])
    assert [await setup.take(None) for _ in range(3)] == [b"0", b"1", b"2"]
    setup.restart()
    await setup.store(b"6", "bob")
    assert [await setup.take(None) for _ in range(5)] == [b"3", b"4", b"5", b"6", None]


async def test_a_lease_hides_the_message_and_putting_back_restores_its_place(setup: Setup) -> None:
    await setup.store(b"1")
    await setup.store(b"2")
    lease = await setup.channel.pop("s", "t", "alice", wait=0)
    assert lease is not None
    glance = setup.channel.peek("s", "t", "alice")
    assert glance is not None
    assert [chunk async for chunk in glance.chunks()] == [b"2"]
    glance.close()
    lease.put_back()
    assert [await setup.take(), await setup.take()] == [b"1", b"2"]


async def test_a_leased_message_is_there_again_after_a_crash(setup: Setup) -> None:
    await setup.store(b"1")
    lease = await setup.channel.pop("s", "t", "alice", wait=0)
    assert lease is not None
    assert await content(lease) == b"1"
    lease._reading.close()
    setup.restart()
    assert await setup.take() == b"1"


async def test_putting_back_wakes_the_next_reader(setup: Setup) -> None:
    await setup.store(b"1")
    lease = await setup.channel.pop("s", "t", "alice", wait=0)
    assert lease is not None
    async with asyncio.TaskGroup() as group:
        second = group.create_task(setup.channel.pop("s", "t", None, wait=10))
        await asyncio.sleep(0)
        lease.put_back()
    taken = second.result()
    assert taken is not None
    assert await content(taken) == b"1"
    taken.done()


async def test_a_cancelled_pop_takes_nothing(setup: Setup) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(setup.channel.pop("s", "t", "alice", wait=10))
        await asyncio.sleep(0)
        await setup.store(b"1")
        waiting.cancel()
    assert waiting.cancelled()
    assert await setup.take() == b"1"


async def test_a_pop_whose_reader_is_gone_takes_nothing(setup: Setup) -> None:
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(setup.channel.pop("s", "t", "alice", wait=10, until=gone))
        await asyncio.sleep(0)
        await setup.store(b"1")
        gone.set_result(None)
    assert waiting.result() is None
    assert await setup.take() == b"1"


async def test_metadata_and_large_messages_come_back_whole(setup: Setup) -> None:
    chunks = [os.urandom(700_000) for _ in range(5)]
    await setup.channel.store(Arrival("s", "alice", 1), Message("t", *chunks, metadata={"k": "v", "中": "文"}))
    setup.restart()
    lease = await setup.channel.pop("s", "t", None, wait=0)
    assert lease is not None
    assert (lease.sender, lease.metadata) == ("alice", {"k": "v", "中": "文"})
    assert await content(lease) == b"".join(chunks)
    lease.done()
    assert not setup.files()


async def test_what_a_crash_left_half_written_or_damaged_is_not_delivered(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    await setup.store(b"first message")
    await setup.store(b"second message")
    first = min(setup.files())
    first.write_bytes(first.read_bytes()[:-3])
    half = setup.root / "s" / "~new"
    half.mkdir(exist_ok=True)
    (half / "1-1").write_bytes(b"half")
    setup.restart()
    assert not half.exists()
    assert [await setup.take(), await setup.take()] == [b"second message", None]
    assert "damaged" in caplog.text
    assert not setup.files()


async def test_a_repeated_nonce_is_stored_once_also_across_a_restart(setup: Setup) -> None:
    for _ in range(2):
        await setup.store(b"1", nonce="n")
    setup.restart()
    await setup.store(b"1", nonce="n")
    await setup.store(b"2", "bob", nonce="n")  # nonces are the sender's own
    assert [await setup.take(None), await setup.take(None), await setup.take(None)] == [b"1", b"2", None]
    await setup.store(b"1", nonce="n")  # still remembered after it was read
    assert await setup.take() is None


async def test_a_closed_session_is_over_for_good(setup: Setup) -> None:
    await setup.store(b"1")
    await setup.channel.close_session("s")
    for _ in range(2):
        with pytest.raises(SessionOver):
            await setup.store(b"2")
        with pytest.raises(SessionOver):
            await setup.take()
        with pytest.raises(SessionOver):
            await setup.channel.admit_component("s", "token")
        await setup.channel.open_session("s")
        setup.restart()
    assert not setup.files()


async def test_closing_ends_waiting_readers_and_writers(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "channel", channel_session_bytes=10)
    await setup.store(b"0123456789")
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(raised_by(setup.channel.pop("s", "other", None, wait=60)))
        writer = group.create_task(raised_by(setup.store(b"x", wait=60)))
        await asyncio.sleep(0.01)
        await setup.channel.close_session("s")
    assert isinstance(reader.result(), SessionOver)
    assert isinstance(writer.result(), SessionOver)


async def raised_by(work: object) -> Exception | None:
    assert asyncio.iscoroutine(work)
    try:
        await work
    except (SessionOver, BufferFull) as error:
        return error
    return None


async def test_a_release_is_lifted_by_the_next_attempt_and_a_close_is_not(setup: Setup) -> None:
    await setup.store(b"1")
    await setup.channel.release("s", "")
    with pytest.raises(SessionOver):
        await setup.store(b"2")
    setup.restart()
    with pytest.raises(SessionOver):
        await setup.store(b"2")
    await setup.channel.open_session("s")
    await setup.store(b"3")
    setup.restart()
    assert [await setup.take(), await setup.take()] == [b"3", None]


async def test_releasing_a_topic_leaves_the_others(setup: Setup) -> None:
    await setup.store(b"1", topic="t")
    await setup.store(b"2", topic="u")
    lease = await setup.channel.pop("s", "t", None, wait=0)
    assert lease is not None
    await setup.store(b"3", topic="t")
    await setup.channel.release("s", "t")
    lease.put_back()  # its queue is gone, so the message must not come back
    assert await setup.take(topic="t") is None
    assert await setup.take(topic="u") == b"2"
    assert unread(setup.channel) == {}


async def test_old_marks_are_forgotten_by_retention(setup: Setup) -> None:
    await setup.channel.close_session("s")
    setup.clock.seconds += 100
    await setup.channel.close_session("younger")
    setup.channel.forget_closed(setup.clock.now_ms() - 1000)
    setup.restart()
    await setup.store(b"1")
    with pytest.raises(SessionOver):
        await setup.take(session="younger")


async def test_a_full_session_refuses_after_the_wait_and_takes_again_when_read(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "channel", channel_session_bytes=100)
    await setup.store(b"x" * 80)
    with pytest.raises(BufferFull, match="80 unread bytes"):
        await setup.store(b"y" * 30)
    await setup.store(b"z" * 20)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(setup.store(b"w" * 50, wait=10))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert await setup.take() == b"x" * 80
    found = unread(setup.channel)
    assert [(name, s.files.unread, s.files.messages, s.early) for name, s in found.items()] == [("s", 70, 2, False)]


async def test_a_message_of_unknown_size_waits_for_room_as_it_comes(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "channel", channel_session_bytes=100)
    await setup.store(b"x" * 80)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(setup.channel.store(Arrival("s", "alice", 10), Message("t", b"a" * 15, b"b" * 30)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert await setup.take() == b"x" * 80
    assert await setup.take() == b"a" * 15 + b"b" * 30


async def test_a_refused_message_gives_its_room_back(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "channel", channel_session_bytes=100, channel_message_bytes=60)
    with pytest.raises(TooLarge):
        await setup.channel.store(Arrival("s", "alice", 0.05), Message("t", b"a" * 50, b"b" * 50))
    with pytest.raises(InvalidRequest, match="empty"):
        await setup.channel.store(Arrival("s", "alice", 0.05, 60), Message("t"))
    for _ in range(2):
        await setup.store(b"x" * 50)
    assert len(setup.files()) == 2


async def test_a_stranger_is_refused(setup: Setup) -> None:
    said = set()
    for session in ("s", "unknown"):
        with pytest.raises(Forbidden, match="partner") as refused:
            await setup.store(b"x", "carol", session=session)
        said.add(str(refused.value))
    assert len(said) == 1, "a stranger does not learn which sessions there are"
    for bad in ("", "a/b", "..", "a b", "x" * 129, "~closed"):
        with pytest.raises(InvalidRequest):
            await setup.store(b"x", session=bad)
    assert not setup.files()


async def test_early_messages_become_readable_and_those_of_outsiders_are_dropped(setup: Setup) -> None:
    await setup.store(b"1", "alice", session="new")
    await setup.store(b"2", "bob", session="new")
    assert [session.early for session in unread(setup.channel).values()] == [True]
    setup.policy.members["new"] = frozenset({"us", "alice"})
    await setup.channel.open_session("new")
    assert [await setup.take(None, session="new"), await setup.take(None, session="new")] == [b"1", None]


async def test_early_messages_are_bounded_in_bytes_and_time(setup: Setup) -> None:
    block = b"x" * (16 * MIB - MESSAGE_OVERHEAD)
    for _ in range(4):
        await setup.store(block, session="early")
    with pytest.raises(BufferFull):
        await setup.store(b"x", session="early")
    await setup.channel.sweep()
    assert setup.files()
    setup.clock.seconds += module.EARLY_SECONDS + 1
    await setup.store(b"kept")
    await setup.channel.sweep()
    assert [*unread(setup.channel)] == ["s"]
    assert len(setup.files()) == 1
    await setup.store(b"again", session="early")  # dropped, not closed


async def test_tiny_early_messages_count_for_what_they_cost(setup: Setup) -> None:
    """A byte each would else be sixty million files within the limit in bytes."""
    session = setup.channel._live("early")
    await setup.store(b"x", session="early")
    assert session.burden == MESSAGE_OVERHEAD + 1
    assert await setup.take("alice", session="early") == b"x"
    assert session.burden == 0


async def test_names_of_sessions_alone_leave_nothing_behind(setup: Setup) -> None:
    for number in range(20):
        with pytest.raises(Forbidden):
            await setup.store(b"x", "mallory", session=f"guess-{number}")
        with pytest.raises(InvalidRequest):
            await setup.store(b"", "alice", session=f"empty-{number}")
    assert setup.channel._sessions == {}


async def test_early_sessions_are_bounded_in_number_and_others_are_not(setup: Setup) -> None:
    one = setup.channel.limits.partner_early_sessions
    for number in range(one):
        await setup.store(b"x", session=f"early-{number}")
    with pytest.raises(BufferFull, match="does not know yet"):
        await setup.store(b"x", session="one-too-many")
    await setup.store(b"more", session="early-7")
    await setup.store(b"x", "bob", session="another-partners")
    await setup.store(b"kept")
    setup.policy.members["one-too-many"] = frozenset({"us", "alice"})
    await setup.store(b"x", session="one-too-many")


async def test_tokens_are_checked_and_trusted_for_a_while(setup: Setup) -> None:
    for wrong in ("", "other"):
        with pytest.raises(Forbidden):
            await setup.channel.admit_component("s", wrong)
    asked = setup.policy.asked
    for _ in range(5):
        await setup.channel.admit_component("s", "token")
    assert setup.policy.asked == asked + 1
    setup.policy.tokens.clear()
    setup.clock.seconds += module.TOKEN_SECONDS + 1
    with pytest.raises(Forbidden):
        await setup.channel.admit_component("s", "token")


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_push_says_who_we_are_and_repeats_a_small_body_under_one_nonce(setup: Setup) -> None:
    setup.forwarder.script = [Unavailable("down"), Unavailable("down"), OK]
    envelope = Envelope("s", "bob", source="somebody else", source_inst="theirs", topic="t")
    assert await setup.channel.push(envelope, b"data", wait=10) == OK
    assert [body for _, body in setup.forwarder.seen] == [b"data"] * 3
    sent = {seen for seen, _ in setup.forwarder.seen}
    assert len(sent) == 1
    assert {(e.source, e.source_inst, bool(e.nonce)) for e in sent} == {("us", "inst", True)}


async def test_a_stream_is_repeated_only_while_untouched(setup: Setup) -> None:
    setup.forwarder.script = [Unavailable("down"), OK]
    assert await setup.channel.push(Envelope("s", "bob"), stream(b"1", b"2"), wait=10) == OK
    setup.forwarder.script = [Unavailable("broke"), OK]
    setup.forwarder.read = True
    with pytest.raises(Unavailable, match="broke"):
        await setup.channel.push(Envelope("s", "bob"), stream(b"1", b"2"), wait=10)


@pytest.mark.parametrize("error", [NotNetworked("who?"), TimedOut("slow")])
async def test_some_failures_are_final(setup: Setup, error: Exception) -> None:
    setup.forwarder.script = [error, OK]
    with pytest.raises(type(error)):
        await setup.channel.push(Envelope("s", "bob"), b"x", wait=10)


async def test_a_push_leaves_the_job_for_nobody(setup: Setup) -> None:
    setup.policy.partners.add("carol")
    with pytest.raises(Forbidden, match="carol"):
        await setup.channel.push(Envelope("s", "carol"), b"x", wait=1)
    assert not setup.forwarder.seen


async def test_shutting_down_lets_everybody_go(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "channel", channel_session_bytes=10)
    await setup.store(b"0123456789")
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(setup.channel.pop("s", "other", None, wait=60))
        writer = group.create_task(raised_by(setup.store(b"x", wait=60)))
        await asyncio.sleep(0.01)
        setup.channel.shut_down()
    assert reader.result() is None
    assert isinstance(writer.result(), BufferFull)


async def test_files_are_private(setup: Setup) -> None:
    await setup.store(b"1")
    await setup.channel.close_session("other")
    modes = {path: path.stat().st_mode & 0o777 for path in setup.root.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


async def test_a_partner_cannot_tell_a_session_of_others_from_one_that_is_not_known(setup: Setup) -> None:
    setup.policy.partners.add("carol")
    await setup.store(b"x", "carol", session="nothing-of-that-name")
    await setup.store(b"x", "carol")
    assert await setup.take("carol") is None, "taken and thrown away"
    await setup.channel.close_session("s")
    await setup.store(b"x", "carol")
    with pytest.raises(SessionOver):
        await setup.store(b"x", "alice")
    for session in ("s", "nothing-of-that-name"):
        with pytest.raises(InvalidRequest):
            await setup.store(b"", "carol", session=session)


async def test_one_partner_does_not_take_all_room_for_early_messages(setup: Setup) -> None:
    part = b"x" * 1024 * 1024
    sessions = module.EARLY_PARTNER_BYTES // module.EARLY_SESSION_BYTES
    for number in range(sessions):
        for _ in range(module.EARLY_SESSION_BYTES // (len(part) + MESSAGE_OVERHEAD)):
            await setup.store(part, session=f"early-{number}")
    with pytest.raises(BufferFull):
        await setup.store(part * 2, session="one-more", wait=0.01)
    await setup.store(part * 2, "bob", session="another-partners")
