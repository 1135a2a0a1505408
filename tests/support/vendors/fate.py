"""A FATE-Flow 2.x node with its BFIA adapter: success is code 0, HTTP is always 200, one loop schedules everything."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.vendors.base import (
    OVER,
    Answer,
    Asked,
    Vendor,
    combined,
    envelope,
    nodes_of,
    roles_of,
    upstream_of,
)

_MEMBERS = {
    "job/create_all": ("job_id", "dag", "config"),
    "job/create": ("job_id", "dag", "config"),
    "job/start": ("job_id",),
    "task/start": ("task_id", "job_id", "task_name"),
    "job/stop": ("job_id",),
    "job/stop_all": ("job_id",),
    "job/status_all": ("job_id",),
    "task/poll": ("task_id",),
    "task/callback": ("task_id", "status"),
    "job/audit_confirm": ("job_id", "status"),
}


class FateNode(Vendor):
    """`period` is its scheduler's round (2 s in the original); `timeout` that of a call (10 s)."""

    def __init__(self, node_id: str, *, work: float = 0.05, period: float = 0.1, timeout: float = 10.0) -> None:
        super().__init__(node_id, work=work)
        self.period = period
        self.timeout = timeout
        self.jobs: dict[str, dict[str, Any]] = {}
        """Participant's view: create bodies by job id."""
        self.states: dict[str, str] = {}
        """Scheduler's view of the jobs it drives: READY, RUNNING, briefly SUCCESS or FAILED, FINISHED."""
        self.task_states: dict[str, dict[str, str]] = {}
        """Scheduler's view: job id → task name → state."""
        self.refusals: list[str] = []
        """What other nodes answered with another code than 0."""
        self.end_delay = 0.0
        """Between the end signal and the word FINISHED."""

    # -- as a server --------------------------------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Answer:
        wanted = _MEMBERS.get(asked.operation)
        reads = asked.operation == "job/status_all"
        if wanted is None or asked.method != ("GET" if reads else "POST"):
            return envelope(405 if wanted else 404, "Not Found", None, text_key="message")
        try:
            members = json.loads(asked.body)
        except ValueError:
            return envelope(5001, "Invalid parameter: job_id is required", None, text_key="message")
        if asked.header("content-type") != "application/json":
            return envelope(5001, "Invalid parameter: content type", None, text_key="message")
        missing = [name for name in wanted if members.get(name) is None]
        nulls = [name for name in ("flow_id", "old_job_id") if name in members and members[name] is None]
        if missing or nulls:
            return envelope(5001, f"Invalid parameter: {missing + nulls}", None, text_key="message")
        return await self._act(asked.operation, members, asked.header("x-node-id"))

    async def _act(self, operation: str, members: Mapping[str, Any], source: str) -> Answer:
        job_id = str(members.get("job_id", ""))
        match operation:
            case "job/create_all":
                return await self._create_all(dict(members))
            case "job/create":
                return self._create(dict(members))
            case "job/start":
                return envelope(0, "success", {}) if job_id in self.jobs else envelope(1, "job not found", None)
            case "task/start":
                return self._start_task(members)
            case "job/stop":
                self.halt(job_id, str(members.get("task_name") or ""))
                return envelope(0, "success", {})
            case "job/stop_all":
                self.background(self._end(job_id, "FAILED"))
                return envelope(0, "success", {})
            case "job/status_all":
                state = self.states.get(job_id)
                status = {"job_status": state, "status": self.task_states.get(job_id, {})} if state else {}
                return envelope(0, "success", status)
            case "task/poll":
                found = self.computations.get(str(members["task_id"]))
                if found is None:
                    return envelope(1, "task not found", None)
                role = str(members.get("role") or "")
                words = [word for held, word in found.words.items() if role in ("", held)]
                return envelope(0, "success", {"status": combined(words)})
            case "task/callback":
                # Takes who calls from the header; polls anyway.
                return envelope(0 if source else 1, "success" if source else "no such task", {})
            case _:
                return envelope(1, "job is not PENDING", None)

    def _create(self, body: dict[str, Any]) -> Answer:
        if body["job_id"] in self.jobs:
            return envelope(100, "(1062, \"Duplicate entry 'x' for key 't_job.PRIMARY'\")", None)
        config = body["config"]
        problems = [
            f"{item['name']}: {name}"
            for item in body["dag"]["components"]
            for name in ("componentName", "provider", "version")
            if not item.get(name)
        ]
        problems += [name for name in ("version", "initiator", "role", "job_params") if config.get(name) is None]
        problems += [f"role {role}" for role in config["role"] if role not in ("guest", "host", "arbiter")]
        if problems or "common" not in config["job_params"]:
            return envelope(101, f"Invalid: {problems or 'job_params.common'}", None, text_key="message")
        self.jobs[body["job_id"]] = body
        return envelope(0, "success", {})

    def _start_task(self, members: Mapping[str, Any]) -> Answer:
        job = self.jobs.get(str(members["job_id"]))
        if job is None:
            return envelope(1, "job not found", None)
        if members["task_id"] in self.computations:
            return envelope(1, "success", None)
        name = str(members["task_name"])
        self.compute(str(members["task_id"]), job["job_id"], name, _task_roles(job, name, self.node_id))
        return envelope(0, "success", {})

    # -- as the scheduler ---------------------------------------------------------------------------------------------

    async def submit(self, document: Mapping[str, Any], *, job_id: str = "") -> tuple[int, str]:
        """Its platform's `create_all`: job id and an error that is empty when the job is on its way."""
        made = job_id or f"{time.strftime('%Y%m%d%H%M%S')}{secrets.randbelow(10**6):06d}0"
        answer = await self._create_all({"job_id": made, "flow_id": "", "old_job_id": "", **document})
        said = json.loads(answer.body)
        return (0, made) if said["code"] == 0 else (int(said["code"]), str(said.get("msg") or said.get("message")))

    async def _create_all(self, body: dict[str, Any]) -> Answer:
        job_id = body["job_id"]
        config = dict(body["config"])
        config["task_params"] = _forwarded(config.get("task_params") or {})
        forwarded = {"old_job_id": "", **body, "flow_id": body.get("flow_id"), "config": config}
        for node in nodes_of(config):
            code, text, _ = await self._ask(node, "job/create", forwarded)
            if code != 0:
                # Those who had agreed are told nothing.
                return envelope(1, f"create job failed at {node}: {text}", None)
        self.states[job_id] = "READY"
        self.task_states[job_id] = {item["name"]: "READY" for item in body["dag"]["components"]}
        self.background(self._drive(forwarded))
        return envelope(0, "success", {})

    async def _drive(self, job: dict[str, Any]) -> None:
        job_id, nodes = job["job_id"], nodes_of(job["config"])
        ids: dict[str, str] = {}
        states = self.task_states[job_id]
        for node in nodes:
            await self._ask(node, "job/start", {"job_id": job_id})
        self.states[job_id] = "RUNNING"
        while self.states[job_id] == "RUNNING":
            for item in job["dag"]["components"]:
                name = item["name"]
                if name in ids and states[name] not in OVER:
                    states[name] = await self._polled(job, name, ids[name])
                    if states[name] in OVER:
                        for node in nodes:
                            await self._ask(node, "job/stop", {"job_id": job_id, "task_name": name})
                elif name not in ids and all(states[up] == "SUCCESS" for up in upstream_of(item)):
                    ids[name] = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"
                    states[name] = "RUNNING"
                    for node in nodes:
                        if _task_roles(job, name, node):
                            code, _, _ = await self._ask(
                                node, "task/start", {"task_id": ids[name], "job_id": job_id, "task_name": name}
                            )
                            states[name] = "FAILED" if code != 0 else states[name]
            if "FAILED" in states.values():
                await self._end(job_id, "FAILED")
            elif set(states.values()) == {"SUCCESS"}:
                await self._end(job_id, "SUCCESS")
            await asyncio.sleep(self.period)

    async def _polled(self, job: Mapping[str, Any], name: str, task_id: str) -> str:
        """Every node of the job is asked, with or without a part in the task; what is no success is skipped."""
        words = []
        for node in nodes_of(job["config"]):
            code, _, data = await self._ask(node, "task/poll", {"task_id": task_id, "role": ""})
            if code == 0:
                words.append(str(data.get("status", "")).upper())
            elif _task_roles(job, name, node):
                words.append("RUNNING")
        known = [word for word in words if word in {"PENDING", "READY", "RUNNING", *OVER}]
        return combined(known) if len(known) == len(words) else "RUNNING"

    async def _end(self, job_id: str, word: str) -> None:
        self.states[job_id] = word
        for node in nodes_of(self.jobs[job_id]["config"]):
            await self._ask(node, "job/stop", {"job_id": job_id})
        await asyncio.sleep(self.end_delay)
        self.states[job_id] = "FINISHED"
        states = self.task_states[job_id]
        states.update({name: "FAILED" for name, state in states.items() if state == "RUNNING"})

    async def _ask(self, node: str, operation: str, body: object) -> tuple[int, str, Mapping[str, Any]]:
        """Code, message and data; three tries with the very same headers, without a pause."""
        headers = {
            "content-type": "application/json",
            "x_auth_sign": "",
            "x_node_id": self.node_id,
            # Underscores do not pass its own server.
            **({"x-node-id": self.node_id} if node == self.node_id else {}),
            "x_nonce": secrets.token_hex(16),
            "x_trace_id": "",
            "x_timestamp": str(int(time.time() * 1000)),
        }
        error = "no answer"
        for _ in range(3):
            try:
                async with asyncio.timeout(self.timeout):
                    reply = await self.send("POST", node, operation, headers, body=body)
            except (httpx.HTTPError, TimeoutError) as fault:
                error = type(fault).__name__
                continue
            if reply.is_success:
                said = reply.json()
                if said["code"] != 0:
                    self.refusals.append(f"{node} {operation}: {said.get('msg')}")
                return said["code"], str(said.get("msg")), said.get("data") or {}
        return 1, error, {}


def _task_roles(job: Mapping[str, Any], name: str, node_id: str) -> list[str]:
    """Roles in which a node runs a task: those with parameters of their own for it, else all of the job."""
    config = job["config"]
    params = config["task_params"]
    named = {
        (role, index)
        for role, nodes in config["role"].items()
        for index in range(len(nodes or []))
        if name in (params.get(role) or {}).get(str(index), {})
    }
    return [
        role
        for role in roles_of(config, node_id)
        for index, node in enumerate(config["role"][role])
        if node == node_id and (not named or (role, index) in named)
    ]


def _forwarded(params: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a party alone was given, it keeps `dataset_id`."""
    kept: dict[str, Any] = {"common": params.get("common") or {}}
    for role, given in params.items():
        if role != "common":
            kept[role] = {
                index: {name: {"dataset_id": own["dataset_id"]} for name, own in tasks.items() if own.get("dataset_id")}
                for index, tasks in (given or {}).items()
            }
    return kept
