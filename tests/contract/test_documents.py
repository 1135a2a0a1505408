"""What the documents name exists: files, modules, links, commands with their options, settings, addresses."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.test_specification_ledger import SERVED

from embedded_scheduler.config import Settings
from embedded_scheduler.wire import linktest, ptp
from nodeconsole.cli.completion import places
from nodeconsole.cli.keys import page
from nodeconsole.cli.parser import build_parser, parse

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "embedded_scheduler"
DOCUMENTS = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("README.md", "SECURITY.md"))])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCUMENTS}
ALL = "\n".join([*TEXTS.values(), (ROOT / "CHANGELOG.md").read_text("utf-8")])
CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
COMMANDS = {place.path: place for place in places(build_parser())}
LEAVES = {path for path, place in COMMANDS.items() if path and not place.commands}


# -- files ------------------------------------------------------------------------------------------------------------

BASES = (ROOT, ROOT / "docs", ROOT / "src", SOURCES, ROOT / "src" / "nodeconsole")
FOLDERS = {path.name for base in BASES for path in base.iterdir() if path.is_dir()}


def cited(text: str) -> Iterator[str]:
    """Files and folders of the project between backticks: `engine/jobs.py`, `tests/attack`, `docs/verify.py`."""
    for code in CODE.findall(text):
        for part in code.replace("{", " ").split():
            name = part.rstrip(",;:")
            below = re.fullmatch(r"([\w.-]+)/[\w./-]*", name)
            if (below and below[1] in FOLDERS) or re.fullmatch(r"\w+\.(py|service)", name):
                yield name


def exists(name: str) -> bool:
    """Also a module without its ending, and `engine/jobs.commit`: what is defined in one."""
    for base in BASES:
        if (base / name).exists() or (base / f"{name}.py").exists():
            return True
        module, _, member = name.rpartition(".")
        path = base / f"{module}.py"
        if module and path.exists() and re.search(rf"^(def|async def|class) {member}\b", path.read_text("utf-8"), re.M):
            return True
    return "/" not in name and any(ROOT.glob(f"[ptd]*/**/{name}"))


HOME_FOLDERS = ("storage/", "runs/", "channel/", "logs/", "identity/", "backups/")
"""Of a node's home, some of which have the name of a package."""
EXAMPLES = {"component.py"}
WIRE_NAMES = re.compile(r"(node|job|task|dataset|project|component|flow|model|message|chan)/\w+")


@pytest.mark.parametrize("document", TEXTS)
def test_every_file_that_is_named_exists(document: str) -> None:
    named = {name for name in cited(TEXTS[document]) if not WIRE_NAMES.match(name)}
    missing = {
        name for name in named if not name.startswith(HOME_FOLDERS) and name not in EXAMPLES and not exists(name)
    }
    assert missing == set()


def test_files_are_recognised() -> None:
    found = set(cited("`engine/jobs.py` `tests/attack` `nothing.py` `GET /v1/x` `/usr/bin` `docs/{a,b}` `tests/none`"))
    assert found == {"engine/jobs.py", "tests/attack", "nothing.py", "docs/", "tests/none"}
    assert [name for name in sorted(found) if not exists(name)] == ["nothing.py", "tests/none"]


@pytest.mark.parametrize("document", TEXTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[document]):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_document_is_in_the_index() -> None:
    index = TEXTS["docs/index.md"]
    assert [name for name in TEXTS if name.startswith("docs/") and Path(name).name not in f"{index} index.md"] == []


# -- the architecture -------------------------------------------------------------------------------------------------


def rows(document: str, heading: str) -> list[str]:
    """First cells of the tables below a heading."""
    section = TEXTS[document].split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)


def modules(folder: str) -> set[str]:
    return {path.stem for path in (SOURCES / folder).glob("*.py")} - {"__init__"}


def test_the_architecture_names_every_module_of_the_engine() -> None:
    named = {name for cell in rows("docs/architecture.md", "9. Engine") for name in CODE.findall(cell)}
    assert named == modules("engine")


