"""What the node's own code says to its operators: a code with facts, and beside it the sentence in English.

Whoever shows it in another language has a text for each code; a code that is newer than that is shown in English.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias

_NAMED = 3
"""Names in one line; of a fan of a thousand tasks nobody reads more."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """`str()` is English. `facts` are data: names, numbers, errors of the system as they came, other sentences."""

    code: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __str__(self) -> str:
        return ENGLISH[self.code].format(**{name: _english(fact) for name, fact in self.facts.items()})


Words: TypeAlias = str | Sentence
"""A plain string is somebody else's words, or a name: it is the same in every language."""
Fact: TypeAlias = int | Words | tuple[Words, ...]


def say(code: str, /, **facts: Fact) -> Sentence:
    """A sentence of the table; KeyError for a code that is not there."""
    ENGLISH[code]
    return Sentence(code, facts)


def together(sentences: Sequence[Words]) -> Words:
    """Several things in one line; empty for none."""
    if not sentences:
        return ""
    return reduce(lambda one, other: say("both", one=one, other=other), sentences)


def _english(fact: Fact) -> str:
    if not isinstance(fact, tuple):
        return str(fact)
    more = f" and {len(fact) - _NAMED} more" if len(fact) > _NAMED else ""
    return ", ".join(map(str, fact[:_NAMED])) + more


