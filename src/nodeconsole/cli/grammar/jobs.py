"""Jobs: submitted, decided, watched, stopped."""

from __future__ import annotations

from nodeconsole.cli.grammar.tree import Parser, Tree
from nodeconsole.cli.grammar.values import JOB_STATES, count, seconds, states
from nodeconsole.exports import FORMS

JOB_ORDERS = ("id", "flow", "status", "parties", "tasks", "age", "duration")
LOG_LEVELS = ("debug", "info", "error")


def add_jobs(tree: Tree) -> None:
    jobs = tree.group("job", "submit, decide, watch and stop jobs")
    _add_submitting(jobs)
    _add_list(jobs)
    _of_a_job(jobs, "show", "show a job, its tasks, and why it waits")
    _of_a_job(jobs, "why", "say for whom a job and its tasks wait, on what, since when, and what comes next")
    diff = _of_a_job(jobs, "diff", "how a job differs from the last approved run of its flow, or from another job")
    diff.add_argument("other", metavar="OTHER", nargs="?", help="compare with this job instead")
    _of_a_job(jobs, "components", "whether the partners of a job have its components, in the same version")
    _add_deciding(jobs)
    _add_keeping(jobs)
    _add_log(jobs)
    _add_views(jobs)


def _of_a_job(jobs: Tree, verb: str, text: str) -> Parser:
    parser = jobs.command(verb, text)
    parser.add_argument("job", metavar="JOB", help="a job's id, or a beginning of it that fits no other")
    return parser


def _add_submitting(jobs: Tree) -> None:
    submit = jobs.command("submit", "submit a job file {flow_id, dag, config}; - reads standard input")
    submit.add_argument("file", metavar="FILE")
    submit.add_argument("--wait", action="store_true", help="wait for the end; exit code 6 unless it succeeded")
    submit.add_argument("--timeout", type=seconds, metavar="SECONDS", help="with --wait: give up after this time")
    check = jobs.command("check", "say what would become of a job file, without submitting it")
    check.add_argument("file", metavar="FILE")


def _add_deciding(jobs: Tree) -> None:
    approve = _of_a_job(jobs, "approve", "let this node take part in a job")
    wait = _of_a_job(jobs, "wait", "wait for the end of a job; exit code 6 unless it succeeded")
    wait.add_argument("--timeout", type=seconds, metavar="SECONDS", help="give up after this time")
    reject = _of_a_job(jobs, "reject", "refuse to take part in a job")
    stop = _of_a_job(jobs, "stop", "stop a job, or one task and everything after it")
    for parser in (approve, reject, stop):
        parser.add_argument("--reason", default="", help="kept in the ledger; partners may see it")
    stop.add_argument("--task", default="", metavar="NAME")
    _of_a_job(jobs, "rerun", "run a finished job of this node again, as a new job")


def _add_keeping(jobs: Tree) -> None:
    _of_a_job(jobs, "keep", "keep a job's results on this node for good")
    _of_a_job(jobs, "release", "let a job's results be removed when they are old enough")
    discard = _of_a_job(jobs, "discard", "remove a job's results from this node now")
    discard.add_argument("--yes", action="store_true", help="do so; without it, only say what would be removed")


def _add_views(jobs: Tree) -> None:
    graph = _of_a_job(jobs, "graph", "draw a job's tasks and what they read from one another")
    graph.add_argument("--level", choices=("dot", "name", "box"), default="name", help="how much each task shows")
    _of_a_job(jobs, "timeline", "show when each party worked on each task")
    _of_a_job(jobs, "events", "list what happened to a job, oldest first")
    task = _of_a_job(jobs, "task", "show a task: where its time went, parameters, attempts")
    task.add_argument("task", metavar="TASK")
    results = _of_a_job(jobs, "results", "list what the tasks of a job stored on this node, show or save it")
    results.add_argument("--task", default="", metavar="NAME", help="the beginning of what this task stored")
    results.add_argument("--rows", type=count, default=20, metavar="N", help="of a table (default: 20)")
    results.add_argument("--columns", action="store_true", help="list the columns of the tables instead")
    results.add_argument("--save", metavar="DIRECTORY", help="save all of it as files (administrators)")
    results.add_argument(
        "--as", dest="form", choices=FORMS, default="", help="with --save: reports and tables in this form"
    )
    runs = jobs.command("runs", "show the newest jobs of a flow, task by task")
    runs.add_argument("flow", metavar="FLOW")
    runs.add_argument("--limit", type=count, default=20, metavar="N")
    runs.add_argument("--before", metavar="CURSOR", help="go on below a page")


def _add_log(jobs: Tree) -> None:
    logs = _of_a_job(jobs, "logs", "print the log of a task")
    logs.add_argument("task", metavar="TASK", nargs="?", help="may be left out when the job has one task")
    logs.add_argument("--party", metavar="ROLE.N", help="which share, when this node holds several")
    logs.add_argument("--level", choices=LOG_LEVELS, default="debug", help="this level and above")
    logs.add_argument("--start", type=int, metavar="N", help="first line, from 0; below 0 counts from the end")
    logs.add_argument("--limit", type=count, metavar="N", help="at most this many lines")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the log is complete")


def _add_list(jobs: Tree) -> None:
    listing = jobs.command("list", "list jobs, newest first")
    listing.add_argument(
        "filter",
        metavar="FILTER",
        nargs="*",
        help="psi !psi ~psi re:^psi status:failed party:bob age:<2h dur:>10m mine",
    )
    listing.add_argument("--sort", choices=JOB_ORDERS, help="by a column instead, over all jobs")
    listing.add_argument("--falling", action="store_true", help="with --sort: the largest first")
    listing.add_argument("--state", type=states, metavar="STATE[,STATE]", help=", ".join(JOB_STATES))
    listing.add_argument("--flow", metavar="FLOW_ID")
    listing.add_argument("--query", "-q", metavar="FILTER", default="", help="as FILTER")
    listing.add_argument("--needs-decision", action="store_true", help="only those that wait for this node's decision")
    listing.add_argument("--limit", type=count, default=50, metavar="N")
    listing.add_argument("--before", metavar="CURSOR", help="go on after this row of an earlier list")
