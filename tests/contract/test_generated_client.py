"""The generated client against a real gateway and a real upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from types import ModuleType
from typing import Any

import pytest
from meshguard_api.api.agents import create_agent, get_agent
from meshguard_api.api.audit import list_audit_entries
from meshguard_api.api.decisions import evaluate
from meshguard_api.api.policies import apply_policy, get_policy
from meshguard_api.api.proxy import (
    proxy_delete,
    proxy_get,
    proxy_options,
    proxy_patch,
    proxy_post,
    proxy_put,
)
from meshguard_api.models import (
    Agent,
    AuditPage,
    Conditions,
    CreateAgentRequest,
    CreatedAgent,
    Decision,
    Denial,
    EvaluateRequest,
    Policy,
    Rule,
    TextTests,
    TimeTests,
    UpstreamQuery,
    ValueTests,
)
from meshguard_api.types import File

from meshguard import AsyncMeshGuardClient, MeshGuardClient
from meshguard.testing import running_gateway
from tests.generators.upstream import upstream
from tests.policy.corpus import WHOLE
from tests.support import running_app

READERS = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
CALLS = (proxy_get, proxy_options, proxy_post, proxy_put, proxy_patch, proxy_delete)


@pytest.fixture
def admin() -> Iterator[MeshGuardClient]:
    with (
        running_app(upstream) as target,
        running_gateway(READERS, proxy_target=target) as gateway,
        gateway.admin() as admin,
    ):
        yield admin


@pytest.fixture
def agent(admin: MeshGuardClient) -> Iterator[MeshGuardClient]:
    token = admin.create_agent("generated", tags=["support"])["token"]
    with MeshGuardClient(admin.gateway_url, token, trust_env=False) as client:
        yield client


def call(module: ModuleType, client: MeshGuardClient, path: str, action: str = "read:x", **more: Any) -> Any:
    return module.sync_detailed(path, client=client.api, x_mesh_guard_action=action, **more)


def echoed(content: Any) -> Any:
    assert isinstance(content, bytes)
    return json.loads(content)


@pytest.mark.parametrize("module", CALLS)
def test_an_upstream_error_is_bytes(agent: MeshGuardClient, module: ModuleType) -> None:
    rejected = call(module, agent, "files/rejected")
    assert (rejected.status_code, rejected.parsed) == (HTTPStatus.FORBIDDEN, b'{"detail":"not yours"}')
    busy = call(module, agent, "files/busy")
    assert (busy.status_code, busy.parsed) == (HTTPStatus.TOO_MANY_REQUESTS, b"slow down")


@pytest.mark.parametrize("module", CALLS)
def test_a_denial_is_a_denial(agent: MeshGuardClient, module: ModuleType) -> None:
    denied = call(module, agent, "files/echo", action="write:x")
    assert isinstance(denied.parsed, Denial)
    assert denied.headers["X-MeshGuard-Decision"] == "deny"


@pytest.mark.parametrize("module", [proxy_post, proxy_put, proxy_patch])
def test_a_body_is_json_or_a_file(agent: MeshGuardClient, module: ModuleType) -> None:
    for value in ({"name": "Ada"}, [1], "text", False):
        shown = echoed(call(module, agent, "files/echo", body=value).parsed)
        assert (shown["type"], json.loads(shown["body"])) == ("application/json", value)
    file = File(payload=BytesIO(b"a,b\n"), mime_type="text/csv")
    shown = echoed(call(module, agent, "files/echo", body=file).parsed)
    assert (shown["type"], shown["body"]) == ("text/csv", "a,b\n")
    untyped = echoed(call(module, agent, "files/echo", body=File(payload=BytesIO(b"x"))).parsed)
    assert untyped["type"] == "application/octet-stream"
    assert echoed(call(module, agent, "files/echo").parsed)["body"] == ""


@pytest.mark.parametrize("module", CALLS)
def test_a_query_is_forwarded(agent: MeshGuardClient, module: ModuleType) -> None:
    query = UpstreamQuery.from_dict({"page": "2", "tag": ["new", "vip"]})
    shown = echoed(call(module, agent, "files/echo", query=query).parsed)
    assert shown["query"] == [["page", "2"], ["tag", "new"], ["tag", "vip"]]


def test_the_async_call_sends_a_file(admin: MeshGuardClient) -> None:
    token = admin.create_agent("generated")["token"]

    async def scenario() -> Any:
        async with AsyncMeshGuardClient(admin.gateway_url, token, trust_env=False) as client:
            file = File(payload=BytesIO(b"a,b\n"), mime_type="text/csv")
            return await proxy_post.asyncio(
                "files/echo", client=client.api, body=file, x_mesh_guard_action="read:x"
            )

    assert echoed(asyncio.run(scenario()))["type"] == "text/csv"


def test_times_are_datetimes(admin: MeshGuardClient) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    created = create_agent.sync(client=admin.admin_api, body=CreateAgentRequest(name="timed"))
    assert isinstance(created, CreatedAgent)
    assert before < created.created_at < created.expires_at
    stored = get_agent.sync(created.id, client=admin.admin_api)
    assert isinstance(stored, Agent)
    assert stored.created_at == created.created_at
    later = before.astimezone().replace(microsecond=0)
    for since, number in ((later, 1), (datetime.now(UTC) + timedelta(hours=1), 0)):
        page = list_audit_entries.sync(
            client=admin.admin_api, from_=since, agent=created.id, to=since + timedelta(days=1)
        )
        assert isinstance(page, AuditPage)
        assert len(page.entries) == number
        assert all(entry.timestamp >= since for entry in page.entries)


def test_a_policy_keeps_its_form() -> None:
    assert Policy.from_dict(WHOLE).to_dict() == WHOLE


def test_conditions_are_typed(admin: MeshGuardClient, agent: MeshGuardClient) -> None:
    eur = Conditions()
    eur["context.currency"] = "EUR"
    conditions = Conditions(
        resource=TextTests(starts_with="order-", not_=TextTests(ends_with=[".key"])),
        trust_tier=["verified", "trusted"],
        tags="support",
        time=TimeTests(weekdays=["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        any_=[eur],
    )
    conditions["context.amount"] = ValueTests(gt=0, lte=100)
    rule = Rule(effect="allow", actions=["write:refund"], name="small", conditions=conditions)
    policy = Policy(name="refunds", rules=[rule])
    assert isinstance(apply_policy.sync("refunds", client=admin.admin_api, body=policy), Policy)
    stored = get_policy.sync("refunds", client=admin.admin_api)
    assert isinstance(stored, Policy)
    found = stored.rules[0].conditions
    assert isinstance(found, Conditions)
    assert found["context.amount"] == ValueTests(gt=0, lte=100)
    assert isinstance(found.any_, list)
    assert found.any_[0]["context.currency"] == ValueTests(equals="EUR")
    for amount, allowed in ((40, True), (140, False)):
        question = EvaluateRequest.from_dict(
            {
                "action": "write:refund",
                "resource": "order-1",
                "context": {"amount": amount, "currency": "EUR"},
            }
        )
        decision = evaluate.sync(client=agent.api, body=question)
        assert isinstance(decision, Decision)
        assert decision.allowed is allowed
