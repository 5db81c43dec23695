"""What the published SDKs of other languages send is taken: its headers, methods, fields and their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.gateway.conftest import Lab
from tests.support import ADMIN_TOKEN, running_app

GO = {
    "User-Agent": "meshguard-go/0.1.0",
    "X-Meshguard-Trace-Id": "1769365200000000000",
    "Accept-Encoding": "gzip",
}
JAVASCRIPT = {
    "x-meshguard-trace-id": "3f2b8c1e-6a54-4d0a-9d35-6d1f6b0f7a11",
    "accept": "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "user-agent": "node",
    "accept-encoding": "gzip, deflate",
}
SHAPES = pytest.mark.parametrize("shape", [GO, JAVASCRIPT], ids=["go", "javascript"])
REFUNDS = {
    "name": "refunds",
    "rules": [
        {"effect": "allow", "actions": ["pay"], "conditions": {"context.amount": {"lte": 100}}},
        {"effect": "allow", "actions": ["read:*"]},
        {
            "effect": "deny",
            "actions": ["*"],
            "conditions": {"context.note": {"exists": True, "in": ["blocked", "gesperrt: ü"]}},
        },
    ],
}


class Sdk:
    """Sends requests as another SDK writes them: exact headers, JSON without spaces."""

    def __init__(self, lab: Lab, shape: dict[str, str]) -> None:
        self._client = lab.client("")
        self._client.headers.clear()
        self._shape = shape
        self.is_go = shape is GO

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        sent = {**self._shape, **named}
        content = None
        if body is not None:
            content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
            sent["Content-Type" if self.is_go else "content-type"] = "application/json"
        raw = [(name.encode(), text.encode()) for name, text in sent.items()]
        return self._client.request(method, path, content=content, headers=raw)

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.send(method, path, body, X_Admin_Token=ADMIN_TOKEN)

    def agent(self, token: str, method: str, path: str, **headers: str) -> httpx.Response:
        return self.send(method, path, Authorization=f"Bearer {token}", **headers)

    def meta(self, value: object) -> dict[str, str]:
        """The context as Go writes it, with three characters escaped, or as JavaScript does."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for character in "<>&" if self.is_go else "":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return {"X_MeshGuard_Meta": text}


KINDS = ("", "&kind=all", "&kind=admin", "&kind=decision")


@pytest.fixture
def sdk(lab: Lab, shape: dict[str, str]) -> Sdk:
    return Sdk(lab, shape)


@SHAPES
def test_an_agent_is_created_with_capabilities(sdk: Sdk) -> None:
    body = {"name": "my-agent", "trustTier": "verified", "tags": ["production", "sales"]}
    body |= {"capabilities": ["read:contacts", "write:email", "read:contacts"]}
    created = sdk.admin("POST", "/admin/agents", dict(body if sdk.is_go else reversed(body.items())))
    assert created.status_code == 201
    assert created.json()["capabilities"] == ["read:contacts", "write:email", "read:contacts"]
    listed = sdk.admin("GET", "/admin/agents").json()["agents"]
    assert [agent["capabilities"] for agent in listed] == [created.json()["capabilities"]]
    assert (
        sdk.agent(
            created.json()["token"], "GET", "/proxy/check", X_MeshGuard_Action="write:email"
        ).status_code
        == 403
    )


@SHAPES
def test_an_agent_is_created_with_a_description(lab: Lab, sdk: Sdk) -> None:
    body = {"name": "desk", "description": "Answers mail.\nGrüße & <b>"}
    created = sdk.admin("POST", "/admin/agents", body).json()
    stored = sdk.admin("GET", f"/admin/agents/{created['id']}").json()
    assert stored["description"] == created["description"] == body["description"]
    assert "capabilities" not in stored
    entry = lab.entries(kind="admin", agentId=created["id"])[0]
    assert entry["changes"]["description"] == {"old": None, "new": body["description"]}


@SHAPES
def test_a_description_of_null_is_none(sdk: Sdk) -> None:
    body: dict[str, Any] = {"name": "desk", "trustTier": "verified", "tags": []}
    body |= {"description": None, "capabilities": None}
    created = sdk.admin("POST", "/admin/agents", body)
    assert created.status_code == 201
    assert not {"description", "capabilities"} & created.json().keys()


