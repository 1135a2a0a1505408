"""The command line against a real node: outputs for people and programs, and its exit codes."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.config import load_settings
from embedded_scheduler.home import Home
from nodeconsole import launcher
from nodeconsole.cli.exits import Exit


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def run(*arguments: str, home: Home | Path | None = None, stdin: str = "") -> Done:
    """One command line, run by the program's own entry function in a thread: a process each would take minutes."""
    path = home.path if isinstance(home, Home) else home
    argv = [*arguments, *(() if path is None else ("--home", str(path)))]
    async with asyncio.timeout(60):
        done = await asyncio.to_thread(_run, argv, stdin)
    assert "Traceback" not in done.err, done.err
    return done


def _run(argv: list[str], stdin: str) -> Done:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = launcher.run(argv)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdin = before
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice") as running:
        yield running


def job(**parameters: object) -> str:
    component = {"name": "probe_0", "componentName": "probe", "provider": "nodeconsole", "version": "1.0.0"}
    return json.dumps(
        {
            "flow_id": "流程一",
            "dag": {"version": "2.0.0", "components": [component | {"input": [], "output": []}]},
            "config": {
                "initiator": {"role": "guest", "node_id": "alice"},
                "role": {"guest": ["alice"]},
                "task_params": {"common": {"probe_0": parameters}},
            },
        }
    )