def test_the_architecture_names_every_table() -> None:
    created = {
        name
        for path in sorted((SOURCES / "store" / "migrations").glob("*.sql"))
        for name in re.findall(r"^CREATE TABLE (\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    section = TEXTS["docs/architecture.md"].split("\n## 8. Store\n", 1)[1].split("\n## ", 1)[0]
    migrations = re.findall(r"^\| `(\d{4}_\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert {name for name, _ in migrations} == {path.stem for path in (SOURCES / "store" / "migrations").glob("*.sql")}
    assert {name for _, cell in migrations for name in CODE.findall(cell)} == created


# -- commands ---------------------------------------------------------------------------------------------------------


def typed() -> Iterator[tuple[str, str]]:
    """(document, command) for every whole command of a block, without prompt, comment and output."""
    for document, text in TEXTS.items():
        for _, language, block in FENCED.findall(text):
            if language in ("json", "toml", "nginx", "python"):
                continue
            for line in block.splitlines():
                found = re.search(r"(?:^|\$ |^runuser .* -- )(nodeconsole [a-z-].*)$", line.strip())
                if found:
                    yield document, re.split(r"\s+#|\s{4,}|\s[|>]\s", found[1])[0].strip()


def spoken() -> Iterator[tuple[str, str]]:
    """(document, command) for every mention between backticks, with or without the program's name."""
    for document, text in TEXTS.items():
        for code in CODE.findall(FENCED.sub("", text)):
            words = code.replace("\\|", "|").split()
            if words[0] == "nodeconsole" and len(words) > 1 and words[1][0].isalpha():
                yield document, " ".join(words[1:])
            elif len(words) > 1 and tuple(words[:2]) in LEAVES:
                yield document, " ".join(words)


PLACEHOLDERS = {"N": "1", "MINUTES": "30", "VERSION": "1", "MESSAGE": "7", "KIND": "flow", "SECONDS": "5"}


def arguments(command: str) -> list[str]:
    """`command` as somebody would type it: optional parts there, the first of several values, numbers for `N`."""
    words = shlex.split(re.sub(r"[\[\]]", "", command))[1:]
    return [PLACEHOLDERS.get(word, word.split("|")[0]) for word in words]


@pytest.mark.parametrize(("document", "command"), sorted(set(typed())))
def test_a_command_in_a_block_can_be_typed(document: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "…" in command.removesuffix("NC1-…"):
        assert fault(command.removeprefix("nodeconsole ")) == ""
        return
    try:
        parse(arguments(command))
    except SystemExit:
        pytest.fail(f"{document}: {command}: {capsys.readouterr().err}")


def fault(command: str) -> str:
    """What is wrong with a mentioned command: an unknown word, an unknown option, a value that it does not take."""
    words = [word for word in re.sub(r"[\[\]]", "", command).split() if word != "…"]
    path: tuple[str, ...] = ()
    while words and (*path, words[0].split("|")[0]) in COMMANDS:
        alternatives = words.pop(0).split("|")
        if unknown := [word for word in alternatives if (*path, word) not in COMMANDS]:
            return f"no command {' '.join((*path, unknown[0]))}"
        path = (*path, alternatives[0])
    place = COMMANDS[path]
    if not path or (place.commands and words):
        return f"no command {' '.join([*path, *words[:1]])}"
    options = {name: option for option in place.options for name in option.names}
    for word, value in itertools.pairwise([*words, ""]):
        if word.startswith("-") and word != "-":
            if word not in options:
                return f"{' '.join(path)} has no {word}"
            wrong = set(value.split("|")) - set(options[word].choices)
            if options[word].choices and value.islower() and wrong:
                return f"{word} takes no {wrong}"
    return ""


@pytest.mark.parametrize("document", TEXTS)
def test_every_command_that_is_mentioned_exists_with_its_options(document: str) -> None:
    faults = [f"{command}: {fault(command)}" for place, command in spoken() if place == document and fault(command)]
    assert faults == []


def test_faults_of_commands_are_found() -> None:
    assert fault("job list --needs-decision") == ""
    assert fault("token create|list|revoke") == ""
    assert fault("peer add … --approval auto|manual") == ""
    for wrong in ("job lisst", "jobs", "job list --all", "peer add x y --approval perhaps", "token create|forge"):
        assert fault(wrong), wrong


def test_every_command_is_in_a_document() -> None:
    mentioned = {command for _, command in spoken()} | {" ".join(arguments(command)) for _, command in typed()}
    text = "\n".join(mentioned)
    named = {path for path in LEAVES if re.search(rf"^{' '.join(path)}\b", text, re.MULTILINE)}
    for first, *verbs in re.findall(r"^(\w+) (\w+(?:(?: ?\| ?)\w+)+)", text, re.MULTILINE):
        named |= {(first, verb.strip()) for verb in verbs[0].split("|")}
    assert LEAVES - named == set()


# -- settings and addresses -------------------------------------------------------------------------------------------


def test_every_setting_that_is_named_exists() -> None:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    fields = {
        f"{name}.{member}"
        for name, annotation in sections.items()
        if hasattr(annotation, "model_fields")
        for member in annotation.model_fields
    }
    heads = "|".join({name.split(".")[0] for name in fields})
    named = {
        name
        for document, text in TEXTS.items()
        if document != "docs/keymap.md"  # names of bindings
        for name in re.findall(rf"(?<![\w./]|-)((?:{heads})\.[a-z_]+)(?= = |`)", text)
        if not name.endswith((".py", ".toml", ".md", ".key", ".sql"))
    }
    assert len(named) > 20
    assert named - fields - LIKE_SETTINGS == set()


LIKE_SETTINGS = {"approval.voted", "components.problems", "platform.token"}
"""An event, a function and a file."""


def test_every_address_that_is_named_is_served() -> None:
    served = {path for _, path in SERVED} | {linktest.PATH, linktest.REVERSE_PATH, "/v1/console"}
    served |= {
        ptp.INVOKE_PATH,
        ptp.TRANSPORT_PATH,
        *(f"/v1/interconn/chan/{w}" for w in ("push", "pop", "peek", "release")),
    }
    named = {name.rstrip("/") for name in re.findall(r"(?<!/)/v1/[a-z_/]+[a-z_]", ALL)}
    unknown = {name for name in named if not any(path == name or path.startswith(f"{name}/") for path in served)}
    assert unknown <= {"/v1/x"}


def test_documents_name_nothing_of_one_machine() -> None:
    found = re.findall(r"(?:^|[\s`(])(/work\b\S*|/tmp/\S+|/root/\.\S*)", ALL, re.MULTILINE)
    assert found == []


def test_argparse_is_walked_as_it_parses() -> None:
    """`places` and `parse` agree on what the commands are."""
    parser = build_parser()
    top = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert {path[0] for path in LEAVES} == set(top.choices)


def test_the_page_of_keys_is_up_to_date() -> None:
    assert TEXTS["docs/keymap.md"] == page(), "nodeconsole keys --markdown > docs/keymap.md"
