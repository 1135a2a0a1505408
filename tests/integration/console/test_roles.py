"""Roles at the console's socket: every route, every role; the kernel says who calls."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from tests.support.hosted import hosted

from embedded_scheduler.api.connection import STATE_KEY, Connection
from embedded_scheduler.api.console import endpoint
from embedded_scheduler.config import load_settings
from embedded_scheduler.domain.roles import Role, role_for
from embedded_scheduler.errors import Conflict, InvalidRequest, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.node import Node
from embedded_scheduler.provision import provision
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.server import BackgroundNode
from nodeconsole.actions import ACTIONS
from nodeconsole.equivalents import NODE, VIEWS, WRITES

UIDS = {Role.VIEWER: 61_001, Role.APPROVER: 61_002, Role.ADMIN: 61_003, None: 61_004}
"""Numbers that no user of this machine has; the last one has no role."""
OPERATORS = 'operators.viewer = ["61001"]\noperators.approver = ["@61502"]\noperators.admin = ["61003"]\n'
DECISIONS = ("approve", "reject", "revoke", "confirm", "refuse")


def connection(uid: int) -> Connection:
    return Connection(uid=uid, gid=uid + 500, pid=1)


@asynccontextmanager
async def console(directory: Path) -> AsyncIterator[Node]:
    """A node without listeners: the test says who connects."""
    home = Home(directory)
    provision(home, node_id="alice", listen="127.0.0.1:1", platform="127.0.0.1:2")
    with home.settings_file.open("a") as file:
        file.write(OPERATORS)
    node = Node(home, load_settings(home), load_identity(home.identity))
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def routes(app: Quart) -> Iterator[tuple[str, str, Role]]:
    """Method, a path that fits, and the role that is needed, for every route of the application."""
    for rule in app.url_map.iter_rules():
        needed = app.extensions[endpoint.ROLES][rule.endpoint]
        path = re.sub(r"<[^>]*>", "none", rule.rule)
        yield next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"})), path, needed


async def answer(app: Quart, method: str, path: str, who: Connection | None) -> tuple[int, str]:
    """Status and text. The body is no JSON: what gets past the role changes nothing."""
    scope: dict[str, Any] = {"state": {STATE_KEY: who}} if who else {}
    got = await app.test_client().open(path, method=method, data=b"[", scope_base=scope)
    return got.status_code, (await got.get_data()).decode()


async def test_every_route_lets_in_who_has_its_role_and_nobody_else(tmp_path: Path) -> None:
    async with console(tmp_path) as node:
        # Streams end at once.
        node.refuse_streams()
        found = list(routes(node.console_app))
        assert len(found) >= 20
        for method, path, needed in found:
            for role, uid in UIDS.items():
                status, text = await answer(node.console_app, method, path, connection(uid))
                what = f"{method} {path} as {role}: {status} {text}"
                if role is not None and role.covers(needed):
                    assert status not in (401, 500), what
                    assert "operators" not in text or status != 403, what
                else:
                    assert status == 403, what
                    assert "operators" in json.loads(text)["detail"], what
            # Nobody known: by whatever way that came.
            for stranger in (None, Connection(remote="127.0.0.1")):
                assert (await answer(node.console_app, method, path, stranger))[0] == 403


async def test_what_changes_something_is_for_administrators_and_decisions_for_approvers(tmp_path: Path) -> None:
    async with console(tmp_path) as node:
        for method, path, needed in routes(node.console_app):
            if method == "GET":
                # Whole tables leave the node with an administrator only.
                assert needed is (Role.ADMIN if path.endswith("/content") else Role.VIEWER), path
            elif (action := path.rsplit("/", 1)[-1]) in DECISIONS:
                # What is offered is what is let through.
                assert needed is role_for(action) is Role.APPROVER, path
            elif needed is not Role.ADMIN:
                # A dry run at most.
                assert path.endswith("/test"), path


async def test_every_change_of_the_console_is_refused_to_a_viewer(tmp_path: Path) -> None:
    writes = {action.id for action in ACTIONS if action.writes}
    assert set(WRITES) <= writes
    async with console(tmp_path) as node:
        for name, call in WRITES.items():
            path = f"/v1/console{call.path}"
            status, text = await answer(node.console_app, call.method, path, connection(UIDS[Role.VIEWER]))
            assert status == 403, (name, text)
        # Also what takes a whole form: nothing but what looks is open to a viewer.
        open_routes = [
            path for method, path, needed in routes(node.console_app) if method != "GET" and needed is Role.VIEWER
        ]
        assert all(path.endswith(("/test", "/check")) for path in open_routes), open_routes


async def test_every_equivalent_call_is_a_route(tmp_path: Path) -> None:
    async with console(tmp_path) as node:
        urls = node.console_app.url_map.bind("node")
        for call in (*VIEWS.values(), *WRITES.values(), NODE):
            urls.match(f"/v1/console{call.path}".split("?")[0], method=call.method)


async def test_a_refused_request_leaves_no_event(tmp_path: Path) -> None:
    async with console(tmp_path) as node:
        client = node.console_app.test_client()
        body = json.dumps({"node_id": "bob", "url": "http://127.0.0.1:9", "signing": "off"})
        for uid, status in ((UIDS[Role.VIEWER], 403), (UIDS[Role.APPROVER], 403), (UIDS[Role.ADMIN], 200)):
            scope = {"state": {STATE_KEY: connection(uid)}}
            got = await client.open("/v1/console/peers", method="POST", data=body, scope_base=scope)
            assert got.status_code == status
        scope = {"state": {STATE_KEY: connection(UIDS[Role.VIEWER])}}
        page = await (await client.get("/v1/console/events", scope_base=scope)).get_json()
        assert [e["actor"] for e in page["events"] if e["subject"] == "peer"] == ["operator:61003"]


async def test_only_what_a_role_may_do_is_offered(tmp_path: Path) -> None:
    job = {
        "flow_id": "f",
        "dag": {
            "version": "2.0",
            "components": [
                {"name": "p", "componentName": "probe", "provider": "nodeconsole", "version": "1.0.0", "output": []}
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"]},
            "job_params": {"common": {}},
            "task_params": {"common": {}, "guest": {"0": {"p": {}}}},
        },
    }
    settings = 'approval.own_jobs = "manual"\n'
    home = Home(tmp_path)
    provision(home, node_id="alice", listen="127.0.0.1:1", platform="127.0.0.1:2")
    home.settings_file.write_text(home.settings_file.read_text() + OPERATORS + settings)
    node = Node(home, load_settings(home), load_identity(home.identity))
    await node.start()
    try:
        client = node.console_app.test_client()
        admin = {"state": {STATE_KEY: connection(UIDS[Role.ADMIN])}}
        sent = await client.open("/v1/console/jobs", method="POST", data=json.dumps(job), scope_base=admin)
        assert sent.status_code == 200, await sent.get_data()
        offered = {}
        for role in Role:
            scope = {"state": {STATE_KEY: connection(UIDS[role])}}
            page = await (await client.get("/v1/console/jobs", scope_base=scope)).get_json()
            row = page["jobs"][0]
            detail = await (await client.get(f"/v1/console/jobs/{row['job_id']}", scope_base=scope)).get_json()
            assert detail["job"]["actions"] == row["actions"]
            assert set(row["waiting"]["actions"]) <= set(row["actions"])
            offered[role] = row["actions"]
            status = await (await client.get("/v1/console/status", scope_base=scope)).get_json()
            facts = (status["operator"], status["role"], status["read_only"])
            assert facts == (str(UIDS[role]), role.value, role is Role.VIEWER)
        assert offered == {
            Role.VIEWER: [],
            Role.APPROVER: ["approve", "reject"],
            Role.ADMIN: ["approve", "reject", "stop"],
        }
    finally:
        await node.stop()


# -- with real users --------------------------------------------------------------------------------------------------

CALL = """
import json, os, socket, sys
uid, path, requests = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
for method, target, body in requests:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except PermissionError:
        print("closed")
        continue
    lines = (f"{method} {target} HTTP/1.1", "Host: n", f"Content-Length: {len(body)}", "Connection: close", "", body)
    sock.sendall("\\r\\n".join(lines).encode())
    got = b""
    while part := sock.recv(65536):
        got += part
    print(got.split()[1].decode())
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can call as other users")
PEER = '{"node_id": "bob", "url": "http://127.0.0.1:9", "signing": "off"}'
REQUESTS = [
    ("GET", "/v1/console/status", ""),
    ("POST", "/v1/console/jobs/none/approve", "{}"),
    ("POST", "/v1/console/peers", PEER),
]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A place that other users can enter, unlike the tests' own."""
    path = Path(tempfile.mkdtemp(prefix="nodeconsole-roles-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


async def call_as(uid: int, socket: Path, requests: list[tuple[str, str, str]] = REQUESTS) -> list[str]:
    command = [sys.executable, "-I", "-c", CALL, str(uid), str(socket), json.dumps(requests)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.split()


@AS_ROOT
async def test_the_kernel_says_who_calls(tmp_path: Path, open_directory: Path) -> None:
    path = open_directory / "node.sock"
    settings = OPERATORS.replace("@61502", "61002") + f'operators.socket = "{path}"\n'
    async with hosted(tmp_path / "alice", settings=settings) as node:
        assert await call_as(UIDS[Role.VIEWER], path) == ["200", "403", "403"]
        assert await call_as(UIDS[Role.APPROVER], path) == ["200", "404", "403"]
        assert await call_as(UIDS[Role.ADMIN], path) == ["200", "404", "200"]
        assert await call_as(UIDS[None], path) == ["403", "403", "403"]
        assert await call_as(0, path, REQUESTS[:2]) == ["200", "404"]
        # The home's own socket stays shut.
        assert await call_as(UIDS[Role.ADMIN], node.home.socket) == ["closed"] * 3
        async with node.client() as client:
            events = (await client.event_page(limit=1_000)).events
        assert [e.actor for e in events if e.subject == "peer"] == ["operator:61003"]
    assert not path.exists()


@AS_ROOT
async def test_a_socket_for_one_group_is_shut_for_others(tmp_path: Path, open_directory: Path) -> None:
    path = open_directory / "node.sock"
    settings = f'{OPERATORS}operators.socket = "{path}"\noperators.socket_group = "61001"\n'
    async with hosted(tmp_path / "alice", settings=settings):
        assert await call_as(UIDS[Role.VIEWER], path, REQUESTS[:1]) == ["200"]
        assert await call_as(UIDS[Role.ADMIN], path, REQUESTS[:1]) == ["closed"]


def test_a_place_where_others_could_put_their_socket_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for place, error, says in (
        (shared / "x.sock", InvalidRequest, "others may write"),
        (tmp_path / "nowhere" / "x.sock", Unavailable, "create that directory"),
        ("x.sock", InvalidRequest, "absolute"),
    ):
        home = Home(tmp_path / "alice")
        provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
        settings = home.settings_file.read_text()
        home.settings_file.write_text(f'{settings}\noperators.socket = "{place}"\n')
        with pytest.raises(error, match=says):
            BackgroundNode(home).start()
        home.settings_file.write_text(settings)


async def test_a_socket_that_another_node_serves_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.sock"
    settings = f'operators.socket = "{path}"\n'
    async with hosted(tmp_path / "alice", settings=settings) as first:
        with pytest.raises(Conflict, match="path of its own"):
            async with hosted(tmp_path / "bob", "bob", settings=settings):
                pass
        async with first.client() as client:
            assert (await client.status()).node_id == "alice"
        assert path.exists()
