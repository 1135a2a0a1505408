"""The SDK's channel over real sockets, with every fault a node can have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.components.party import environment

from algorithm_components.sdk.channel import Channel, ChannelClosedError, ChannelError, Receiver, Sender
from algorithm_components.sdk.environment import Environment
from algorithm_components.sdk.testing import LocalNode, outbound

KEY = ("session_job-1", "bob", "alice", "task-1/guest.0-host.0")


OPENED: list[Channel] = []


@pytest.fixture(autouse=True)
def _closed_channels() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def channel(party: str, node: LocalNode, *, patience: float = 20.0, pop_seconds: int = 1) -> Channel:
    """Closed at the end of the test."""
    variables = environment(party, Path("/nowhere"), node.address)
    OPENED.append(Channel(Environment(variables), patience=patience, pop_seconds=pop_seconds))
    return OPENED[-1]


def ends(node: LocalNode, name: str = "") -> tuple[Sender, Receiver]:
    return channel("guest.0", node).sender("host.0", name), channel("host.0", node).receiver("guest.0", name)


def test_headers_are_the_deployed_forms() -> None:
    with LocalNode() as node:
        sender, receiver = ends(node)
        sender.send(b"hello")
        assert receiver.receive() == b"hello"
    push, pop = node.headers
    expected = {
        "x-ptp-session-id": "session_job-1",
        "x-ptp-topic": "task-1/guest.0-host.0",
        "x-ptp-trace-id": "trace-1",
    }
    guest = {
        "x-ptp-token": "token-of-guest.0",
        "x-ptp-source-node-id": "alice",
        "x-ptp-source-inst-id": "alice-company",
        "x-ptp-target-node-id": "bob",
        "x-ptp-target-inst-id": "bob-company",
    }
    assert expected.items() | guest.items() <= push.items()
    # The reading side names the sender as the target.
    host = {"x-ptp-token": "token-of-host.0", "x-ptp-source-node-id": "bob", "x-ptp-target-node-id": "alice"}
    assert expected.items() | host.items() <= pop.items()
    assert "content-type" not in push


def test_messages_of_every_kind_in_order() -> None:
    messages = [b"", b"x", b"\0" * 17, b"y" * 3_000_000, "字".encode()]
    with LocalNode() as node:
        sender, receiver = ends(node)
        for message in messages:
            sender.send(message)
        assert [receiver.receive() for _ in messages] == messages
        sender.send_json({"数": [1, None]})
        assert receiver.receive_json() == {"数": [1, None]}
        sender.send_all(iter([b"a", b"b"]))
        assert list(receiver.stream()) == [b"a", b"b"]


@pytest.mark.parametrize("sent", [b"[" * 200_000, b"\xff", b"", b"{"])
def test_what_another_party_sends_in_place_of_json_is_an_error_that_says_so(sent: bytes) -> None:
    with LocalNode() as node:
        sender, receiver = ends(node)
        sender.send(sent)
        with pytest.raises(ChannelError, match="sent something that is not JSON"):
            receiver.receive_json()


def test_streams_of_other_names_and_tasks_do_not_mix() -> None:
    with LocalNode() as node:
        first, first_out = ends(node, "one")
        second, second_out = ends(node, "two")
        first.send(b"1")
        second.send(b"2")
        assert (second_out.receive(), first_out.receive()) == (b"2", b"1")
        back = channel("host.0", node).sender("guest.0", "one")
        back.send(b"back")
        assert channel("guest.0", node).receiver("host.0", "one").receive() == b"back"


def test_one_connection_serves_many_messages() -> None:
    connections = set()
    with LocalNode() as node:
        sender, receiver = ends(node)
        for _ in range(5):
            sender.send(b"x")
            receiver.receive()
            connections.add((id(sender._connection), id(receiver._connection)))
    assert len(connections) == 1


# Which call of a kind goes wrong, and how.
FAULTS: list[tuple[str, set[int], str]] = [
    ("push", {0, 3}, "lose"),
    ("push", {0, 1, 5}, "cut"),
    ("push", {2, 4}, "twice"),
    ("push", {1, 2}, "full"),
    ("push", {0, 1}, "error"),
    ("pop", {0, 3}, "lose"),
    ("pop", {0, 2, 3}, "cut"),
    ("pop", {1}, "error"),
]


@pytest.mark.parametrize(("operation", "numbers", "fault"), FAULTS)
def test_every_message_arrives_once_whatever_goes_wrong(operation: str, numbers: set[int], fault: str) -> None:
    messages = [bytes([number]) * 10 for number in range(8)]
    with LocalNode(lambda called, number: fault if called == operation and number in numbers else "") as node:
        sender, receiver = ends(node)
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(sender.send_all, messages)
            assert list(receiver.stream()) == messages
            sending.result()
        # The faults were really met, and nothing but repetitions is left.
        assert node.calls[operation] > max(numbers)
        assert all(message[16:] in [*messages, b""] for queue in node.waiting.values() for message in queue)


def test_a_restart_of_the_node_is_outlived() -> None:
    node = LocalNode().start()
    messages = [str(number).encode() for number in range(40)]
    sender, receiver = ends(node)
    seen: list[bytes] = []
    half, restarted = threading.Event(), threading.Event()

    def receive() -> None:
        for message in receiver.stream():
            seen.append(message)
            if len(seen) == 20:
                half.set()
                restarted.wait(10)

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(sender.send_all, messages), threads.submit(receive)]
        assert half.wait(10)
        node.stop()
        restarted.set()
        node.start()
        for future in both:
            future.result()
    node.stop()
    assert seen == messages


def test_patience_ends() -> None:
    node = LocalNode().start()
    node.stop()
    with pytest.raises(ChannelError, match="kept trying for 0 seconds"):
        channel("guest.0", node, patience=0.2).sender("host.0").send(b"x")
    with pytest.raises(ChannelError, match="kept trying"):
        channel("host.0", node, patience=0.2).receiver("guest.0").receive()


def test_a_refusal_is_final() -> None:
    with LocalNode(lambda operation, number: "refuse") as node:
        sender, receiver = ends(node)
        with pytest.raises(ChannelError, match="E0000000403 refuse"):
            sender.send(b"x")
        with pytest.raises(ChannelError, match="E0000000403"):
            receiver.receive()
    assert node.calls == {"push": 1, "pop": 1}


def test_waiting_for_a_limited_time() -> None:
    with LocalNode() as node:
        _, receiver = ends(node)
        with pytest.raises(ChannelError, match=r"nothing came from guest\.0"):
            receiver.receive(timeout=0.5)


def message(number: int, stream: bytes = b"S" * 8, payload: bytes = b"p") -> bytes:
    return stream + number.to_bytes(8, "big") + payload


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (message(2), "message 1 of guest.0 was lost"),
        (message(1, b"T" * 8), "started again"),
        (b"short", "without a number"),
    ],
)
def test_what_cannot_be_mended_is_an_error(second: bytes, said: str) -> None:
    with LocalNode() as node:
        _, receiver = ends(node)
        node.put(KEY, message(0))
        assert receiver.receive() == b"p"
        node.put(KEY, second)
        with pytest.raises(ChannelError, match=said):
            receiver.receive()


def test_repetitions_are_dropped_however_late() -> None:
    with LocalNode() as node:
        _, receiver = ends(node)
        for number in (0, 0, 1, 0, 1, 2):
            node.put(KEY, message(number, payload=str(number).encode()))
        assert [receiver.receive() for _ in range(3)] == [b"0", b"1", b"2"]


def test_closing_wakes_whoever_waits() -> None:
    node = LocalNode().start()
    asked = threading.Event()
    node.fault = lambda operation, number: asked.set() or ""  # type: ignore[func-returns-value]
    end = channel("host.0", node, pop_seconds=300)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(end.receiver("guest.0").receive)
        assert asked.wait(10)
        end.close()
        with pytest.raises(ChannelClosedError):
            waiting.result(timeout=10)
    with pytest.raises(ChannelClosedError):
        end.sender("guest.0").send(b"x")
    node.stop()


@pytest.mark.parametrize("transport", ["nowhere", "127.0.0.1:", ":1", "127.0.0.1:port"])
def test_a_bad_address_is_refused(transport: str) -> None:
    with pytest.raises(ChannelError, match=r"system\.transport"):
        Channel(Environment({"system.transport": transport}))


@pytest.mark.parametrize("answer", [b"\xff", b"\x0a\x05abc", b"\x08\x01", b"<html>", b"", outbound("", "no code")])
def test_an_unreadable_answer_is_tried_again(answer: bytes) -> None:
    answers: list[bytes] = [answer]
    original: Callable[..., None] = LocalNode._answer

    class Garbling(LocalNode):
        @staticmethod
        def _answer(request: object, body: bytes, status: int) -> None:
            original(request, answers.pop() if answers else body, status)

    with Garbling() as node:
        sender, receiver = ends(node)
        sender.send(b"x")
        assert receiver.receive() == b"x"
    assert node.calls["push"] == 2
