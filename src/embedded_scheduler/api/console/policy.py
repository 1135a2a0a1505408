"""`/policy`: show, set and try out the operator's policy."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine import policies as verbs
from embedded_scheduler.engine import trials
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say
from embedded_scheduler.store.policies import PolicyVersion
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.console_policy import (
    PolicyRequest,
    PolicyRow,
    PolicyTestReply,
    PolicyTestRequest,
    RulingRow,
    TrialRow,
)


def install(app: Quart, console: Console) -> None:
    policy = PolicyEndpoints(console)
    endpoint.route(app, "GET", "/policy", policy.show)
    endpoint.route(app, "PUT", "/policy", policy.put)
    endpoint.route(app, "POST", "/policy/test", policy.test, role=Role.VIEWER)


class PolicyEndpoints:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def show(self) -> PolicyRow:
        return _row(await verbs.current(self._engine))

    async def put(self) -> PolicyRow:
        request = await endpoint.body_message(PolicyRequest, self._console.depth)
        actor = endpoint.operator()
        return _row(await verbs.put(self._engine, request.text, expected=request.expected, actor=actor))

    async def test(self) -> PolicyTestReply:
        """Changes nothing."""
        request = await endpoint.body_message(PolicyTestRequest, self._console.depth)
        if (request.document is None) == (request.last is None):
            raise InvalidRequest(say("trial_of_what"))
        if request.last is not None:
            found = await trials.try_last(self._engine, request.last, text=request.text)
            return PolicyTestReply(jobs=[_trial_row(trial) for trial in found])
        assert request.document is not None
        ruling, problems = await trials.try_document(
            self._engine, request.document, text=request.text, coordinator=request.coordinator
        )
        return PolicyTestReply(
            ruling=_ruling_row(ruling), problems=list(map(str, problems)), said=said(problems=problems)
        )


def _row(version: PolicyVersion | None) -> PolicyRow:
    if version is None:
        return PolicyRow()
    return PolicyRow(version=version.version, text=version.text, set_by=version.set_by, at_ms=version.at_ms)


def _ruling_row(ruling: verbs.Ruling) -> RulingRow:
    return RulingRow(
        action=ruling.action.value,
        rule=ruling.rule,
        version=ruling.version,
        reason=ruling.reason,
        reasoning=list(map(str, ruling.reasoning)),
        binding=ruling.binding,
        said=said(reasoning=ruling.reasoning),
    )


def _trial_row(trial: trials.Trial) -> TrialRow:
    return TrialRow(
        job_id=trial.job_id,
        initiator=trial.initiator,
        coordinator=trial.coordinator,
        created_ms=trial.created_ms,
        ruling=_ruling_row(trial.ruling),
        decided=trial.decided,
        decided_by=trial.decided_by,
        decided_reason=trial.decided_reason,
    )
