"""The container runner keeps the contract of every runner, and its own promises, with a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_scheduler.spi.conformance import RunnerConformance

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Harness


@pytest.mark.parametrize("check", RunnerConformance.checks())
async def test_runner_conformance(check: str, harness: Harness) -> None:
    await RunnerConformance(harness).run(check)
