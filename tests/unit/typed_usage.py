"""Right calls, and the types of their results; checked by a test, never run."""
# pyright: strict

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, assert_type

import httpx
from meshguard_api import AuthenticatedClient

from meshguard import (
    Agent,
    AsyncMeshGuardClient,
    AuthenticationError,
    InvalidRequestError,
    MeshGuardClient,
    MeshGuardError,
    PolicyDecision,
    PolicyDeniedError,
    RateLimitError,
    UpstreamError,
)
from meshguard.async_client import AsyncGoverned
from meshguard.client import Governed, GovernedContext
from meshguard.types import (
    AuditEntry,
    AuditExport,
    AuditPage,
    AuditStats,
    AuditVerification,
    Conditions,
    CreatedAgent,
    ErrorDetail,
    Explanation,
    Health,
    IssuedToken,
    OnUnavailable,
    Policy,
    PolicyValidation,
)

sync_client = MeshGuardClient()
async_client = AsyncMeshGuardClient()


@sync_client.govern("compute:double", "numbers", context={"amount": 1})
def double(number: int, *, times: int = 1) -> int:
    return number * 2 * times


@sync_client.govern("read:lines")
def lines(count: int) -> Iterator[str]:
    yield from "line" * count


@sync_client.govern("read:anything")
def anything(number: int) -> Any:
    return number


@async_client.govern("compute:triple")
async def triple(number: int, *, times: int = 1) -> int:
    return number * 3 * times


