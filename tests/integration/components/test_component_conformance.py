"""The conformance kit for components: ours and the scaffold pass, and each way to break the contract is found."""

from __future__ import annotations

import asyncio
import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.support.counting import PARTIES, conforms, counting, plan_of, program_of

from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.spi.conformance import NotConformant
from nodeconsole.kit.conformance import ComponentConformance
from nodeconsole.kit.runners import runner_for
from nodeconsole.kit.trial import Plan

TABLE = "id,n\n" + "".join(f"{number},{number * 2}\n" for number in range(50))


def builtin_plan(name: str, data: Path) -> Plan:
    manifest = json.loads(files(f"algorithm_components.{name}").joinpath("manifest.json").read_text("utf-8"))
    data.write_text(TABLE)
    return Plan(manifest, f"builtin:{name}", PARTIES, {party: {"data": data} for party in PARTIES})


@pytest.mark.parametrize("name", ["probe", "sample_alignment"])
async def test_our_own_components_conform(name: str, tmp_path: Path) -> None:
    await conforms(builtin_plan(name, tmp_path / "table.csv"), ProcessRunner, tmp_path)


@pytest.fixture(scope="module")
def scaffold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counting(tmp_path_factory.mktemp("conformance"))


async def test_a_new_component_conforms(scaffold: Path, tmp_path: Path) -> None:
    address = f"exec:{program_of(scaffold, tmp_path)}"
    await conforms(plan_of(scaffold, address), runner_for(address), tmp_path)


SABOTAGE: list[tuple[str, list[tuple[str, str]], dict[str, Any], str]] = [
    (
        "good_input_ends_with_0_and_every_output",
        [('task.write_report("report", report)', "pass")],
        {},
        "guest.0: report was declared and not written",
    ),
    (
        "a_missing_input_is_a_failure",
        [('return run(summarise, manifest_of("counting"))', 'return run(summarise, manifest_of("counting")) * 0')],
        {"within": 6.0},
        "guest.0 ended with 0 without its input",
    ),
    (
        "a_bad_parameter_is_refused_by_name",
        [
            ('manifest_of("counting"))', '{**manifest_of("counting"), "inputParam": []})'),
            ('task.parameters.text("column")', '"mean_radius"'),
            ('task.parameters.integer("decimals")', "3"),
            ('task.parameters.flag("share_mean")', "True"),
        ],
        {"bad_parameter": ("share_mean", "perhaps")},
        "guest.0 took 'perhaps' for the parameter share_mean",
    ),
    (
        "sigterm_ends_it_within_the_grace",
        [
            (
                "    own = measure(task)\n",
                "    import signal; signal.signal(15, signal.SIG_IGN)\n    own = measure(task)\n",
            )
        ],
        {"grace": 0.3},
        "guest.0 ignored SIGTERM",
    ),
    (
        "no_secret_is_in_logs_or_outputs",
        [("    own = measure(task)\n", "    own = measure(task); print(task.environment.required('config.token'))\n")],
        {},
        "guest.0 wrote a token (config.token) into its log",
    ),
    (
        "both_styles_of_booleans_are_read",
        [('task.parameters.flag("share_mean")', '(task.environment.text("share_mean", "true") == "true")')],
        {},
        "reads True otherwise than true",
    ),
    (
        "a_repeated_run_replaces_the_outputs_whole",
        [
            (
                'task.write_report("report", report)',
                'task.write_report("report", report)\n'
                '    path = task.tables.path(task.output("summary"))\n'
                "    if path.with_name('once').exists(): path.write_text('party\\n')\n"
                "    path.with_name('once').touch()",
            )
        ],
        {},
        "leaves once",
    ),
    (
        "a_repeated_run_replaces_the_outputs_whole",
        [('    task.write_table("summary", ["party", "rows", "mean"], table)', "    in_place(task, table)")],
        {},
        "summary was written in place",
    ),
    (
        "a_channel_that_fails_now_and_then_changes_nothing",
        [("    own = measure(task)\n", "    task.channel.patience = 0.0\n    own = measure(task)\n")],
        {},
        "a channel that loses and doubles calls: ",
    ),
    (
        "a_node_that_restarts_is_found_again",
        [("    own = measure(task)\n", "    task.channel.patience = 0.3\n    own = measure(task)\n")],
        {},
        "a node that was down for a second: ",
    ),
    (
        "exit_code_and_callback_agree",
        [
            (
                "    store(task, figures)\n",
                "    store(task, figures)\n"
                "    from algorithm_components.sdk.report import call_back; call_back(task.environment, 'FAILED')\n",
            )
        ],
        {},
        "a run that ended with 0 told FAILED by callback",
    ),
    (
        "a_callback_that_nobody_answers_changes_nothing",
        [
            (
                "    own = measure(task)\n",
                "    own = measure(task)\n"
                "    from algorithm_components.sdk.report import call_back\n"
                "    if not call_back(task.environment, 'RUNNING'): raise ComponentError('no answer')\n",
            )
        ],
        {},
        "a callback that nobody answers: guest.0 ended with 1 (error: no answer)",
    ),
]


async def test_every_breach_is_found(scaffold: Path, tmp_path: Path) -> None:
    async def breach(number: int) -> tuple[str, str]:
        check, changes, options, said = SABOTAGE[number]
        project = shutil.copytree(scaffold, tmp_path / str(number) / "project")
        source = project / "counting" / "component.py"
        text = source.read_text()
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        text += (
            "\n\ndef in_place(task, table):\n"
            '    path = task.tables.path(task.output("summary"))\n'
            "    path.parent.mkdir(exist_ok=True)\n"
            '    path.write_text("party,rows,mean\\n")\n'
        )
        source.write_text(text)
        try:
            address = f"exec:{program_of(project, tmp_path / str(number))}"
            plan = plan_of(project, address)
            kit = ComponentConformance(plan, runner_for(address), tmp_path / str(number) / "runs", **options)
            await kit.run(check)
        except NotConformant as found:
            return said, str(found)
        return said, f"{check} found nothing"

    for said, found in await asyncio.gather(*map(breach, range(len(SABOTAGE)))):
        assert said in found


def test_every_check_has_its_breach() -> None:
    assert {check for check, *_ in SABOTAGE} == set(ComponentConformance.checks())
