"""A rootless engine and a node of the same user: the way that the guide recommends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.integration.containers import rootless
from tests.integration.containers.conftest import talker
from tests.support import container_engine
from tests.support.container_engine import Engine

USER = 61234
IMAGE = "localhost/nodeconsole-test/rootless:1"
SCRIPT = """
busybox id -u
busybox cat {home}/in
echo
echo 42 > {home}/out/result
echo > {home}/in
busybox nc {host} {port} </dev/null
echo
busybox nc 127.0.0.1 1 </dev/null || echo refused
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    reason = container_engine.missing(rootless=True)
    if reason:
        pytest.skip(reason)
    try:
        with container_engine.engine(user=USER) as made:
            yield made
    except RuntimeError as fault:
        pytest.skip(f"no rootless engine can be started here: {str(fault)[-300:]}")


def test_a_node_that_is_not_root_runs_containers_of_its_own_engine(engine: Engine) -> None:
    home = engine.root / "home"
    home.mkdir()
    shutil.chown(home, USER, USER)
    with talker(b"node") as (host, port):
        script = SCRIPT.format(home=home, host=host, port=port)
        engine.load(IMAGE, container_engine.shell_files(script), container_engine.SHELL_CONFIG)
        command = [sys.executable, rootless.__file__, engine.socket, IMAGE, str(home), f"{host}:{port}"]
        # The interpreter of the tests may lie where only root reads: the one right that the user gets besides.
        reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        done = subprocess.run(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *reading, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
            env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    log = (home / "a.log").read_text()
    assert answer["ending"]["code"] == 0, log
    assert "rootless at " in answer["said"][0]
    assert "as root" not in answer["said"][1]
    lines = log.splitlines()
    assert lines[1:3] == [str(USER), "input"]
    assert "Read-only file system" in log
    assert {"node", "refused"} <= set(lines)
    result = home / "out" / "result"
    assert (result.read_text(), result.stat().st_uid) == ("42\n", USER)
