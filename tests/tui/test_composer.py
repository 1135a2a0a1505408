"""A job being put together, without a screen: edits and their undoing, what is wrong, files that stay as they were."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithm_components.sdk.forms.selfdesc import form_of_component
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.composer import rows
from nodeconsole.viewmodels.composer.catalogue import Port, Program, assigned, compatible, find
from nodeconsole.viewmodels.composer.composition import Composition, Party, empty, is_job
from nodeconsole.viewmodels.composer.problems import form_of_party, problems
from nodeconsole.viewmodels.composer.rows import Situation
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import UNICODE
from nodeconsole.viewmodels.spans import plain
from tests.support.probe_jobs import chain, probe_job
from tests.support.self_descriptions import component

DISPLAY = Display(load("en_US"), UNICODE, 0)
TABLE, MODEL = Port("data", "dataset"), Port("model", "model")


def program(name: str, *inputs: Port, outputs: tuple[Port, ...] = (TABLE,), roles: str = "", **param: Any) -> Program:
    params = [{"name": "p", **param}] if param else []
    form = form_of_component(component(*params))
    return Program("acme", name, "1.0", name, tuple(roles.split()), inputs, outputs, form=form)


ALIGN = program("align", Port("data", "dataset", required=True), roles="guest host", type="int", validator="[1,9]")
TRAIN = program(
    "train", Port("data", "training_set", required=True), Port("start", "model"), outputs=(MODEL,), optional=False
)
PROGRAMS = {"align": ALIGN, "train": TRAIN}


def composed() -> Composition:
    made = Composition(empty("alice"))
    made.add_party("host", "bob", {})
    made.add_task(ALIGN)
    made.add_task(TRAIN)
    made.wire("train", TRAIN, 0, "align.data")
    return made


def found(made: Composition, node_id: str = "alice") -> set[str]:
    used = {
        task.name: known
        for task in made.tasks
        if (known := find(PROGRAMS.values(), task.provider, task.component, task.version))
    }
    return {problem.code for problem in problems(made, used, node_id)}


def test_tasks_and_parties_make_the_document_of_the_specification() -> None:
    made = composed()
    made.set_flow("f-1")
    guest, host = made.parties
    made.set_parameters("align", host, {"dataset_id": "default#loans"})
    made.set_parameters("align", None, {"p": 3})
    assert made.document["config"]["role"] == {"guest": ["alice"], "host": ["bob"]}
    assert made.document["dag"]["components"][1] == {
        "name": "train",
        "componentName": "train",
        "version": "1.0",
        "provider": "acme",
        "input": [{"key": "align.data", "type": "dataset"}],
        "output": [{"key": "model", "type": "model"}],
    }
    assert made.document["config"]["task_params"] == {
        "common": {"align": {"p": 3}},
        "guest": {"0": {"align": {}, "train": {}}},
        "host": {"0": {"align": {"dataset_id": "default#loans"}, "train": {}}},
    }
    assert made.parties_of("align") == (guest, host)


def test_every_edit_can_be_taken_back_and_done_again() -> None:
    made = composed()
    before = copy.deepcopy(made.document)
    made.remove_task("align")
    assert made.task("train").inputs == ()
    assert "align" not in json.dumps(made.document)
    after = made.document
    assert made.undo()
    assert made.document == before
    assert made.redo()
    assert made.document == after
    assert not made.redo()
    while made.undo():
        pass
    assert made.document == empty("alice")


def test_a_task_renamed_takes_its_readers_and_parameters_along() -> None:
    made = composed()
    made.set_parameters("align", None, {"p": 1})
    made.rename_task("align", "psi")
    assert [port.name for port in made.task("train").inputs] == ["psi.data"]
    params = made.document["config"]["task_params"]
    assert (params["common"], list(params["guest"]["0"])) == ({"psi": {"p": 1}}, ["psi", "train"])
    assert made.add_task(ALIGN) == "align"
    assert made.add_task(ALIGN) == "align_2"


def test_parties_move_up_with_what_was_given_for_them() -> None:
    made = composed()
    made.add_party("host", "carol", {"align": ALIGN})
    carol = made.parties[2]
    made.set_parameters("align", carol, {"p": 7})
    made.remove_party(made.parties[1])
    assert made.parties[1] == Party("host", 0, "carol")
    assert made.parameters("align", made.parties[1]) == {"p": 7}
    made.set_party(made.parties[1], "dave")
    assert made.parties[1].node_id == "dave"
    made.remove_party(made.parties[1])
    assert [party.key for party in made.parties] == ["guest.0"]


def test_who_takes_part_is_named_as_soon_as_it_is_chosen() -> None:
    made = Composition(probe_job({"guest": "alice", "host": "bob"}, chain(1)))
    made.document["config"]["task_params"] = {"common": {}}
    guest, host = made.parties_of("probe_0")
    made.set_taking_part("probe_0", host, takes_part=False)
    assert made.parties_of("probe_0") == (guest,)
    made.set_taking_part("probe_0", host, takes_part=True)
    assert made.parties_of("probe_0") == (guest, host)


@pytest.mark.parametrize(
    ("wired", "places"),
    [
        ([TABLE], [0]),
        ([Port("x", "model")], [1]),
        ([Port("x", "model"), TABLE], [1, 0]),
        ([TABLE, TABLE, TABLE], [0, 1, None]),
        ([Port("x", "report")], [0]),
    ],
)
def test_inputs_are_matched_by_position_and_by_type(wired: list[Port], places: list[int | None]) -> None:
    assert assigned(wired, TRAIN.inputs) == places


def test_wires_keep_what_the_other_inputs_read() -> None:
    made = composed()
    made.add_task(TRAIN)
    made.wire("train_2", TRAIN, 1, "train.model")
    made.wire("train_2", TRAIN, 0, "align.data")
    assert [port.name for port in made.task("train_2").inputs] == ["align.data", "train.model"]
    made.wire("train_2", TRAIN, 0, "")
    assert [port.name for port in made.task("train_2").inputs] == ["train.model"]
    assert made.downstream_of("align") == {"align", "train", "train_2"}


def test_kinds_of_tables_are_compatible_and_nothing_else_is() -> None:
    assert compatible("dataset", "training_set")
    assert compatible("", "model")
    assert not compatible("model", "dataset")


def test_the_newest_version_is_meant_where_none_is_named() -> None:
    newer = Program("acme", "align", "2.0")
    assert find([ALIGN, newer], "", "align", "") is newer
    assert find([ALIGN, newer], "acme", "align", "1.0") is ALIGN
    assert find([ALIGN], "acme", "align", "3.0") is None


def test_what_is_wrong_is_found_before_anybody_is_asked() -> None:
    made = composed()
    assert found(made) == {"parameter"}  # data of two parties, and what training needs
    guest, host = made.parties
    for party in (guest, host):
        made.set_parameters("align", party, {"dataset_id": "default#x"})
    made.set_parameters("train", None, {"p": "x"})
    assert found(made) == set()
    assert found(made, "carol") == {"initiator"}
    made.set_parameters("align", None, {"p": 12})
    assert found(made) == {"parameter"}
    made.undo()
    made.add_party("arbiter", "carol", {})
    assert found(made) == {"role", "parameter"}


def edited(change: Any) -> Composition:
    document = json.loads(composed().text())
    change(document)
    return Composition(document)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d["dag"]["components"].clear(), "no_tasks"),
        (lambda d: d["config"]["role"].clear(), "no_parties"),
        (lambda d: d["dag"]["components"][0].update(name="a b"), "bad_name"),
        (lambda d: d["dag"]["components"][0].update(name="train"), "same_name"),
        (lambda d: d["dag"]["components"][0].update(version="9"), "unknown_component"),
        (lambda d: d["dag"]["components"][1].update(input=[{"key": "gone.data", "type": "dataset"}]), "no_source"),
        (lambda d: d["dag"]["components"][1].update(input=[{"key": "align.data", "type": "report"}]), "type"),
        (lambda d: d["dag"]["components"][1].update(input=[{"key": "train.model", "type": "model"}]), "not_wired"),
        (lambda d: d["dag"]["components"][0].update(input=[{"key": "train.model", "type": "model"}]), "circle"),
        (lambda d: d["config"]["role"].update(host=[""]), "no_node"),
    ],
)
def test_every_problem_is_named_where_it_is(change: Any, code: str) -> None:
    made = edited(change)
    assert code in found(made)
    used = {task.name: PROGRAMS[task.component] for task in made.tasks if task.component in PROGRAMS}
    situation = Situation(made, used, problems(made, used, "alice"), "alice")
    lines = rows.all_rows(situation, DISPLAY)
    assert all(rows.row_of(problem, lines) is not None for problem in situation.problems if problem.code != "no_source")
    for language in ("en_US", "zh_CN"):
        assert all(problem.text(load(language)) for problem in situation.problems)


def test_a_file_is_the_same_when_it_is_saved_again() -> None:
    document = probe_job({"guest": "alice", "host": "bob"}, chain(3), parameters={"probe_0": {"sleep": 1}})
    document["ours"] = {"kept": [1, 2]}
    text = json.dumps(document, indent=3, ensure_ascii=True)
    made = Composition(document, text)
    assert made.text() == text
    made.set_flow("other")
    assert json.loads(made.text()) == document | {"flow_id": "other"}
    made.undo()
    assert made.text() == text


def test_values_that_are_only_looked_at_stay_as_they_are() -> None:
    made = composed()
    host = made.parties[1]
    made.set_parameters("align", host, {"namespace": "default", "name": "x", "strange": {"a": 1}, "p": "3"})
    form = form_of_party(made, made.task("align"), ALIGN, host)
    assert form.faulty == ()
    assert form.values() == made.parameters("align", host)
    new = form_of_party(made, made.task("align"), ALIGN, None)
    assert new.values() == {}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["components", "version"]),
        _JSON
        | st.lists(
            st.fixed_dictionaries(
                {"name": _JSON, "input": _JSON | st.lists(st.fixed_dictionaries({"key": _JSON, "type": _JSON}))}
            )
        ),
    ),
    st.dictionaries(st.sampled_from(["role", "task_params", "initiator"]), _JSON),
)
def test_no_document_makes_it_raise(dag: dict[str, Any], config: dict[str, Any]) -> None:
    document = {"dag": dag, "config": config}
    assert is_job(document)
    made = Composition(document)
    situation = Situation(made, {}, problems(made, {}, "alice"), "alice")
    for row in rows.all_rows(situation, DISPLAY):
        rows.row_cells(row, situation, DISPLAY)
    rows.problem_lines(situation, DISPLAY, 60)
    rows.graph(made, DISPLAY)


def test_rows_say_who_gives_what_and_reads_from_whom() -> None:
    made = composed()
    made.set_parameters("align", made.parties[1], {"dataset_id": "default#loans", "p": 2})
    situation = Situation(made, {"align": ALIGN, "train": TRAIN}, (), "alice")
    shown = [plain(rows.row_cells(row, situation, DISPLAY)) for row in rows.all_rows(situation, DISPLAY)]
    assert "guest.0alicethis node  initiator" in shown
    assert "  → dataown datadataset" in shown
    assert "  → dataalign.datatraining_set" in shown
    assert "  host.0default#loans p=21 given" in shown
    layout, faces = rows.graph(made, DISPLAY)
    assert plain(faces["align"][0]) == "[ align ]"
    assert layout.boxes["align"].y < layout.boxes["train"].y


def test_what_runs_a_part_is_said_for_all_of_a_party_or_for_one_task_and_follows_its_name() -> None:
    made = composed()
    guest, host = made.parties
    before = made.document
    made.set_runner("", guest, "ray")
    assert made.document["config"]["job_params"]["guest"] == {"0": {"runner": "ray"}}
    assert (made.runner("align", guest), made.runner_of_all(guest), made.runner("align", host)) == ("ray", "ray", "")
    shown = {row.key: row.note for row in rows.all_rows(Situation(made, PROGRAMS, (), "alice"), DISPLAY)}
    assert shown["party//guest.0/-1"] == "by ray  this node  initiator"
    assert shown["given/align/guest.0/-1"] == "by ray"
    # For one task only: the others keep what was said for all.
    made.set_runner("align", guest, "process")
    assert made.document["config"]["job_params"]["guest"] == {"0": {"runner": {"align": "process", "train": "ray"}}}
    assert made.runner_of_all(guest) == ""
    made.rename_task("align", "match")
    made.remove_task("train")
    assert made.document["config"]["job_params"]["guest"] == {"0": {"runner": {"match": "process"}}}
    # What else is said there stays, and taking it back leaves nothing behind.
    made.set_runner("match", guest, "")
    assert "guest" not in made.document["config"]["job_params"]
    while made.undo():
        pass
    assert made.document == Composition(empty("alice")).document
    while made.redo():
        pass
    assert before["config"]["job_params"] == made.document["config"]["job_params"] == {"common": {}}
    document = copy.deepcopy(before)
    document["config"]["job_params"]["guest"] = {"0": {"resources": {"memory": 2}, "runner": 7}}
    kept = Composition(document)
    assert kept.runner("align", guest) == ""
    kept.set_runner("align", guest, "ray")
    kept.set_runner("align", guest, "")
    assert kept.document["config"]["job_params"]["guest"] == {"0": {"resources": {"memory": 2}}}
