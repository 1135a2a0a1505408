"""Texts, actions and themes: data that must hold together."""

from __future__ import annotations

import re
import string
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from embedded_scheduler.sentences import ENGLISH
from nodeconsole.actions import ACTIONS, GLOBAL, KeyMap, Pending, key_name
from nodeconsole.i18n.catalogue import LANGUAGES, default_language, load, named_language
from nodeconsole.viewmodels.text import cells

_SOURCES = Path(__file__).parents[2] / "src" / "nodeconsole"
_SCOPES = (
    ("settings", "move", GLOBAL),
    ("pulse", "panes", "move", GLOBAL),
    ("statistics", "panes", "move", GLOBAL),
    ("audit", "list", "move", GLOBAL),
    ("jobs", "list", "move", GLOBAL),
    *((f"job_{tab}", "job", "move", GLOBAL) for tab in ("graph", "tasks", "timeline", "events", "results", "spec")),
    ("task", "move", GLOBAL),
    ("runs", "move", GLOBAL),
    ("log", "move", GLOBAL),
    ("card", "one_of_many", "move", GLOBAL),
    ("approvals", "list", "move", GLOBAL),
    ("contract", "one_of_many", "move", GLOBAL),
    ("grant", "one_of_many", "move", GLOBAL),
    ("partner", "list", "move", GLOBAL),
    ("list", "move", GLOBAL),
    ("document", "move", GLOBAL),
    ("partner", "move", GLOBAL),
    ("data_tabs", "data", "list", "move", GLOBAL),
    ("data", "move", GLOBAL),
    ("tokens", "list", "move", GLOBAL),
    ("secrets", "list", "move", GLOBAL),
    ("policy", "move", GLOBAL),
    ("identity", "move", GLOBAL),
    ("messages", "list", "move", GLOBAL),
    ("linktest", "move", GLOBAL),
    ("invitation", "move", GLOBAL),
    ("components", "list", "move", GLOBAL),
    ("component", "components", "move", GLOBAL),
    ("form", "move", GLOBAL),
    ("compose", "move", GLOBAL),
    ("move", GLOBAL),
)


def _placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_languages_have_the_same_keys_and_placeholders() -> None:
    english, chinese = (load(language) for language in LANGUAGES)
    assert english.keys == chinese.keys
    for key in english.keys:
        assert _placeholders(english.template(key)) == _placeholders(chinese.template(key)), key


def test_every_sentence_of_the_node_is_said_in_chinese_and_somewhere() -> None:
    chinese = load("zh_CN").sentences
    assert chinese.keys() == ENGLISH.keys()
    for code, english in ENGLISH.items():
        assert _placeholders(english) == _placeholders(chinese[code]), code
    node = _SOURCES.parent / "embedded_scheduler"
    sources = [path.read_text("utf-8") for path in node.rglob("*.py") if "sentences" not in path.parts]
    # Made here, or put together from the name of a state.
    unsaid = {code for code in ENGLISH if not any(f'"{code}"' in source for source in sources)}
    assert unsaid == {"service_running", "service_finished", "service_stopped"}


def test_chinese_is_punctuated_in_full_width_and_has_one_word_for_a_partner() -> None:
    catalogue = load("zh_CN")
    texts = {key: catalogue.template(key) for key in catalogue.keys} | dict(catalogue.sentences)
    # A stop, comma, bracket or question mark that belongs to the sentence, not to a key or to a command.
    half = re.compile(r"[\u4e00-\u9fff] ?[,;)]|[\u4e00-\u9fff][:?!(]|[\u4e00-\u9fff] \((?!\))|[,;!] ?[\u4e00-\u9fff]")
    assert {key: text for key, text in texts.items() if half.search(text)} == {}
    assert {key for key, text in texts.items() if "合作节点" in text or "伙伴" in text} == set()


def test_every_text_that_is_asked_for_exists() -> None:
    """Literal keys in the sources, and the families that are put together from names."""
    catalogue = load("en_US")
    asked: set[str] = set()
    for path in (*_SOURCES.glob("*.py"), *_SOURCES.glob("screens/*.py"), *_SOURCES.glob("viewmodels/**/*.py")):
        asked |= set(re.findall(r"""\btext\(\s*["']([a-z_.0-9]+)["']""", path.read_text("utf-8")))
    assert len(asked) > 100
    assert asked <= catalogue.keys, asked - catalogue.keys
    families = {f"{kind}.{action.id}" for action in ACTIONS for kind in ("action", "help")}
    families |= {f"scope.{action.scope}" for action in ACTIONS}
    assert families <= catalogue.keys, families - catalogue.keys