@SHAPES
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_agent_is_changed(lab: Lab, sdk: Sdk, method: str) -> None:
    agent = lab.create(metadata={"team": "x"}, description="old", capabilities=["a"])
    path = f"/admin/agents/{agent['id']}"
    body = {"name": "new", "trustTier": "trusted", "tags": ["a"], "description": None}
    changed = sdk.admin(method, path, body)
    assert changed.status_code == 200
    assert changed.json() == lab.admin.get(path).json()
    expected = {"name": "new", "trustTier": "trusted", "tags": ["a"], "metadata": {"team": "x"}}
    assert {name: changed.json()[name] for name in expected} == expected
    assert changed.json()["capabilities"] == ["a"]
    assert "description" not in changed.json()
    assert lab.entries(kind="admin", agentId=agent["id"])[0]["changes"]["description"] == {
        "old": "old",
        "new": None,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"capabilities": "read:*"},
        {"capabilities": [""]},
        {"capabilities": ["a"] * 65},
        {"capabilities": [None]},
        {"description": "x" * 4097},
        {"description": "\0"},
        {"description": ["x"]},
        {"capability": ["read:*"]},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_odd_description_or_capability_is_rejected(lab: Lab, method: str, fields: dict[str, Any]) -> None:
    path = "/admin/agents" if method == "POST" else f"/admin/agents/{lab.create()['id']}"
    assert lab.admin.request(method, path, json={"name": "x", **fields}).status_code == 400


@SHAPES
def test_the_audit_log_is_filtered_by_agent_id(lab: Lab, sdk: Sdk) -> None:
    one, other = lab.create(name="one"), lab.create(name="other")
    named_like_it = lab.create(name=one["id"])
    for agent in (one, other, named_like_it):
        sdk.agent(agent["token"], "GET", "/proxy/check", X_MeshGuard_Action="read:x")
    query = f"action=read%3A%2A&agentId={one['id']}&limit=50"
    entries = sdk.admin("GET", f"/admin/audit?{query}").json()["entries"]
    assert [entry["agentId"] for entry in entries] == [one["id"]]
    exported = sdk.admin("GET", f"/admin/audit/export?agentId={one['id']}&kind=decision").text
    assert [json.loads(line)["id"] for line in exported.splitlines()] == [entries[0]["id"]]
    both = sdk.admin("GET", f"/admin/audit?agentId={one['id']}&agent={other['id']}").json()["entries"]
    assert both == []


@SHAPES
def test_all_kinds_are_the_default(lab: Lab, sdk: Sdk) -> None:
    sdk.agent(lab.create()["token"], "GET", "/proxy/check", X_MeshGuard_Action="read:x")
    found = {query: sdk.admin("GET", f"/admin/audit?limit=50{query}").json()["entries"] for query in KINDS}
    assert found[""] == found["&kind=all"]
    assert {entry["kind"] for entry in found[""]} == {"admin", "decision"}
    for kind in ("admin", "decision"):
        assert {entry["kind"] for entry in found[f"&kind={kind}"]} == {kind}


@SHAPES
def test_a_context_comes_in_a_header(lab: Lab, sdk: Sdk) -> None:
    lab.admin.put("/admin/policies/refunds", json=REFUNDS)
    token = lab.create()["token"]

    def status(context: object, action: str = "pay") -> int:
        headers = {"X_MeshGuard_Action": action, "X_MeshGuard_Agent_ID": "agent-1"}
        return sdk.agent(token, "GET", "/proxy/check", **headers, **sdk.meta(context)).status_code

    assert [status({"amount": amount}) for amount in (100, 100.5, "100", None)] == [200, 403, 403, 403]
    assert [status({"note": note}, "read:x") for note in ("fine", "blocked", "gesperrt: ü")] == [
        200,
        403,
        403,
    ]
    assert [status({"note": f"<{note}>&"}, "read:x") for note in ("a", "ü")] == [200, 200]


@SHAPES
def test_numbers_of_a_context_in_a_header_are_exact(lab: Lab, sdk: Sdk) -> None:
    lab.admin.put("/admin/policies/refunds", json=REFUNDS)
    token = lab.create()["token"]
    for text, expected in (("100", 200), ("100.000000000000000001", 403), ("1e2", 200)):
        headers = {"X_MeshGuard_Action": "pay", "X_MeshGuard_Meta": f'{{"amount":{text}}}'}
        assert sdk.agent(token, "GET", "/proxy/check", **headers).status_code == expected


