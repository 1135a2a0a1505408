"""What waits for a decision: asks partners for theirs when the message was lost, and ends what nobody decides here."""

from __future__ import annotations

import asyncio
import logging

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.lifecycle import AgreementState, AgreementTrigger
from embedded_scheduler.engine import contracts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.errors import Conflict
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts as contract_store
from embedded_scheduler.store import invitations
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Tx

_LOG = logging.getLogger(__name__)

DAYS_OPEN = 7
_LONGEST_PAUSE = 60.0
_DECIDED = (AgreementState.APPROVED, AgreementState.REJECTED, AgreementState.TERMINATED)


class OpenApplications:
    """The service: asks for decisions whose message was lost, and lets applications end that nobody decides."""

    name = "contracts"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        wakeup = self._engine.bus.wakeup(contracts.WAKEUP)
        while True:
            await wakeup.wait(await self.look())

    async def look(self) -> float:
        """Ask where it is due; seconds until the next look is worth while."""
        engine = self._engine
        rows = await engine.db.read(contract_store.open_applications)
        await engine.db.write(invitations.forget_expired)
        pause = _LONGEST_PAUSE
        waiting = {row.contract_id: row for row in rows if row.side == "applicant" and not row.partner_decision}
        self._asked = {contract_id: count for contract_id, count in self._asked.items() if contract_id in waiting}
        async with asyncio.TaskGroup() as group:
            for row in waiting.values():
                group.create_task(self._ask(row))
        for contract_id in waiting:
            pause = min(pause, engine.settings.timing.retry_first * 5 * 2 ** min(self._asked.get(contract_id, 0), 16))
        now_ms = engine.clock.now_ms()
        for row in rows:
            if row.side == "callee" and now_ms - row.created_ms > DAYS_OPEN * DAY_MS:
                await self._expire(row)
        return pause

    async def _ask(self, row: Contract) -> None:
        engine = self._engine
        self._asked[row.contract_id] = self._asked.get(row.contract_id, 0) + 1
        body = {"contract_id": row.contract_id}
        reply = await engine.gateway.call(Outgoing(row.node_id, "node/contract/query", body, engine.mint.nonce(), ""))
        status = str(reply.data.get("status") or "") if reply.delivery is Delivery.OK else ""
        if status not in _DECIDED:
            return

        def work(tx: Tx) -> None:
            contract = contracts.get(tx, row.contract_id)
            if contract.state is AgreementState.APPLIED and not contract.partner_decision:
                contracts.learn(tx, contract, approved=status == AgreementState.APPROVED)

        try:
            await engine.db.write(work)
        except Conflict as error:
            _LOG.warning("contract %s: %s", row.contract_id, error)
            return
        await contracts.announce(engine)

    async def _expire(self, row: Contract) -> None:
        def work(tx: Tx) -> None:
            contract = contracts.get(tx, row.contract_id)
            if contract.state is AgreementState.APPLIED:
                reason = say("nobody_decided_days", days=DAYS_OPEN)
                contracts.fire(tx, contract, AgreementTrigger.REJECT, Cause("node"), reason=reason)

        await self._engine.db.write(work)
        await contracts.announce(self._engine)
