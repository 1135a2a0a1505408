"""`nodeconsole secret …`, and what hostile text from elsewhere does to a terminal: nothing."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from tests.integration.cli.test_commands import run
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.wire.console import DatasetRequest
from nodeconsole import launcher
from nodeconsole.cli.exits import Exit

HOSTILE = "a\x1b]0;owned\x07b\x1b[2J\x1b[31mc\x9b31md\x9d0;e\x9c\u202ef\u2066g\u200eh\u061ci"
ACTED_ON = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal acts on, but for the line break."""


async def test_secrets(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    async with hosted(tmp_path / "alice") as node:
        home = node.home
        stored = await run("secret", "set", "db", "--from-file", str(file), home=home)
        assert (stored.code, stored.out.startswith("stored db")) == (Exit.OK, True)
        assert (await run("secret", "set", "other", home=home, stdin="typed\n")).code == Exit.OK
        listed = await run("secret", "list", home=home)
        assert [line.split()[0] for line in listed.out.splitlines()] == ["SECRET", "db", "other"]
        rows = (await run("secret", "list", "--json", home=home)).json["secrets"]
        assert [set(row) for row in rows] == [{"name", "key_id", "created_ms", "changed_ms"}] * 2
        assert (await run("secret", "remove", "other", home=home)).out == "removed other\n"
        assert (await run("secret", "remove", "other", home=home)).code == Exit.NOT_FOUND
        assert (await run("secret", "set", "empty", home=home, stdin="\n")).code == Exit.USAGE
        assert (await run("secret", "set", "db", "--from-file", str(tmp_path / "no"), home=home)).code == Exit.USAGE
        csv = tmp_path / "p.csv"
        csv.write_text("id\n1\n")
        refused = await run("dataset", "add", "p", str(csv), "--secret", "password=db", home=home)
        # This connector knows no such option: what matters is that it was not stored or said.
        assert refused.code == Exit.USAGE
        assert "from a file" not in refused.err


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


async def _on_a_terminal(node: Hosted, *arguments: str) -> str:
    """Everything one command sends to a terminal."""

    def call() -> str:
        streams = [Terminal(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            launcher.run([*arguments, "--home", str(node.home.path)])
        return "".join(stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]

    return await asyncio.to_thread(call)


async def test_hostile_text_never_reaches_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the backup gets a hostile name, and is made
    csv = tmp_path / "p.csv"
    csv.write_text("id,name\n1,2\n")
    component = {"name": "probe_0", "componentName": "probe", "provider": "nodeconsole", "version": "1.0.0"}
    document = {
        "flow_id": "flow",
        "dag": {"version": "2.0.0", "components": [component | {"input": [], "output": []}]},
        "config": {
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"]},
            "task_params": {"common": {"probe_0": {"echo": HOSTILE.replace("\x07", ""), "fail": "3"}}},
        },
    }
    async with hosted(tmp_path / "alice") as node, node.client() as client:
        request = DatasetRequest(name="p", connector="csv", options={"path": str(csv)}, description=HOSTILE)
        await client.add_dataset(request)
        job = (await client.submit(document)).job_id
        file = tmp_path / "job.json"
        file.write_text(json.dumps(document | {"flow_id": HOSTILE}))
        commands: list[tuple[str, ...]] = [
            ("job", "submit", str(file), "--wait"),
            ("job", "stop", job, "--reason", HOSTILE),
            ("dataset", "list"),
            ("dataset", "show", "p"),
            ("dataset", "show", HOSTILE),
            ("dataset", "show", "p", "--json"),
            ("job", "list"),
            ("job", "list", "--json"),
            ("job", "show", job),
            ("job", "show", job, "--json"),
            ("job", "show", HOSTILE),
            ("job", "logs", job, "--follow"),
            ("job", "logs", job),
            ("job", "logs", job, "--json"),
            ("job", "logs", job, HOSTILE),
            ("peer", "show", HOSTILE),
            ("peer", "add", HOSTILE, HOSTILE),
            ("component", "show", HOSTILE),
            ("secret", "remove", HOSTILE),
            ("secret", "set", HOSTILE, "--from-file", str(csv)),
            ("backup", HOSTILE),
            ("doctor",),
        ]
        shown = {}
        for arguments in commands:
            text = (await _on_a_terminal(node, *arguments)).replace("\r\x1b[K", "")
            leaks = ACTED_ON.findall(text)
            assert leaks == [], (arguments, text)
            shown[arguments] = text
    assert "echo: a" in shown["job", "logs", job], "the hostile line was printed at all"
    assert "a\\x1b" in shown["dataset", "show", "p"]
    assert sys.stdout is not None
