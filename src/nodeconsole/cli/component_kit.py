"""`nodeconsole component new | test | build | sdk`: what authors of components do on their own machine."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.selfdesc import form_of_component
from algorithm_components.sdk.testing import LocalNode
from embedded_scheduler.errors import NodeError
from embedded_scheduler.spi.conformance import NotConformant
from nodeconsole.cli.drawing import display_here, print_lines, width_here
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_text
from nodeconsole.cli.text import pad, size
from nodeconsole.i18n.catalogue import load
from nodeconsole.kit.archives import build_program, default_python, write_sdk_wheel
from nodeconsole.kit.conformance import ComponentConformance
from nodeconsole.kit.following import Ended, run_all
from nodeconsole.kit.outputs import Seen, look_at
from nodeconsole.kit.project import KitFault, Project, open_project
from nodeconsole.kit.runners import runner_for
from nodeconsole.kit.scaffold import create
from nodeconsole.kit.trial import Bench, Plan, read_parameters
from nodeconsole.viewmodels.report import is_report, report_lines

_TRIAL = ".trial"
_MARK = "nodeconsole-component-trial"
_DEFAULT_ROLES = ("guest", "host")


async def new(call: Invocation) -> Exit:
    args = call.args
    directory = Path(args.directory or args.name)
    try:
        written = create(args.name, args.provider, args.roles, directory)
    except KitFault as fault:
        raise CommandError(str(fault), Exit.USAGE) from None
    if call.out.as_json:
        call.out.document({"directory": str(directory), "files": [str(path) for path in written]})
        return Exit.OK
    call.out.line(f"{directory} is a component with an example to start from:")
    for path in written:
        call.out.line(f"  {path.relative_to(directory)}")
    call.out.line(f"Try it: nodeconsole component test {directory}")
    return Exit.OK


async def sdk(call: Invocation) -> Exit:
    try:
        wheel = write_sdk_wheel(Path(call.args.directory))
    except OSError as error:
        raise CommandError(f"{call.args.directory}: {error.strerror}", Exit.USAGE) from None
    call.out.done({"wheel": str(wheel)}, str(wheel))
    return Exit.OK


async def build(call: Invocation) -> Exit:
    args = call.args
    try:
        project = open_project(Path(args.directory))
        program = build_program(project, _absolute(args.output or project.program), _python(args.python))
    except KitFault as fault:
        raise CommandError(str(fault), Exit.USAGE) from None
    except OSError as error:
        raise CommandError(f"cannot write the program: {error.strerror}") from None
    address = f"exec:{program}"
    if call.out.as_json:
        call.out.document({"program": str(program), "image": address, "allow_exec": str(program)})
        return Exit.OK
    call.out.line(f"{program} ({size(program.stat().st_size)})")
    call.out.line(f"Register it: nodeconsole component register {args.directory} --image {address}")
    call.out.line(f'A node starts it if its node.toml has: components.allow_exec = ["{program}"]')
    return Exit.OK


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


def _python(given: str | None) -> str:
    """An interpreter by its own path: a virtual environment is known by it, so links are not followed."""
    if not given:
        return ""
    found = shutil.which(given)
    if found is None:
        raise KitFault(f"{given} is not a program")
    return str(Path(found).absolute())


async def test(call: Invocation) -> Exit:
    args = call.args
    try:
        project = open_project(Path(args.directory))
        parties = _parties(args.parties, project)
        plan = Plan(
            manifest=project.manifest,
            image_url=args.image or "",
            parties=parties,
            data=_data(args.data, project, parties),
            parameters=_checked(project, parties, _parameters(call, project, parties)),
        )
        directory = _fresh(Path(args.output) if args.output else project.directory / _TRIAL)
        return await _trial(call, project, plan, directory)
    except (KitFault, NodeError) as fault:
        raise CommandError(str(fault), Exit.USAGE) from None


async def _trial(call: Invocation, project: Project, plan: Plan, directory: Path) -> Exit:
    with tempfile.TemporaryDirectory(prefix="nodeconsole-component-") as place:
        image = plan.image_url or f"exec:{_program(call.args.python, project, Path(place))}"
        plan = Plan(plan.manifest, image, plan.parties, plan.data, plan.parameters)
        runner_of = runner_for(image, call.args.engine)
        bench = Bench(directory, plan, runner_of)
        refusal = bench.runner.accepts(image)
        if refusal:
            raise KitFault(refusal)
        if call.args.conformance:
            return await _conformance(call, ComponentConformance(plan, runner_of, directory), directory)
        bench.store_data()
        column = max(len(party) for party in plan.parties)

        def show(party: str, line: str) -> None:
            if not call.out.as_json:
                call.out.line(f"{pad(party, column)} | {line}")

        with LocalNode() as node:
            ended = await run_all(bench.runner, bench.launches(node), within=call.args.timeout, on_line=show)
    seen = {party: [look_at(output) for output in bench.outputs(party)] for party in plan.parties}
    faults = _faults(bench, ended, seen)
    if call.out.as_json:
        call.out.document(_as_json(ended, seen, faults, directory))
    else:
        _print(call, ended, seen, faults, directory)
    return Exit.FAILED if faults else Exit.OK


async def _conformance(call: Invocation, kit: ComponentConformance, directory: Path) -> Exit:
    found = []
    for check in kit.checks():
        try:
            await call.out.busy(check.replace("_", " "), kit.run(check))
            fault = ""
        except NotConformant as breach:
            fault = str(breach)
        found.append({"check": check, "passed": not fault, "fault": fault})
        if not call.out.as_json:
            call.out.line(
                f"{'WRONG ' if fault else 'passed'}  {check.replace('_', ' ')}{f': {fault}' if fault else ''}"
            )
            call.out.flush()
    passed = all(each["passed"] for each in found)
    if call.out.as_json:
        call.out.document({"passed": passed, "checks": found, "directory": str(directory)})
    return Exit.OK if passed else Exit.FAILED


def _program(python: str | None, project: Project, place: Path) -> Path:
    """What is tried is what would be registered, run by the folder's own virtual environment if there is one."""
    own = str(project.interpreter) if project.interpreter else default_python()
    return build_program(project, place / f"{project.package.name}.pyz", _python(python) or own)


