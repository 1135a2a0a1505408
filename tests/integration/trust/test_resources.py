"""The management layer's endpoints as another vendor would call them: fields, quirks, codes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from tests.support.granting import Pair, in_state

from embedded_scheduler.api.interconn import resources
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.security.tls import client_context
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer

CONTRACT = "contract-alice-bob"
KINDS = ("dataset", "project", "flow", "job", "model")

SPECIFIED = {
    *(("POST", f"/{kind}/audit/{verb}") for kind in KINDS for verb in ("apply", "confirm", "terminate")),
    *(("GET", f"/{kind}/audit/query") for kind in KINDS if kind != "job"),
    ("GET", "/dataset/pub/list"),
    ("GET", "/dataset/pub/query"),
    ("GET", "/project/list"),
    ("GET", "/project/query"),
    ("GET", "/component/list"),
    ("GET", "/component/query"),
}
OURS = {("POST", "/message/receipt")}


def test_everything_specified_is_served_and_nothing_else() -> None:
    served = {(endpoint.method, endpoint.path) for endpoint in resources.family.endpoints}
    assert served == {(method, "/v1/interconn" + path) for method, path in SPECIFIED | OURS}


class Caller:
    """Signs as one node of the pair and calls the other."""

    def __init__(self, pair: Pair, source: str = "alice", target: str = "bob") -> None:
        self._source, self._target = source, target
        self._url = pair.nodes[target].url
        self._identity = load_identity(pair.nodes[source].home.identity)
        pin = load_identity(pair.nodes[target].home.identity).fingerprint
        self._context = client_context(pins=[pin], pair=self._identity.pair)

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        return await self.call("GET", path, query=str(httpx.QueryParams(query)))

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self.call("POST", path, body=json.dumps(body).encode())

    async def call(
        self, method: str, path: str, *, query: str = "", body: bytes = b"", sign: bool = True
    ) -> dict[str, Any]:
        path = f"/v1/interconn{path}"
        said = PartnerHeaders(
            source=self._source,
            target=self._target,
            nonce=secrets.token_hex(8),
            timestamp=str(SystemClock().now_ms()),
            trace_id="t",
        )
        signed = SignedRequest(method, path, query, said, body).message()
        signature = Signer(self._identity.key).sign(signed) if sign else ""
        headers = render_headers(said, signature=signature, writes=method == "POST")
        async with httpx.AsyncClient(verify=self._context, trust_env=False) as client:
            url = f"{self._url}{path}{'?' + query if query else ''}"
            answer = await client.request(method, url, headers=headers, content=body)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def alice(pair: Pair) -> Caller:
    return Caller(pair)


async def test_datasets_are_listed_by_pages_with_every_member(pair: Pair, alice: Caller) -> None:
    await pair.publish(category="people")
    answer = await alice.get("/dataset/pub/list", contract_id=CONTRACT, page_num=1, page_size=-1)
    assert answer["code"] == 200
    assert answer["data"]["total"] == len(answer["data"]["records"])
    [record] = [one for one in answer["data"]["records"] if one["dataset_id"] == pair.dataset]
    assert record == {
        "dataset_id": pair.dataset,
        "name": pair.name,
        "owner": "bob",
        "category": "people",
        "count": 2,
        "description": "",
        "join_columns": [],
        "label_columns": [],
        "column_metas": [
            {"name": "id", "data_type": "integer", "description": "", "distribution": "DISCRETE"},
            {"name": "age", "data_type": "integer", "description": "", "distribution": "DISCRETE"},
            {"name": "income", "data_type": "float", "description": "", "distribution": "CONTINUOUS"},
        ],
    }
    beyond = await alice.get("/dataset/pub/list", contract_id=CONTRACT, page_num=1000, page_size=20)
    assert (beyond["data"]["records"], beyond["data"]["total"]) == ([], answer["data"]["total"])
    one = await alice.get("/dataset/pub/query", contract_id=CONTRACT, dataset_id=pair.dataset)
    assert one["data"] == record
    await pair.bob.unpublish("default", pair.name)
    assert (await alice.get("/dataset/pub/query", contract_id=CONTRACT, dataset_id=pair.dataset))["code"] == 404


@pytest.mark.parametrize("path", ["/dataset/pub/list", "/project/list", "/component/list"])
async def test_a_contract_of_somebody_else_opens_nothing(alice: Caller, path: str) -> None:
    answer = await alice.get(path, contract_id="contract-carol")
    assert (answer["code"], answer["data"]) == (403, {})
    unsigned = await alice.call("GET", path, query=f"contract_id={CONTRACT}", sign=False)
    assert (unsigned["code"], unsigned["data"]) == (401, {})
    assert (await alice.get(path))["code"] == 400


async def test_components_are_asked_for_in_the_odd_spelling_too(alice: Caller) -> None:
    listed = await alice.get("/component/list", contract_Id=CONTRACT, developer="nodeconsole")
    codes = {record["code"]: record for record in listed["data"]["records"]}
    assert codes
    code, record = next(iter(codes.items()))
    detail = await alice.get("/component/query", contract_id=CONTRACT, code=code, version=record["version"])
    assert (detail["data"]["code"], detail["data"]["status"]) == (code, "ENABLED")
    assert detail["data"]["inputs"] is not None
    nobody = await alice.get("/component/list", contract_id=CONTRACT, developer="nobody")
    assert nobody["data"] == {"records": [], "total": 0}


async def test_a_request_is_repeatable_and_its_name_is_the_applicants(pair: Pair, alice: Caller) -> None:
    await pair.publish()
    audit_id = secrets.token_hex(8)
    body = {"audit_id": audit_id, "contract_id": CONTRACT, "dataset_id": pair.dataset, "times_limit": "5"}
    for _ in range(2):
        answer = await alice.post("/dataset/audit/apply", body)
        assert (answer["code"], answer["data"]) == (200, {})
    other = await alice.post("/dataset/audit/apply", body | {"times_limit": 6})
    assert other["code"] == 409
    assert (await alice.get("/dataset/audit/query", audit_id=audit_id))["data"] == {"status": "APPLIED"}
    assert (await alice.get("/flow/audit/query", audit_id=audit_id))["code"] == 404
    # Bob has asked for nothing under this name, so alice can decide nothing.
    assert (await alice.post("/dataset/audit/confirm", {"audit_id": audit_id, "status": "APPROVED"}))["code"] == 404
    assert (await alice.post("/dataset/audit/terminate", {"audit_id": audit_id}))["code"] == 409
    assert (await alice.get("/dataset/audit/query", audit_id=audit_id))["data"] == {"status": "APPLIED"}


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("kind", ["dataset", "model"])
async def test_a_permit_is_read_as_object_and_as_text(pair: Pair, kind: str, as_text: bool) -> None:
    await pair.publish()
    members = {"apply_project_id": "p"} if kind == "model" else {}
    resource = pair.dataset if kind == "dataset" else secrets.token_hex(8)
    ours, theirs = await pair.ask_for(kind, resource, members)
    audit_id = (await pair.bob.grant(theirs)).grant.audit_id
    permit = {"token": "t-1", "resource_level": 4, "resource_id": resource, "times_limit": None, "time_limit": 0}
    body = {"audit_id": audit_id, "status": "approved", "resource_permit": json.dumps(permit) if as_text else permit}
    bob = Caller(pair, "bob", "alice")
    assert (await bob.post(f"/{kind}/audit/confirm", body))["code"] == 200
    held = await in_state(pair.alice, ours, "APPROVED")
    assert held.permit is not None
    assert (held.permit.level, held.permit.times_limit, held.permit.time_limit_ms) == (4, None, None)
    # The same again changes nothing; the opposite is refused.
    assert (await bob.post(f"/{kind}/audit/confirm", body))["code"] == 200
    assert (await bob.post(f"/{kind}/audit/confirm", {"audit_id": audit_id, "status": "REJECTED"}))["code"] == 409


@pytest.mark.parametrize(
    "permit",
    [
        {"resource_level": 1},
        {"token": "a,b", "resource_level": 1},
        {"token": "a/b", "resource_level": 1},
        {"token": "a\nb", "resource_level": 1},
        {"token": "t", "resource_level": 1, "resource_id": "another"},
        {"token": "t", "resource_level": 1, "request_node_id": "carol"},
        {"token": "t", "resource_level": 1, "resource_node_id": "carol"},
        "not json",
        "[]",
    ],
)
async def test_a_permit_for_something_else_is_refused(pair: Pair, permit: object) -> None:
    await pair.publish()
    ours, theirs = await pair.ask()
    audit_id = (await pair.bob.grant(theirs)).grant.audit_id
    body = {"audit_id": audit_id, "status": "APPROVED", "resource_permit": permit}
    assert (await Caller(pair, "bob", "alice").post("/dataset/audit/confirm", body))["code"] == 400
    assert (await pair.alice.grant(ours)).grant.state == "APPLIED"


async def test_an_agreed_project_is_listed_at_both_sides(pair: Pair, alice: Caller) -> None:
    project = secrets.token_hex(8)
    members = {"name": "fraud", "type": "PSI", "datasets": ["a"]}
    ours, theirs = await pair.ask_for("project", project, members)
    query = {"contract_id": CONTRACT, "project_id": project}
    assert (await alice.get("/project/query", **query))["code"] == 404
    await pair.bob.approve_grant(theirs)
    await in_state(pair.alice, ours, "APPROVED")
    for caller in (alice, Caller(pair, "bob", "alice")):
        found = (await caller.get("/project/query", **query))["data"]
        assert (found["project_id"], found["name"], found["type"]) == (project, "fraud", "PSI")
        assert (sorted(found["nodes"]), found["datasets"]) == (["alice", "bob"], {"alice": ["a"]})
        listed = (await caller.get("/project/list", contract_id=CONTRACT, page_size=-1))["data"]["records"]
        assert project in {record["project_id"] for record in listed}


async def test_a_job_is_confirmed_by_its_own_name_as_with_audit_confirm(pair: Pair, alice: Caller) -> None:
    """A partner that was never asked by job/audit/apply names the job itself; what it does not know is 404."""
    assert (await alice.post("/job/audit/confirm", {"audit_id": "job-none", "status": "APPROVED"}))["code"] == 404
    submitted = await pair.alice.submit(pair.job())
    bob = Caller(pair, "bob", "alice")
    answer = await bob.post("/job/audit/confirm", {"audit_id": submitted.job_id, "status": "APPROVED"})
    assert answer["code"] == 200
    stranger = await alice.post("/job/audit/confirm", {"audit_id": "job-other", "status": "APPROVED"})
    assert stranger["code"] == 404


async def test_a_job_that_was_agreed_to_is_admitted_without_asking_and_another_is_not(
    pair: Pair, alice: Caller
) -> None:
    await pair.bob.add_peer(await _manual(pair))
    try:
        agreed, other = (f"job-{secrets.token_hex(8)}" for _ in range(2))
        document = pair.job()
        for job_id in (agreed, other):
            apply = {
                "audit_id": secrets.token_hex(8),
                "job_id": job_id,
                "flow_id": document["flow_id"],
                "name": "n",
                "project_id": "p",
                "dag": document["dag"],
                "conf": document["config"],
            }
            assert (await alice.post("/job/audit/apply", apply))["code"] == 200
            found = next(row for row in (await pair.bob.grants()).grants if row.audit_id == apply["audit_id"])
            await pair.bob.approve_grant(found.grant_id)
        changed = json.loads(json.dumps(document))
        changed["config"]["task_params"]["common"]["probe_0"]["echo"] = "something else"
        for job_id, body, status in ((agreed, document, "READY"), (other, changed, "PENDING")):
            answer = await alice.post("/schedule/job/create", {"job_id": job_id, **body})
            assert (answer["code"], answer["data"]["status"]) == (200, status)
            await alice.post("/schedule/job/stop", {"job_id": job_id})
    finally:
        await pair.bob.add_peer((await _manual(pair)).model_copy(update={"approval": "auto"}))


async def _manual(pair: Pair) -> Any:
    from embedded_scheduler.wire.console import PeerRequest  # noqa: PLC0415

    row = await pair.bob.peer("alice")
    return PeerRequest(
        node_id="alice", url=row.url, profile=row.profile, approval="manual", signing=row.signing, tls=row.tls
    )
