"""The command: where the demo lives, a person at the host's console, and the end of every process on every way out."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from nodeconsole.cli.exits import Exit
from nodeconsole.cli.output import Output
from nodeconsole.demo.failure import DemoFailure
from nodeconsole.demo.kept import MARK, end_kept
from nodeconsole.demo.printed import as_json, print_verdict
from nodeconsole.demo.steps import Demo
from nodeconsole.node_process import NodeFailure


def run(args: argparse.Namespace) -> int:
    """`nodeconsole demo`; the exit code is 0 only if both results are right."""
    out = Output(as_json=args.json)
    try:
        if args.end:
            return asyncio.run(_end(args, out))
        return asyncio.run(_command(args, out))
    except (DemoFailure, NodeFailure) as error:
        out.note(f"nodeconsole demo: {error}")
        return Exit.FAILED
    except KeyboardInterrupt:
        out.end_progress()
        return Exit.INTERRUPTED
    except asyncio.CancelledError:
        out.end_progress()
        return 128 + signal.SIGTERM


async def _command(args: argparse.Namespace, out: Output) -> int:
    directory = _directory(args, out)
    demo = Demo(
        directory,
        parties=args.parties,
        allow_exec=[Path(path) for path in args.allow_exec],
        within=None if args.interactive else 110.0,
        progress=lambda step: out.progress(f"{step} ..."),
    )
    async with _ended(demo) as keep:
        verdict = await demo.run(partial(_attach, out) if args.interactive else None)
        if out.as_json:
            out.document(as_json(verdict, demo, keep=args.keep))
        else:
            print_verdict(verdict, demo, out, keep=args.keep)
        out.flush()
        keep.append(args.keep)
    return Exit.OK if verdict.right else Exit.FAILED


async def _end(args: argparse.Namespace, out: Output) -> int:
    directory = Path(args.home)
    if not args.home_given or not (directory / MARK).exists():
        raise DemoFailure("name the demo whose nodes are to end: --end --home DIR")
    ended = await end_kept(directory)
    out.done({"ended": ended}, f"ended: {', '.join(ended)}" if ended else "no node of this demo was running")
    return Exit.OK


@asynccontextmanager
async def _ended(demo: Demo) -> AsyncIterator[list[bool]]:
    """End the demo's processes on every way out, SIGTERM included; the caller may append True to keep the nodes."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    keep: list[bool] = []
    try:
        yield keep
    finally:
        await demo.close(keep=any(keep))
        loop.remove_signal_handler(signal.SIGTERM)


def _directory(args: argparse.Namespace, out: Output) -> Path:
    """Where the demo lives: `--home` if typed (an earlier demo there is replaced), else a new temporary directory."""
    if not args.home_given:
        return Path(tempfile.mkdtemp(prefix="nodeconsole-demo-"))
    directory = Path(args.home)
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise DemoFailure(f"{directory} is not empty and holds no earlier demo: name another directory")
        if not args.yes and not _agrees(f"Remove the earlier demo in {directory}? [y/N] ", out):
            raise DemoFailure(f"an earlier demo lies in {directory}: add --yes to replace it")
        shutil.rmtree(directory)
    return directory


def _agrees(question: str, out: Output) -> bool:
    if not (out.interactive and sys.stdin.isatty()):
        return False
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _attach(out: Output, demo: Demo, job_id: str) -> None:
    """Open the host's console for the person, and go on when the host's decision is recorded."""
    await demo.asked(job_id)
    host = demo.nodes["host"]
    out.note(
        f"The host's console opens now. Job {job_id} waits there for your decision: look at it, approve it, "
        "watch its log, and leave with Ctrl+Q."
    )
    console = await asyncio.create_subprocess_exec(*host.command_line("attach"))
    try:
        code = await console.wait()
    finally:
        if console.returncode is None:
            console.terminate()
            await console.wait()
    if code != 0:
        raise DemoFailure(f"the console ended with {code}")
    detail = await demo.asked(job_id)
    if detail.job.needs_decision:
        raise DemoFailure(f"nothing was decided about job {job_id}")
