"""Everything the console can be told to do, once: key bindings, footer, help, palette and `:` commands come from here.

Lower-case keys look, upper-case keys change something. A key is a character or, for the rest, Textual's name of it; two
separated by a space are pressed one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, auto


class Level(IntEnum):
    """How much it takes to do something, see `screens/confirm.py`."""

    LOOK = 0
    """Changes nothing at the node."""
    ONCE = 1
    """L1: done at once, `u` takes it back for a few seconds."""
    ASKED = 2
    """L2: a question whose first answer is No."""
    TYPED = 3
    """L3: the end of the id is typed."""


class Group(Enum):
    """Where in the footer: what looks, then what changes something, then what is the same everywhere."""

    LOOK = auto()
    CHANGE = auto()
    ALWAYS = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. Its texts are `action.<id>` (a word for the footer) and `help.<id>` (a sentence).

    The id names the binding too: an action that several scopes have is rebound in all of them at once.
    """

    id: str
    scope: str
    keys: tuple[str, ...] = ()
    footer: int = 0
    """Place in the footer, 0 = not there."""
    offered: str = ""
    """The name by which the node must offer it on the object under the cursor; empty = always possible."""
    level: Level = Level.LOOK
    row: bool = False
    """It is done to what is under the cursor."""
    command: tuple[str, ...] = ()
    """Words for the command line, the first one is shown."""
    argument: str = ""
    """What follows the word; in brackets, what may follow it."""
    section: str = ""
    """The section that it opens: left out while there is none of this name."""

    @property
    def writes(self) -> bool:
        return self.level > Level.LOOK

    @property
    def wants_argument(self) -> bool:
        """Without one the word says too little."""
        return bool(self.argument) and not self.argument.startswith("[")

    @property
    def group(self) -> Group:
        if self.scope == GLOBAL:
            return Group.ALWAYS
        return Group.CHANGE if self.writes else Group.LOOK

    @property
    def handler(self) -> str:
        """Name of the method that does it, on the screen or else on the app."""
        return "act_" + self.id.replace(".", "_")


GLOBAL = "global"

