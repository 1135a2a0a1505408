"""The parser tree: every command of the product, one-line mistakes, shared options anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeconsole.cli.completion import places
from nodeconsole.cli.exits import EXPLAINED, Exit, exit_for
from nodeconsole.cli.parser import build_parser, parse

COMMANDS = {
    "init", "up", "serve", "attach", "bridge", "status", "doctor", "attention", "stats", "top", "demo", "completion",
    "man", "web", "keys",
    "job submit", "job check", "job list", "job show", "job why", "job diff", "job approve", "job wait", "job reject",
    "job stop", "job rerun", "job keep", "job release", "job discard", "space",
    "job components", "component import",
    "job logs",
    "job graph", "job timeline", "job events", "job task", "job results", "job runs",
    "dataset add", "dataset list", "dataset show", "dataset remove",
    "dataset rescan", "dataset usage", "dataset connectors",
    "component register", "component check", "component new",
    "component test", "component build", "component sdk",
    "component list", "component show", "component enable",
    "component disable", "component export", "component remove",
    "component install", "component upgrade", "component packs",
    "component verify", "component uninstall", "component pack",
    "peer add", "peer set", "peer apply", "peer list", "peer show", "peer remove", "peer test",
    "peer invite", "peer join", "peer contracts", "peer revoke", "peer confirm", "peer refuse", "peer terminate",
    "identity show", "identity export", "identity import-certificate", "identity rotate",
    "dataset publish", "dataset unpublish", "dataset published", "dataset partners",
    "grant list", "grant show", "grant request", "grant approve", "grant reject", "grant revoke", "grant refresh",
    "message list", "message resend", "message export", "message import",
    "policy show", "policy set", "policy test",
    "token create", "token list", "token revoke",
    "ledger list", "ledger verify", "ledger export",
    "secret set", "secret list", "secret remove", "backup", "restore",
    "context add", "context use", "context list", "context show", "context remove",
}  # fmt: skip


def test_every_command_is_there_and_takes_the_shared_options() -> None:
    found = list(places(build_parser()))
    assert {" ".join(place.path) for place in found if place.path and not place.commands} == COMMANDS
    for place in found:
        assert {"--home", "--socket", "--json"} <= set(place.words), place.path


def test_the_home_is_taken_from_the_option_then_the_environment_then_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NODECONSOLE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse(["status"]).home == Path("/home/somebody/.nodeconsole")
    monkeypatch.setenv("NODECONSOLE_HOME", "/srv/node")
    assert parse(["status"]).home == Path("/srv/node")
    for argv in (["--home", "/x", "job", "list"], ["job", "--home", "/x", "list"], ["job", "list", "--home", "/x"]):
        args = parse(argv)
        assert (args.home, args.home_given) == (Path("/x"), True)
    assert parse(["status"]).home_given is False


def test_json_may_stand_anywhere() -> None:
    assert all(
        parse(argv).json for argv in (["--json", "status"], ["peer", "--json", "list"], ["peer", "list", "--json"])
    )
    assert parse(["status"]).json is False


@pytest.mark.parametrize(
    "argv",
    [
        ["nothing"],
        ["job"],
        ["job", "list", "--limit", "0"],
        ["job", "list", "--limit", "x"],
        ["job", "list", "--state", "SLEEPING"],
        ["job", "submit", "f", "--timeout", "-1"],
        ["peer", "add", "bob", "http://x", "--profile", "nosuch"],
        ["peer", "add", "bob", "http://x", "--option", "novalue"],
        ["job", "list", "--lim", "3"],
        ["job", "show", "\udcff"],
        ["job", "show", "a\0b"],
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(argv)
    said = capsys.readouterr()
    assert stopped.value.code == Exit.USAGE
    assert said.out == ""
    assert said.err.startswith("nodeconsole: ")
    assert said.err.count("\n") == 1


def test_exit_codes_are_documented_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{code.value} {text}" in said for code, text in EXPLAINED.items())
    assert {code for code in Exit if code < 128} == set(EXPLAINED)


def test_error_codes_have_their_exit_codes() -> None:
    codes = {code: exit_for(code) for code in ("invalid", "not_found", "conflict", "refused", "internal", "new one")}
    assert codes == {
        "invalid": Exit.USAGE,
        "not_found": Exit.NOT_FOUND,
        "conflict": Exit.REFUSED,
        "refused": Exit.REFUSED,
        "internal": Exit.FAILED,
        "new one": Exit.FAILED,
    }


def test_states_are_read_in_any_case() -> None:
    assert parse(["job", "list", "--state", "running, pending"]).state == "RUNNING,PENDING"
