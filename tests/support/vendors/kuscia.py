"""A Kuscia node: success is code 200, no approvals, no callbacks, polls without patience, crashes on what it does not
expect. Scheduler = initiator."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.vendors.base import OVER, Answer, Asked, Vendor, envelope, upstream_of

_K8S = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
_WORDS = frozenset({"PENDING", "RUNNING", *OVER})


@dataclass(slots=True)
class KusciaJob:
    """`phase` is PENDING, RUNNING, SUCCESS or FAILED."""

    body: dict[str, Any]
    phase: str = "PENDING"
    reason: str = ""
    task_ids: dict[str, str] = field(default_factory=dict)
    party_words: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(task id, node, role) → word, of the parties elsewhere; what ended is never overwritten."""

    @property
    def names(self) -> list[str]:
        return [item["name"] for item in self.body["dag"]["components"]]

    @property
    def initiator(self) -> str:
        return str(self.body["config"]["initiator"]["node_id"])

    def parties(self, name: str) -> list[tuple[str, str]]:
        """(role, node) of those with a member for the task in `task_params`, be it empty."""
        config = self.body["config"]
        return [
            (role, config["role"][role][int(index)])
            for role, given in config["task_params"].items()
            if role != "common"
            for index, tasks in (given or {}).items()
            if name in tasks
        ]


