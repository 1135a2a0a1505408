"""What the node says: each door that a console uses says it as code and facts."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import embedded_scheduler.sentences as table
from embedded_scheduler.sentences import ENGLISH, Sentence, document, joined, restored, say, together

_NODE = Path(table.__file__).parents[1]
_ROOT = "Spoken"
"""Base of every exception whose text is for a person."""

NOT_OF_THE_CONSOLE = {
    "api/interconn/": "partners get this, in the specification's envelopes and in English",
    "api/platform/": "programs of the own platform and components get this, in their protocols' envelopes",
    "api/authentication.py": "partners, and whoever pretends to be one",
    "api/channel.py": "components and partners, at the channel",
    "api/family.py": "partners and programs: what is no readable request of theirs",
    "api/limits.py": "partners and strangers beyond their limits",
    "engine/applications.py": "nodes that apply for a contract; what the operator sees of it has codes",
    "engine/assembly.py": "components and partners, at the channel",
    "engine/channel": "components and partners, at the channel",
    "engine/linktest.py": "the other side of a link test; what the operator may have got wrong has codes",
    "engine/requests.py": "partners that ask for something; what the operator sees of it has codes",
    "peers/channel.py": "components, at the channel",
    "wire/bfia/": "partners and programs: what is no readable message of theirs",
    "wire/ptp": "components and partners, at the channel",
    "backup.py": "the command line, which speaks English",
    "config.py": "the command line: a node with such settings does not start, so it has no console",
    "addresses.py": "the same",
    "plugins.py": "the same",
    "provision.py": "the same: the node is only being made",
    "server.py": "the same",
}
"""Where a refusal may be literal English, and who reads it."""


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(_NODE.rglob("*.py")):
        name = path.relative_to(_NODE).as_posix()
        if not name.startswith("sentences/"):
            yield name, ast.parse(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return dict(_trees())


def _family(trees: dict[str, ast.Module]) -> set[str]:
    """Names of all exceptions that descend from the root."""
    bases = {
        node.name: {ast.unparse(base).split(".")[-1] for base in node.bases}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {_ROOT}
    while more := {name for name, of in bases.items() if of & known and name not in known}:
        known |= more
    return known


def _is_literal(node: ast.expr) -> bool:
    """A text that is written or put together right here."""
    match node:
        case ast.Constant(value=str(text)):
            return " " in text
        case ast.JoinedStr():
            return True
        case ast.BinOp(left=left, right=right):
            return _is_literal(left) or _is_literal(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_literal(body) or _is_literal(orelse)
        case ast.BoolOp(values=values):
            return any(map(_is_literal, values))
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="format" | "join")):
            return True
        case _:
            return False


def _literal_refusals(tree: ast.Module, family: set[str]) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).split(".")[-1]
        # `_fault`, `_beyond`: methods that make one of them.
        if name in family | {"_fault", "_beyond"} and any(map(_is_literal, node.args)):
            yield node.lineno


def test_what_refuses_at_a_door_of_the_console_has_a_code(trees: dict[str, ast.Module]) -> None:
    family = _family(trees)
    assert {"NodeError", "Refused", "NoAnswer", "PolicyFault", "EngineGoneError"} <= family
    found = {name: [*_literal_refusals(tree, family)] for name, tree in trees.items()}
    excused = {name for name in found if name.startswith(tuple(NOT_OF_THE_CONSOLE))}
    literal = {f"{name}:{line}" for name, lines in found.items() if name not in excused for line in lines}
    assert literal == set(), "say it with `sentences.say`: a code, the English in its table, Chinese in node.zh_CN.toml"
    for prefix in NOT_OF_THE_CONSOLE:
        assert any(found[name] for name in excused if name.startswith(prefix)), f"{prefix} needs no exception any more"


_STORED = {"reason", "error", "exit_error", "advice", "why"}
"""Arguments whose texts are kept, or go straight to the console."""
_STORING = {
    *("FireJob", "FireTask", "FireShare", "FireApproval", "RequestStop", "RecordVerdict", "TerminateShare", "NoteCall"),
    *(
        "decide",
        "stop",
        "ask_coordinator_to_stop",
        "share_ended",
        "partner_lost",
        "stop_shared",
        "fire",
        "fire_agreement",
    ),
    *("verdict", "verdict_unknown", "coordinator_forgot"),
}
"""What takes such a text by its place."""


def test_what_is_stored_for_the_operator_has_a_code(trees: dict[str, ast.Module]) -> None:
    literal = {
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        if name.startswith(("engine/", "domain/", "runners/", "packs/", "peers/", "api/console/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and any(word.arg in _STORED and _is_literal(word.value) for word in node.keywords)
    }
    assert literal == set()


def test_every_sentence_is_said_with_the_facts_that_it_has(trees: dict[str, ast.Module]) -> None:
    said = 0
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
                codes = [part for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
                if codes == [node.args[0]]:
                    assert codes[0].value in ENGLISH, f"{name}:{node.lineno}: no code of a sentence"
                for code in (str(one.value) for one in codes if one.value in ENGLISH):
                    wanted = {fact for _, fact, _, _ in string.Formatter().parse(ENGLISH[code]) if fact is not None}
                    given = {word.arg for word in node.keywords}
                    # `**facts` has the rest.
                    whole = given - {None} <= wanted if None in given else given == wanted
                    assert whole, f"{name}:{node.lineno}: {code}"
                    said += 1
    assert said > 400


def test_no_code_means_two_things() -> None:
    assert sum(len(area.TEXTS) for area in table._AREAS) == len(ENGLISH)


def test_a_sentence_is_its_english_and_can_be_taken_apart() -> None:
    inner = say("task_unknown", task="t-1")
    words = say("both", one=inner, other="their own words")
    assert words == "this node knows no task t-1; their own words"
    kept = json.loads(json.dumps(document(words)))
    again = restored(kept, "")
    assert isinstance(again, Sentence)
    assert (again, again.code, again.facts["one"]) == (words, "both", inner)
    for copied in (copy.deepcopy(words), pickle.loads(pickle.dumps(words))):
        assert (copied, copied.code) == (words, "both")


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "task_unknown",
        {"code": "no_such_code", "facts": {}},
        {"code": "task_unknown", "facts": {}},
        {"code": "task_unknown", "facts": None},
        {"code": "task_unknown", "facts": [1]},
        {"facts": {"task": "t-1"}},
    ],
)
def test_what_this_program_does_not_know_is_told_as_it_was(kept: object) -> None:
    assert restored(kept, "as it was") == "as it was"


def test_facts_that_were_sentences_before_are_found_again() -> None:
    inner = say("task_unknown", task="t-1")
    known = {str(inner): document(inner)}
    words = say("both", one=str(inner), other="their own words")
    assert document(words, known.get)["facts"] == {"one": document(inner), "other": "their own words"}


def test_a_thousand_parts_are_joined_without_depth() -> None:
    many = joined("listed", (f"n{number}" for number in range(1000)))
    assert many == ", ".join(f"n{number}" for number in range(1000))
    assert together([]) == ""
    assert json.dumps(document(many)) if isinstance(many, Sentence) else False
