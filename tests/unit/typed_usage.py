"""How the public types look to a type checker; it is checked, never run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import assert_type

import httpx

from meshguard import (
    Agent,
    AsyncMeshGuardClient,
    InvalidRequestError,
    MeshGuardClient,
    PolicyDecision,
    PolicyDeniedError,
    RateLimitError,
    UpstreamError,
)
from meshguard.types import (
    AuditEntry,
    AuditExport,
    AuditPage,
    AuditStats,
    AuditVerification,
    CreatedAgent,
    ErrorDetail,
    Health,
    IssuedToken,
    Policy,
    PolicyValidation,
)


def sync(client: MeshGuardClient, another: httpx.Client) -> None:
    MeshGuardClient("http://127.0.0.1:3100", "agent", "admin", 30.0, "trace", http_client=another)
    decision = client.check("read:a", "b", context={"c": 1})
    assert_type(decision, PolicyDecision)
    assert_type(decision.allowed, bool)
    assert_type(decision.policy, str | None)
    assert_type(client.enforce("read:a"), PolicyDecision)
    assert_type(client.check_many(["read:a", {"action": "b", "context": {}}]), list[PolicyDecision])
    with client.govern("read:a") as governed:
        assert_type(governed, PolicyDecision)
    assert_type(double(2), int)
    assert_type(client.get("/a", action="read:a", params={"b": 1}), httpx.Response)
    assert_type(client.post("/a", "write:a", json={}, raise_for_status=False), httpx.Response)
    assert_type(client.stream("GET", "/a", "read:a"), AbstractContextManager[httpx.Response])
    assert_type(client.list_agents(status="active"), list[Agent])
    assert_type(client.get_agent("a").trust_tier, str)
    assert_type(client.create_agent("a"), CreatedAgent)
    assert_type(client.create_agent("a")["token"], str)
    assert_type(client.update_agent("a", tags=["b"]), Agent)
    assert_type(client.issue_token("a"), IssuedToken)
    assert_type(client.list_policies(), list[Policy])
    assert_type(client.apply_policy({"name": "a", "rules": []})["name"], str)
    assert_type(client.get_audit_log(limit=10, since=datetime.now(UTC)), list[AuditEntry])
    assert_type(client.iter_audit_log("deny"), Iterator[AuditEntry])
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
    assert_type(client.audit_stats(), AuditStats)
    assert_type(client.health(), Health)
    assert_type(client.is_healthy(), bool)
    assert_type(client.agent_token, str | None)
    client.revoke_agent("a")
    client.trace_id = "trace-2"


@MeshGuardClient().govern("compute:double")
def double(number: int) -> int:
    return number * 2


async def awaited(client: AsyncMeshGuardClient) -> None:
    assert_type(await client.check("read:a"), PolicyDecision)
    assert_type(await client.check_many(["read:a"]), list[PolicyDecision])
    async with client.govern("read:a") as governed:
        assert_type(governed, PolicyDecision)
    assert_type(await client.govern("compute:triple")(triple)(2), int)
    assert_type(await client.put("/a", "write:a"), httpx.Response)
    assert_type(client.stream("GET", "/a", "read:a"), AbstractAsyncContextManager[httpx.Response])
    assert_type(await client.list_agents(), list[Agent])
    assert_type(client.iter_audit_log(), AsyncIterator[AuditEntry])
    assert_type(await client.export_audit_log("audit.jsonl"), AuditExport)
    assert_type(await client.verify_audit_log([]), AuditVerification)
    assert_type(await client.test_policies("read:a", agent="a"), PolicyDecision)
    assert_type(await client.is_healthy(), bool)
    await client.aclose()


async def triple(number: int) -> int:
    return number * 3


def errors(
    denied: PolicyDeniedError, invalid: InvalidRequestError, limited: RateLimitError, upstream: UpstreamError
) -> None:
    assert_type(denied.reason, str)
    assert_type(denied.decision, PolicyDecision | None)
    assert_type(denied.status_code, int | None)
    assert_type(invalid.details, list[ErrorDetail])
    assert_type(limited.retry_after, float | None)
    assert_type(upstream.response, httpx.Response)
