"""The client of a node's console API, over its unix socket or over the link to another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from embedded_scheduler.wire.console import (
    ChoiceList,
    ChoiceRow,
    ComponentCheck,
    ComponentRequest,
    ComponentRow,
    ComponentState,
    ConnectorRow,
    DatasetRequest,
    DatasetRow,
    DatasetUsage,
    Decision,
    DoctorReport,
    EventPage,
    JobCheck,
    JobCompatibility,
    JobDetail,
    JobDifference,
    JobPage,
    JobRow,
    LedgerReport,
    LogPage,
    NodeStatus,
    PartnerComponentRow,
    PeerRequest,
    PeerRow,
    StopRequest,
    SubmitReply,
)
from embedded_scheduler.wire.console_contracts import (
    ApplyRequest,
    CertificateRequest,
    ContractRow,
    CsrReply,
    IdentityRow,
    InvitationReply,
    InvitationRequest,
    InvitationRow,
    JoinRequest,
    ManualContractRequest,
    ReasonRequest,
    RotateRequest,
    WordsRequest,
)
from embedded_scheduler.wire.console_grants import (
    GrantDecision,
    GrantDetail,
    GrantPage,
    GrantRequest,
    GrantRow,
    MessageFile,
    MessagePage,
    MessageRow,
    PartnerDatasetRow,
    PublicationRequest,
    PublicationRow,
    RevokeReply,
    RevokeRequest,
)
from embedded_scheduler.wire.console_logs import LogList, LogMatches, LogPlace, LogRow
from embedded_scheduler.wire.console_policy import PolicyRequest, PolicyRow, PolicyTestReply, PolicyTestRequest
from embedded_scheduler.wire.console_pulse import AttentionList, LedgerPage, Overview, ResourceReport, Statistics
from embedded_scheduler.wire.console_secrets import SecretRow
from embedded_scheduler.wire.console_tasks import FlowRuns, ResultPreview, TaskDetail
from embedded_scheduler.wire.console_tokens import TokenCreated, TokenRequest, TokenRow
from embedded_scheduler.wire.linktest import LinkReport, LinkRequest, OwnSide, WindowReply, WindowRequest
from nodeconsole.client.connection import Connection
from nodeconsole.client.errors import ClientError
from nodeconsole.client.link import Link
from nodeconsole.client.stream import ByteStream, PageStream

_CHECKS = frozenset({"/components/check", "/jobs/check"})
"""Sent with a body, and change nothing."""

M = TypeVar("M", bound=BaseModel)


class NodeClient:
    """Typed calls on one node. An async context manager; one instance serves any number of concurrent calls.

    Every method raises `ClientError` when the node says no and `NodeUnreachable` when it does not answer (its
    `ClientClosed` when this client was closed).
    """

    def __init__(self, where: Path | Link, *, read_only: bool = False) -> None:
        """`where`: the socket of a node of this machine, or the link to one of another, closed with the client."""
        self.read_only = read_only
        """Refuse whatever could change something, without asking the node."""
        self._connection = Connection(where)

    async def __aenter__(self) -> Self:
        self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, for good: calls under way and later ones raise `ClientClosed`."""
        await self._connection.close()

    async def status(self) -> NodeStatus:
        return await self._get(NodeStatus, "/status")

    async def jobs(
        self,
        *,
        before: str | None = None,
        limit: int = 50,
        state: str | None = None,
        flow_id: str | None = None,
        q: str | None = None,
        needs_decision: bool = False,
        sort: str | None = None,
        falling: bool = False,
    ) -> JobPage:
        """Newest first, or by a column. `before` is `next` of the page before; `state` one or more states separated by
        commas; `q` a filter (`embedded_scheduler.wire.query`)."""
        query = {"before": before, "limit": limit, "state": state, "flow_id": flow_id, "q": q, "sort": sort}
        return await self._get(JobPage, "/jobs", query | {"needs_decision": needs_decision, "falling": falling})

    async def job(self, job_id: str) -> JobDetail:
        """`job_id` may be cut to a prefix that fits one job only."""
        return await self._get(JobDetail, _path("jobs", job_id))

    async def job_compatibility(self, job_id: str) -> JobCompatibility:
        """What the partners have of the components of a job; they are asked now."""
        return await self._get(JobCompatibility, _path("jobs", job_id, "compatibility"))

    async def job_difference(self, job_id: str, *, against: str = "") -> JobDifference:
        """From the last run of the same flow that was approved there, or from the job `against`."""
        return await self._get(JobDifference, _path("jobs", job_id, "difference"), {"from": against or None})

    async def task(self, job_id: str, task: str) -> TaskDetail:
        """One task with its attempts on the node."""
        return await self._get(TaskDetail, _path("jobs", job_id, "tasks", task))

    async def result(self, job_id: str, task: str, party: str, output: str, *, rows: int = 50) -> ResultPreview:
        """The beginning of what a task stored on the node."""
        return await self._get(ResultPreview, _path("jobs", job_id, "results", task, party, output), {"rows": rows})

    def result_content(self, job_id: str, task: str, party: str, output: str) -> ByteStream:
        """All of it, byte by byte; for administrators."""
        return self._connection.stream(_path("jobs", job_id, "results", task, party, output, "content"), {})

    async def runs(self, flow_id: str, *, before: str | None = None, limit: int = 20) -> FlowRuns:
        """The newest jobs of a flow with the states of their tasks; `before` is `next` of the page before."""
        return await self._get(FlowRuns, "/runs", {"flow_id": flow_id, "before": before, "limit": limit})

    async def submit(self, document: Mapping[str, Any]) -> SubmitReply:
        """`document` is a job file: `{flow_id, dag, config}`."""
        return await self._send(SubmitReply, "POST", "/jobs", document)

    async def check_job(self, document: Mapping[str, Any]) -> JobCheck:
        """What would become of a job file; partners are asked, so it may take a few seconds."""
        return await self._send(JobCheck, "POST", "/jobs/check", document)

    async def rerun(self, job_id: str) -> SubmitReply:
        """Submit what a finished job of ours was submitted as once more: a new job."""
        return await self._send(SubmitReply, "POST", _path("jobs", job_id, "rerun"), {})

    async def approve(self, job_id: str, reason: str = "") -> JobRow:
        return await self._send(JobRow, "POST", _path("jobs", job_id, "approve"), _body(Decision, reason=reason))

    async def reject(self, job_id: str, reason: str = "") -> JobRow:
        return await self._send(JobRow, "POST", _path("jobs", job_id, "reject"), _body(Decision, reason=reason))

    async def stop(self, job_id: str, task_name: str = "", reason: str = "") -> JobRow:
        """Stop the job, or one task with everything that follows it."""
        body = _body(StopRequest, task_name=task_name, reason=reason)
        return await self._send(JobRow, "POST", _path("jobs", job_id, "stop"), body)

    async def log(
        self,
        job_id: str,
        task: str,
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        limit: int = 200,
        times: bool = False,
    ) -> LogPage:
        """`start` below 0 counts from the end; without `party`, the first share that runs on this node."""
        query = {"party": party, "level": level, "start": start, "limit": limit, "times": times}
        return await self._get(LogPage, _path("jobs", job_id, "tasks", task, "logs"), query)

    def follow_log(
        self,
        job_id: str,
        task: str,
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        times: bool = False,
        latest: bool = False,
    ) -> PageStream[LogPage]:
        """Pages of new lines as they come; ends when the log is complete or the node stops. With `latest`, pages may
        leave lines out before them when the log grows faster than it is read: `start` says where each begins."""
        query = {"party": party, "level": level, "start": start, "times": times, "latest": latest}
        return self._pages(LogPage, _path("jobs", job_id, "tasks", task, "logs", "stream"), query)

    async def search_log(
        self,
        job_id: str,
        task: str,
        text: str = "",
        *,
        party: str | None = None,
        level: str = "debug",
        start: int = 0,
        limit: int = 1,
        backward: bool = False,
        problems: bool = False,
        bare: bool = False,
        times: bool = False,
    ) -> LogMatches:
        """Lines that contain `text`, or with `problems` those that report an error, from line `start` on, in the order
        of the search; the node looks at a bounded number of lines and says where to go on."""
        query = {"party": party, "level": level, "text": text or None, "start": start, "limit": limit}
        query |= {"backward": backward, "problems": problems, "bare": bare, "times": times}
        return await self._get(LogMatches, _path("jobs", job_id, "tasks", task, "logs", "search"), query)

    async def log_place(
        self, job_id: str, task: str, at_ms: int, *, party: str | None = None, level: str = "debug"
    ) -> LogPlace:
        """The first line at a moment or later."""
        query = {"party": party, "level": level, "at_ms": at_ms}
        return await self._get(LogPlace, _path("jobs", job_id, "tasks", task, "logs", "at"), query)

    async def logs(self) -> list[LogRow]:
        """The logs of the newest jobs, those of running tasks first."""
        return (await self._get(LogList, "/logs")).logs

    def events(self, after: int = 0) -> PageStream[EventPage]:
        """Every event after `after`, old ones first, then as they happen; ends only when the node stops."""
        return self._pages(EventPage, "/events/stream", {"after": after})

    async def event_page(self, after: int = 0, *, limit: int = 200, job_id: str | None = None) -> EventPage:
        return await self._get(EventPage, "/events", {"after": after, "limit": limit, "job_id": job_id})

    async def datasets(self) -> list[DatasetRow]:
        return await self._list(DatasetRow, "/datasets", "datasets")

    async def dataset(self, namespace: str, name: str) -> DatasetRow:
        return await self._get(DatasetRow, _path("datasets", namespace, name))

    async def add_dataset(self, request: DatasetRequest) -> DatasetRow:
        """Reads the whole source once on the node, so it may take a while."""
        return await self._send(DatasetRow, "POST", "/datasets", request.model_dump(), patient=True)

    async def rescan_dataset(self, namespace: str, name: str) -> DatasetRow:
        """Reads the whole source again on the node, so it may take a while."""
        return await self._send(DatasetRow, "POST", _path("datasets", namespace, name, "rescan"), {}, patient=True)

    async def dataset_usage(self, namespace: str, name: str) -> DatasetUsage:
        """Which of the newest jobs read it here."""
        return await self._get(DatasetUsage, _path("datasets", namespace, name, "usage"))

    async def connectors(self) -> list[ConnectorRow]:
        return await self._list(ConnectorRow, "/connectors", "connectors")

    async def remove_dataset(self, namespace: str, name: str) -> None:
        await self._delete(_path("datasets", namespace, name))

    async def components(self) -> list[ComponentRow]:
        return await self._list(ComponentRow, "/components", "components")

    async def component(self, provider: str, name: str, version: str) -> ComponentRow:
        return await self._get(ComponentRow, _path("components", provider, name, version))

    async def register_component(self, image_url: str, manifest: Mapping[str, Any]) -> ComponentRow:
        request = ComponentRequest(imageUrl=image_url, component_info=dict(manifest))
        return await self._send(ComponentRow, "POST", "/components", request.model_dump())

    async def check_component(self, image_url: str, manifest: Mapping[str, Any]) -> ComponentCheck:
        """What registering it would be; an empty address is not looked at."""
        request = ComponentRequest(imageUrl=image_url, component_info=dict(manifest))
        return await self._send(ComponentCheck, "POST", "/components/check", request.model_dump())

    async def set_component_enabled(
        self, provider: str, name: str, version: str, *, enabled: bool, reason: str = ""
    ) -> ComponentRow:
        """A disabled component stays registered; jobs that need it are refused."""
        path = _path("components", provider, name, version, "enable" if enabled else "disable")
        return await self._send(ComponentRow, "POST", path, _body(ComponentState, reason=reason))

    async def partner_components(self, node_id: str) -> list[PartnerComponentRow]:
        """What a partner says it has, asked now."""
        return await self._list(PartnerComponentRow, _path("peers", node_id, "components"), "components")

    async def choices(self, provider: str, filled: Mapping[str, str]) -> list[ChoiceRow]:
        """What a provider of the node offers, given what stands in the form."""
        return (await self._get(ChoiceList, _path("providers", provider), filled)).choices

    async def remove_component(self, provider: str, name: str, version: str) -> None:
        await self._delete(_path("components", provider, name, version))

    async def peers(self) -> list[PeerRow]:
        return await self._list(PeerRow, "/peers", "peers")

    async def peer(self, node_id: str) -> PeerRow:
        return await self._get(PeerRow, _path("peers", node_id))

    async def add_peer(self, request: PeerRequest) -> PeerRow:
        return await self._send(PeerRow, "POST", "/peers", request.model_dump())

    async def change_peer(self, node_id: str, **changes: Any) -> PeerRow:
        """Change some of what is known of a partner: url, profile, approval, options, signing, tls."""
        known = await self.peer(node_id)
        return await self.add_peer(PeerRequest.model_validate(known.model_dump() | changes))

    async def remove_peer(self, node_id: str) -> None:
        await self._delete(_path("peers", node_id))

    async def identity(self) -> IdentityRow:
        return await self._get(IdentityRow, "/identity")

    async def rotate_identity(self, *, force: bool = False) -> IdentityRow:
        """Begins a rotation or goes on with it; `force` does not wait for partners."""
        body = RotateRequest(force=force).model_dump()
        return await self._send(IdentityRow, "POST", "/identity/rotate", body, patient=True)

    async def import_certificate(self, certificate: str) -> IdentityRow:
        body = CertificateRequest(certificate=certificate).model_dump()
        return await self._send(IdentityRow, "POST", "/identity/certificate", body)

    async def certificate_request(self) -> str:
        """A CSR in PEM for this node's key."""
        return (await self._send(CsrReply, "POST", "/identity/csr", {})).csr

    async def invitations(self) -> list[InvitationRow]:
        return await self._list(InvitationRow, "/invitations", "invitations")

    async def invite(self, *, hours: float = 24, address: str = "") -> InvitationReply:
        """A code for one partner; it is shown this once."""
        body = InvitationRequest(hours=hours, address=address).model_dump()
        return await self._send(InvitationReply, "POST", "/invitations", body)

    async def revoke_invitation(self, invitation_id: str) -> None:
        await self._delete(_path("invitations", invitation_id))

    async def join(self, code: str, *, address: str = "") -> ContractRow:
        """Apply with a partner's code. The same code again returns the same contract."""
        body = JoinRequest(code=code, address=address).model_dump()
        return await self._send(ContractRow, "POST", "/contracts/join", body, patient=True)

    async def apply(self, node_id: str, url: str, *, fingerprint: str = "", address: str = "") -> ContractRow:
        """Apply at a node that gave no code. An application that waits already is returned."""
        body = ApplyRequest(node_id=node_id, url=url, fingerprint=fingerprint, address=address).model_dump()
        return await self._send(ContractRow, "POST", "/contracts/apply", body, patient=True)

    async def contracts(self) -> list[ContractRow]:
        return await self._list(ContractRow, "/contracts", "contracts")

    async def contract(self, reference: str) -> ContractRow:
        """By its id, or the one that counts with a node."""
        return await self._get(ContractRow, _path("contracts", reference))

    async def add_contract(self, request: ManualContractRequest) -> ContractRow:
        return await self._send(ContractRow, "POST", "/contracts", request.model_dump())

    async def confirm_contract(self, reference: str, words: str) -> ContractRow:
        """`words` as the partner's operator read them out; refused unless they are ours."""
        body = WordsRequest(words=words).model_dump()
        return await self._send(ContractRow, "POST", _path("contracts", reference, "confirm"), body)

    async def refuse_contract(self, reference: str, reason: str = "") -> ContractRow:
        body = _body(ReasonRequest, reason=reason)
        return await self._send(ContractRow, "POST", _path("contracts", reference, "refuse"), body)

    async def terminate_contract(self, reference: str, reason: str = "") -> ContractRow:
        body = _body(ReasonRequest, reason=reason)
        return await self._send(ContractRow, "POST", _path("contracts", reference, "terminate"), body)

    async def grants(self, *, direction: str | None = None, state: str | None = None, limit: int = 200) -> GrantPage:
        """Requests between this node and partners, newest first. `direction`: in or out."""
        return await self._get(GrantPage, "/grants", {"direction": direction, "state": state, "limit": limit})

    async def grant(self, grant_id: str) -> GrantDetail:
        """`grant_id` may be cut to a beginning that fits one request only."""
        return await self._get(GrantDetail, _path("grants", grant_id))

    async def request_grant(self, request: GrantRequest) -> GrantRow:
        return await self._send(GrantRow, "POST", "/grants", request.model_dump())

    async def approve_grant(
        self,
        grant_id: str,
        reason: str = "",
        *,
        level: int | None = None,
        times: int | None = None,
        until_ms: int | None = None,
    ) -> GrantRow:
        """Limits that are not given are as the partner asked."""
        decision = GrantDecision(reason=reason, level=level, times=times, until_ms=until_ms)
        return await self._send(GrantRow, "POST", _path("grants", grant_id, "approve"), decision.model_dump())

    async def reject_grant(self, grant_id: str, reason: str = "") -> GrantRow:
        body = _body(GrantDecision, reason=reason)
        return await self._send(GrantRow, "POST", _path("grants", grant_id, "reject"), body)

    async def revoke_grant(self, grant_id: str, reason: str = "", *, stop_jobs: bool = False) -> RevokeReply:
        body = RevokeRequest(reason=reason, stop_jobs=stop_jobs).model_dump()
        return await self._send(RevokeReply, "POST", _path("grants", grant_id, "revoke"), body)

    async def refresh_grant(self, grant_id: str) -> GrantRow:
        """Ask the partner how a request of this node stands."""
        return await self._send(GrantRow, "POST", _path("grants", grant_id, "refresh"), {})

    async def publications(self) -> list[PublicationRow]:
        return await self._list(PublicationRow, "/publications", "publications")

    async def publish(self, namespace: str, name: str, request: PublicationRequest) -> PublicationRow:
        return await self._send(PublicationRow, "PUT", _path("publications", namespace, name), request.model_dump())

    async def unpublish(self, namespace: str, name: str) -> None:
        await self._delete(_path("publications", namespace, name))

    async def partner_datasets(self, node_id: str) -> list[PartnerDatasetRow]:
        """What a partner shows this node, asked now."""
        return await self._list(PartnerDatasetRow, _path("peers", node_id, "datasets"), "datasets")

    async def messages(self, *, to: str | None = None, limit: int = 200) -> list[MessageRow]:
        """What was sent to partners, newest first, and how far it has come."""
        return (await self._get(MessagePage, "/messages", {"to": to, "limit": limit})).messages

    async def message(self, message_id: int) -> MessageRow:
        return await self._get(MessageRow, _path("messages", str(message_id)))

    async def resend_message(self, message_id: int) -> MessageRow:
        return await self._send(MessageRow, "POST", _path("messages", str(message_id), "resend"), {})

    async def export_message(self, message_id: int) -> dict[str, Any]:
        """The message as a signed document, to carry by hand."""
        path = _path("messages", str(message_id), "export")
        return (await self._send(MessageFile, "POST", path, {})).document

    async def import_message(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The signed answer to hand back; empty when the document was an answer itself."""
        body = MessageFile(document=dict(document)).model_dump()
        return (await self._send(MessageFile, "POST", "/messages/import", body)).document

    async def test_link(self, target: str, *, quick: bool = False) -> LinkReport:
        """Takes minutes: the waiting times of the link are waited out."""
        body = LinkRequest(target=target, quick=quick).model_dump()
        return await self._send(LinkReport, "POST", "/linktests", body, patient=True)

    async def open_link_test(self, minutes: int, address: str = "") -> WindowReply:
        body = WindowRequest(minutes=minutes, address=address).model_dump()
        return await self._send(WindowReply, "POST", "/linktests/windows", body)

    async def own_side(self) -> OwnSide:
        return await self._get(OwnSide, "/linktests/own")

    async def policy(self) -> PolicyRow:
        return await self._get(PolicyRow, "/policy")

    async def set_policy(self, text: str, *, expected: int | None = None) -> PolicyRow:
        """Refused with `conflict` when `expected` is given and another version is in force."""
        return await self._send(PolicyRow, "PUT", "/policy", PolicyRequest(text=text, expected=expected).model_dump())

    async def test_policy(
        self,
        document: Mapping[str, Any] | None = None,
        *,
        coordinator: str = "",
        last: int | None = None,
        text: str | None = None,
    ) -> PolicyTestReply:
        """Of a job file, or of the `last` jobs of partners; `text`: the policy to try instead of the one in force."""
        request = PolicyTestRequest(
            document=None if document is None else dict(document), coordinator=coordinator, last=last, text=text
        )
        return await self._send(PolicyTestReply, "POST", "/policy/test", request.model_dump())

    async def secrets(self) -> list[SecretRow]:
        """Names and dates; nothing tells a value."""
        return await self._list(SecretRow, "/secrets", "secrets")

    async def put_secret(self, name: str, value: str) -> SecretRow:
        return await self._send(SecretRow, "PUT", _path("secrets", name), {"value": value})

    async def remove_secret(self, name: str) -> None:
        await self._delete(_path("secrets", name))

    async def tokens(self) -> list[TokenRow]:
        """Tokens of the own platform's programs, revoked ones included."""
        return await self._list(TokenRow, "/tokens", "tokens")

    async def create_token(
        self, name: str, scopes: Sequence[str] = ("all",), *, lasts_ms: int | None = None
    ) -> TokenCreated:
        """The answer alone holds the token; `lasts_ms` None = it does not expire."""
        request = TokenRequest(name=name, scopes=list(scopes), lasts_ms=lasts_ms)
        return await self._send(TokenCreated, "POST", "/tokens", request.model_dump())

    async def revoke_token(self, name: str) -> TokenRow:
        return _read(TokenRow, await self._call("DELETE", _path("tokens", name)))

    async def doctor(self) -> DoctorReport:
        return await self._get(DoctorReport, "/doctor", patient=True)

    async def statistics(self, *, hours: int = 24) -> Statistics:
        """Counted at most every few seconds, however often it is asked."""
        return await self._get(Statistics, "/statistics", {"hours": hours})

    async def overview(self, *, hours: int = 24) -> Overview:
        """What the home screen shows."""
        return await self._get(Overview, "/overview", {"hours": hours})

    async def resources(self, *, after: int = 0) -> ResourceReport:
        """Samples younger than `after` (epoch ms). Asking keeps the node sampling for some seconds: ask only while
        somebody looks."""
        return await self._get(ResourceReport, "/resources", {"after": after})

    async def attention(self) -> AttentionList:
        """What needs a person, the most urgent first."""
        return await self._get(AttentionList, "/attention")

    async def ledger(
        self, *, before: int | None = None, limit: int = 200, filters: Mapping[str, str | int] | None = None
    ) -> LedgerPage:
        """Newest first. `filters`: actor, subject, event, partner, job_id, since_ms, until_ms."""
        return await self._get(LedgerPage, "/ledger", {"before": before, "limit": limit, **(filters or {})})

    async def ledger_verify(self) -> LedgerReport:
        """Reads the whole ledger on the node, so it may take a while."""
        return await self._get(LedgerReport, "/ledger/verify", patient=True)

    def ledger_export(self) -> ByteStream:
        """The ledger as NDJSON, in pieces of any size."""
        return self._connection.stream("/ledger/export", {})

    # How a call is made.

    async def _get(
        self, kind: type[M], path: str, query: Mapping[str, Any] | None = None, *, patient: bool = False
    ) -> M:
        return _read(kind, await self._call("GET", path, query=query, patient=patient))

    async def _list(self, kind: type[M], path: str, member: str) -> list[M]:
        return _read_list(kind, await self._call("GET", path), member)

    async def _send(
        self, kind: type[M], method: str, path: str, body: Mapping[str, Any], *, patient: bool = False
    ) -> M:
        return _read(kind, await self._call(method, path, body=body, patient=patient))

    async def _delete(self, path: str) -> None:
        await self._call("DELETE", path)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        patient: bool = False,
    ) -> bytes:
        if self.read_only and method != "GET" and path not in _CHECKS:
            raise ClientError("this console is read-only: nothing was sent", 403, "read_only")
        return await self._connection.call(method, path, query=query, body=body, patient=patient)

    def _pages(self, kind: type[M], path: str, query: Mapping[str, Any]) -> PageStream[M]:
        return PageStream(self._connection.stream(path, query), lambda data: _read(kind, data))


def _path(*segments: str) -> str:
    """A path of the API; every segment is data, whatever characters it has."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ClientError(f"there is nothing named {segment!r}", 404, "not_found")
    return "".join("/" + quote(segment, safe="", errors="surrogatepass") for segment in segments)


def _body(kind: type[BaseModel], **members: str) -> dict[str, Any]:
    try:
        return kind(**members).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ClientError(f"{where}: {first['msg']}", 400, "invalid") from None


def _read(kind: type[M], content: bytes) -> M:
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise _unreadable() from None


def _read_list(kind: type[M], content: bytes, member: str) -> list[M]:
    try:
        return TypeAdapter(dict[str, list[kind]]).validate_json(content)[member]  # type: ignore[valid-type]
    except (ValidationError, KeyError):
        raise _unreadable() from None


def _unreadable() -> ClientError:
    return ClientError("the node's answer cannot be read: are node and console of the same version?", 502, "internal")