@async_client.govern("read:lines")
async def alines(count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield "line"


class Mailer:
    @sync_client.govern("write:email")
    def send(self, to: str) -> str:
        return to

    @async_client.govern("write:email")
    async def asend(self, to: str) -> str:
        return to

    @staticmethod
    @sync_client.govern("read:email")
    def count() -> int:
        return 1


def expect(_: Callable[[int], Any], *__: Callable[[int], Coroutine[Any, Any, int]]) -> None:
    """Take functions as a framework does."""


async def governed() -> None:
    assert_type(double(2, times=3), int)
    assert_type(lines(2), Iterator[str])
    assert_type(await triple(2, times=3), int)
    assert_type(alines(2), AsyncGenerator[str, None])
    assert_type(Mailer().send("ada"), str)
    assert_type(await Mailer().asend("ada"), str)
    assert_type(Mailer.count(), int)
    expect(double, triple)
    expect(anything)


def settings(client: MeshGuardClient, aclient: AsyncMeshGuardClient, another: httpx.Client) -> None:
    MeshGuardClient("http://127.0.0.1:3100", "agent", "admin", 30.0, "trace", http_client=another)
    AsyncMeshGuardClient(http_client=httpx.AsyncClient(), on_unavailable="deny", require_tls=True)
    assert_type(client.with_options(timeout=1, max_retries=0, on_unavailable="allow"), MeshGuardClient)
    assert_type(aclient.with_options(trace_id="a", agent_token="b"), AsyncMeshGuardClient)
    assert_type(client.gateway_url, str)
    assert_type(client.agent_token, str | Callable[[], str] | None)
    assert_type(client.admin_token, str | None)
    assert_type(client.timeout, float)
    assert_type(client.trace_id, str)
    assert_type(client.max_retries, int)
    assert_type(client.on_unavailable, OnUnavailable)
    assert_type(client.api, AuthenticatedClient)
    assert_type(client.admin_api, AuthenticatedClient)
    client.trace_id = "trace-2"
    client.agent_token = None


def sync(client: MeshGuardClient, facts: Mapping[str, str], policy: dict[str, Any]) -> None:
    with client as same:
        assert_type(same, MeshGuardClient)
    assert_type(client.check("read:a", "b", context={"c": 1}, explain=True), PolicyDecision)
    assert_type(client.check("read:a", context=facts), PolicyDecision)
    assert_type(client.check_many(["read:a", {"action": "b", "context": {}}]), list[PolicyDecision])
    assert_type(client.enforce("read:a", context=facts), PolicyDecision)
    assert_type(client.govern("read:a"), Governed[MeshGuardClient])
    assert_type(client.govern("read:a"), GovernedContext[MeshGuardClient])
    assert_type(client.govern("read:a").client, MeshGuardClient)
    assert_type(client.govern("read:a").action, str)
    assert_type(client.govern("read:a").decision, PolicyDecision | None)
    with client.govern("read:a") as decision:
        assert_type(decision, PolicyDecision)

    assert_type(client.request("PUT", "/a", "write:a", json={"b": 1}), httpx.Response)
    assert_type(client.get("/a", action="read:a", params={"b": 1}), httpx.Response)
    assert_type(client.post("/a", "write:a", json={}, raise_for_status=False), httpx.Response)
    assert_type(client.put("/a", "write:a", content=b"a"), httpx.Response)
    assert_type(client.patch("/a", "write:a", data={"b": "c"}), httpx.Response)
    assert_type(client.delete("/a", "delete:a", timeout=None), httpx.Response)
    assert_type(client.stream("GET", "/a", "read:a"), AbstractContextManager[httpx.Response])

    assert_type(client.list_agents(status="active", trust_tier="trusted", tag="a"), list[Agent])
    assert_type(client.get_agent("a"), Agent)
    assert_type(client.create_agent("a", "verified", ["b"], {"c": 1}), CreatedAgent)
    assert_type(client.create_agent("a")["token"], str)
    assert_type(client.update_agent("a", tags=["b"]), Agent)
    assert_type(client.issue_token("a"), IssuedToken)
    assert_type(client.revoke_agent("a"), None)

    assert_type(client.list_policies(), list[Policy])
    assert_type(client.get_policy("a"), Policy)
    assert_type(client.apply_policy({"name": "a", "rules": []}), Policy)
    assert_type(client.apply_policy(client.get_policy("a")), Policy)
    assert_type(client.apply_policy(policy, "a"), Policy)
    assert_type(client.apply_policy("name: a\nrules: []"), Policy)
    assert_type(client.validate_policy(policy), PolicyValidation)
    assert_type(client.delete_policy("a"), None)

    assert_type(client.get_audit_log(10, "deny", since=datetime.now(UTC)), list[AuditEntry])
    assert_type(client.iter_audit_log("deny", kind="decision"), Iterator[AuditEntry])
    assert_type(client.audit_stats("7d"), AuditStats)
    assert_type(client.list_audit_log(cursor="1-2"), AuditPage)
    assert_type(client.export_audit_log("audit.jsonl", kind="admin"), AuditExport)
    assert_type(client.verify_audit_log([]), AuditVerification)
    assert_type(client.test_policies("read:a", agent="a", candidate={"name": "b"}), PolicyDecision)
    assert_type(client.apply_policy(Path("readers.yaml"), "readers"), Policy)
    assert_type(client.health(), Health)
    assert_type(client.is_healthy(), bool)
    assert_type(client.close(), None)


def administration(client: MeshGuardClient) -> None:
    assert_type(client.get_audit_log(kind="all")[0]["policy"], str | None)
    assert_type(client.list_audit_log(cursor="1-2"), AuditPage)
    assert_type(client.list_audit_log().entries[0].timestamp, datetime)
    assert_type(client.export_audit_log("audit.jsonl", kind="admin"), AuditExport)
    assert_type(client.export_audit_log(BytesIO(), "deny").verification, AuditVerification | None)
    assert_type(client.verify_audit_log(client.verify_audit_log().heads), AuditVerification)
    assert_type(client.apply_policy(Path("readers.yaml"), "readers"), Policy)
    assert_type(client.validate_policy("name: readers"), PolicyValidation)
    assert_type(client.test_policies("read:a", agent={"trustTier": "verified"}), PolicyDecision)
    assert_type(client.test_policies("read:a", agent="a", candidate={"name": "b"}), PolicyDecision)
    assert_type(client.create_agent("a", idempotency_key="b")["createdAt"], str)
    assert_type(client.get_agent("a").created_at, datetime | None)


async def asynchronous(
    client: AsyncMeshGuardClient, facts: Mapping[str, str], policy: dict[str, Any]
) -> None:
    async with client as same:
        assert_type(same, AsyncMeshGuardClient)
    assert_type(await client.check("read:a", "b", context={"c": 1}, explain=True), PolicyDecision)
    assert_type(await client.check_many(["read:a", {"action": "b"}]), list[PolicyDecision])
    assert_type(await client.enforce("read:a", context=facts), PolicyDecision)
    assert_type(client.govern("read:a"), AsyncGoverned[AsyncMeshGuardClient])
    assert_type(client.govern("read:a").client, AsyncMeshGuardClient)
    assert_type(client.govern("read:a").action, str)
    async with client.govern("read:a") as decision:
        assert_type(decision, PolicyDecision)

    assert_type(await client.request("PUT", "/a", "write:a", json={"b": 1}), httpx.Response)
    assert_type(await client.get("/a", action="read:a", params={"b": 1}), httpx.Response)
    assert_type(await client.post("/a", "write:a", json={}), httpx.Response)
    assert_type(await client.put("/a", "write:a", content=b"a"), httpx.Response)
    assert_type(await client.patch("/a", "write:a", data={"b": "c"}), httpx.Response)
    assert_type(await client.delete("/a", "delete:a", timeout=None), httpx.Response)
    assert_type(client.stream("GET", "/a", "read:a"), AbstractAsyncContextManager[httpx.Response])

    assert_type(await client.list_agents(status="active"), list[Agent])
    assert_type(await client.get_agent("a"), Agent)
    assert_type(await client.create_agent("a", "verified", ["b"], {"c": 1}), CreatedAgent)
    assert_type(await client.update_agent("a", tags=["b"]), Agent)
    assert_type(await client.issue_token("a"), IssuedToken)
    assert_type(await client.revoke_agent("a"), None)

    assert_type(await client.list_policies(), list[Policy])
    assert_type(await client.get_policy("a"), Policy)
    assert_type(await client.apply_policy({"name": "a", "rules": []}), Policy)
    assert_type(await client.validate_policy(policy), PolicyValidation)
    assert_type(await client.delete_policy("a"), None)

    assert_type(await client.get_audit_log(10, "deny"), list[AuditEntry])
    assert_type(client.iter_audit_log(), AsyncIterator[AuditEntry])
    assert_type(await client.export_audit_log("audit.jsonl"), AuditExport)
    assert_type(await client.verify_audit_log([]), AuditVerification)
    assert_type(await client.test_policies("read:a", agent="a"), PolicyDecision)
    assert_type(await client.audit_stats("7d"), AuditStats)
    assert_type(await client.list_audit_log(cursor="1-2"), AuditPage)
    assert_type(await client.export_audit_log("audit.jsonl", kind="admin"), AuditExport)
    assert_type(await client.verify_audit_log([]), AuditVerification)
    assert_type(await client.test_policies("read:a", agent="a", candidate={"name": "b"}), PolicyDecision)
    assert_type(await client.apply_policy(Path("readers.yaml"), "readers"), Policy)
    assert_type(await client.health(), Health)
    assert_type(await client.is_healthy(), bool)
    assert_type(await client.aclose(), None)


def policies(client: MeshGuardClient) -> Policy:
    conditions: Conditions = {
        "resource": "/srv/data",
        "trustTier": ["trusted", "privileged"],
        "context.amount": {"gt": 0, "lte": 99.5},
        "context.path": {"within": ["/srv"], "not": {"endsWith": ".key"}},
        "tags": {"not": {"in": ["contractor"]}},
        "time": {"after": "09:00", "weekdays": ["mon", "tue"]},
        "any": [
            {"context.amount": {"lte": 100}},
            {"all": [{"agentId": "agent_7"}, {"context.approval.by": {"exists": True}}]},
        ],
    }
    policy: Policy = {
        "name": "a",
        "appliesTo": {"trustTiers": ["trusted"]},
        "rules": [
            {"effect": "allow", "actions": ["read:*"], "conditions": conditions},
            {"effect": "deny", "actions": ["read:a"], "conditions": {"context.amount": {"gt": 5}}},
        ],
    }
    assert_type(client.apply_policy(policy)["rules"][0].get("conditions"), Conditions | None)
    return policy


def results(decision: PolicyDecision, agent: Agent) -> None:
    assert_type(decision.allowed, bool)
    assert_type(decision.policy, str | None)
    assert_type(decision.explanation, Explanation | None)
    assert_type(agent.trust_tier, str)
    assert_type(agent.metadata, dict[str, object])


def errors(
    error: MeshGuardError, denied: PolicyDeniedError, invalid: InvalidRequestError, limited: RateLimitError
) -> None:
    assert_type(error.status_code, int | None)
    assert_type(error.code, str | None)
    assert_type(error.trace_id, str | None)
    assert_type(error.request_id, str | None)
    assert_type(error.response, httpx.Response | None)
    assert_type(denied.reason, str)
    assert_type(denied.decision, PolicyDecision | None)
    assert_type(denied.explanation, Explanation | None)
    assert_type(invalid.details, list[ErrorDetail])
    assert_type(limited.retry_after, float | None)
    assert_type(UpstreamError("a", response=httpx.Response(500)).response, httpx.Response)
    assert_type(AuthenticationError("a", status_code=401).status_code, int | None)