async def test_a_job_is_submitted_waited_for_listed_shown_and_its_log_read(node: Hosted, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(job(lines=3))
    done = await run("job", "submit", str(file), "--wait", home=node.home)
    assert done.code == Exit.OK, done
    job_id = done.out.strip()
    assert done.out == f"{job_id}\n", "standard output is the id alone"
    assert "FINISHED succeeded" in done.err

    listed = await run("job", "list", home=node.home)
    assert job_id in listed.out
    assert "流程一" in listed.out
    rows = (await run("job", "list", "--json", "--state", "finished", home=node.home)).json
    assert [row["job_id"] for row in rows["jobs"]] == [job_id]

    shown = await run("job", "show", job_id[:14], home=node.home)
    assert "FINISHED succeeded" in shown.out
    assert "guest.0" in shown.out
    assert (await run("job", "show", job_id, "--json", home=node.home)).json["job"]["outcome"] == "succeeded"

    log = await run("job", "logs", job_id, home=node.home)
    assert [line for line in log.out.splitlines() if line.startswith("line ")] == [f"line {n} of 3" for n in (1, 2, 3)]
    assert (await run("job", "logs", job_id, "--follow", home=node.home)).out == log.out
    assert (await run("job", "logs", job_id, "--start", "-1", home=node.home)).out == log.out.splitlines(keepends=True)[
        -1
    ]
    numbered = await run("job", "logs", job_id, "probe_0", "--limit", "2", "--json", home=node.home)
    assert [json.loads(line)["line"] for line in numbered.out.splitlines()] == [0, 1]


async def test_waiting_tells_the_outcome_by_its_exit_code(node: Hosted) -> None:
    done = await run("job", "submit", "-", "--wait", "--json", home=node.home, stdin=job(fail=7))
    assert done.code == Exit.UNSUCCESSFUL
    assert (done.json["state"], done.json["outcome"]) == ("FINISHED", "failed")
    assert "failed" in done.err
    again = await run("job", "wait", done.json["job_id"][:14], home=node.home)
    assert (again.code, again.out) == (Exit.UNSUCCESSFUL, f"{done.json['job_id']}\n")
    assert (await run("job", "wait", "job-nowhere", home=node.home)).code == Exit.NOT_FOUND


async def test_a_wait_can_be_limited_and_the_job_stopped(node: Hosted) -> None:
    done = await run("job", "submit", "-", "--wait", "--timeout", "1", home=node.home, stdin=job(sleep=120))
    assert done.code == Exit.FAILED
    assert "it goes on" in done.err
    job_id = (await run("job", "list", "--json", home=node.home)).json["jobs"][0]["job_id"]
    stopped = await run("job", "stop", job_id, "--reason", "够了", home=node.home)
    assert stopped.code == Exit.OK
    async with node.client() as client, asyncio.timeout(20):
        async for _ in client.events(0):
            if (await client.job(job_id)).job.outcome == "stopped":
                break
    assert "够了" in (await run("job", "show", job_id, home=node.home)).out


async def test_datasets(node: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "人.csv").write_text("id,age\na,1\n")
    added = await run("dataset", "add", "people", "人.csv", "--description", "数据", home=node.home)
    assert added.code == Exit.OK, added
    shown = (await run("dataset", "show", "default#people", "--json", home=node.home)).json
    assert shown["rows"] == 1
    assert shown["options"]["path"] == str(tmp_path / "人.csv"), "a relative path is the caller's, not the node's"
    listed = await run("dataset", "list", home=node.home)
    assert "default#people" in listed.out
    assert "数据" in listed.out
    assert (await run("dataset", "remove", "people", home=node.home)).code == Exit.OK
    assert (await run("dataset", "remove", "people", home=node.home)).code == Exit.NOT_FOUND
    empty = await run("dataset", "list", home=node.home)
    assert (empty.code, empty.out) == (Exit.OK, "")
    assert "dataset add" in empty.err


async def test_components(node: Hosted, tmp_path: Path) -> None:
    manifest = tmp_path / "mine.json"
    manifest.write_text(json.dumps({"componentName": "mine", "provider": "me", "version": "1.0"}))
    done = await run("component", "register", str(manifest), "--image", "registry.example/mine:1", home=node.home)
    assert done.code == Exit.OK, done
    assert "me/mine/1.0" in done.out
    refused = await run("component", "register", str(manifest), "--image", "exec:/bin/sh", home=node.home)
    assert refused.code == Exit.REFUSED, refused
    assert (await run("component", "show", "mine", "--json", home=node.home)).json["manifest"]["provider"] == "me"
    assert "me/mine/1.0" in (await run("component", "list", home=node.home)).out
    assert (await run("component", "remove", "me/mine/1.0", home=node.home)).code == Exit.OK
    assert (await run("component", "show", "mine", home=node.home)).code == Exit.NOT_FOUND


async def test_components_come_and_go_as_folders_and_archives(node: Hosted, tmp_path: Path) -> None:
    folder, packed = tmp_path / "descriptions", tmp_path / "all.tar.gz"
    folder.mkdir()
    for version in ("1", "2"):
        (folder / f"{version}.json").write_text(
            json.dumps({"componentName": "many", "provider": "me", "version": version})
        )
    nowhere = await run("component", "import", str(folder), home=node.home)
    assert (nowhere.code, "no imageUrl: give one with --image" in nowhere.out) == (Exit.REFUSED, True)
    image = "registry.example/{name}:{version}"
    looked = await run("component", "import", str(folder), "--image", image, "--check", "--json", home=node.home)
    assert [row["what"].split(";")[0] for row in looked.json["components"]] == ["new", "new"]
    assert (await run("component", "show", "many", home=node.home)).code == Exit.NOT_FOUND
    done = await run("component", "import", str(folder), "--image", image, home=node.home)
    assert (done.code, "me/many/2" in done.out) == (Exit.OK, True)
    saved = await run("component", "export", "me/many/1", "me/many/2", "--to", str(packed), home=node.home)
    assert (saved.code, "saved 2 components" in saved.out) == (Exit.OK, True)
    again = await run("component", "import", str(packed), "--json", home=node.home)
    assert [row["what"].split(";")[0] for row in again.json["components"]] == ["the same", "the same"]
    row = await run("component", "show", "me/many/2", "--json", home=node.home)
    assert row.json["image_url"] == "registry.example/many:2"
    (folder / "bad.json").write_text('{"componentName": "bad", "provider": "", "version": ""}')
    (folder / "3.json").write_text(json.dumps({"componentName": "many", "provider": "me", "version": "3"}))
    refused = await run("component", "import", str(folder), "--image", image, home=node.home)
    assert (refused.code, "nothing was registered" in refused.out) == (Exit.REFUSED, True)
    assert (await run("component", "show", "me/many/3", home=node.home)).code == Exit.NOT_FOUND
    assert (await run("component", "export", "--all", home=node.home)).code == Exit.USAGE
    for version in ("1", "2"):
        await run("component", "remove", f"me/many/{version}", home=node.home)


async def test_peers(node: Hosted) -> None:
    added = await run(
        "peer",
        "add",
        "bob",
        "http://127.0.0.1:9",
        "--profile",
        "kuscia",
        "--approval",
        "auto",
        "--signing",
        "off",
        home=node.home,
    )
    assert added.code == Exit.OK, added
    assert "kuscia" in (await run("peer", "list", home=node.home)).out
    assert (await run("peer", "show", "bob", "--json", home=node.home)).json["approval"] == "auto"
    bad = await run("peer", "add", "carol", "ftp://x", home=node.home)
    assert bad.code == Exit.USAGE
    assert "https://" in bad.err
    assert (await run("peer", "remove", "bob", home=node.home)).code == Exit.OK
    assert (await run("peer", "show", "bob", home=node.home)).code == Exit.NOT_FOUND


async def test_the_ledger(node: Hosted, tmp_path: Path) -> None:
    verified = await run("ledger", "verify", "--json", home=node.home)
    assert verified.json["ok"]
    exported = await run("ledger", "export", home=node.home)
    assert len(exported.out.splitlines()) == verified.json["events"]
    target = tmp_path / "ledger.ndjson"
    assert (await run("ledger", "export", "-o", str(target), home=node.home)).code == Exit.OK
    assert target.read_text() == exported.out
    assert target.stat().st_mode & 0o777 == 0o600
    again = await run("ledger", "export", "-o", str(target), home=node.home)
    assert again.code == Exit.REFUSED
    assert not await asyncio.to_thread(lambda: list(tmp_path.glob("*.part")))


async def test_status_and_doctor_of_a_running_node(node: Hosted) -> None:
    status = await run("status", home=node.home)
    assert status.code == Exit.OK
    assert node.running.listen in status.out
    doctor = await run("doctor", "--json", home=node.home)
    assert doctor.code == Exit.OK
    assert doctor.json["findings"][0]["check"] == "node"


async def test_doctor_of_a_node_that_is_down(node: Hosted) -> None:
    await node.stop()
    done = await run("doctor", home=node.home)
    assert done.code == Exit.OK, done
    assert "nodeconsole serve" in done.out
    assert "in order" in done.out
    node.home.platform_token.write_text("of version 0.1.0")
    node.home.platform_token.chmod(0o644)
    node.home.database.write_bytes(b"not a database")
    broken = await run("doctor", home=node.home)
    assert broken.code == Exit.FAILED
    assert "chmod 600" in broken.out
    assert broken.out.count("ERROR") == 2


async def test_doctor_of_nothing(tmp_path: Path) -> None:
    done = await run("doctor", home=tmp_path / "nothing")
    assert done.code == Exit.FAILED
    assert "nodeconsole init" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("job", "list"),
        ("job", "submit", "-"),
        ("dataset", "list"),
        ("component", "list"),
        ("peer", "list"),
        ("ledger", "verify"),
        ("ledger", "export"),
    ],
    ids=" ".join,
)
async def test_without_a_node_every_command_says_how_to_start_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    home = tmp_path / "nothing"
    for said in ("nodeconsole up --home", "nodeconsole serve --home"):
        done = await run(*arguments, home=home, stdin="{}")
        assert (done.code, done.out) == (Exit.UNREACHABLE, "")
        assert said in done.err
        assert done.err.count("\n") == 1
        home.mkdir(exist_ok=True)
        (home / "node.toml").touch()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "line 1"),
        ("{", "line 1, column 2"),
        ("[]", "not a JSON object"),
        ('{"dag": NaN}', "NaN"),
        ("[" * 200_000, "nested"),
        ('{"dag": {}}', "config"),
        ('{"dag": {}, "config": {}}', "component"),
        ('{"dag": 3, "config": {}}', "dag"),
    ],
    ids=lambda value: value[:20],
)
async def test_bad_job_files(node: Hosted, text: str, word: str) -> None:
    done = await run("job", "submit", "-", home=node.home, stdin=text)
    assert (done.code, done.out) == (Exit.USAGE, ""), done
    assert word in done.err
    assert done.err.count("\n") == 1
    assert (await run("job", "list", home=node.home)).out == ""