class KusciaNode(Vendor):
    """`poll_every` is 5 s and `ask_every` (status_all at the initiator) 15 s in the original."""

    def __init__(self, node_id: str, *, work: float = 0.05, poll_every: float = 0.1, ask_every: float = 0.2) -> None:
        super().__init__(node_id, work=work)
        self.poll_every = poll_every
        self.ask_every = ask_every
        self.jobs: dict[str, KusciaJob] = {}
        self.session_ids: dict[str, str] = {}
        """What its components are given, by task id."""

    # -- as a server --------------------------------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Answer:
        if asked.header("host") != f"interconn-scheduler.{self.node_id}.svc":
            return Answer(404, b"", "text/plain")
        if asked.operation == "job/status_all" and asked.method == "GET":
            return self._status_all(asked.query.get("job_id", ""))
        acts = {
            "job/create": self._create,
            "job/start": self._start,
            "job/stop": self._stop,
            "task/start": self._start_task,
            "task/poll": self._poll,
            "task/stop": self._stop_task,
        }
        act = acts.get(asked.operation)
        if act is None or asked.method != "POST":
            return Answer(404, b"404 page not found", "text/plain")
        try:
            return act(json.loads(asked.body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Answer(200, json.dumps({"code": 400, "message": f"{error!r}"}).encode())

    def _create(self, body: dict[str, Any]) -> Answer:
        config = body["config"]
        if body["job_id"] in self.jobs:
            return _failed("Job already exists")
        if not config["initiator"]["node_id"]:
            return _failed("initiator can't be empty")
        if not _K8S.fullmatch(body["job_id"]):
            return _failed(f"Invalid value: {body['job_id']}")
        for version in (body["dag"]["version"], config["version"]):
            if not isinstance(version, str):
                raise TypeError("proto: invalid value for string type")
        job = KusciaJob(body)
        for item in body["dag"]["components"]:
            if not item.get("code"):
                return _failed("component code can't be empty")
            if not job.parties(item["name"]):
                return _failed(f"no party of {item['name']}")
        self.jobs[body["job_id"]] = job
        return envelope(200, "", {"status": "PENDING"})

    def _start(self, body: Mapping[str, Any]) -> Answer:
        job = self.jobs.get(body["job_id"])
        if job is None:
            return _failed("failed to find the job")
        if job.phase == "FAILED":
            return _failed(f"Job status is failed: {job.reason}")
        if job.phase == "PENDING":
            job.phase = "RUNNING"
            self.background(self._follow(body["job_id"], job))
        return envelope(200, "", None)

    def _start_task(self, body: Mapping[str, Any]) -> Answer:
        job = self.jobs.get(body["job_id"])
        if job is None:
            return _failed("failed to find the job")
        if job.phase == "FAILED":
            return _failed("Job status is failed")
        name = body["task_name"]
        if name not in job.names:
            return _failed("failed to find the task by task name")
        if name not in job.task_ids:
            job.task_ids[name] = body["task_id"]
            self._launch(job, name)
        return envelope(200, "", None)

    def _launch(self, job: KusciaJob, name: str) -> None:
        task_id = job.task_ids[name]
        own = [role for role, node in job.parties(name) if node == self.node_id]
        params = job.body["config"]["task_params"]
        given = {**(params.get("common") or {}).get(name, {})}
        for role in own:
            for tasks in params[role].values():
                given |= tasks.get(name, {})
        if not _K8S.fullmatch(task_id) or any(value is None or isinstance(value, list) for value in given.values()):
            # Its task object is never made; whoever polls hears PENDING for ever.
            return
        self.session_ids[task_id] = f"session_{task_id}"
        self.compute(task_id, job.body["job_id"], name, own)

    def _poll(self, body: Mapping[str, Any]) -> Answer:
        if not body["role"]:
            return _failed("parameter role can't be empty")
        known = any(body["task_id"] in job.task_ids.values() for job in self.jobs.values())
        if not known:
            return _failed("failed to find the task")
        found = self.computations.get(body["task_id"])
        return envelope(200, "", {"status": found.words.get(body["role"], "PENDING") if found else "PENDING"})

    def _status_all(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None:
            return _failed("job does not exist")
        return envelope(200, "", {"status": {i: self._word(job, name) for name, i in job.task_ids.items()}})

    def _stop(self, body: Mapping[str, Any]) -> Answer:
        job = self.jobs.get(body["job_id"])
        if job is None:
            return _failed("job does not exist")
        self._fail(job, "stopped")
        return envelope(200, "", None)

    def _stop_task(self, body: Mapping[str, Any]) -> Answer:
        found = self.computations.get(body["task_id"])
        if found is None:
            return _failed("task does not exist")
        self.halt(found.job_id, found.name)
        return envelope(200, "", None)

    # -- its jobs -----------------------------------------------------------------------------------------------------

    def _word(self, job: KusciaJob, name: str) -> str:
        """A task over all its parties, as far as this node knows."""
        task_id = job.task_ids[name]
        own = self.computations.get(task_id)
        words = list(own.words.values()) if own else []
        words += [word for (held, _, _), word in job.party_words.items() if held == task_id]
        if "FAILED" in words:
            return "FAILED"
        return "SUCCESS" if words and set(words) == {"SUCCESS"} else "RUNNING"

    def _fail(self, job: KusciaJob, reason: str) -> None:
        if job.phase not in OVER:
            job.phase, job.reason = "FAILED", reason
            self.halt(job.body["job_id"])

    def _settle(self, job: KusciaJob) -> None:
        words = [self._word(job, name) for name in job.task_ids]
        if "FAILED" in words:
            self._fail(job, "a task failed")
        elif len(words) == len(job.names) and set(words) == {"SUCCESS"} and job.phase == "RUNNING":
            job.phase = "SUCCESS"

    async def _follow(self, job_id: str, job: KusciaJob) -> None:
        """A participant asks the initiator until its own view of the job is over."""
        while job.phase not in OVER:
            await asyncio.sleep(self.ask_every)
            reply = await self._ask("GET", job.initiator, "job/status_all", query={"job_id": job_id})
            if reply is not None and reply["code"] == 200:
                self._read_status_all(job, reply)
            self._settle(job)

    def _read_status_all(self, job: KusciaJob, reply: Mapping[str, Any]) -> None:
        # Its parser takes `data` and every object in it for maps, without looking.
        for member in reply["data"].values():
            if not isinstance(member, dict):
                return
            for task_id, word in member.items():
                name = next((n for n, known in job.task_ids.items() if known == task_id), None)
                if name is None:
                    if task_id not in job.task_ids.values():
                        continue
                elif any(node == job.initiator for _, node in job.parties(name)):
                    self._hear(job, (task_id, job.initiator, ""), word)

    def _hear(self, job: KusciaJob, key: tuple[str, str, str], word: str) -> None:
        if job.party_words.get(key) not in OVER:
            job.party_words[key] = word if word in _WORDS else ""

    # -- as the scheduler ---------------------------------------------------------------------------------------------

    async def submit(self, document: Mapping[str, Any], *, job_id: str = "") -> str:
        """Drive a job in the background; its id."""
        made = job_id or f"kus-{secrets.token_hex(6)}"
        job = self.jobs[made] = KusciaJob({"job_id": made, **document})
        self.background(self._drive(made, job))
        return made

    async def _drive(self, job_id: str, job: KusciaJob) -> None:
        # Only parties of the first component are told of the job at all.
        outside = [node for node in dict.fromkeys(n for _, n in job.parties(job.names[0])) if node != self.node_id]
        for operation, body in (("job/create", _compact(job.body)), ("job/start", {"job_id": job_id})):
            replies = [await self._ask("POST", node, operation, body=body) for node in outside]
            for reply in replies:
                if reply is None or reply["code"] != 200:
                    self._fail(job, f"{operation}: {reply}")
        if job.phase == "PENDING":
            job.phase = "RUNNING"
        while job.phase not in OVER:
            for item in job.body["dag"]["components"]:
                name = item["name"]
                ready = all(up in job.task_ids and self._word(job, up) == "SUCCESS" for up in upstream_of(item))
                running = [n for n in job.task_ids if self._word(job, n) == "RUNNING"]
                if name not in job.task_ids and ready and len(running) < 2:
                    await self._begin(job_id, job, name)
            await asyncio.sleep(self.poll_every / 4)
            self._settle(job)
        if job.phase == "FAILED":
            for node in outside:
                await self._ask("POST", node, "job/stop", body={"job_id": job_id})
                for name, task_id in job.task_ids.items():
                    if any(
                        job.party_words.get((task_id, node, r)) not in OVER for r, n in job.parties(name) if n == node
                    ):
                        await self._ask("POST", node, "task/stop", body={"task_id": task_id})

    async def _begin(self, job_id: str, job: KusciaJob, name: str) -> None:
        task_id = job.task_ids[name] = f"{job_id}-{secrets.token_hex(6)}"
        if any(node == self.node_id for _, node in job.parties(name)):
            self._launch(job, name)
        for role, node in job.parties(name):
            if node != self.node_id:
                job.party_words[task_id, node, role] = ""
        for node in dict.fromkeys(node for _, node in job.parties(name) if node != self.node_id):
            body = {"task_id": task_id, "job_id": job_id, "task_name": name}
            reply = await self._ask("POST", node, "task/start", body=body)
            for role, holder in job.parties(name):
                if holder == node and (reply is None or reply["code"] != 200):
                    self._hear(job, (task_id, node, role), "FAILED")
                elif holder == node:
                    self.background(self._poll_party(job, task_id, node, role))

    async def _poll_party(self, job: KusciaJob, task_id: str, node: str, role: str) -> None:
        key = (task_id, node, role)
        while job.party_words[key] not in OVER and job.phase not in OVER:
            await asyncio.sleep(self.poll_every)
            reply = await self._ask("POST", node, "task/poll", body={"task_id": task_id, "role": role})
            if reply is None or reply["code"] != 200:
                self._hear(job, key, "FAILED")
                continue
            status = reply["data"]["status"]
            if not isinstance(status, str):
                raise TypeError("interface conversion: interface {} is nil, not string")
            self._hear(job, key, status)

    async def _ask(
        self, method: str, node: str, operation: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> dict[str, Any] | None:
        """None = an error at the level of HTTP. Tried again when no connection can be made, and only then."""
        headers = {"X-Node-Id": self.node_id, "X-Timestamp": str(int(time.time()))}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        for _ in range(4):
            try:
                reply = await self.send(method, node, operation, headers, query=query, body=body)
            except httpx.ConnectError:
                await asyncio.sleep(0.2)
                continue
            except httpx.HTTPError:
                return None
            return dict(reply.json()) if reply.status_code == 200 else None
        return None


def _compact(body: Mapping[str, Any]) -> dict[str, Any]:
    """As its structures are written: what is empty is left out, and components are named in its own way alone."""
    components = [
        {k: v for k, v in item.items() if k in ("name", "code", "module_name", "version", "input", "output") and v}
        for item in body["dag"]["components"]
    ]
    config = body["config"]
    return {
        "job_id": body["job_id"],
        "dag": {"version": "2.0.0", "components": components},
        "config": {
            "version": "2.0.0",
            "initiator": config["initiator"],
            "role": {role: nodes for role, nodes in config["role"].items() if nodes},
            "job_params": {role: {str(len(nodes) - 1): {}} for role, nodes in config["role"].items() if nodes},
            "task_params": {role: given for role, given in config["task_params"].items() if given},
        },
    }


def _failed(text: str) -> Answer:
    return envelope(400, text, None)
