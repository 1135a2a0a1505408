"""Nodes that do what the texts say and no more.

v1.2.0: success 0, status_all by POST, no audit_confirm. The older export: components by code and module_name,
audit_confirm. At the normal end of a job they send nothing: whoever wants to know asks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from tests.support.vendors.base import (
    OVER,
    Answer,
    Asked,
    Computation,
    Vendor,
    combined,
    envelope,
    nodes_of,
    roles_of,
    upstream_of,
)

Text = Literal["official", "legacy"]


@dataclass(slots=True)
class SpecifiedJob:
    """`coordinator` is whoever created it here."""

    body: dict[str, Any]
    coordinator: str
    state: str = "PENDING"
    task_ids: dict[str, str] = field(default_factory=dict)
    words: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """At the coordinator: (task name, node, role) → word."""
    approvals: dict[str, str] = field(default_factory=dict)


class SpecifiedNode(Vendor):
    def __init__(self, node_id: str, text: Text, *, work: float = 0.05, poll_every: float = 0.1) -> None:
        super().__init__(node_id, work=work)
        self.text = text
        self.code = 0 if text == "official" else 200
        self.poll_every = poll_every
        self.approves = True
        self.decided = asyncio.Event()
        """Its operator has had time to decide; clear it before a job arrives to keep that job waiting."""
        self.decided.set()
        self.jobs: dict[str, SpecifiedJob] = {}
        self.refusals: list[str] = []
        self.heard: dict[str, dict[str, Any]] = {}
        """What the coordinator of a job submitted here last said."""

    # -- as a server --------------------------------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Answer:
        if asked.operation == "job/status_all":
            wanted = "POST" if self.text == "official" else "GET"
            if asked.method != wanted:
                return Answer(405, b"Method Not Allowed", "text/plain")
            return self._status_all(asked.query.get("job_id", ""))
        acts = {
            "job/create": self._create,
            "job/start": self._start,
            "job/stop": self._stop,
            "task/start": self._start_task,
            "task/poll": self._poll,
            "task/callback": self._callback,
            "job/stop_all": self._stop_all,
        }
        if self.text == "legacy":
            acts["job/audit_confirm"] = self._audit_confirm
        if asked.operation != "job/create_all" and asked.operation not in acts:
            return Answer(404, b"Not Found", "text/plain")
        missing = [
            name
            for name in ("x-source-node-id", "x-target-node-id", "x-nonce", "x-timestamp", "x-csrf-protection")
            if not asked.header(name)
        ]
        if missing or asked.header("x-target-node-id") != self.node_id or int(asked.header("x-timestamp")) < 10**12:
            return envelope(400, f"headers: {missing or 'target or timestamp'}", {})
        try:
            body = json.loads(asked.body)
            if asked.operation == "job/create_all":
                return await self._create_all(body)
            return acts[asked.operation](body, asked.header("x-source-node-id"))
        except (ValueError, KeyError, TypeError) as error:
            return envelope(400, f"{error!r}", {})

    def _ok(self, data: Mapping[str, Any] | None = None) -> Answer:
        return envelope(self.code, "success", data or {})

    def _create(self, body: dict[str, Any], source: str) -> Answer:
        names = ("componentName", "provider") if self.text == "official" else ("code", "module_name")
        for item in body["dag"]["components"]:
            unnamed = [name for name in ("name", "version", *names) if not item.get(name)]
            if unnamed:
                return envelope(400, f"component {item.get('name')}: {unnamed[0]} is required", {})
        for group in ("job_params", "task_params", "role"):
            for member in ("guest", "host", "arbiter"):
                body["config"][group][member]
        if body["job_id"] in self.jobs:
            return envelope(400, "job already exists", {})
        job = self.jobs[body["job_id"]] = SpecifiedJob(body, source)
        if self.text == "legacy":
            self.background(self._decide(job))
        else:
            job.state = "READY"
        return self._ok()

    async def _decide(self, job: SpecifiedJob) -> None:
        await self.decided.wait()
        status = "READY" if self.approves else "REJECTED"
        job.state = status
        await self._ask(job.coordinator, "job/audit_confirm", {"job_id": job.body["job_id"], "status": status})

    def _start(self, body: Mapping[str, Any], source: str) -> Answer:
        self.jobs[body["job_id"]].state = "RUNNING"
        return self._ok()

    def _start_task(self, body: Mapping[str, Any], source: str) -> Answer:
        job = self.jobs[body["job_id"]]
        if body["task_name"] not in job.task_ids:
            job.task_ids[body["task_name"]] = body["task_id"]
            roles = self._roles(job, body["task_name"], self.node_id)
            self.compute(body["task_id"], body["job_id"], body["task_name"], roles)
        return self._ok()

    def _stop(self, body: Mapping[str, Any], source: str) -> Answer:
        job = self.jobs[body["job_id"]]
        if not body.get("task_name"):
            job.state = "REJECTED" if job.state in ("PENDING", "REJECTED") else "FINISHED"
        self.halt(body["job_id"], body.get("task_name") or "")
        return self._ok()

    def _stop_all(self, body: Mapping[str, Any], source: str) -> Answer:
        job = self.jobs[body["job_id"]]
        job.state = "FINISHED"
        self.background(self._tell_stop(job))
        return self._ok()

    def _poll(self, body: Mapping[str, Any], source: str) -> Answer:
        found = self.computations[body["task_id"]]
        return self._ok({"status": found.words[body["role"]]})

    def _callback(self, body: Mapping[str, Any], source: str) -> Answer:
        for job in self.jobs.values():
            for name, task_id in job.task_ids.items():
                key = (name, source, body["role"])
                if task_id == body["task_id"] and job.words.get(key) not in OVER:
                    job.words[key] = body["status"]
        return self._ok()

    def _audit_confirm(self, body: Mapping[str, Any], source: str) -> Answer:
        self.jobs[body["job_id"]].approvals[source] = body["status"]
        return self._ok()

    def _status_all(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None:
            return envelope(404, "no such job", {})
        status = {task_id: self._word(job, name) for name, task_id in job.task_ids.items()}
        return self._ok({"job_status": job.state, "status": status})

    # -- as a participant ---------------------------------------------------------------------------------------------

    def computed(self, task_id: str) -> None:
        found = self.computations[task_id]
        job = self.jobs[found.job_id]
        if job.coordinator != self.node_id:
            self.background(self._report(job, task_id, found))

    async def _report(self, job: SpecifiedJob, task_id: str, found: Computation) -> None:
        for role, word in found.words.items():
            await self._ask(job.coordinator, "task/callback", {"task_id": task_id, "status": word, "role": role})

    # -- as the coordinator -------------------------------------------------------------------------------------------

    async def submit(self, document: Mapping[str, Any], *, coordinator: str = "") -> str:
        """Its platform's `create_all`: drives the job itself, or hands it to the coordinator and asks how it goes."""
        body = {"job_id": f"job-{secrets.token_hex(16)}", "flow_id": "", **document}
        if coordinator:
            code, text, _ = await self._ask(coordinator, "job/create_all", self._written(body))
            if code not in (0, 200):
                self.refusals.append(text)
            self.background(self._ask_until_over(body["job_id"], coordinator))
        else:
            await self._create_all(body)
        return str(body["job_id"])

    async def _ask_until_over(self, job_id: str, coordinator: str) -> None:
        while True:
            headers = self._headers(coordinator)
            method = "POST" if self.text == "official" else "GET"
            try:
                query = {"job_id": job_id}
                reply = await self.send(method, coordinator, "job/status_all", headers, query=query)
                self.heard[job_id] = reply.json()
            except httpx.HTTPError:
                self.heard[job_id] = {"code": -1}
            said = self.heard[job_id]
            if said["code"] == self.code and said["data"]["job_status"] in ("FINISHED", "REJECTED"):
                return
            await asyncio.sleep(self.poll_every)

    async def _create_all(self, body: dict[str, Any]) -> Answer:
        body = self._written(body)
        job = self.jobs[body["job_id"]] = SpecifiedJob(body, self.node_id)
        for node in self._others(job):
            code, text, _ = await self._ask(node, "job/create", body)
            if code != self.code:
                self.refusals.append(f"{node}: {text}")
                job.state = "REJECTED"
                await self._tell_stop(job)
                return envelope(400, f"{node}: {text}", {})
        self.background(self._drive(job))
        return self._ok()

    async def _drive(self, job: SpecifiedJob) -> None:
        others, job_id = self._others(job), job.body["job_id"]
        while self.text == "legacy" and len(job.approvals) < len(others):
            await asyncio.sleep(self.poll_every / 4)
        if "REJECTED" in job.approvals.values():
            job.state = "REJECTED"
            await self._tell_stop(job)
            return
        for node in others:
            await self._ask(node, "job/start", {"job_id": job_id})
        job.state = "RUNNING"
        polls = job.body["config"]["job_params"]["common"].get("sync_type", "poll") == "poll"
        while job.state == "RUNNING":
            for item in job.body["dag"]["components"]:
                name = item["name"]
                if name not in job.task_ids and all(self._word(job, up) == "SUCCESS" for up in upstream_of(item)):
                    await self._begin(job, name)
                elif polls and name in job.task_ids:
                    await self._poll_parties(job, name)
            states = [self._word(job, item["name"]) for item in job.body["dag"]["components"]]
            if "FAILED" in states:
                job.state = "FINISHED"
                await self._tell_stop(job)
            elif set(states) == {"SUCCESS"}:
                job.state = "FINISHED"
            await asyncio.sleep(self.poll_every)

    async def _begin(self, job: SpecifiedJob, name: str) -> None:
        task_id = job.task_ids[name] = f"task-{secrets.token_hex(16)}"
        body = {"task_id": task_id, "job_id": job.body["job_id"], "task_name": name}
        for node in nodes_of(job.body["config"]):
            roles = self._roles(job, name, node)
            if node == self.node_id and roles:
                self.compute(task_id, job.body["job_id"], name, roles)
            elif roles:
                job.words.update({(name, node, role): "PENDING" for role in roles})
                code, text, _ = await self._ask(node, "task/start", body)
                if code != self.code:
                    self.refusals.append(f"{node}: {text}")
                    job.words.update({(name, node, role): "FAILED" for role in roles})

    async def _poll_parties(self, job: SpecifiedJob, name: str) -> None:
        for key, word in list(job.words.items()):
            if key[0] == name and word not in OVER:
                code, _, data = await self._ask(key[1], "task/poll", {"task_id": job.task_ids[name], "role": key[2]})
                if code == self.code:
                    job.words[key] = data["status"]

    async def _tell_stop(self, job: SpecifiedJob) -> None:
        self.halt(job.body["job_id"])
        for node in self._others(job):
            await self._ask(node, "job/stop", {"job_id": job.body["job_id"]})

    def _word(self, job: SpecifiedJob, name: str) -> str:
        if name not in job.task_ids:
            return "PENDING"
        found = self.computations.get(job.task_ids[name])
        words = [word for (held, _, _), word in job.words.items() if held == name]
        return combined([*(found.words.values() if found else ()), *words])

    def _others(self, job: SpecifiedJob) -> list[str]:
        return [node for node in nodes_of(job.body["config"]) if node != self.node_id]

    def _roles(self, job: SpecifiedJob, name: str, node_id: str) -> list[str]:
        params = job.body["config"]["task_params"]
        return [
            role
            for role in roles_of(job.body["config"], node_id)
            if any(name in tasks for tasks in (params.get(role) or {}).values())
        ]

    def _written(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """In the words of its own text alone."""
        others = ("code", "module_name") if self.text == "official" else ("componentName", "provider")
        components = [{k: v for k, v in item.items() if k not in others} for item in body["dag"]["components"]]
        return {**body, "dag": {**body["dag"], "components": components}}

    def _headers(self, target: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-Auth-Sign": "c2lnbmF0dXJl",
            "X-Csrf-Protection": "1",
            "X-Source-Node-Id": self.node_id,
            "X-Target-Node-Id": target,
            "X-Nonce": secrets.token_hex(16),
            "X-Trace-Id": secrets.token_hex(8),
            "X-Timestamp": str(int(time.time() * 1000)),
            "X-Mprac-Token-Set": "",
        }

    async def _ask(self, node: str, operation: str, body: object) -> tuple[int, str, Mapping[str, Any]]:
        headers = self._headers(node)
        for _ in range(20):
            try:
                reply = await self.send("POST", node, operation, headers, body=body)
                said = reply.json()
                return said["code"], said["msg"], said["data"]
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
        return -1, "no answer", {}
