"""What a screen shows and what an action does, as a command line and as a call of the console's interface.

Words in capitals stand for what is filled in; `OBJECT` becomes what is under the cursor. A test parses every command
line with the real parser and looks up every address among the node's routes.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nodeconsole.remote.target import SshTarget
from nodeconsole.viewmodels.text import cells

OBJECT = "OBJECT"
_PREFIX = "http://node/v1/console"


@dataclass(frozen=True, slots=True)
class Equivalent:
    """`body` is the JSON of a call that has one."""

    command: str
    method: str
    path: str
    body: str = ""


_REASON = '{"reason": "TEXT"}'
VIEWS: Mapping[str, Equivalent] = {
    "pulse": Equivalent("attention", "GET", "/overview"),
    "jobs": Equivalent("job list", "GET", "/jobs"),
    "job_graph": Equivalent("job show OBJECT", "GET", "/jobs/OBJECT"),
    "job": Equivalent("job show OBJECT", "GET", "/jobs/OBJECT"),
    "card": Equivalent("job show OBJECT", "GET", "/jobs/OBJECT"),
    "task": Equivalent("job task OBJECT TASK", "GET", "/jobs/OBJECT/tasks/TASK"),
    "log": Equivalent("job logs OBJECT TASK", "GET", "/jobs/OBJECT/tasks/TASK/logs"),
    "runs": Equivalent("job runs FLOW", "GET", "/runs"),
    "approvals": Equivalent("job list --needs-decision", "GET", "/jobs?needs_decision=1"),
    "contract": Equivalent("peer contracts", "GET", "/contracts/OBJECT"),
    "grant": Equivalent("grant show OBJECT", "GET", "/grants/OBJECT"),
    "components": Equivalent("component list", "GET", "/components"),
    "data_tabs": Equivalent("dataset list", "GET", "/datasets"),
    "data": Equivalent("dataset list", "GET", "/datasets"),
    "partner": Equivalent("peer list", "GET", "/peers"),
    "invitations": Equivalent("peer contracts --all", "GET", "/invitations"),
    "audit": Equivalent("ledger list", "GET", "/ledger"),
    "statistics": Equivalent("stats", "GET", "/statistics"),
    "space": Equivalent("space", "GET", "/space"),
    "policy": Equivalent("policy show", "GET", "/policy"),
    "tokens": Equivalent("token list", "GET", "/tokens"),
    "secrets": Equivalent("secret list", "GET", "/secrets"),
    "identity": Equivalent("identity show", "GET", "/identity"),
    "messages": Equivalent("message list", "GET", "/messages"),
}
"""By the first scope of the screen."""
NODE = Equivalent("status", "GET", "/status")
"""Of a screen that shows nothing of its own."""

_APPROVE = Equivalent("job approve OBJECT --reason TEXT", "POST", "/jobs/OBJECT/approve", _REASON)
_REJECT = Equivalent("job reject OBJECT --reason TEXT", "POST", "/jobs/OBJECT/reject", _REASON)
_STOP = Equivalent("job stop OBJECT --reason TEXT", "POST", "/jobs/OBJECT/stop", _REASON)
_RERUN = Equivalent("job rerun OBJECT", "POST", "/jobs/OBJECT/rerun", "{}")
_CONFIRM = Equivalent(
    "peer confirm OBJECT --words WORDS", "POST", "/contracts/OBJECT/confirm", '{"words": "THE SIX WORDS"}'
)
_TERMINATE = Equivalent("peer terminate OBJECT --reason TEXT", "POST", "/contracts/OBJECT/terminate", _REASON)
WRITES: Mapping[str, Equivalent] = {
    "jobs.approve": _APPROVE,
    "jobs.reject": _REJECT,
    "jobs.stop": _STOP,
    "jobs.rerun": _RERUN,
    "job.approve": _APPROVE,
    "job.reject": _REJECT,
    "job.stop": _STOP,
    "job.rerun": _RERUN,
    "results.keep": Equivalent("job keep OBJECT", "POST", "/jobs/OBJECT/keep", "{}"),
    "results.release": Equivalent("job release OBJECT", "POST", "/jobs/OBJECT/release", "{}"),
    "results.discard": Equivalent("job discard OBJECT --yes", "POST", "/jobs/OBJECT/discard", "{}"),
    "task.stop": Equivalent(
        "job stop OBJECT --task TASK", "POST", "/jobs/OBJECT/stop", '{"task_name": "TASK", "reason": ""}'
    ),
    "card.approve": _APPROVE,
    "card.reject": _REJECT,
    "contract.confirm": _CONFIRM,
    "contract.refuse": Equivalent("peer refuse OBJECT --reason TEXT", "POST", "/contracts/OBJECT/refuse", _REASON),
    "contract.terminate": _TERMINATE,
    "grant.approve": Equivalent("grant approve OBJECT --reason TEXT", "POST", "/grants/OBJECT/approve", _REASON),
    "grant.reject": Equivalent("grant reject OBJECT --reason TEXT", "POST", "/grants/OBJECT/reject", _REASON),
    "partner.confirm": _CONFIRM,
    "partner.end": _TERMINATE,
    "partner.remove": Equivalent("peer remove OBJECT", "DELETE", "/peers/OBJECT"),
    "partner.invite": Equivalent("peer invite", "POST", "/invitations", '{"hours": 24}'),
    "partner.join": Equivalent("peer join CODE", "POST", "/contracts/join", '{"code": "CODE"}'),
    "invitations.revoke": Equivalent("peer revoke OBJECT", "DELETE", "/invitations/OBJECT"),
    "tokens.revoke": Equivalent("token revoke OBJECT", "DELETE", "/tokens/OBJECT"),
    "secrets.remove": Equivalent("secret remove OBJECT", "DELETE", "/secrets/OBJECT"),
    "identity.import": Equivalent(
        "identity import-certificate FILE", "POST", "/identity/certificate", '{"certificate": "PEM"}'
    ),
    "identity.rotate": Equivalent("identity rotate", "POST", "/identity/rotate", '{"force": false}'),
}
"""By the id of the action; those that need a whole form have none."""


def command_line(equivalent: Equivalent, where: Path | SshTarget, subject: str) -> list[str]:
    """The words of a shell's command line, quoted."""
    words = [subject if word == OBJECT and subject else word for word in equivalent.command.split()]
    node = ["--socket", str(where)] if isinstance(where, Path) else ["--node", str(where)]
    return [shlex.quote(word) for word in ("nodeconsole", *words, *node)]


def curl(equivalent: Equivalent, where: Path | SshTarget, subject: str) -> list[str]:
    """The words of a `curl` call on the node's machine, quoted; `$SOCKET` there where that is another one."""
    socket = shlex.quote(str(where)) if isinstance(where, Path) else '"$SOCKET"'
    path = equivalent.path.replace(OBJECT, quote(subject, safe="")) if subject else equivalent.path
    body = ["-H", "Content-Type: application/json", "-d", equivalent.body] if equivalent.body else []
    method = [] if equivalent.method == "GET" else ["-X", equivalent.method]
    return ["curl", "--unix-socket", socket, *map(shlex.quote, (*method, *body, _PREFIX + path))]


def folded(words: Sequence[str], width: int) -> list[str]:
    """One command over as many lines as it takes, broken between words only: it can be pasted as it is."""
    lines = [words[0]]
    for word in words[1:]:
        if cells(lines[-1]) + cells(word) + 3 <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"  {word}")
    return lines
