"""Forms: what is read from a self-description or a schema, what values mean, what is submitted."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Choice, Control, Kind
from algorithm_components.sdk.forms.patterns import Pattern, PatternFault
from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from algorithm_components.sdk.forms.selfdesc import form_of_component
from algorithm_components.sdk.forms.validators import parse_validator
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.forms import rows
from nodeconsole.viewmodels.forms.schema import form_of_schema
from nodeconsole.viewmodels.glyphs import UNICODE
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.tabs import tab_line
from tests.support.self_descriptions import SPECIFICATION_SAMPLE, component, large

DISPLAY = Display(load("en_US"), UNICODE, 0)


def form(*params: dict[str, Any], given: dict[str, Any] | None = None) -> Form:
    return Form(form_of_component(component(*params)), given)


def one(**members: Any) -> Form:
    return form({"name": "p", **members})


def said(made: Form) -> set[str]:
    return {note.code for note in made.spec.notes}


# The specification's own sample.


def test_the_sample_of_the_specification_is_read_with_all_its_faults() -> None:
    manifest, mended = parse_object(SPECIFICATION_SAMPLE)
    assert mended == ("commas",)
    made = Form(form_of_component(manifest))
    assert made.spec.title == "纵向逻辑回归算法"
    assert [group.shown for group in made.spec.groups] == [True, False]
    assert made.field("penalty").label == "正则项 (penalty)"
    assert made.faulty == ()
    codes = {(note.about, note.code) for note in made.spec.notes}
    assert ("id", "placeholder_pattern") in codes
    assert ("batch_size", "choices_refused") in codes
    assert made.values() == {
        "id": "id",
        "label": "y",
        "penalty": "L2",
        "optimizer": "rmsprop",
        "batch_size": 2048,
        "init_param": " ",
        "max_iter": 2,
    }
    made.set("optimizer", "sgd")
    made.set("init_param", "x")
    made.set("batch_size", "all")
    shown = made.values()
    assert (shown["learning_rate"], shown["init_method"], shown["batch_size"]) == (0.15, "zeros", "all")


def test_what_is_not_json_is_named_by_its_place() -> None:
    with pytest.raises(Unreadable, match="line 2, column 6"):
        parse_object('{"a": 1,\n "b" 2}')
    with pytest.raises(Unreadable, match="not a JSON object"):
        parse_object("[1]")
    with pytest.raises(Unreadable, match="NaN"):
        parse_object('{"a": NaN}')
    assert parse_object('\ufeff{"a": "//x, }", /* c */ "b": [1,], // d\n}') == (
        {"a": "//x, }", "b": [1]},
        ("comments", "commas"),
    )


# Parameters.


@pytest.mark.parametrize(
    ("members", "typed", "value", "fault"),
    [
        ({"type": "int"}, "12", 12, ""),
        ({"type": "integer"}, "", None, ""),
        ({"type": "int", "optional": "false"}, "", None, "required"),
        ({"type": "int"}, "1.5", None, "whole"),
        ({"type": "float"}, "1e-3", 0.001, ""),
        ({"type": "number"}, "7", 7, ""),
        ({"type": "float"}, "nan", None, "number"),
        ({"type": "float"}, "1_0", None, "number"),
        ({"type": "boolean"}, "True", True, ""),
        ({"type": "bool"}, "maybe", None, "flag"),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}, ""),
        ({"type": "object"}, "{", None, "json"),
        ({"type": "object"}, "NaN", None, "json"),
        ({"type": "string"}, " kept ", " kept ", ""),
        ({"type": "no such"}, "12", "12", ""),
        ({"type": "int", "validator": "[1,5)"}, "5", 5, "outside"),
        ({"type": "int", "validator": "[1,5]"}, "5", 5, ""),
        ({"type": "float", "validator": "（0，1）"}, "0", 0, "outside"),
        ({"type": "float", "validator": "(-∞, 3]"}, "-9", -9, ""),
        ({"type": "int", "validator": "(0,sup)"}, "0", 0, "outside"),
        ({"type": "int", "validator": [1, 3]}, "4", 4, "outside"),
        ({"validator": "regular:'[a-z]+'"}, "abc", "abc", ""),
        ({"validator": "regular:'[a-z]+'"}, "ab1", "ab1", "no_match"),
        ({"validator": "regular-^[a-z]"}, "ab1", "ab1", ""),
        ({"validator": "regular：/^\\d{2}$/"}, "123", "123", "no_match"),
        ({"bindingData": [{"label": "A", "value": "a"}]}, "b", None, "not_in"),
        ({"bindingData": [{"label": "1", "value": 1}], "type": "int"}, "1", 1, ""),
        ({"bindingData": '[{label: "A", value: "a"}]'}, "a", "a", ""),
        ({"bindingData": ["x", "y"], "UIType": "checkbox"}, '["x","y"]', ["x", "y"], ""),
        ({"bindingData": ["x", "y"], "UIType": "checkbox"}, "x, z", None, "not_in"),
        (
            {"bindingData": [{"label": "t", "children": [{"value": "leaf"}]}], "UIType": "selectTree"},
            "leaf",
            "leaf",
            "",
        ),
        (
            {"bindingData": [{"label": "t", "children": [{"value": "leaf"}]}], "UIType": "selectTree"},
            "t",
            None,
            "not_in",
        ),
    ],
)
def test_a_value_is_read_by_its_type_and_checked(members: dict[str, Any], typed: str, value: Any, fault: str) -> None:
    made = one(**members)
    made.set("p", typed)
    reading = made.reading("p")
    assert (reading.fault.code if reading.fault else "") == fault
    if not fault:
        assert reading.value == value
        assert type(reading.value) is type(value)


@pytest.mark.parametrize(
    ("members", "control", "kind"),
    [
        ({"UIType": "redio", "bindingData": ["a"]}, Control.RADIO, Kind.TEXT),
        ({"UIType": "radio", "bindingData": ["a"]}, Control.RADIO, Kind.TEXT),
        ({"UIType": "textArea"}, Control.AREA, Kind.TEXT),
        ({"UIType": "numberPicker", "type": "integer"}, Control.NUMBER, Kind.INTEGER),
        ({"UIType": "switch", "type": "bool"}, Control.SWITCH, Kind.FLAG),
        ({"UIType": "selectTree", "bindingData": ["a"]}, Control.TREE, Kind.TEXT),
        ({"bindingData": ["a"]}, Control.SELECT, Kind.TEXT),
        ({"uitype": "SELECT", "BindingData": ["a"]}, Control.SELECT, Kind.TEXT),
        ({"UIType": "hologram"}, Control.INPUT, Kind.TEXT),
        ({}, Control.INPUT, Kind.TEXT),
    ],
)
def test_every_control_in_every_spelling(members: dict[str, Any], control: Control, kind: Kind) -> None:
    field = one(**members).field("p")
    assert (field.control, field.kind) == (control, kind)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"type": "quaternion"}, "unknown_type"),
        ({"UIType": "hologram"}, "unknown_control"),
        ({"UIType": "select"}, "no_choices"),
        ({"UIPattern": "secret"}, "unknown_pattern"),
        ({"optional": "perhaps"}, "bad_optional"),
        ({"validator": "regular:'('"}, "bad_pattern"),
        ({"validator": "regular:'(?=a)b'"}, "bad_pattern"),
        ({"validator": "regular:''"}, "empty_pattern"),
        ({"validator": "regular-"}, "empty_pattern"),
        ({"validator": "regular-正则项"}, "placeholder_pattern"),
        ({"validator": "more than 3"}, "unknown_validator"),
        ({"validator": "(5,1)"}, "empty_range"),
        ({"validator": 7}, "not_text"),
        ({"bindingData": 5}, "bad_binding"),
        ({"bindingData": "call_function f(1)"}, "bad_call"),
        ({"bindingData": ["a", "a"]}, "repeated_choice"),
        ({"defaultValue": "x", "type": "int"}, "bad_default"),
        ({"defaultValue": "2048", "bindingData": ["a"]}, "bad_default"),
        ({"dependsOn": ["nobody.1"]}, "unknown_dependency"),
        ({"dependsOn": ["p"]}, "cycle"),
        ({"defaultvalue": "x"}, "misspelt"),
        ({"title": {}}, "not_text"),
    ],
)
def test_what_is_wrong_with_a_description_is_said(members: dict[str, Any], code: str) -> None:
    made = one(**members)
    assert code in said(made)
    for language in ("en_US", "zh_CN"):
        assert all(note.text(load(language)) for note in made.spec.notes)


def test_a_wrong_default_is_marked_and_never_replaced() -> None:
    made = one(type="int", defaultValue="2048", validator="(0,1000)")
    assert made.text("p") == "2048"
    assert made.faulty == ("p",)
    assert plain(rows.cells(made.field("p"), made, rows.View(), DISPLAY)).startswith("!")


@pytest.mark.parametrize(
    ("tag", "group", "shown"),
    [
        ("默认分组-显示", "默认分组", True),
        ("高级分组-默认不显示", "高级分组", False),
        ("高级分组-不显示", "高级分组", False),
        (["basic", "other"], "basic", True),
        ("a-b", "a-b", True),
        ("", "", True),
    ],
)
def test_group_tags(tag: object, group: str, shown: bool) -> None:
    made = one(groupTag=tag)
    assert made.field("p").group == group
    assert all(found.shown is shown for found in made.spec.groups)


def test_calls_are_names_of_providers_and_never_anything_else() -> None:
    made = one(bindingData="call_function getKV()")
    assert made.field("p").provider == "getKV"
    made.set("p", "anything")
    assert made.faulty == ()
    made.offer("p", (Choice("a"), Choice("b")))
    assert made.faulty == ("p",)
    for call in ("call_function __import__('os')", "call_function a.b();c()", "call_function"):
        assert one(bindingData=call).field("p").provider == ""


def test_read_only_and_hidden_fields_are_submitted_but_not_edited() -> None:
    made = form(
        {"name": "a", "UIPattern": "readOnly", "defaultValue": "1"},
        {"name": "b", "UIPattern": "hidden", "defaultValue": "2"},
    )
    assert made.field("a").read_only
    assert [field.name for field in rows.visible_fields(made, rows.View())] == ["a"]
    assert made.values() == {"a": "1", "b": "2"}


def test_conditions_hide_in_chains_and_what_is_hidden_is_not_submitted() -> None:
    made = form(
        {"name": "mode", "bindingData": ["x", "y", "z.1"]},
        {"name": "depth", "dependsOn": ["mode.x", "mode.z.1"], "type": "int", "defaultValue": "oops"},
        {"name": "more", "dependsOn": "depth"},
    )
    assert not made.is_shown("depth")
    assert made.faulty == ()
    made.set("mode", "z.1")
    assert made.is_shown("depth")
    assert made.is_shown("more")
    assert made.faulty == ("depth",)
    made.set("depth", "3")
    made.set("more", "m")
    assert made.values() == {"mode": "z.1", "depth": 3, "more": "m"}
    made.set("mode", "y")
    assert made.values() == {"mode": "y"}
    assert [field.name for field in rows.visible_fields(made, rows.View())] == ["mode", "depth", "more"]


def test_circles_are_reported_and_count_for_nothing() -> None:
    made = form({"name": "a", "dependsOn": ["b"]}, {"name": "b", "dependsOn": ["c.1"]}, {"name": "c", "dependsOn": "a"})
    cycles = [dict(note.facts)["cycle"] for note in made.spec.notes if note.code == "cycle"]
    assert cycles[0] == "a -> b -> c -> a"
    assert all(made.is_shown(name) for name in "abc")


def test_a_long_chain_of_conditions_is_no_burden() -> None:
    chain = [{"name": "f0"}] + [{"name": f"f{n}", "dependsOn": [f"f{n - 1}"]} for n in range(1, 900)]
    made = form(*chain)
    assert made.is_shown("f0")
    assert not made.is_shown("f899")


def test_parameters_of_other_roles_are_left_out() -> None:
    spec = form_of_component(component({"name": "a"}, {"name": "b", "roleList": ["Host"]}))
    assert [field.name for field in Form(spec, role="guest").fields] == ["a"]
    assert [field.name for field in Form(spec, role="host").fields] == ["a", "b"]


def test_given_values_stay_as_they_are_until_somebody_changes_them() -> None:
    document = {"unknown": {"x": 1}, "n": "07", "t": "a"}
    made = form({"name": "n", "type": "int"}, {"name": "t"}, {"name": "new", "defaultValue": "d"}, given=document)
    assert made.values() == document
    assert list(made.values()) == list(document)
    made.set("n", "8")
    made.set("new", "e")
    assert made.values() == {"unknown": {"x": 1}, "n": 8, "t": "a", "new": "e"}
    made.reset("n")
    assert made.text("n") == ""


def test_inherited_values_stand_in_the_place_of_defaults() -> None:
    spec = form_of_component(component({"name": "a", "optional": False}, {"name": "b", "defaultValue": "1"}))
    made = Form(spec, {}, inherited={"a": "common"})
    assert (made.text("a"), made.faulty, made.values()) == ("common", (), {})


def test_drafts_keep_what_was_typed() -> None:
    made = form({"name": "a"}, {"name": "b"})
    made.set("a", "x")
    again = form({"name": "a"}, {"name": "b"})
    again.restore({**made.draft(), "gone": "y"})
    assert again.values() == {"a": "x"}


def test_unknown_members_are_kept() -> None:
    assert one(colour="blue").field("p").raw["colour"] == "blue"


# Patterns.


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("a+b?", "aab", True),
        ("a+b?", "xaab", False),
        ("^a", "abc", True),
        ("b$", "ab", True),
        ("(ab|cd){2,3}", "abcdab", True),
        ("(ab|cd){2,3}", "ab", False),
        ("a{0}b", "b", True),
        ("(?:x{2}){2}", "xxxx", True),
        ("[^a-c]{,2}", "xy", True),
        (r"\d+\.\d*", "12.", True),
        (r"[\]x]+", "]x", True),
        (r"\w+", "标签", True),
        (r"\bfoo\b", "foo", True),
        ("", "", True),
        ("a{x", "a{x", True),
    ],
)
def test_patterns_match_as_pythons_do(pattern: str, value: str, matches: bool) -> None:
    assert Pattern(pattern).matches(value) is matches


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "(a{100}){100}", "(" * 240 + ")" * 240, "a++", "x" * 501])
def test_patterns_that_cannot_be_used_say_why(pattern: str) -> None:
    with pytest.raises(PatternFault):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*b", "a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)=x"])
def test_a_hostile_pattern_cannot_hang_the_console(pattern: str) -> None:
    began = time.process_time()
    assert Pattern(pattern).matches("a" * 4_000 + "!") in (False, None)
    assert time.process_time() - began < 1.0


@given(st.text("ab|()[]{}*+?^$\\d.,12-", max_size=20), st.text("ab12.", max_size=8))
def test_no_pattern_raises_anything_else(pattern: str, value: str) -> None:
    try:
        Pattern(pattern).matches(value)
    except PatternFault:
        return


# Anything at all.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "title",
            "type",
            "bindingData",
            "optional",
            "defaultValue",
            "validator",
            "dependsOn",
            "UIPattern",
            "groupTag",
            "UIType",
            "roleList",
        ]
    ),
    _JSON
    | st.sampled_from(
        ["p", "int", "select", "checkbox", "(1,2)", "regular:'a+'", "call_function x()", "p.1", "a-显示"]
    ),
)


@given(st.dictionaries(st.text(max_size=8), _JSON) | st.fixed_dictionaries({"inputParam": _JSON}))
def test_no_description_makes_it_raise(manifest: dict[str, Any]) -> None:
    Form(form_of_component(manifest)).values()


@given(st.lists(_MEMBERS, max_size=5), st.text(max_size=10))
def test_no_parameter_makes_it_raise(params: list[dict[str, Any]], typed: str) -> None:
    made = Form(form_of_component({"inputParam": params}))
    view = rows.View()
    for field in made.fields:
        made.set(field.name, typed)
        rows.cells(field, made, view, DISPLAY)
        rows.help_lines(field, made, view, DISPLAY, 60)
        rows.raw_lines(field, 60)
    rows.tab_words(made, DISPLAY)
    made.values()


@given(st.text(max_size=30))
def test_no_validator_makes_it_raise(text: str) -> None:
    validator, _ = parse_validator(text, "p")
    if validator is not None:
        validator.fault("x", "p")
        validator.fault(1, "p")


@given(_JSON)
def test_no_schema_makes_it_raise(schema: Any) -> None:
    Form(form_of_schema(schema if isinstance(schema, dict) else {"properties": schema})).values()


# Schemas.


class _Options(BaseModel):
    path: str = Field(description="Where the file is.")
    delimiter: str | None = None
    rows: int = Field(default=10, ge=1, le=100)
    mode: str = Field(default="fast", pattern="^(fast|slow)$")
    strict: bool = True
    password: str = Field(default="", json_schema_extra={"format": "password"})
    extra: dict[str, str] = {}


def test_a_pydantic_schema_becomes_the_same_form() -> None:
    made = Form(form_of_schema(_Options.model_json_schema()))
    fields = {field.name: field for field in made.fields}
    assert fields["path"].required
    assert fields["password"].secret
    assert [fields[name].kind for name in ("path", "delimiter", "rows", "strict", "extra")] == [
        Kind.TEXT,
        Kind.TEXT,
        Kind.INTEGER,
        Kind.FLAG,
        Kind.JSON,
    ]
    assert made.faulty == ("path",)
    for name, text in {"path": "/x", "rows": "0", "mode": "idle", "password": "s3cret"}.items():
        made.set(name, text)
    assert made.faulty == ("rows", "mode")
    assert "password" not in made.draft()
    made.set("rows", "5")
    made.set("mode", "slow")
    assert made.values() == {
        "path": "/x",
        "rows": 5,
        "mode": "slow",
        "strict": True,
        "password": "s3cret",
        "extra": {},
    }
    assert rows.value_text(fields["password"], "s3cret", DISPLAY) == "********"


# Rows.


def test_tabs_are_the_groups_and_problems_are_found_in_any_of_them() -> None:
    made = form(
        {"name": "a", "groupTag": "one-显示"},
        {"name": "b", "groupTag": "two-不显示", "optional": "false"},
        {"name": "c"},
    )
    titles = [(tab.title, tab.names) for tab in rows.tabs(made)]
    assert titles == [("", ("a", "c")), ("one", ("a",)), ("two", ("b",))]
    assert (
        plain(tab_line(rows.tab_words(made, DISPLAY), rows.tab_here(made, rows.View())))
        == "[Standard(2)] one(1)  two(1)! "
    )
    assert rows.tab_of(made, "b") == 2
    assert [field.name for field in rows.visible_fields(made, rows.View(pattern="B"))] == ["b"]
    assert plain(rows.summary(made, rows.View(), DISPLAY)) == "errors 1  changed 0  fields 3"


@pytest.mark.parametrize(
    ("members", "text", "shown"),
    [
        ({"type": "bool"}, "true", "[x]"),
        ({"type": "bool"}, "", "[-]"),
        ({}, "", "-"),
        ({}, "a\nb", "a (2 lines)"),
        ({"bindingData": [{"label": "L2正则", "value": "L2"}]}, "L2", "L2正则 (L2)"),
        ({"bindingData": ["a", "b"], "UIType": "checkbox"}, '["a","b"]', "a, b"),
        ({}, "\x1b[31mred", "red"),
    ],
)
def test_values_are_shown_for_people(members: dict[str, Any], text: str, shown: str) -> None:
    assert rows.value_text(one(**members).field("p"), text, DISPLAY) == shown


def test_hundred_parameters_are_rows_in_no_time() -> None:
    made = Form(form_of_component(large(100)))
    began = time.process_time()
    for field in rows.visible_fields(made, rows.View()):
        rows.cells(field, made, rows.View(), DISPLAY)
    assert time.process_time() - began < 0.1
