"""How a component tells what it does: lines on stdout, a report among its outputs, its status by callback."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from algorithm_components.sdk.environment import Address, ComponentError, Environment
from algorithm_components.sdk.log import say
from algorithm_components.sdk.report_form import FORM, Report, faults_of
from algorithm_components.sdk.tables import Tables

_CALLBACK_SECONDS = 5.0


class Progress:
    """Lines like `masked own ids: 40960 of 100000 (40 %)`, at most one every `every` seconds, and a last one."""

    def __init__(self, what: str, total: int, *, every: float = 2.0, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._total = total
        self._every = every
        self._now = now
        self._next = now() + every
        self.done = 0

    def add(self, count: int) -> None:
        if not count:
            return
        self.done += count
        if self._now() >= self._next or self.done == self._total:
            self._next = self._now() + self._every
            share = f" ({100 * self.done // self._total} %)" if self._total else ""
            say(f"{self._what}: {self.done} of {self._total}{share}")


def write_report(tables: Tables, address: Address, content: Report | Mapping[str, Any]) -> None:
    """Store a report or metrics as JSON.

    What follows the report form (`report_form`) is checked, so that consoles can draw it; an object that does not claim
    to (no member `form`) is stored as it is and shown as JSON. `ComponentError` names the first fault.
    """
    document = content.document() if isinstance(content, Report) else content
    if document.get("form") == FORM:
        fault = next(faults_of(document), "")
        if fault:
            raise ComponentError(f"the report for {address} cannot be stored: {fault}")
    try:
        text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"the report for {address} is no JSON: {error}") from None
    tables.write_text(address, text + "\n")


def call_back(environment: Environment, status: str) -> bool:
    """Tell the node the task's status (`RUNNING`, `SUCCESS`, `FAILED`); whether it took it.

    A hint only: the exit code is the truth, so failing to deliver it is no failure of the component.
    """
    url = urlsplit(environment.optional("system.callback"))
    if url.scheme != "http" or not url.hostname:
        return False
    body = {"task_id": environment.task_id, "role": environment.self_party, "status": status}
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {environment.optional('config.token')}",
        "x-ptp-trace-id": environment.optional("config.trace_id"),
    }
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=_CALLBACK_SECONDS)
    try:
        connection.request("POST", url.path or "/", json.dumps(body).encode(), headers)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
