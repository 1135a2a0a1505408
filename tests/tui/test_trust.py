"""What an operator sees of trust: contracts, requests of partners, who is connected, standing warnings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from embedded_scheduler.wire.console import DatasetRequest, Finding, NodeStatus, PeerRow
from embedded_scheduler.wire.console_contracts import ContractRow
from embedded_scheduler.wire.console_grants import GrantDetail, GrantRequest, GrantRow, PublicationRequest
from embedded_scheduler.wire.console_pulse import AttentionItem, AttentionList
from nodeconsole.app import NodeConsoleApp
from nodeconsole.client import NodeClient
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.attention import attention_rows
from nodeconsole.viewmodels.contracts import contract_lines, contract_next
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.facts import grouped
from nodeconsole.viewmodels.glyphs import SAFE, UNICODE
from nodeconsole.viewmodels.grants import asked_limits, grant_lines
from nodeconsole.viewmodels.node import Link, LinkState, status_line
from nodeconsole.viewmodels.partners import Partner, connection, partner_facts, partners, trust
from nodeconsole.viewmodels.requests import request_cells, requests
from nodeconsole.viewmodels.snoozing import asleep, put_off
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.standing import warning_lines
from nodeconsole.viewmodels.times import DAY, HOUR, parse_until
from tests.support.console import burst, console_of, press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import (
    ENDING,
    INVITATION,
    NOW_MS,
    UNSIGNED,
    WORDS,
    FakeNode,
    add_trust,
    applied_contract,
    approved_contract,
    asked_grant,
    make_job,
    stuck_message,
)
from tests.support.granting import in_state
from tests.support.hosted import hosted
from tests.support.nodes import eventually

QUICK = "timing.retry_first = 0.05\ntiming.retry_longest = 0.2\ntiming.call_timeout = 5.0"
MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)
EN = Display(load("en_US"), UNICODE, NOW_MS, UTC, "alice")
ZH = Display(load("zh_CN"), SAFE, NOW_MS, UTC, "alice")
WIDTH = 76


@pytest.fixture
def node(socket: Path) -> Iterator[FakeNode]:
    """With few jobs: they are not what this is about."""
    with FakeNode(socket, 12) as running:
        yield running


def _peer(**values: object) -> PeerRow:
    known: dict[str, object] = {"node_id": "bob", "url": "https://b", "profile": "seed", "approval": "manual"}
    return PeerRow.model_validate(known | values)


def _text(lines: list[tuple[object, ...]]) -> str:
    return "\n".join(plain(line) for line in lines)  # type: ignore[arg-type]


# -- view models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signing", "contract", "connected", "believed"),
    [
        ("required", "APPROVED", "✓ 2s", "✓ signed"),
        ("verify-if-present", "APPROVED", "· 2s", "· may sign"),
        ("off", "APPROVED", "· 2s", "! unsigned"),
        ("off", "", "· 2s", "! unsigned"),
        ("required", "", "· 2s", "✗ no contract"),
        ("required", "TERMINATED", "· 2s", "✗ ended"),
        ("required", "APPLIED", "· 2s", "? to confirm"),
    ],
)
def test_only_a_signed_answer_is_a_connection(signing: str, contract: str, connected: str, believed: str) -> None:
    partner = Partner("bob", _peer(signing=signing, contract=contract, last_ok_ms=NOW_MS - 2000), None)
    assert connection(partner, EN).text == connected
    assert trust(partner, EN).text == believed


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, "· unknown"),
        ({"last_ok_ms": NOW_MS - HOUR, "last_error_ms": NOW_MS - 3000}, "✗ 3s"),
        ({"last_ok_ms": NOW_MS - 3000, "last_error_ms": NOW_MS - HOUR}, "✓ 3s"),
    ],
)
def test_the_last_thing_heard_counts(values: dict[str, int], shown: str) -> None:
    partner = Partner("bob", _peer(signing="required", contract="APPROVED", **values), None)
    assert connection(partner, EN).text == shown


def test_partners_are_everybody_there_is_a_contract_or_an_address_for() -> None:
    ended = applied_contract().model_copy(update={"contract_id": "old", "state": "TERMINATED", "created_ms": 1})
    stranger = ContractRow(contract_id="c", node_id="zoe", side="applicant", state="REJECTED")
    rows = partners([_peer()], [approved_contract(), applied_contract(), ended, stranger], [stuck_message()])
    assert [(row.node_id, row.contract.state if row.contract else "") for row in rows] == [
        ("dave", "APPLIED"),
        ("bob", "APPROVED"),
    ]
    theirs = applied_contract().model_copy(update={"compared_by": "operator:li"})
    assert trust(Partner("dave", None, theirs), EN).text == "○ their turn"
    erin = partners([_peer(node_id="erin")], [], [stuck_message()])[0]
    facts = _text(partner_facts(erin, EN, WIDTH))
    assert "dataset/audit/apply: sent, no answer, 4 tries" in facts
    assert "next in 40s" in facts


def test_contract_card() -> None:
    shown = _text(contract_lines(applied_contract(), [], EN, WIDTH))
    assert WORDS in shown
    assert "3f9a 51c0 7be2" in shown
    assert "contract-7f3711a0c4" in shown
    approved = _text(contract_lines(approved_contract(), [stuck_message()], EN, WIDTH))
    assert "SIX WORDS" not in approved
    assert "the key before (3f9a 51c0 7be2 d844 ...) counts too, until 2026-11-24" in " ".join(approved.split())
    over = approved_contract().model_copy(update={"previous_until_ms": NOW_MS - 1})
    assert "counts too" not in _text(contract_lines(over, [], EN, WIDTH))
    assert contract_next(approved_contract(), EN) == ""
    shared = applied_contract().model_copy(update={"approvals": ["operator:ann"], "approvers_needed": 2})
    assert "1 of 2 persons (ann), still needed: 1 more" in _text(contract_lines(shared, [], EN, WIDTH))
    assert request_cells(requests([], [shared], [])[0], EN)[3].text == "? 1 of 2"
    hostile = applied_contract().model_copy(update={"institution": "Bank\x1b[2J\u202e", "address": "x\x07"})
    assert not set(_text(contract_lines(hostile, [], ZH, WIDTH))) & {"\x1b", "\x07", "\u202e"}
    assert grouped("abcdef") == "abcd ef"


def test_request_card_says_limits_policy_and_who_is_still_needed() -> None:
    shown = " ".join(_text(grant_lines(asked_grant(needed=2), None, EN, WIDTH)).split())
    assert "limits asked 12 jobs" in shown
    assert "1 of 2 persons (ann), still needed: 1 more" in shown
    assert "no rule covers it: a person decides" in shown
    assert "NOT REGISTERED HERE" in shown
    alone = _text(grant_lines(asked_grant(), None, EN, WIDTH))
    assert "still needed" not in alone
    flow = GrantDetail(
        grant=GrantRow(
            grant_id="flow-1", direction="in", node_id="bob", kind="flow", resource_id="f", audit_id="a",
            state="APPLIED", created_ms=NOW_MS, since_ms=NOW_MS,
        ),
        body={"flow_id": "f", "dag": {"components": [{"name": "psi"}, {"code": "woe"}, 3]}, "description": "monthly"},
    )  # fmt: skip
    card = " ".join(_text(grant_lines(flow, None, EN, WIDTH)).split())
    assert "components psi woe" in card
    assert "description monthly" in card
    assert "OUR DATA" not in card


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({}, "no limit"),
        ({"times_limit": 0, "time_limit": True}, "no limit"),
        ({"times_limit": 3, "time_limit": NOW_MS}, "3 jobs, until 2026-11-18 11:06:40"),
    ],
)
def test_limits(body: dict[str, object], shown: str) -> None:
    assert asked_limits(body, EN) == shown


def test_what_waits_is_one_list() -> None:
    theirs = applied_contract().model_copy(update={"contract_id": "mine", "compared_by": "operator:li"})
    contracts = [approved_contract(), theirs, applied_contract()]
    rows = requests([make_job(3)], contracts, [asked_grant(2).grant])
    assert [plain(request_cells(row, EN)[0:1]) for row in rows] == ["contract", "dataset", "job", "contract"]
    states = [request_cells(row, EN)[3].text for row in rows]
    assert states == ["? compare words", "? 1 of 2", "? waiting", "○ their turn"]
    assert rows[0].actions == ["approve", "reject", "snooze"]


def test_status_bar_counts_everything_and_warns_without_colour() -> None:
    status = NodeStatus(
        node_id="alice", version="1", pid=1, started_ms=0, now_ms=0, home="", listen="", platform="",
        jobs={"RUNNING": 0, "waiting": 1}, contracts_waiting=2, grants_waiting=3, warnings=[UNSIGNED, ENDING],
    )  # fmt: skip
    left, _ = status_line(status, Link(LinkState.ONLINE), 0, EN)
    assert "● online  ! 2  run 0  wait 6!" in plain(left)
    status.warnings = []
    assert " ! " not in plain(status_line(status, Link(LinkState.ONLINE), 0, EN)[0])


def test_warnings_say_what_to_do_in_both_languages() -> None:
    english, chinese = (_text(warning_lines([UNSIGNED, ENDING], display, WIDTH)) for display in (EN, ZH))
    assert "UNSIGNED PARTNER  carl" in english
    assert "Do: nodeconsole identity rotate" in english
    assert "合作方未签名  carl\n  carl 的消息不验证签名：" in chinese
    assert "处理：nodeconsole identity rotate" in chinese
    newer = Finding(check="quantum", level="error", text="not seen before", fix="")
    assert _text(warning_lines([newer], ZH, WIDTH)) == "x quantum\n  not seen before"


@pytest.mark.parametrize(
    ("typed", "at_ms"),
    [
        ("12h", NOW_MS + 12 * HOUR),
        ("2w", NOW_MS + 14 * DAY),
        ("2027-01-31", 1_801_353_600_000),
        ("2027-01-31 12:30", 1_801_398_600_000),
        ("2026-01-31", None),
        ("0d", None),
        ("d", None),
        ("tomorrow", None),
        ("9999999d", None),
        ("", None),
    ],
)
def test_until_as_people_type_it(typed: str, at_ms: int | None) -> None:
    assert parse_until(typed, NOW_MS, UTC) == at_ms


# -- screens ----------------------------------------------------------------------------------------------------------


async def test_contract_is_confirmed_with_the_words_alone(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "4 waiting for your decision")
        await press(pilot, "!")
        await until_shown(pilot, "compare words")
        await press(pilot, "A")
        await until_shown(pilot, "THE SIX WORDS")
        await press(pilot, "A", *"yes", "enter")
        await until_shown(pilot, "these are not six words")
        assert not any("confirm" in request for request in node.requests)
        await _fill(pilot, "a b c d e f")
        await until_shown(pilot, "WRONG WORDS: nothing is trusted")
        assert node.contracts[0].state == "APPLIED"
        await press(pilot, "A")
        await _fill(pilot, WORDS)
        await until_shown(pilot, "dave is a partner now")
        await until_shown(pilot, "✓ in force")
        await press(pilot, "escape")
        await until_gone(pilot, "compare words")


async def test_contract_is_refused_with_a_reason(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "4 waiting")
        await press(pilot, "g", "a")
        await until_shown(pilot, "compare words")
        await press(pilot, "X")
        await until_shown(pilot, "THE SIX WORDS")
        await press(pilot, "X", "enter")
        await until_shown(pilot, "say why")
        await _fill(pilot, "unknown bank")
        await press(pilot, "Y")
        await until_shown(pilot, "refused dave")
        assert node.contracts[0].state == "REJECTED"


async def test_request_is_granted_within_limits_by_two_persons(node: FakeNode, make_app: MakeApp) -> None:
    node.grants.append(asked_grant(needed=3))
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "3 waiting")
        await press(pilot, "g", "a")
        await until_shown(pilot, "? 1 of 3")
        await press(pilot, "enter")
        await until_shown(pilot, "1,370,000 rows")
        await press(pilot, "y")
        await until_shown(pilot, '"times_limit": 12')
        await press(pilot, "escape", "A", "backspace", "backspace", "0", "enter", "enter", "enter")
        await until_shown(pilot, "a whole number of jobs")
        await press(pilot, "backspace", "5", "enter", "enter", "enter")
        await until_shown(pilot, "press Y to grant")
        await press(pilot, "Y")
        await until_shown(pilot, "counted for node#loans_2026: 2 of 3")
        await until_shown(pilot, "2 of 3 persons (ann li)")
        await press(pilot, "A", "enter", "enter", "enter", "Y")
        await until_shown(pilot, "granted node#loans_2026 to bob")
    limits = [(said["times"], said["until_ms"]) for said in node.decisions]
    assert limits == [(5, NOW_MS + 90 * DAY), (12, NOW_MS + 90 * DAY)]


async def test_partners_show_key_messages_and_what_can_be_done(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "4 waiting")
        await press(pilot, "g", "o")
        await until_shown(pilot, "051e c79b")
        await press(pilot, "G", "m", "R")
        await until_shown(pilot, "sent again: dataset/audit/apply")
        await press(pilot, "escape", "i")
        await until_shown(pilot, "erin: there is no contract")
        await press(pilot, "g", "g", "enter")
        await until_shown(pilot, "All is well")
        await press(pilot, "G")
        await until_shown(pilot, "HOW WE SPEAK WITH IT")
        assert "→ Its key or contract ends" not in screen_text(pilot)
        await press(pilot, "X", *"bog", "enter", "enter")
        await until_shown(pilot, "type exactly bob")
        await press(pilot, *"bob", "enter", "enter")
        await until_shown(pilot, "ended the contract with bob")
        assert node.contracts[1].state == "TERMINATED"


async def test_invitation_is_shown_once_and_copied(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "12 of 12")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "I", "backspace", "backspace", "enter", "enter")
        await until_shown(pilot, "whole hours")
        await press(pilot, "8", "enter", "enter", "Y")
        await until_shown(pilot, "Good for one application, until 2026-11-19")
        assert INVITATION.code in screen_text(pilot).replace("\n", "")
        await press(pilot, "c")
        assert pilot.app.clipboard == INVITATION.code
        assert INVITATION.code[:40] not in screen_text(pilot).splitlines()[-2]


async def test_what_is_typed_ahead_goes_where_the_focus_will_be(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "4 waiting")
        await press(pilot, "g", "o")
        await until_shown(pilot, "051e c79b")
        await press(pilot, "X")
        await burst(pilot, *"bob", "enter", *"why", "enter")
        await until_shown(pilot, "ended the contract with bob")
        await press(pilot, "I")
        await burst(pilot, "enter", "enter", "Y")
        await until_shown(pilot, "Good for one application")
        assert node.contracts[1].reason == "why"
        await burst(pilot, ":", *"tokens", "enter")
        await until_shown(pilot, "tokens")
        await until_gone(pilot, ": tokens")


async def test_a_code_that_was_broken_into_lines_is_pasted_whole(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "12 of 12")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "J")
        await until_shown(pilot, "Join a partner?")
        field = pilot.app.screen.query_one(Input)
        field.post_message(events.Paste("NC1-AAAA\r\nBBBB\n"))
        await until(pilot, lambda: field.value == "NC1-AAAABBBB")


async def test_warnings_stand_in_the_bar_and_have_a_screen(node: FakeNode, make_app: MakeApp) -> None:
    node.warnings.append(UNSIGNED)
    for number in (3, 4):
        node.change(number, needs_decision=False, actions=[])
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "warnings: 1 ")
        assert "! 1" in screen_text(pilot).splitlines()[0]
        await press(pilot, ":", *"warn", "enter")
        await until_shown(pilot, "make a contract (nodeconsole peer invite)")
        node.warnings.clear()
        node.emit(subject="peer", event="peer.changed")
        await until_shown(pilot, "No warning stands")
        assert "! 1" not in screen_text(pilot).splitlines()[0]


async def test_a_viewer_is_offered_no_write(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    node.role, node.read_only = "viewer", True
    for contract in node.contracts:
        contract.actions = []
    node.grants[0].grant.actions = []
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "read-only")
        await press(pilot, "g", "a")
        await until_shown(pilot, "compare words")
        await press(pilot, "enter")
        await until_shown(pilot, "THE SIX WORDS")
        for key, word in (("A", "confirm"), ("X", "refuse")):
            await press(pilot, key)
            await until_shown(pilot, f"{word}: not in your role on this node (viewer)")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        for key, word in (("I", "invite"), ("J", "join"), ("X", "end")):
            await press(pilot, key)
            await until_shown(pilot, f"{word}: not in your role on this node (viewer)")
        assert not any(request.startswith("POST") for request in node.requests)


# -- two real nodes ---------------------------------------------------------------------------------------------------


async def _fill(pilot: Pilot[Any], text: str) -> None:
    """As pasted into the line that has the focus."""
    pilot.app.screen.query_one(Input).value = text
    await press(pilot, "enter")


async def test_invite_join_confirm_and_grant_between_two_nodes(tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("id,age\n1,40\n")
    async with (
        hosted(tmp_path / "a", "alice", tls="mutual", settings=QUICK) as alice,
        hosted(tmp_path / "b", "bob", tls="mutual", settings=QUICK) as bob,
        alice.client() as at_alice,
        bob.client() as at_bob,
    ):
        async with console_of(alice, undo_seconds=None).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, "g", "o")
            await until_shown(pilot, "No partners yet.")
            await press(pilot, "I", "enter", "enter", "Y")
            await until_shown(pilot, "Good for one application")
            await press(pilot, "c")
            code = pilot.app.clipboard
        async with console_of(bob, undo_seconds=None).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, "g", "o")
            await until_shown(pilot, "No partners yet.")
            await press(pilot, "J")
            await until_shown(pilot, "Join a partner?")
            await _fill(pilot, code)
            await press(pilot, "Y")
            await until_shown(pilot, "THE SIX WORDS")
            lines = screen_text(pilot).splitlines()
            words = lines[next(n for n, line in enumerate(lines) if "SIX WORDS" in line) + 1].strip()
            await press(pilot, "A")
            await _fill(pilot, " ".join(reversed(words.split())))
            await until_shown(pilot, "WRONG WORDS: nothing is trusted")
            await press(pilot, "A")
            await _fill(pilot, words)
            await until_shown(pilot, "alice's operator has to confirm too")
        await at_alice.add_dataset(
            DatasetRequest(name="people", namespace="default", connector="csv", options={"path": str(source)})
        )
        await at_alice.publish("default", "people", PublicationRequest())
        async with console_of(alice, undo_seconds=None).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "1 waiting for your decision")
            await press(pilot, "g", "a")
            await until_shown(pilot, "compare words")
            await press(pilot, "enter")
            await until_shown(pilot, words)
            await press(pilot, "A")
            await _fill(pilot, words)
            await until_shown(pilot, "bob is a partner now")
            await eventually(lambda: _approved(at_bob), what="bob agrees too", within=10, pause=0.02)
            asked = await at_bob.request_grant(
                GrantRequest(kind="dataset", node_id="alice", resource_id="default#people", members={"times_limit": 3})
            )
            await press(pilot, "escape")
            await until_shown(pilot, "default#people")
            await press(pilot, "enter")
            await until_shown(pilot, "2 columns: id age")
            await press(pilot, "A", "enter", "enter", "enter", "Y")
            await until_shown(pilot, "granted default#people to bob")
            await until_shown(pilot, "✓ in force")
            permit = (await in_state(at_bob, asked.grant_id, "APPROVED")).permit
            assert permit is not None
            assert permit.times_limit == 3
            await press(pilot, "g", "o")
            await until_shown(pilot, "✓ signed")
            assert re.search(r"bob +✓ \d+s", screen_text(pilot))


async def _approved(client: NodeClient) -> bool:
    return (await client.contract("alice")).state == "APPROVED"


async def test_what_is_put_off_stays_listed_and_stands_behind(node: FakeNode, make_app: MakeApp) -> None:
    add_trust(node)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "4 waiting")
        await press(pilot, "g", "a")
        await until_shown(pilot, "compare words")
        assert [line.split()[-1] for line in screen_text(pilot).splitlines()[3:7]] == ["7m", "1h35", "1h55", "2h32"]
        await press(pilot, "g", "g", "P")
        await until_shown(pilot, "put off until 12:06; P again brings it back")
        await until_shown(pilot, "○ later, 12:06")
        assert [line.split()[-1] for line in screen_text(pilot).splitlines()[3:7]][-1] == "7m"
        await press(pilot, "G", "enter")
        await until_shown(pilot, "THE SIX WORDS")
        await until_shown(pilot, "4 of 4")
        await press(pilot, "[")
        await until_shown(pilot, "loan-score")
        await until_shown(pilot, "3 of 4")
        await press(pilot, "]", "P")
        await until_shown(pilot, "it stands first again")
        assert app.session.state.recall("approvals.snoozed", {}) == {}
    assert not any(request.startswith("POST") for request in node.requests)


def test_what_is_put_off_wakes_by_itself_and_is_counted_on_the_home_screen() -> None:
    stored: dict[str, object] = {"job a": NOW_MS + 1, "job b": NOW_MS, "job c": "nonsense"}
    assert asleep(stored, NOW_MS) == {"job a": NOW_MS + 1}
    assert put_off(stored, "job b", NOW_MS) == {"job a": NOW_MS + 1, "job b": NOW_MS + HOUR}
    assert put_off(stored, "job a", NOW_MS) == {}
    item = AttentionItem(
        kind="job_decision", severity="decide", target="job", subject="a", name="x", since_ms=1, facts={"by": "b"}
    )
    other = item.model_copy(update={"subject": "b"})
    rows = attention_rows(AttentionList(items=[item, other]), EN, {"job a"})
    assert len(rows) == 2
    assert plain(rows[1].line) == "1 put off (g a)"