def test_no_text_of_an_action_is_left_over() -> None:
    catalogue = load("zh_CN")
    ids = {action.id for action in ACTIONS}
    named = {key.split(".", 1)[1] for key in catalogue.keys if key.startswith(("action.", "help."))}
    assert named == ids


@pytest.mark.parametrize(
    ("environ", "language"),
    [({}, "en_US"), ({"LANG": "zh_CN.UTF-8"}, "zh_CN"), ({"LANG": "zh_CN", "NODECONSOLE_LANG": "en"}, "en_US")],
)
def test_default_language(environ: dict[str, str], language: str) -> None:
    assert default_language(environ) == language


def test_languages_by_name() -> None:
    assert named_language("zh") == "zh_CN"
    assert named_language("EN_us") == "en_US"
    assert named_language("fr") is None
    assert named_language("") is None
    with pytest.raises(KeyError):
        load("fr_FR")


@pytest.mark.parametrize("scopes", _SCOPES, ids=lambda scopes: scopes[0])
def test_no_key_of_one_scope_means_two_things(scopes: tuple[str, ...]) -> None:
    for scope in scopes:
        keys = [key for action in ACTIONS if action.scope == scope for key in action.keys]
        assert len(keys) == len(set(keys)), scope
    keymap = KeyMap(scopes)
    prefixes = {key.split(" ")[0] for action in keymap.actions for key in action.keys if " " in key}
    alone = {key for action in keymap.actions for key in action.keys if " " not in key}
    assert not prefixes & alone


def test_upper_case_writes_and_everything_else_looks() -> None:
    motions = {"G", "E", "F", "N", "T"}
    for action in ACTIONS:
        letters = {key for key in action.keys if len(key) == 1 and key.isupper() and key.isascii()}
        if action.writes:
            assert set(action.keys) == letters, action.id
        else:
            assert letters <= motions, action.id


def test_keys_survive_any_terminal() -> None:
    forbidden = {"ctrl+a", "ctrl+space", "ctrl+h", "ctrl+i", "ctrl+m", "ctrl+z", "ctrl+enter", "ctrl+j"}
    for action in ACTIONS:
        assert not set(action.keys) & forbidden
        assert not any(key.startswith("alt+") for key in action.keys)


@pytest.mark.parametrize("scopes", _SCOPES, ids=lambda scopes: scopes[0])
@pytest.mark.parametrize("language", LANGUAGES)
def test_footer_fits_80_cells(scopes: tuple[str, ...], language: str) -> None:
    keymap, catalogue = KeyMap(scopes), load(language)
    shown = [f" {key_name(keymap.keys_of(a)[0])} {catalogue.text(f'action.{a.id}')} " for a in keymap.footer()]
    assert 1 <= len(shown) <= 8
    assert cells("".join(shown)) <= 80


def test_every_action_is_reachable() -> None:
    for scopes in _SCOPES:
        keymap = KeyMap(scopes)
        for action in keymap.actions:
            by_key = any(keymap.resolve(tuple(key.split(" "))) is action for key in action.keys)
            by_word = any(keymap.command(word) is action for word in action.command)
            assert by_key or by_word, action.id


def test_resolving_keys() -> None:
    keymap = KeyMap(("jobs", "move", GLOBAL))
    assert keymap.resolve(("g",)) is Pending.MORE
    assert keymap.resolve(("g", "x")) is None
    found = keymap.resolve(("g", "a"))
    assert not isinstance(found, Pending)
    assert found is not None
    assert found.id == "go.approvals"
    for plain, wide in pairwise((":", "：")):
        assert keymap.resolve((plain,)) is keymap.resolve((wide,))
    assert keymap.command("pee") is keymap.command("peers")
    assert keymap.command("p") is None
    assert key_name("f2") == "F2"


@pytest.mark.parametrize(
    ("module", "never"),
    [
        (
            "nodeconsole.viewmodels.jobs, nodeconsole.viewmodels.logs, nodeconsole.i18n.catalogue",
            ("textual", "rich", "pydantic"),
        ),
        (
            "nodeconsole.app",
            ("httpcore", "pydantic", "textual.widgets._markdown", "textual.widgets._data_table", "tree_sitter"),
        ),
        ("nodeconsole.client", ("httpx", "click", "pygments", "urllib.request", "textual")),
    ],
    ids=["viewmodels", "app", "client"],
)
def test_imports_stay_light(module: str, never: tuple[str, ...]) -> None:
    """What would make the first paint late is not loaded before it; what takes memory for nothing, never."""
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stdout.split()) & set(never)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_empty_list_says_fits_80_cells(language: str) -> None:
    """An empty list teaches: not with half a sentence."""
    catalogue = load(language)
    hints = [key for key in catalogue.keys if key.endswith((".none", ".none_hint"))]
    assert hints
    for key in hints:
        assert cells(catalogue.template(key)) <= 76, key