ACTIONS: tuple[Action, ...] = (
    # The home screen.
    Action("pane.open", "pulse", ("enter",), footer=1, row=True),
    Action("list.problem", "pulse", ("e",), footer=3),
    Action("list.problem_before", "pulse", ("E",)),
    Action("pane.runs", "pulse", ("t",), row=True),
    Action("pulse.window", "pulse", ("w",), footer=4),
    # The ledger.
    Action("audit.verify", "audit", ("h",), footer=6, command=("verify",)),
    Action("audit.export", "audit", command=("export",), argument="[PATH]"),
    # Statistics.
    Action("pane.open", "statistics", ("enter",), footer=1, row=True),
    Action("list.problem", "statistics", ("e",), footer=3),
    Action("list.problem_before", "statistics", ("E",)),
    Action("pane.runs", "statistics", ("t",), row=True),
    Action("statistics.window", "statistics", ("w",), footer=4),
    Action("statistics.save", "statistics", ("ctrl+s",), footer=6, command=("save", "export"), argument="[PATH]"),
    # What takes the disk.
    Action("results.keep", "space", ("K",), footer=2, offered="keep", level=Level.ONCE, row=True, command=("keep",)),
    Action("results.release", "space", ("U",), offered="release", level=Level.ONCE, row=True, command=("release",)),
    Action("results.discard", "space", ("D",), offered="discard", level=Level.TYPED, row=True, command=("discard",)),
    # Every list.
    Action("list.open", "list", ("enter",), footer=1, row=True),
    Action("list.describe", "list", ("d",), row=True),
    Action("list.document", "list", ("y",), row=True),
    Action("list.copy", "list", ("c",), row=True),
    Action("list.filter", "list", ("/",), footer=3),
    Action("list.sort", "list", ("s",), footer=4),
    Action("list.menu", "list", ("x",), footer=5),
    Action("list.problem", "list", ("e",)),
    Action("list.problem_before", "list", ("E",)),
    Action("list.mark", "list", ("space",)),
    Action("list.range", "list", ("v",)),
    Action("list.mark_all", "list", ("*",)),
    Action("list.unmark", "list", ("\\",)),
    Action("list.preview", "list", ("p",)),
    Action("list.columns", "list", ("o",)),
    Action("list.wide", "list", ("w",)),
    Action("list.reset", "list", ("ctrl+r",), command=("reset",)),
    Action("list.left", "list", ("left",)),
    Action("list.right", "list", ("right",)),
    Action("list.save", "list", ("ctrl+s",), command=("save",), argument="[PATH]"),
    # The job list.
    Action("jobs.runs", "jobs", ("t",), row=True),
    Action("jobs.logs", "jobs", ("l",), footer=2, row=True),
    Action("jobs.approve", "jobs", ("A",), offered="approve", level=Level.TYPED, row=True, command=("approve",)),
    Action("jobs.reject", "jobs", ("X",), offered="reject", level=Level.ASKED, row=True, command=("reject",)),
    Action("jobs.stop", "jobs", ("S",), footer=6, offered="stop", level=Level.ASKED, row=True, command=("stop",)),
    Action("jobs.rerun", "jobs", ("R",), offered="rerun", level=Level.ASKED, row=True, command=("rerun",)),
    Action("jobs.compose", "jobs", ("N",), offered="submit", level=Level.ASKED),
    # One job.
    Action("job.tab_next", "job", ("tab",), footer=3),
    Action("job.tab_before", "job", ("shift+tab",)),
    Action("job.graph", "job", ("t g",)),
    Action("job.tasks", "job", ("t t",)),
    Action("job.timeline", "job", ("t l",)),
    Action("job.events", "job", ("t e",)),
    Action("job.results", "job", ("t r",)),
    Action("job.spec", "job", ("t s", "y"), command=("spec",)),
    Action("job.about", "job", ("d",)),
    Action("job.logs", "job", ("l",), footer=2, command=("logs",), argument="[TASK]", row=True),
    Action("list.problem", "job", ("e",), footer=4),
    Action("list.problem_before", "job", ("E",)),
    Action("job.approve", "job", ("A",), offered="approve", level=Level.TYPED, row=True, command=("approve",)),
    Action("job.reject", "job", ("X",), offered="reject", level=Level.ASKED, row=True, command=("reject",)),
    Action(
        "job.stop",
        "job",
        ("S",),
        footer=6,
        offered="stop",
        level=Level.ASKED,
        row=True,
        command=("stop",),
        argument="[TASK]",
    ),
    Action("job.rerun", "job", ("R",), offered="rerun", level=Level.ASKED, row=True, command=("rerun",)),
    Action("job.runs", "job", ("t f",)),
    Action("job.find", "job", ("/",)),
    # Its tabs.
    Action("job.task", "job_graph", ("enter",), footer=1, row=True),
    Action("job.task", "job_tasks", ("enter",), footer=1, row=True),
    Action("job.task", "job_timeline", ("enter",), footer=1, row=True),
    Action("graph.left", "job_graph", ("left", "h")),
    Action("graph.right", "job_graph", ("right",)),
    Action("graph.path", "job_graph", ("p",), footer=5),
    Action("graph.finer", "job_graph", ("+", "=")),
    Action("graph.coarser", "job_graph", ("-",)),
    Action("graph.fit", "job_graph", ("0",)),
    Action("graph.ports", "job_graph", ("i",)),
    Action("panel.down", "job_tasks", ("}",)),
    Action("panel.up", "job_tasks", ("{",)),
    Action("results.open", "job_results", ("enter",), footer=1, row=True),
    Action("results.save", "job_results", ("ctrl+s",), row=True, command=("save",), argument="[PATH]"),
    Action(
        "results.keep", "job_results", ("K",), footer=5, offered="keep", level=Level.ONCE, row=True, command=("keep",)
    ),
    Action(
        "results.release", "job_results", ("U",), offered="release", level=Level.ONCE, row=True, command=("release",)
    ),
    Action(
        "results.discard", "job_results", ("D",), offered="discard", level=Level.TYPED, row=True, command=("discard",)
    ),
    Action("panel.down", "job_results", ("}",)),
    Action("panel.up", "job_results", ("{",)),
    Action("events.open", "job_events", ("enter",), footer=1, row=True),
    Action("spec.form", "job_spec", ("y",), footer=1),
    Action("spec.next", "job_spec", ("n",)),
    Action("spec.before", "job_spec", ("N",)),
    Action("spec.copy", "job_spec", ("c",)),
    # One task.
    Action("task.logs", "task", ("l",), footer=1, command=("logs",), row=True),
    Action("task.stop", "task", ("S",), footer=2, offered="stop", level=Level.ASKED, row=True, command=("stop",)),
    # The runs of a flow.
    Action("runs.open", "runs", ("enter",), footer=1, row=True),
    Action("runs.left", "runs", ("left", "h")),
    Action("runs.right", "runs", ("right", "l")),
    Action("list.problem", "runs", ("e",), footer=2),
    Action("list.problem_before", "runs", ("E",)),
    # A log.
    Action("log.follow", "log", ("F", "end"), footer=1),
    Action("log.filter", "log", ("/",), footer=2),
    Action("log.search", "log", ("\\",), footer=3),
    Action("log.next", "log", ("n",), footer=4),
    Action("log.before", "log", ("N",)),
    Action("log.problem", "log", ("e",), footer=5),
    Action("log.problem_before", "log", ("E",)),
    Action("log.all", "log", ("1",)),
    Action("log.info", "log", ("2",)),
    Action("log.warn", "log", ("3",)),
    Action("log.error", "log", ("4",)),
    Action("log.wrap", "log", ("w",), footer=6),
    Action("log.numbers", "log", ("#",)),
    Action("log.times", "log", ("t",)),
    Action("log.moment", "log", ("T",)),
    Action("log.recent", "log", ("9",)),
    Action("log.bookmark", "log", ("m",)),
    Action("log.bookmark_next", "log", ("'",)),
    Action("log.rule", "log", ("b",)),
    Action("log.open", "log", ("enter",)),
    Action("log.merge", "log", ("+",)),
    Action("log.party", "log", ("p",)),
    Action("log.save", "log", ("ctrl+s",), command=("save",), argument="[PATH]"),
    Action("log.pager", "log", ("o",)),
    Action("log.left", "log", ("left", "h")),
    Action("log.right", "log", ("right",)),
    # The approval card.
    Action(
        "card.approve", "card", ("A",), footer=1, offered="approve", level=Level.TYPED, row=True, command=("approve",)
    ),
    Action("card.reject", "card", ("X",), footer=2, offered="reject", level=Level.ASKED, row=True, command=("reject",)),
    Action("card.spec", "card", ("d", "y"), footer=4, command=("spec",)),
    Action("card.diff", "card", ("=",), footer=3, command=("diff",)),
    Action("card.job", "card", ("t", "i"), footer=5),
    Action("card.policy", "card", ("l",), footer=6),
    # Any of the cards: the ones beside it in the list.
    Action("card.snooze", "one_of_many", ("P",), offered="snooze", level=Level.ONCE, row=True, command=("later",)),
    Action("card.before", "one_of_many", ("[",)),
    Action("card.after", "one_of_many", ("]",)),
    # Everything that waits for a person.
    Action(
        "approvals.approve",
        "approvals",
        ("A",),
        footer=2,
        offered="approve",
        level=Level.TYPED,
        row=True,
        command=("approve",),
    ),
    Action(
        "approvals.reject",
        "approvals",
        ("X",),
        footer=3,
        offered="reject",
        level=Level.ASKED,
        row=True,
        command=("reject",),
    ),
    Action("approvals.snooze", "approvals", ("P",), offered="snooze", level=Level.ONCE, row=True, command=("later",)),
    # A contract with a partner.
    Action(
        "contract.confirm",
        "contract",
        ("A",),
        footer=1,
        offered="confirm",
        level=Level.TYPED,
        row=True,
        command=("confirm",),
    ),
    Action(
        "contract.refuse",
        "contract",
        ("X",),
        footer=2,
        offered="refuse",
        level=Level.ASKED,
        row=True,
        command=("refuse",),
    ),
    Action(
        "contract.terminate",
        "contract",
        ("K",),
        footer=3,
        offered="terminate",
        level=Level.TYPED,
        row=True,
        command=("terminate",),
    ),
    # A partner's request.
    Action(
        "grant.approve", "grant", ("A",), footer=1, offered="approve", level=Level.TYPED, row=True, command=("approve",)
    ),
    Action(
        "grant.reject", "grant", ("X",), footer=2, offered="reject", level=Level.ASKED, row=True, command=("reject",)
    ),
    Action("grant.request", "grant", ("y",), footer=3),
    # A partner's page has room to name what the list cannot.
    Action("partner.contract", "partner_page", ("i",), footer=1, row=True),
    Action("partner.messages", "partner_page", ("m",), footer=3, row=True),
    Action("partner.confirm", "partner_page", ("A",), footer=4, offered="confirm", level=Level.TYPED, row=True),
    # A partner, in the list and on its page.
    Action("partner.contract", "partner", ("i",), row=True, command=("contract",)),
    Action("partner.messages", "partner", ("m",), row=True),
    Action("partner.confirm", "partner", ("A",), offered="confirm", level=Level.TYPED, row=True, command=("confirm",)),
    Action("partner.end", "partner", ("X",), offered="end", level=Level.TYPED, row=True, command=("end",)),
    Action(
        "partner.test",
        "partner",
        ("R",),
        footer=6,
        offered="test",
        level=Level.ONCE,
        row=True,
        command=("test",),
        argument="[ADDRESS]",
    ),
    Action("partner.approval", "partner", ("P",), offered="change", level=Level.ASKED, row=True, command=("approval",)),
    Action("partner.remove", "partner", ("K",), offered="remove", level=Level.TYPED, row=True, command=("remove",)),
    Action("partner.invite", "partner", ("N", "I"), footer=2, offered="invite", level=Level.ASKED, command=("invite",)),
    Action("partner.join", "partner", ("J",), offered="join", level=Level.ASKED, command=("join",), argument="[CODE]"),
    Action("partner.add", "partner", offered="add", level=Level.ASKED, command=("add",)),
    Action("partner.apply", "partner", offered="join", level=Level.ASKED, command=("apply",)),
    Action("partner.invitations", "partner", ("t",), command=("invitations",)),
    # Data.
    Action("data.tab", "data_tabs", ("tab",), footer=2),
    Action("data.tab_before", "data_tabs", ("shift+tab",)),
    Action("data.register", "data", ("N",), footer=6, offered="register", level=Level.ASKED, command=("register",)),
    Action("data.grant", "data", ("A",), offered="grant", level=Level.ASKED, row=True, command=("grant",)),
    Action("data.revoke", "data", ("X",), offered="take_back", level=Level.TYPED, row=True, command=("revoke",)),
    Action("data.rescan", "data", ("R",), offered="rescan", level=Level.ONCE, row=True, command=("rescan",)),
    Action("data.remove", "data", ("K",), offered="remove", level=Level.TYPED, row=True, command=("delete",)),
    # One dataset's page has room to name what the list cannot.
    Action("data.grant", "dataset_page", ("A",), footer=1, offered="grant", level=Level.ASKED, row=True),
    Action("data.revoke", "dataset_page", ("X",), footer=2, offered="take_back", level=Level.TYPED, row=True),
    Action("data.rescan", "dataset_page", ("R",), footer=3, offered="rescan", level=Level.ONCE, row=True),
    # Administration.
    Action("tokens.create", "tokens", ("N",), footer=2, offered="create", level=Level.ASKED, command=("create",)),
    Action(
        "tokens.revoke",
        "tokens",
        ("X",),
        footer=6,
        offered="end_token",
        level=Level.TYPED,
        row=True,
        command=("revoke",),
    ),
    Action(
        "secrets.put",
        "secrets",
        ("N",),
        footer=2,
        offered="put",
        level=Level.ASKED,
        command=("put",),
        argument="[NAME]",
    ),
    Action(
        "secrets.remove",
        "secrets",
        ("K",),
        footer=6,
        offered="forget",
        level=Level.TYPED,
        row=True,
        command=("delete",),
    ),
    Action("policy.edit", "policy", ("N",), footer=1, offered="edit", level=Level.ASKED, command=("edit",)),
    Action("policy.test", "policy", ("t",), footer=2, command=("test",)),
    Action("policy.trial", "policy", ("o",), footer=3, command=("trial",), argument="FILE"),
    Action("identity.export", "identity", ("e",), footer=2, command=("export",), argument="WHAT PATH"),
    Action(
        "identity.import",
        "identity",
        ("I",),
        footer=3,
        offered="import",
        level=Level.ASKED,
        command=("import",),
        argument="FILE",
    ),
    Action("identity.rotate", "identity", ("R",), footer=1, offered="rotate", level=Level.TYPED, command=("rotate",)),
    # Codes that were given to partners.
    Action("partner.invite", "invitations", ("N", "I"), footer=2, offered="invite", level=Level.ASKED),
    Action(
        "invitations.revoke",
        "invitations",
        ("X",),
        footer=6,
        offered="revoke",
        level=Level.TYPED,
        row=True,
        command=("revoke",),
    ),
    # What was sent.
    Action(
        "messages.resend",
        "messages",
        ("R",),
        footer=2,
        offered="resend",
        level=Level.ONCE,
        row=True,
        command=("resend",),
    ),
    Action("messages.export", "messages", command=("export",), argument="[FILE]", row=True),
    Action("messages.import", "messages", offered="carry", level=Level.ONCE, command=("import",), argument="[FILE]"),
    # A route test.
    Action("linktest.again", "linktest", ("r",), footer=1),
    Action("linktest.full", "linktest", ("w",), footer=2),
    Action("linktest.sheet", "linktest", ("y",), footer=3),
    Action("linktest.save", "linktest", ("ctrl+s",), footer=4, command=("save",), argument="[FILE]"),
    # Something to read.
    Action("document.search", "document", ("/", "\\"), footer=1),
    Action("document.next", "document", ("n",), footer=2),
    Action("document.before", "document", ("N",)),
    Action("document.format", "document", ("y",), footer=3),
    Action("document.copy", "document", ("c",), footer=4),
    # A new invitation.
    Action("invitation.copy", "invitation", ("c",), footer=1),
    # Components; the keys of the list are those of one component's page too.
    Action(
        "components.register",
        "components",
        ("N",),
        footer=2,
        offered="new",
        level=Level.ASKED,
        command=("register",),
        argument="[FILE]",
    ),
    Action("components.switch", "components", ("P",), offered="switch", level=Level.ONCE, row=True),
    Action("components.again", "components", ("R",), offered="register", level=Level.ASKED, row=True),
    Action(
        "components.unregister",
        "components",
        ("K",),
        offered="unregister",
        level=Level.TYPED,
        row=True,
        command=("unregister",),
    ),
    Action("components.export", "components", command=("export",), argument="[FILE]", row=True),
    Action("component.form", "component", ("enter",), footer=1),
    Action("component.manifest", "component", ("y",), footer=3, command=("spec",)),
    # A job that is being put together. Nothing is changed at the node before it is submitted.
    Action("compose.open", "compose", ("enter",), footer=1, row=True),
    Action("compose.add", "compose", ("a",), footer=2),
    Action("compose.party", "compose", ("p",), footer=3),
    Action("list.problem", "compose", ("e",), footer=4),
    Action("list.problem_before", "compose", ("E",)),
    Action("compose.check", "compose", ("v",), footer=5),
    Action("compose.submit", "compose", ("f10",), footer=6, command=("submit",)),
    Action("compose.rename", "compose", ("n",), row=True),
    Action("compose.runner", "compose", ("w",), row=True),
    Action("compose.remove", "compose", ("delete", "backspace"), row=True),
    Action("compose.toggle", "compose", ("space",), row=True),
    Action("compose.redo", "compose", ("ctrl+y",)),
    Action("compose.document", "compose", ("y",)),
    Action("compose.save", "compose", ("ctrl+s",), command=("save",), argument="[FILE]"),
    Action("compose.load", "compose", ("ctrl+o",), command=("load",), argument="[FILE]"),
    Action("compose.fresh", "compose", ("ctrl+n",), command=("new",)),
    # A form. Letters mean something only while no field is edited.
    Action("form.edit", "form", ("enter",), footer=1, row=True),
    Action("form.next", "form", ("tab",)),
    Action("form.before", "form", ("shift+tab",)),
    Action("list.problem", "form", ("e",), footer=2),
    Action("list.problem_before", "form", ("E",)),
    Action("form.changed", "form", ("=",), footer=3),
    Action("form.default", "form", ("ctrl+r",), row=True),
    Action("form.preview", "form", ("y",), footer=5),
    Action("form.submit", "form", ("f10",), footer=6, command=("submit",)),
    Action("form.raw", "form", ("i",), row=True),
    Action("form.editor", "form", ("$",), row=True),
    Action("form.toggle", "form", ("space",), row=True),
    Action("form.tab", "form", ("right",)),
    Action("form.tab_before", "form", ("left",)),
    Action("form.find", "form", ("/",)),
    # Settings and keys.
    Action("settings.change", "settings", ("enter",), footer=1),
    Action("settings.before", "settings", ("left",)),
    Action("settings.next", "settings", ("right",), footer=3),
    Action("settings.reset", "settings", ("backspace",), footer=4),
    Action("settings.filter", "settings", ("/",), footer=5),
    # Several panes: keys that move go to the one that is chosen.
    Action("pane.next", "panes", ("tab",), footer=5),
    Action("pane.before", "panes", ("shift+tab",)),
    Action("pane.zoom", "panes", ("z",)),
    # Movement, the same everywhere.
    Action("move.down", "move", ("j", "down")),
    Action("move.up", "move", ("k", "up")),
    Action("move.page_down", "move", ("pagedown", "ctrl+f", "space")),
    Action("move.page_up", "move", ("pageup",)),
    Action("move.first", "move", ("g g", "home", "0")),
    Action("move.last", "move", ("G", "end")),
    # Sections: the numbers follow the order in which they are usually looked through.
    Action("go.pulse", GLOBAL, ("g p", "1"), command=("pulse",), section="pulse"),
    Action("go.jobs", GLOBAL, ("g j", "2"), command=("jobs",), argument="[FILTER]", section="jobs"),
    Action("go.logs", GLOBAL, ("g l",), section="logs"),
    Action("go.approvals", GLOBAL, ("g a", "3"), command=("approvals",), argument="[FILTER]", section="approvals"),
    Action("go.components", GLOBAL, ("g c", "4"), command=("components",), argument="[FILTER]", section="components"),
    Action("go.data", GLOBAL, ("g d", "5"), command=("data", "datasets"), argument="[TAB] [FILTER]", section="data"),
    Action("go.peers", GLOBAL, ("g o", "6"), command=("peers",), argument="[FILTER]", section="peers"),
    Action("go.audit", GLOBAL, ("g u", "7"), command=("audit",), argument="[SINCE]", section="audit"),
    Action("go.statistics", GLOBAL, ("g s", "8"), command=("stats",), argument="[SPAN]", section="statistics"),
    Action("go.doctor", GLOBAL, ("g h",), command=("doctor",), argument="[FILTER]", section="doctor"),
    Action("go.space", GLOBAL, ("g e",), command=("space",), argument="[FILTER]", section="space"),
    Action("go.settings", GLOBAL, ("g ,", ","), command=("settings",), argument="[FILTER]", section="settings"),
    Action("go.notifications", GLOBAL, ("g n",), command=("notifications",), section="notifications"),
    Action("go.policy", GLOBAL, command=("policy",), section="policy"),
    Action("go.tokens", GLOBAL, command=("tokens",), argument="[FILTER]", section="tokens"),
    Action("go.secrets", GLOBAL, command=("secrets",), argument="[FILTER]", section="secrets"),
    Action("go.identity", GLOBAL, command=("identity",), section="identity"),
    Action("go.warnings", GLOBAL, ("g w",), command=("warnings",), section="warnings"),
    # Everywhere.
    Action("go.job", GLOBAL, command=("job",), argument="ID"),
    Action("go.runs", GLOBAL, command=("runs",), argument="FLOW"),
    Action("go.compose", GLOBAL, command=("compose",), argument="[FILE]"),
    Action("history.back", GLOBAL, ("[",), command=("back",)),
    Action("history.forward", GLOBAL, ("]",), command=("forward",)),
    Action("history.last", GLOBAL, ("-",), command=("last",)),
    Action("app.banner", GLOBAL, ("!",)),
    Action("app.repeat", GLOBAL, (".",)),
    Action("app.equivalents", GLOBAL, ("$",), command=("shell",)),
    Action("app.undo", GLOBAL, ("u",)),
    Action("app.command", GLOBAL, (":",)),
    Action("app.palette", GLOBAL, (";", "ctrl+p"), command=("palette",)),
    Action("app.jump", GLOBAL, ("f",)),
    Action("app.refresh", GLOBAL, ("r",), command=("refresh",)),
    Action("app.redraw", GLOBAL, ("ctrl+l",)),
    Action("app.node", GLOBAL, command=("node", "context"), argument="[NAME|ssh://HOST|PATH]"),
    Action("app.theme", GLOBAL, ("f2",), command=("theme",), argument="NAME"),
    Action("app.language", GLOBAL, ("f3",), command=("lang",), argument="en|zh"),
    Action("app.glyphs", GLOBAL, command=("glyphs",), argument="unicode|safe|ascii"),
    Action("app.read_only", GLOBAL, command=("ro", "readonly"), argument="[off]"),
    Action("app.mouse", GLOBAL, ("f12",), command=("mouse",)),
    Action("app.screenshot", GLOBAL, ("f8",), command=("screenshot",)),
    Action("app.set", GLOBAL, command=("set",), argument="NAME VALUE"),
    Action("app.tour", GLOBAL, command=("tour",)),
    Action("app.back", GLOBAL, ("escape", "q"), footer=7),
    Action("app.quit", GLOBAL, ("ctrl+q",), command=("q", "quit")),
    Action("app.interrupt", GLOBAL, ("ctrl+c",)),
    Action("app.help", GLOBAL, ("?", "f1"), footer=8, command=("help", "keys")),
)