@SHAPES
def test_a_context_in_a_header_is_that_of_a_body(lab: Lab, sdk: Sdk) -> None:
    token = lab.create()["token"]
    context = {"note": "blocked", "deep": {"a": [1, 2.50]}}
    action = {"X_MeshGuard_Action": "read:x"}
    sdk.agent(token, "GET", "/proxy/check", **action, **sdk.meta(context))
    bearer = {"Authorization": f"Bearer {token}"}
    sdk.send("POST", "/api/v1/pdp/evaluate", {"action": "read:x", "context": context}, **bearer)
    sdk.send("POST", "/api/v1/pdp/evaluate", {"action": "read:x"}, **bearer, **sdk.meta(context))
    kept = [entry["context"] for entry in lab.entries(kind="decision")]
    assert kept == [kept[0]] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"text"',
        "null",
        "7",
        "{} {}",
        "eyJhIjoxfQ==",
        '{"a":1,"a":2}',
        '{"a":NaN}',
        '{"a":1e999999999}',
        '{"a":"\\ud800"}',
        "{'a': 1}",
        '{"a":"\xff"}',
        '{"a":' * 65 + "1" + "}" * 65,
        f'{{"a":"{"x" * 4096}"}}',
    ],
)
@pytest.mark.parametrize("way", ["check", "proxy", "evaluate"])
def test_an_odd_context_in_a_header_is_rejected(open_lab: Callable[..., Lab], text: str, way: str) -> None:
    lab = open_lab(proxy_target="http://127.0.0.1:9")
    headers = [(b"X-MeshGuard-Meta", text.encode("latin-1")), (b"X-MeshGuard-Action", b"read:x")]
    agent = lab.agent()
    if way == "evaluate":
        refused = agent.post("/api/v1/pdp/evaluate", json={"action": "read:x"}, headers=headers)
    else:
        refused = agent.get(f"/proxy/{way}", headers=headers)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["path"] == "/header/X-MeshGuard-Meta"
    assert lab.entries(kind="decision") == []


def test_two_contexts_are_rejected(lab: Lab) -> None:
    agent, meta = lab.agent(), {"X-MeshGuard-Meta": "{}"}
    one = {"action": "read:x"}
    refused = [
        agent.post("/api/v1/pdp/evaluate", json={**one, "context": {}}, headers=meta),
        agent.post("/api/v1/pdp/evaluate/batch", json={"requests": [one]}, headers=meta),
        agent.get("/proxy/check", headers=[*meta.items(), *meta.items(), ("X-MeshGuard-Action", "read:x")]),
    ]
    assert [answer.status_code for answer in refused] == [400] * 3
    paths = {answer.json()["details"][0]["path"].lower() for answer in refused}
    assert paths == {"/header/x-meshguard-meta"}


@SHAPES
@pytest.mark.parametrize("setting", ["declared", "derived", "both"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_proxied_request_has_a_context(
    open_lab: Callable[..., Lab], shape: dict[str, str], setting: str, method: str
) -> None:
    async def headers(request: Request) -> JSONResponse:
        return JSONResponse(sorted(request.headers))

    upstream = Starlette(routes=[Route("/{path:path}", headers, methods=[method])])
    with running_app(upstream) as target:
        lab = open_lab(proxy_target=target, proxy_action=setting)
        sdk = Sdk(lab, shape)
        rules = [{"effect": "allow", "actions": ["*"], "conditions": {"context.amount": {"lte": 100}}}]
        lab.admin.delete("/admin/policies/readers")
        lab.admin.put("/admin/policies/refunds", json={"name": "refunds", "rules": rules})
        token = lab.create()["token"]
        forwarded = sdk.agent(token, method, "/proxy/api/x", **sdk.meta({"amount": 100}))
        denied = sdk.agent(token, method, "/proxy/api/x", **sdk.meta({"amount": 101}))
    assert (forwarded.status_code, denied.status_code) == (200, 403)
    assert "x-meshguard-meta" not in forwarded.json()


@SHAPES
def test_policies_have_ids(sdk: Sdk) -> None:
    rules = [
        {"id": "rule_1", "name": "reads", "effect": "allow", "actions": ["read:*"]},
        {"effect": "deny", "actions": ["read:secret"]},
    ]
    policy = {"id": "pol_7d3f", "name": "with-ids", "rules": rules}
    applied = sdk.admin(
        "PUT", "/admin/policies/with-ids", dict(policy if sdk.is_go else reversed(policy.items()))
    )
    assert (applied.status_code, applied.json()) == (201, policy)
    assert sdk.admin("GET", "/admin/policies/with-ids").json() == policy
    listed = {policy["name"]: policy for policy in sdk.admin("GET", "/admin/policies").json()["policies"]}
    assert (listed["with-ids"]["id"], listed["readers"]["id"]) == ("pol_7d3f", "readers")
    assert [rule["id"] for rule in listed["with-ids"]["rules"]] == ["rule_1", "rule 2"]
    assert [rule["id"] for rule in listed["readers"]["rules"]] == ["reads", "no-secrets"]


@SHAPES
def test_a_listed_policy_is_the_applied_one(lab: Lab, sdk: Sdk) -> None:
    lab.admin.put("/admin/policies/refunds", json=REFUNDS)
    listed = {policy["name"]: policy for policy in sdk.admin("GET", "/admin/policies").json()["policies"]}
    again = sdk.admin("PUT", "/admin/policies/refunds", listed["refunds"])
    assert (again.status_code, again.json()) == (200, REFUNDS)
    assert [entry["action"] for entry in lab.entries(kind="admin", action="admin:policy.*")].count(
        "admin:policy.apply"
    ) == 2
