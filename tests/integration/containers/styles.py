"""The program of an image that holds components in the styles of several makers; it runs inside a container."""

import http.client
import json
import os
import sys
import time
from pathlib import Path

from algorithm_components.sdk.channel import Channel
from algorithm_components.sdk.environment import Environment
from algorithm_components.sdk.tables import Tables

environment = dict(os.environ)


def request(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """One call to the address that the environment names."""
    connection = http.client.HTTPConnection(environment["system.transport"], timeout=60)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def stored(variable: str) -> Path:
    """Path of an input or output below `system.storage`."""
    where = json.loads(environment[f"runtime.component.{variable}"])
    return Path(environment["system.storage"].removeprefix("file://"), where["namespace"], where["name"])


def own_count() -> None:
    """Ours, with the SDK: both parties tell each other how many rows they have."""
    own = Environment()
    tables = Tables.of(own)
    with tables.read(own.dataset()) as table:
        rows = sum(1 for _ in table)
    for number in range(own.integer("beats", default=0)):
        print("beat", number, flush=True)
        time.sleep(0.05)
    peer = "host.0" if environment["config.self_role"].startswith("guest") else "guest.0"
    with Channel(own) as channel:
        channel.sender(peer, "rows").send_json(rows)
        theirs = channel.receiver(peer, "rows").receive_json()
    tables.write(own.outputs["counts"], ["party", "rows"], [["own", str(rows)], ["other", str(theirs)]])


def guide_count() -> None:
    """As the integration guide and FATE have it: booleans with a capital, a session per job, a callback at the end."""
    if environment["runtime.component.parameter.strict"] != "True":
        sys.exit(f"strict is {environment['runtime.component.parameter.strict']}")
    if environment["config.session_id"] != f"session_{environment['config.trace_id']}":
        sys.exit(f"the session is {environment['config.session_id']}")
    lines = stored("input.train_data").read_text().splitlines()
    stored("output.train_data").write_text("\n".join(reversed(lines)) + "\n")
    body = {"task_id": environment["config.task_id"], "role": "guest.0", "status": "SUCCESS"}
    path = "/v1/platform/schedule/task/callback"
    print("callback", *request(path, json.dumps(body).encode(), {"Content-Type": "application/json"}), flush=True)


def kuscia_swap() -> None:
    """As Kuscia's images: lower-case booleans, a session per task, queues of raw bytes, a callback with two slashes."""
    if environment["runtime.component.parameter.strict"] != "true":
        sys.exit(f"strict is {environment['runtime.component.parameter.strict']}")
    if environment["config.session_id"] != f"session_{environment['config.task_id']}":
        sys.exit(f"the session is {environment['config.session_id']}")
    own = environment["config.self_role"]
    peer = "host.0" if own == "guest.0" else "guest.0"
    headers = {
        "x-ptp-tecn-provider-code": "SecretFlow",
        "x-ptp-session-id": environment["config.session_id"],
        "x-ptp-token": environment["config.token"],
        "x-ptp-trace-id": environment["config.trace_id"],
        "x-ptp-target-node-id": environment[f"config.node_id.{peer}"],
        "x-ptp-target-inst-id": environment[f"config.inst_id.{peer}"],
    }
    push = request("/v1/interconn/chan/push", f"hello from {own}".encode(), {**headers, "x-ptp-topic": f"{own}-{peer}"})
    answer = b""
    while b"hello" not in answer:
        answer = request("/v1/interconn/chan/pop?timeout=30", b"", {**headers, "x-ptp-topic": f"{peer}-{own}"})[1]
    stored("output.swapped").write_bytes(answer[answer.index(b"hello") :][: len(f"hello from {peer}")])
    print("pushed", push[0], flush=True)
    body = {"task_id": environment["config.task_id"], "role": own, "status": "SUCCESS"}
    told = {"Content-Type": "application/json", "x-ptp-token": environment["config.token"]}
    print("callback", *request("//v1/platform/schedule/task/callback", json.dumps(body).encode(), told), flush=True)


if __name__ == "__main__":
    {"own_count": own_count, "guide_count": guide_count, "kuscia_swap": kuscia_swap}[
        environment["runtime.component.name"]
    ]()