ENGLISH: Mapping[str, str] = {
    "both": "{one}; {other}",
    "about": "{name}: {what}",
    # -- what the package is installed without
    "extra_install": "{command}",
    "extra_not_in_executable": "the standalone executable does not hold it; the package does, as its extra {extra}: "
    "README, Install",
    "needs_obstore": 'storage.driver = "s3" needs the library obstore: {how}',
    "needs_pyarrow": "parquet: this node has no pyarrow: {how}; then start it again",
    # -- why something waits: for whom
    "by_you": "you",
    "by_this_node": "this node",
    "by_tasks": "task {tasks}",
    "by_party": "{party} ({node})",
    # on what
    "wait_put_off": "to start {task}: {why}",
    "memory_short": "it needs {needs} of memory, {free} of {of} are free; running: {running}",
    "takes_memory": "{part} ({size})",
    "no_place": "all {limit} places for components are taken (limits.concurrent_attempts); running: {running}",
    "part_of_job": "{task} of {job}",
    "not_now": "{task} cannot be started just now: {why}",
    "too_much_memory": "{party} wants {needs} of memory, all components of this node together get {of}: setting "
    "limits.memory",
    "wait_decide": "approve or reject",
    "wait_approval": "their approval",
    "wait_decisions": "the decisions of all parties",
    "wait_approval_and_start": "the other parties' approval and the start",
    "wait_start": "the start",
    "wait_next_task": "the next task",
    "wait_start_task": "to start task {task}",
    "wait_to_start": "to start {task}",
    "wait_output": "its output",
    "wait_runs": "{task} runs",
    "wait_report": "to report on {task}",
    "wait_verdict": "to end the job: task {task} failed here",
    "wait_outcome": "the outcome of the job",
    "wait_to_end": "{shares} to end",
    "wait_share": "{party} of {task}",
    "wait_answer": "its answer to {operation}",
    "wait_undelivered": "{operation} is not delivered after {tries} tries ({error})",
    # what comes next
    "next_starts": "starts by itself",
    "next_room": "starts by itself when one of them ends",
    "next_try": "fails at {end} if that lasts, tried again by itself: try {number}",
    "next_nothing": "nothing to do here",
    "next_asked": "asked again by itself",
    "next_tried": "tried again by itself",
    "next_forced": "forced after the grace time",
    "next_expires": "expires {at}",
    "next_stuck": "looks stuck: no log, no byte, no CPU time since {at}",
    # -- what keeps components from the rest of the machine
    "contained": "components run in a sandbox of {program}",
    "contained_plain": "components run as plain processes of the node's user: {why}",
    "contained_none": "no component starts: {why}",
    "sandbox_off": "components.sandbox is off",
    "sandbox_off_fix": 'set components.sandbox = "auto"',
    "sandbox_missing": "bubblewrap is not installed",
    "sandbox_missing_fix": "install bubblewrap (apt-get install bubblewrap, or dnf install bubblewrap) and start"
    " the node again",
    "sandbox_fails": "bubblewrap does not work here: {fault}",
    "sandbox_fails_fix": "allow this user to make user namespaces (sysctl user.max_user_namespaces, AppArmor), see"
    " containment.md",
    "contained_containers": "containers reach their inputs, their outputs and the node, and have no privileges",
    "contained_containers_but": "containers reach their inputs, their outputs and the node, but {weak}",
    "weak_network": "they share this machine's network",
    "weak_network_fix": 'set container.network = "node"',
    "weak_root": "they run as root without its capabilities, as the node does",
    "weak_memory": "the engine cannot limit memory here, so their address space is limited",
    "weak_selinux": "SELinux labels are off for them, so that they reach the storage",
    # -- where components run
    "engine_missing": "there is no container engine here: nothing at {places}",
    "engine_missing_fix": "install podman and enable podman.socket (or Docker), or set container.socket in node.toml",
    "engine_closed": "this user may not use the container engine at {path}",
    "engine_closed_fix": "run an engine as the node's user (podman.socket of the user), or let the user use that one",
    "engine_silent": "no answer from the container engine at {path}: {why}",
    "engine_silent_fix": "look at the engine's own log; it has to answer at that socket",
    "ray_found": "Ray {version} at {address}",
    "ray_silent": "Ray at {address} gives no answer within seconds",
    "cluster_away": "{engine} at {address} cannot be reached: {why}",
    "cluster_answered": "{engine} at {address} answered {status}: {why}",
    "cluster_shut": "{engine} at {address} answered {status}: {why} (it does not let this node in: look at its"
    " token and rights)",
    "ray_silent_fix": "look at ray.address and ray.token_file in node.toml, and at the cluster",
    "kubernetes_found": "Kubernetes {version} at {address}",
    "kubernetes_silent": "the Kubernetes cluster gives no answer within seconds",
    "kubernetes_silent_fix": "look at kubernetes.kubeconfig in node.toml, and at what its user may do in the namespace",
    "kubernetes_images_only": "Kubernetes runs images, no builtin:, exec: or pack: addresses",
    "engine_found": "{engine} at {path}",
    "engine_limits": "{engine} at {path} cannot limit {what}",
    "engine_limits_fix": "give the engine's user these controllers of cgroups (systemd: Delegate=yes)",
    "limit_memory": "memory",
    "limit_cores": "processors",
    # -- why something cannot run here, or is refused
    "component_unknown": "component {component} is not registered on this node: register it with `nodeconsole component"
    " register`",
    "component_disabled": "component {component} is disabled on this node: enable it with `nodeconsole component"
    " enable`",
    "no_runner": "this node has no runner",
    "runner_unknown": "{why}, but this node has no runner {runner}: it has {runners}",
    "runner_cannot": "runner {runner} ({why}) cannot run it: {refusal}",
    "chosen_by_job": "the job asks for it",
    "chosen_by_registration": "the component is registered for it",
    "chosen_by_rule": "rule {number} of runners.rules",
    "pack_missing": "pack {pack} is not installed on this node: `nodeconsole component install`",
    "pack_lacks": "pack {pack} has no component {component} here",
    "pack_python_gone": "the Python of pack {pack} is gone ({python}): uninstall the pack and install it again",
    "sandbox_required": 'components.sandbox is "require" and there is no sandbox here ({why}): {advice}',
    "role_not_run": "{component} does not run as {role} (it runs as {roles})",
    "parameter_missing": "parameter {name} ({title}) of {party} is missing",
    "dataset_unknown": "dataset {dataset} is not registered on this node: add it with `nodeconsole dataset add`",
    "data_unnamed": "{party} names no data for it: give dataset_id, or namespace and name, in its task_params",
    "dataset_changed": "dataset {dataset} has changed since it was registered: look at it and register it again with"
    " `nodeconsole dataset add`",
    "cannot_approve": "cannot be approved as things stand: {problems}",
    "cannot_run": "{node} cannot run its part: {problems}",
    "no_role": "user {user} has no role on this node: an administrator adds it to operators.viewer, operators.approver"
    " or operators.admin in node.toml",
    "role_too_low": "{user} is {role} on this node and this needs {needed}: ask an administrator (operators in"
    " node.toml)",
    "changed_meanwhile": "{what} changed meanwhile; try again",
    "not_run_again": "job {job} cannot be run again here: it is not over, or a partner asked for it",
    "job_unknown": "this node knows no job {job}",
    "task_unknown": "this node knows no task {task}",
    "not_a_partner": "{node} is no partner of this node",
    "partner_without_contract": "there is no contract with {node}, so nothing of it could be believed: use `nodeconsole"
    " peer invite` here or `nodeconsole peer join CODE` there. By hand: `peer add --certificate FILE`; for a node that"
    " cannot sign: `peer add --unsigned`",
    "partner_has_contract": "there is a contract with {node}: end it first with `nodeconsole peer terminate {node}`",
    "partner_has_job": "{node} takes part in {job}, which is not over: stop that job first",
    "partner_needs_several": "{count} people have to agree to a contract here (approval.contract_approvers), so no"
    " partner is believed without signatures: set that to 1 first",
    "grant_own": "{grant} is this node's own request: {node} decides about it",
    "grant_over": "{grant} is {state} already",
    "grant_dataset_gone": "dataset {dataset} is not registered any more: reject the request",
    "contract_over": "the contract with {node} is {state}: nothing is to be confirmed",
    "contract_no_key": "{node} has not shown its key yet: wait for its confirmation",
    "contract_words_differ": "these are not the words of this contract: either they were misheard, or somebody stands"
    " between you and {node}; nothing is trusted. If they still differ, `nodeconsole peer refuse {node}` and"
    " invite again",
    "contract_not_refused": "the contract with {node} is {state}: terminate it instead",
    "contract_not_ended": "the contract with {node} is {state}: only an approved one can end",
    "token_taken": "there is a token {name} already: choose another name, or revoke that one first",
    "undeclared": "its author does not say what leaves the node",
    "protects": "protects against: {against}",
    # -- what doctor finds, and what to do
    "home_missing": "{path} does not exist",
    "home_of_another": "{path} belongs to user {user}",
    "home_of_another_fix": "run as that user, or chown it to {user}",
    "home_not_writable": "{path} cannot be written",
    "home_not_writable_fix": "chmod u+rwx {path}, or mount that disk writable",
    "home_open": "{path} is open to others (mode {mode})",
    "home_ok": "{path} is yours alone",
    "settings_ok": "node {node}",
    "edit": "edit {path}",
    "old_token_fix": "`nodeconsole token create NAME`, then remove {path}",
    "old_token_ok": "present, readable by the owner only",
    "disk": "{free} MiB of {total} MiB free",
    "disk_keep": "{free} MiB of {total} MiB free, less than limits.disk_free_gib ({keep} MiB): new jobs are refused",
    "disk_none_fix": "free space now, on a full disk the node cannot record anything: nodeconsole space",
    "disk_low_fix": "see what takes it with nodeconsole space; remove results, or shorten retention in node.toml",
    "disk_full": "only {free} MiB are free here and {keep} MiB are to stay so (limits.disk_free_gib): see what can be"
    " removed with nodeconsole space",
    "quota_full": "the node's files take {used} MiB of {quota} MiB (storage.quota_gib): see what can be removed with"
    " nodeconsole space",
    "no_space_here": "{node} has no space for further jobs now: try again later",
    "quota": "{used} MiB of {quota} MiB used ({percent} %)",
    "quota_tight": "{used} MiB of {quota} MiB used ({percent} %); at 100 % new jobs are refused",
    "quota_over": "{used} MiB of {quota} MiB used: new jobs are refused",
    "quota_fix": "nodeconsole space says what can be removed; or raise storage.quota_gib",
    "quota_none": "{used} MiB used by results, datasets, logs and working files; no quota",
    "quota_unseen": "{used} MiB used on this machine; what is in the storage cannot be counted now",
    "results_due": "results of {count} jobs are removed within {days} days",
    "results_due_fix": "nodeconsole job keep JOB keeps them; nodeconsole space says which go when",
    # -- what becomes of results
    "results_gone": "the results of job {job} were removed: nothing is left to keep",
    "results_of_open_job": "job {job} is not over: stop it first",
    "results_in_use": "dataset {dataset} is made of results of job {job}: remove the dataset first",
    "preview_large": "a Parquet table of more than {limit} MiB: save it to look at it",
    "preview_no_connector": "a Parquet table, which this node has no connector for: save it to look at it",
    "results_none": "nothing that job {job} stored is on this node",
    "files": "at most {limit} open files",
    "files_few_fix": "ulimit -n {wanted}, or LimitNOFILE= of the service",
    "process_silent": "{path} is held: a node runs here but does not answer",
    "process_silent_fix": "see node.log",
    "port_taken": "{address}: {fault}",
    "port_taken_fix": "free that port or change {setting} in {path}",
    "port_free": "{address} is free",
    "database_new": "not there yet: it is created at the first start",
    "database_ok": "in order, {events} events",
    "database_open": "open, last event {seq}",
    "database_restore_fix": "restore the newest copy of {path}",
    "own_certificate": "this node's certificate",
    "listener_certificate": "the certificate of partner.certificate",
    "partner_certificate": "the certificate of {who}",
    "contract": "the contract with {who}",
    "end_unreadable": "{what} cannot be read",
    "end_over": "{what} ended on {date}",
    "end_soon": "{what} ends on {date}, in {days} days",
    "end_ok": "{what} is valid until {date}",
    "listener_certificate_fix": "renew {path}; the node takes it up by itself",
    "partner_certificate_fix": "ask {who} to renew it and to announce it (identity rotate)",
    "contract_fix": "make a new contract: nodeconsole peer invite",
    "refused": "since the start, refused {strangers} requests of strangers, {unproven} without proof, none beyond a"
    " partner's limits",
    "refused_beyond": "since the start, refused {strangers} requests of strangers, {unproven} without proof, beyond"
    " their limits {several}",
    "refused_of": "{count} of {node}",
    "refused_beyond_fix": "ask that partner what it sends; if it has to be so much, raise limits.partner_… in"
    " node.toml",
    "service_running": "{name} running",
    "service_finished": "{name} finished",
    "service_stopped": "{name} stopped",
    "service_paused": "{name} crashed {crashes} times and starts again: {error}",
    "service_crashed": "{name} runs; it crashed {crashes} times, last: {error}",
    "service_fix": "node.log has the traceback: report it",
    "components_ok": "{count} registered, all can run here",
    "components_lame": "{lame} of {count} cannot run here: {names}",
    "storage_local": "results and prepared datasets are files of this node",
    "storage_ok": "results and prepared datasets are in the {where}",
    "storage_fault": "the {where} cannot be used: {error}",
    "storage_fault_fix": "see [storage] in node.toml and nodeconsole secret list; jobs that need it wait meanwhile",
    "components_lame_fix": "nodeconsole component list says why",
    "plain_here": "partners reach this node by plain HTTP at {address}: whoever is on the way reads everything",
    "plain_here_fix": 'set partner.tls = "mutual" in node.toml, or listen on 127.0.0.1 behind something that ends TLS',
    "plain_there": "{node} is called by plain HTTP at {address}: whoever is on the way reads everything",
    "plain_there_fix": "ask {node} for an https address, then nodeconsole peer add {node} URL",
    "partner_ok": "{node} at {address}",
    "partner_failing": "{node}: {count} undelivered; {error}",
    "partner_failing_fix": "check that {address} can be reached from here; delivery goes on by itself",
    "application": "{node} at {address} asks to become a partner, or waits for the words",
    "application_fix": "nodeconsole peer show {node}; then peer confirm or peer refuse",
    "invitation_wrong": "{count} applications were refused for invitation {id}: a wrong proof, or it was over",
    "invitation_wrong_fix": "somebody tries codes or changes what the partner sends: compare the words with care",
    "platform_open": "platform.trust_loopback: every program of this machine may submit and stop jobs",
    "platform_open_fix": "remove the setting; `nodeconsole token create NAME` for each program",
    "platform_ok": "asks its callers for a token",
    "token_ends": "{name} expires in {days} days",
    "token_over": "{name} has expired",
    "token_fix": "`nodeconsole token revoke {name}`, then `nodeconsole token create {name}`",
    "token_old": "the file {name} of an older version still opens everything at the platform listener",
    "token_old_fix": "give each program a token of its own, then `nodeconsole token revoke {name}` and remove the file",
    "token_none": "none: no program of the platform may call",
    "token_ok": "{names}",
    "operators": "the node's user and root are administrators, nobody else",
    "operators_named": "the node's user and root are administrators; {roles}",
    "operators_role": "{role}: {names}",
    "operators_few": "approvals need {count} persons, and no other user has a role",
    "operators_few_fix": "name them in operators.approver and set operators.socket in node.toml",
    "unsigned": "{node} is believed without a signature: whoever reaches this node can speak in its name",
    "unsigned_fix": "make a contract (nodeconsole peer invite) unless it cannot sign (profile {profile})",
}