def _parties(given: list[str] | None, project: Project) -> tuple[str, ...]:
    """`guest.0`, `host.0`, …: as many of each role as it is named."""
    declared = project.manifest.get("roleList")
    named = [str(role).lower() for role in declared] if isinstance(declared, list) and declared else _DEFAULT_ROLES
    counters: dict[str, itertools.count[int]] = {}
    return tuple(f"{role}.{next(counters.setdefault(role, itertools.count()))}" for role in given or named)


def _data(given: Iterable[tuple[str, str]], project: Project, parties: tuple[str, ...]) -> dict[str, dict[str, Path]]:
    """Files by party and formal input: what was typed, else `data/<party>.csv` or `data/<role>.csv`."""
    declared = [str(port["name"]) for port in project.manifest.get("inputData") or () if isinstance(port, dict)]
    found: dict[str, dict[str, Path]] = {party: {} for party in parties}
    if declared:
        for party in parties:
            for name in (party, party.partition(".")[0]):
                file = project.directory / "data" / f"{name}.csv"
                if file.is_file():
                    found[party] = {declared[0]: file}
                    break
    for where, file_name in given:
        who, _, formal = where.partition(":")
        formal = formal or (declared[0] if declared else "data")
        meant = [party for party in parties if who in (party, party.partition(".")[0])]
        if not meant:
            raise KitFault(f"--data {where}: there is no party {who}; there are {', '.join(parties)}")
        if formal not in declared:
            raise KitFault(f"--data {where}: there is no input {formal}; declared are {', '.join(declared) or 'none'}")
        for party in meant:
            found[party][formal] = Path(file_name)
    without = [party for party in parties if declared and not found[party]]
    if without:
        raise KitFault(f"{without[0]} has no data: add --data {without[0].partition('.')[0]}=FILE")
    return found


