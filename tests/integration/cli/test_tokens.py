"""Tokens of the own platform: made, used, listed, revoked, over restarts, and the one of version 0.1.0."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sqlite3
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import httpx
from tests.support.fake_node import make_job
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.security.secrets import create_secret
from nodeconsole import launcher
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.jobs import missing_approvals


async def token(home: Home, *arguments: str) -> tuple[int, str, str]:
    """Exit code and both outputs of `nodeconsole token …`."""

    def run() -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = launcher.run(["token", *arguments, "--home", str(home.path)])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return code, out.getvalue(), err.getvalue()

    return await asyncio.to_thread(run)


async def ask(node: Hosted, text: str, path: str = "job/query_job_list", body: Any = None) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {text}"}, timeout=30) as http:
        url = f"{node.platform_url}/v1/platform/schedule/{path}"
        answer = await (http.get(url) if body is None else http.post(url, json=body))
    return dict(answer.json())


async def test_a_token_from_its_making_to_its_end(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice") as node:
        assert (await ask(node, "anything"))["code"] == 401
        code, out, err = await token(node.home, "create", "ci", "--scope", "jobs:read", "--expires", "90d")
        assert code == Exit.OK
        text = out.strip()
        assert out == f"{text}\n", "standard output is the token alone"
        assert text not in err
        assert (await ask(node, text))["code"] == 200
        refused = await ask(node, text, "job/stop_all", {"job_id": "job-1"})
        assert refused["code"] == 403
        assert "--scope jobs:write" in refused["msg"]
        assert text not in json.dumps(refused)

        code, out, _ = await token(node.home, "create", "ci")
        assert code == Exit.REFUSED
        rows = json.loads((await token(node.home, "list", "--json"))[1])["tokens"]
        assert [(row["name"], row["scopes"], row["state"]) for row in rows] == [("ci", ["jobs:read"], "valid")]
        assert rows[0]["last_used_ms"] is not None
        assert text.split("_", 2)[2] not in json.dumps(rows)

        assert (await token(node.home, "revoke", "ci"))[0] == Exit.OK
        assert (await ask(node, text))["code"] == 401
        assert (await token(node.home, "revoke", "ci"))[0] == Exit.NOT_FOUND
        assert (await token(node.home, "create", "ci"))[0] == Exit.OK
        shown = (await token(node.home, "list", "--all"))[1]
        assert shown.count("\nci ") == 2
        async with node.client() as client:
            events = [e for e in (await client.event_page(limit=1_000)).events if e.subject == "token"]
        assert [e.event for e in events] == ["token.created", "token.revoked", "token.created"]
        assert {e.actor.partition(":")[0] for e in events} == {"operator"}
        await node.stop()
        secret = text.split("_", 2)[2]
        for file in (path for path in node.home.path.rglob("*") if path.is_file()):
            assert secret.encode() not in file.read_bytes(), file
        with sqlite3.connect(node.home.database) as database:
            hashes = {row[0] for row in database.execute("SELECT hash FROM tokens")}
        database.close()
        assert hashlib.sha256(text.encode()).hexdigest() in hashes


BAD = (
    ("a b",),
    ("",),
    ("x" * 65,),
    ("ci", "--scope", "everything"),
    ("ci", "--expires", "soon"),
    ("ci", "--expires", "0d"),
    ("ci", "--expires", "999999d"),
)


async def test_what_cannot_be_a_token_is_refused_in_one_line(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice") as node:
        for arguments in BAD:
            code, out, err = await token(node.home, "create", *arguments)
            assert (code, out) == (Exit.USAGE, ""), arguments
            assert err.startswith("nodeconsole: "), err
        assert json.loads((await token(node.home, "list", "--json"))[1])["tokens"] == []


async def test_the_token_of_an_older_version_counts_until_it_is_revoked(tmp_path: Path) -> None:
    home = Home(tmp_path / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
    create_secret(home.platform_token, "the-token-of-0.1.0")
    for _ in range(2):
        # Twice: it is taken over once.
        async with hosted(home.path) as node:
            assert (await ask(node, "the-token-of-0.1.0"))["code"] == 200
            async with node.client() as client:
                assert [row.name for row in await client.tokens()] == ["platform.token"]
                findings = (await client.doctor()).findings
            assert any(f.check == "token" and f.level == "warning" and "older version" in f.text for f in findings)
    async with hosted(home.path) as node:
        assert (await token(home, "revoke", "platform.token"))[0] == Exit.OK
        assert (await ask(node, "the-token-of-0.1.0"))["code"] == 401
    async with hosted(home.path) as node:
        assert (await ask(node, "the-token-of-0.1.0"))["code"] == 401
        assert home.platform_token.exists()


async def test_a_made_token_counts_after_a_restart_and_doctor_warns_before_its_end(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice") as node:
        _, out, _ = await token(node.home, "create", "nightly", "--expires", "2d")
        text = out.strip()
        assert (await ask(node, text))["code"] == 200
    async with hosted(tmp_path / "alice") as node:
        assert (await ask(node, text))["code"] == 200
        async with node.client() as client:
            findings = (await client.doctor()).findings
        assert any(f.check == "token" and "nightly expires in 1 days" in f.text for f in findings)


def test_what_is_missing_is_said_in_words() -> None:
    job = make_job(4)
    assert missing_approvals(job) == ""
    job.approvers_needed, job.approved_by = 2, ["operator:ann"]
    assert job.needs_decision
    assert missing_approvals(job) == "1 of 2 approvals (ann), still needed: one more person"
    job.approvers_needed, job.approved_by = 3, []
    assert missing_approvals(job) == "0 of 3 approvals, still needed: 3 more persons"
    job.needs_decision = False
    assert missing_approvals(job) == ""