@pytest.mark.parametrize(
    "name", ["..", "../../x", "job-x\nnode", "\x1b[31m", "j" * 10_000, "a/b", "'; DROP TABLE jobs"], ids=len
)
async def test_hostile_names(node: Hosted, name: str) -> None:
    for arguments in (("job", "show", name), ("peer", "show", name), ("dataset", "show", name)):
        done = await run(*arguments, home=node.home)
        assert (done.code, done.out) == (Exit.NOT_FOUND, ""), done
        assert "\x1b" not in done.err
        assert done.err.count("\n") == 1


async def test_files_that_cannot_be_read(node: Hosted, tmp_path: Path) -> None:
    for arguments in (
        ("job", "submit", str(tmp_path)),
        ("job", "submit", str(tmp_path / "missing")),
        ("component", "register", str(tmp_path / "missing"), "--image", "x"),
        ("dataset", "add", "x", str(tmp_path / "missing.csv")),
        ("dataset", "add", "x", "/dev/null"),
    ):
        done = await run(*arguments, home=node.home)
        assert (done.code, done.out) == (Exit.USAGE, ""), done
        assert done.err.count("\n") == 1


async def test_init(tmp_path: Path) -> None:
    home = tmp_path / "bob"
    arguments = ("init", "--node-id", "bob", "--listen", "127.0.0.1:29380", "--platform", "127.0.0.1:29381")
    done = await run(*arguments, home=home)
    assert done.code == Exit.OK, done
    assert load_settings(Home(home)).node_id == "bob"
    again = await run(*arguments, "--json", home=home)
    assert again.json == {
        "node_id": "bob",
        "home": str(home),
        "created": [],
        "listen": "127.0.0.1:29380",
        "platform": "127.0.0.1:29381",
    }
    other = await run("init", "--node-id", "carol", home=home)
    assert other.code == Exit.REFUSED
    assert "bob already" in other.err
    bad = await run("init", "--node-id", "a b", home=tmp_path / "new")
    assert bad.code == Exit.USAGE
    assert not (tmp_path / "new").exists()