def _parameters(call: Invocation, project: Project, parties: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    args = call.args
    file = Path(args.parameters) if args.parameters else project.directory / "data" / "parameters.json"
    found: dict[str, dict[str, Any]] = {party: {} for party in parties}
    if args.parameters or file.is_file():
        try:
            found = read_parameters(read_text(str(file)), parties)
        except KitFault as fault:
            raise KitFault(f"{file}: {fault}") from None
    for where, value in args.set:
        who, separator, name = where.partition(":")
        meant = [party for party in parties if not separator or who in (party, party.partition(".")[0])]
        if not meant:
            raise KitFault(f"--set {where}: there is no party {who}; there are {', '.join(parties)}")
        for party in meant:
            found[party][name if separator else where] = value
    return found


def _checked(
    project: Project, parties: tuple[str, ...], given: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The parameters of each party as the console would submit them, or why it would not."""
    spec = form_of_component(project.manifest)
    texts = load("en_US")
    found = {}
    for party in parties:
        form = Form(spec, given[party], role=party.partition(".")[0])
        faults = [
            f"{party}: parameter {name}: {note.text(texts)}" for name in form.faulty if (note := form.fault(name))
        ]
        if faults:
            raise KitFault("; ".join(faults))
        found[party] = {
            name: form.reading(name).value if name in form.values() and form.spec.field(name) else value
            for name, value in given[party].items()
        }
    return found


def _fresh(directory: Path) -> Path:
    """The directory for one trial; an earlier trial in it is removed, anything else is left alone."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise KitFault(f"{directory} holds something else than a trial: name another directory by --output")
        shutil.rmtree(directory)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / _MARK).touch()
    except OSError as error:
        raise KitFault(f"{directory}: {error.strerror}") from None
    return directory


def _faults(bench: Bench, ended: Iterable[Ended], seen: Mapping[str, list[Seen]]) -> list[str]:
    found = [f"{end.party} ended with {end.why}" for end in ended if not end.exit.ok and not end.stopped]
    if not found:
        found += [f"{end.party} did not end in time and was stopped" for end in ended if end.stopped]
    if not found:
        found += [f"{party}: {fault}" for party, outputs in seen.items() for each in outputs for fault in each.faults]
        found += [f"{party}: {path} was written and not declared" for party in seen for path in bench.strays(party)]
    return found


def _print(
    call: Invocation, ended: list[Ended], seen: Mapping[str, list[Seen]], faults: list[str], directory: Path
) -> None:
    out = call.out
    out.line()
    rows = [(end.party, "stopped" if end.stopped else end.why, f"{end.seconds:.2f}") for end in ended]
    out.table(("PARTY", "ENDED WITH", "SECONDS"), rows, empty="")
    for party, outputs in seen.items():
        for each in outputs:
            if each.size is not None:
                _print_output(call, party, each)
    out.line()
    for fault in faults:
        out.line(f"WRONG: {fault}")
    out.line(f"{'failed' if faults else 'passed'}; logs and results are in {directory}")


def _print_output(call: Invocation, party: str, seen: Seen) -> None:
    rows = "" if seen.rows is None else f", {seen.rows} rows"
    call.out.line()
    call.out.line(f"{party} {seen.output.formal} ({seen.output.category}, {size(seen.size or 0)}{rows})")
    for row in seen.preview:
        call.out.line(f"  {','.join(row)}")
    if seen.rows is not None and seen.rows >= len(seen.preview):
        call.out.line("  ...")
    if is_report(seen.document):
        print_lines(call, report_lines(seen.document or {}, display_here(), width_here() - 2), indent="  ")


def _as_json(ended: list[Ended], seen: Mapping[str, list[Seen]], faults: list[str], directory: Path) -> dict[str, Any]:
    return {
        "passed": not faults,
        "faults": faults,
        "directory": str(directory),
        "parties": [
            {
                "party": end.party,
                "code": end.exit.code,
                "signal": end.exit.signal,
                "error": end.exit.error,
                "stopped": end.stopped,
                "seconds": round(end.seconds, 3),
                "log": str(end.log),
                "outputs": [_output_json(each) for each in seen[end.party]],
            }
            for end in ended
        ],
    }


def _output_json(seen: Seen) -> dict[str, Any]:
    return {
        "name": seen.output.formal,
        "category": seen.output.category,
        "path": str(seen.output.path),
        "size": seen.size,
        "rows": seen.rows,
        "preview": [list(row) for row in seen.preview],
        "document": seen.document,
        "faults": list(seen.faults),
    }


COMMANDS: dict[str, Command] = {"new": new, "test": test, "build": build, "sdk": sdk}