FOOTER_LIMIT = 8


def available(sections: Collection[str], actions: Sequence[Action] = ACTIONS) -> tuple[Action, ...]:
    """The actions of a console that has these sections."""
    return tuple(action for action in actions if not action.section or action.section in sections)


_DECISIONS = ("approve", "reject", "confirm", "refuse", "revoke")


def is_for(role: str, offered: str) -> bool:
    """Whether somebody in this role can ever be offered the action; the node decides, this explains."""
    return role not in ("viewer", "approver") or (role == "approver" and offered in _DECISIONS)


class Pending(Enum):
    """The keys so far are the beginning of something."""

    MORE = auto()


_WIDE = str.maketrans("、。【】「」￥", "/.[]{}$") | {code + 0xFEE0: code for code in range(0x21, 0x7F)}


def plain_key(key: str) -> str:
    """The key that is meant: an input method that is left on sends full-width punctuation and letters."""
    return key.translate(_WIDE) if len(key) == 1 else key


class KeyMap:
    """What keys mean where `scopes` apply; in case of doubt an earlier scope wins."""

    def __init__(self, scopes: Sequence[str], actions: Sequence[Action] = ACTIONS) -> None:
        self._actions = tuple(action for scope in scopes for action in actions if action.scope == scope)
        self._by_keys: dict[tuple[str, ...], Action] = {}
        for action in self._actions:
            for key in action.keys:
                self._by_keys.setdefault(
                    tuple(
                        key.split(
                            " ",
                        )
                    ),
                    action,
                )
        self._prefixes = {keys[:1] for keys in self._by_keys if len(keys) > 1}

    @property
    def actions(self) -> tuple[Action, ...]:
        return self._actions

    def resolve(self, keys: tuple[str, ...]) -> Action | Pending | None:
        """The action, `Pending.MORE` when a further key decides, or None."""
        keys = tuple(map(plain_key, keys))
        if keys in self._prefixes:
            return Pending.MORE
        return self._by_keys.get(keys)

    def following(self, prefix: str) -> Mapping[str, Action]:
        """What may follow `prefix`: the second key and its action."""
        return {keys[1]: action for keys, action in self._by_keys.items() if len(keys) == 2 and keys[0] == prefix}

    def footer(self) -> tuple[Action, ...]:
        """At most eight actions, in order."""
        shown = sorted(
            (action for action in self._actions if action.footer and self.keys_of(action)),
            key=lambda action: action.footer,
        )
        return tuple(shown[:FOOTER_LIMIT])

    def command(self, word: str) -> Action | None:
        """The action of a command word, also when it is cut short without doubt."""
        exact = [action for action in self._actions if word in action.command]
        if exact:
            return exact[0]
        started = [action for action in self._actions if any(name.startswith(word) for name in action.command)]
        return started[0] if len({action.id for action in started}) == 1 else None

    def command_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(action.command[0] for action in self._actions if action.command))

    def keys_of(self, action: Action) -> tuple[str, ...]:
        """The keys that really lead to it here, full-width aliases left out."""
        own = [
            key
            for key in action.keys
            if self._by_keys.get(
                tuple(
                    key.split(
                        " ",
                    )
                )
            )
            is action
        ]
        return tuple(key for key in own if key.isascii())


_NAMES = {
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
    "backspace": "Bksp",
    "delete": "Del",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "space": "Space",
}


def key_name(key: str) -> str:
    """How a key is written for people: `Esc`, `g j`, `F2`, `ctrl+q`."""
    if key in _NAMES:
        return _NAMES[key]
    return key.upper() if len(key) > 1 and key[0] == "f" and key[1:].isdigit() else key