async def test_without_a_terminal_the_console_is_refused_and_nothing_is_created(tmp_path: Path) -> None:
    for command in ("up", "attach"):
        done = await run(command, home=tmp_path / "node")
        assert done.code in (Exit.USAGE, Exit.UNREACHABLE)
        assert done.err.count("\n") == 1
    assert not (tmp_path / "node").exists()


async def test_a_reader_that_goes_away_is_no_error(node: Hosted) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m nodeconsole ledger export --home {node.home.path} | head -n 1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out.count(b"\n") == 1
    assert err == b""


async def test_the_command_line_loads_neither_textual_nor_the_server(node: Hosted) -> None:
    program = (
        "import sys; from nodeconsole.launcher import run; code = run(sys.argv[1:]); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'textual', 'quart', 'hypercorn', 'aiosqlite'}),"
        " file=sys.stderr); sys.exit(code)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        "job",
        "list",
        "--home",
        str(node.home.path),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 0
    assert err.decode().splitlines()[-1] == "[]"


async def test_a_description_is_checked_with_and_without_a_node(node: Hosted, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"componentName": "mine", "provider": "me", "version": "1.0", /* x */}')
    done = await run("component", "check", str(folder), home=node.home)
    assert done.code == Exit.OK, done
    assert done.out.startswith("me/mine/1.0 is new; 0 parameters\n")
    assert "warning: it has comments, which JSON does not allow; right is plain JSON\n" in done.out
    assert "warning: roleList: missing, and the specification demands it; right is " in done.out
    alone = await run("component", "check", str(folder), home=tmp_path / "nowhere")
    assert alone.out.startswith("me/mine/1.0; no node was asked\n")
    assert alone.out.splitlines()[1:] == done.out.splitlines()[1:]
    strict = await run("component", "check", "--strict", "--json", str(folder), home=node.home)
    assert strict.code == Exit.FAILED
    assert {"level", "place", "wrong", "right"} == strict.json["findings"][0].keys()
    assert strict.json["component"]["name"] == "mine"
    broken = await run("component", "check", "-", home=node.home, stdin='{"componentName": "x"}')
    assert broken.code == Exit.USAGE
    assert "error: provider is missing; it must be a non-empty string" in broken.out
    unbuilt = await run("component", "register", str(folder), home=node.home)
    assert unbuilt.code == Exit.USAGE
    assert "component build" in unbuilt.err
    (folder / "dist").mkdir()
    (folder / "dist" / "mine.pyz").write_text("#!/bin/sh\n")
    refused = await run("component", "register", str(folder), home=node.home)
    assert refused.code == Exit.REFUSED
    assert f"{folder}/dist/mine.pyz' may not be started here: add it to components.allow_exec" in refused.err
