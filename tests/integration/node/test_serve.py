"""`nodeconsole serve` as a process: one line, a clean end, and messages instead of tracebacks when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from tests.support.probe_jobs import probe_job

from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision

STARTS_WITHIN = 30.0
STOPS_WITHIN = 10.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    created = Home(tmp_path / "alice")
    provision(created, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
    return created


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nodeconsole", *arguments]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "NODECONSOLE_HOME"}


@contextmanager
def serving(home: Home) -> Iterator[subprocess.Popen[str]]:
    """The process once it has printed its line."""
    process = subprocess.Popen(
        command("serve", "--home", str(home.path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"it ended: {process.communicate()}")
        assert line.startswith("node alice is ready: partners at 127.0.0.1:")
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and message of a command that has to fail in one line."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), timeout=STARTS_WITHIN, check=False
    )
    assert done.stdout == ""
    assert done.stderr.startswith("nodeconsole: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


def status(home: Home) -> int:
    done = subprocess.run(
        command("status", "--home", str(home.path)), capture_output=True, env=environment(), timeout=30, check=False
    )
    return done.returncode


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=STOPS_WITHIN)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(home: Home, number: signal.Signals) -> None:
    with serving(home) as process:
        assert status(home) == 0
        process.send_signal(number)
        assert ended(process) == (0, "", ""), "one line in all, and nothing on standard error"
    assert not home.socket.exists()
    log = home.node_log.read_text()
    assert "has stopped" in log
    assert not [line for line in log.splitlines() if " ERROR " in line or " WARNING " in line]
    assert status(home) == 3


def test_open_streams_and_half_sent_requests_do_not_hold_up_the_end(home: Home) -> None:
    with serving(home) as process:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(home.socket))
        stream.sendall(b"GET /v1/console/events/stream HTTP/1.1\r\nHost: node\r\n\r\n")
        assert stream.recv(64)
        half = socket.socket(socket.AF_UNIX)
        half.connect(str(home.socket))
        half.sendall(b"POST /v1/console/jobs HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n{")
        process.terminate()
        started = time.monotonic()
        assert ended(process) == (0, "", "")
        assert time.monotonic() - started < 6
        stream.close()
        half.close()


def test_a_second_node_on_the_same_home_is_refused_and_names_the_first(home: Home) -> None:
    with serving(home) as process:
        code, message = refused("serve", "--home", str(home.path))
        assert code == 5
        assert f"process {process.pid}" in message
        assert status(home) == 0, "the first one goes on"


def test_what_a_killed_node_left_is_no_obstacle(home: Home) -> None:
    with serving(home) as process:
        process.kill()
        process.communicate()
    assert home.socket.exists()
    with serving(home):
        assert status(home) == 0


@pytest.mark.parametrize("setting", ["partner.listen", "platform.listen"])
def test_a_port_in_use_is_named_with_its_setting(home: Home, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = home.settings_file.read_text()
        home.settings_file.write_text(text.replace(f'{setting} = "127.0.0.1:0"', f'{setting} = "{address}"'))
        code, message = refused("serve", "--home", str(home.path))
    assert code == 1
    assert f"{setting} = {address}" in message
    assert not home.database.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('platform.listen = "127.0.0.1:0"', 'platform.listen = "0.0.0.0:0"', "platform.listen"),
        ('partner.listen = "127.0.0.1:0"', 'partner.listen = "nowhere"', "partner.listen"),
        ('node_id = "alice"', 'node_id = "alice"\nlimits.body_byte = 1', "limits.body_byte"),
        ('node_id = "alice"', "node_id = ", "node.toml"),
        ('node_id = "alice"', "node_id = 7", "node_id"),
    ],
)
def test_a_mistake_in_the_settings_is_named(home: Home, old: str, new: str, words: str) -> None:
    home.settings_file.write_text(home.settings_file.read_text().replace(old, new, 1))
    code, message = refused("serve", "--home", str(home.path))
    assert code == 2
    assert words in message


def test_a_home_that_is_no_node_is_named(tmp_path: Path) -> None:
    code, message = refused("serve", "--home", str(tmp_path / "nothing"))
    assert code == 2
    assert "nodeconsole init --home" in message
    assert not (tmp_path / "nothing").exists()


def test_a_home_that_cannot_be_written_is_named(home: Home) -> None:
    # A directory in the lock's place, because no mode keeps root (in a container) from writing.
    home.lock.mkdir()
    code, message = refused("serve", "--home", str(home.path))
    assert code == 1
    assert "cannot be written" in message


def test_something_else_in_the_place_of_the_socket_is_left_alone(home: Home) -> None:
    home.socket.write_text("precious")
    code, message = refused("serve", "--home", str(home.path))
    assert code == 5
    assert "is not a socket" in message
    assert home.socket.read_text() == "precious"


def test_a_newer_and_a_broken_database_are_refused(home: Home) -> None:
    with serving(home) as process:
        process.terminate()
        ended(process)
    intact = home.database.read_bytes()
    with sqlite3.connect(home.database) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    code, message = refused("serve", "--home", str(home.path))
    assert code == 1
    assert "newer" in message
    home.database.write_bytes(intact[:5000] + b"\xff" * 20_000 + intact[25_000:])
    for leftover in home.path.glob("node.db-*"):
        leftover.unlink()
    code, message = refused("serve", "--home", str(home.path))
    assert code == 1
    assert str(home.database) in message


def test_a_full_disk_refuses_a_job_in_one_line_and_the_node_goes_on_once_there_is_space(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps(probe_job({"guest": "alice"}, {"a": []}, parameters={"a": {"echo": "x" * 50_000}})))
    with serving(home) as process:
        node = psutil.Process(process.pid)
        _, hard = node.rlimit(psutil.RLIMIT_FSIZE)
        # No file of the node can grow: what a full disk is to it, and the write-ahead log is the first to need more.
        node.rlimit(psutil.RLIMIT_FSIZE, (1, hard))
        code, message = refused("job", "submit", str(file), "--home", str(home.path))
        assert code == 1
        assert "free" in message
        assert status(home) == 0, "it still answers"
        node.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))
        done = subprocess.run(
            command("job", "submit", str(file), "--wait", "--home", str(home.path)),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        verified = command("ledger", "verify", "--home", str(home.path))
        assert subprocess.run(verified, env=environment(), timeout=30, check=False, capture_output=True).returncode == 0
    assert "Traceback" not in home.node_log.read_text()


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    home = Home(tmp_path / ("deep" * 30) / ("er" * 60))
    assert len(str(home.socket)) > 200
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0")
    with serving(home) as process:
        assert status(home) == 0
        process.terminate()
        assert ended(process)[0] == 0


def test_the_partner_port_serves_partners_and_nothing_of_the_operator(home: Home) -> None:
    with serving(home):
        done = subprocess.run(
            command("status", "--home", str(home.path), "--json"), capture_output=True, text=True, check=True
        )
        facts = httpx.Response(200, content=done.stdout).json()
        for address in (facts["listen"], facts["platform"]):
            assert httpx.get(f"http://{address}/v1/console/status", trust_env=False).status_code == 404
        url = f"http://{facts['listen']}/v1/interconn/schedule/job/status_all?job_id=x"
        answer = httpx.get(url, headers={"x-node-id": "bob"}, trust_env=False)
        assert answer.json()["code"] == 401, "a stranger learns nothing of jobs"
        assert httpx.get(url, trust_env=False).json()["code"] == 401
        assert "server" not in answer.headers
        assert (
            httpx.get(f"http://{facts['listen']}/v1/platform/schedule/job/query_job_list", trust_env=False).status_code
            == 404
        )
        denied = httpx.get(f"http://{facts['platform']}/v1/platform/schedule/job/query_job_list", trust_env=False)
        assert denied.json()["code"] == 401
        made = subprocess.run(
            command("token", "create", "mine", "--home", str(home.path)), capture_output=True, text=True, check=True
        )
        token = made.stdout.strip()
        allowed = httpx.get(
            f"http://{facts['platform']}/v1/platform/schedule/job/query_job_list",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert allowed.json()["code"] == 200
    assert token not in home.node_log.read_text()
