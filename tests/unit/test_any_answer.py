"""Whatever comes back, a method gives a result of its type or one of our errors."""

import asyncio
import inspect
import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshguard import Agent, AsyncMeshGuardClient, MeshGuardClient, MeshGuardError, PolicyDecision
from meshguard.types import AuditVerification

URL = "http://gateway.test"
POLICY = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}

CALLS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], bool]]] = {
    "check": (lambda c: c.check("read:a"), lambda r: isinstance(r, PolicyDecision)),
    "check with context": (
        lambda c: c.check("read:a", context={"b": 1}),
        lambda r: isinstance(r, PolicyDecision),
    ),
    "check_many": (
        lambda c: c.check_many(["read:a", "read:b"]),
        lambda r: len(r) == 2 and all(isinstance(item, PolicyDecision) for item in r),
    ),
    "enforce": (lambda c: c.enforce("read:a"), lambda r: isinstance(r, PolicyDecision) and r.allowed),
    "request": (lambda c: c.request("OPTIONS", "/a", "read:a"), lambda r: isinstance(r, httpx.Response)),
    "get": (lambda c: c.get("/a", "read:a"), lambda r: isinstance(r, httpx.Response)),
    "get without raising": (
        lambda c: c.get("/a", "read:a", raise_for_status=False),
        lambda r: isinstance(r, httpx.Response),
    ),
    "post": (lambda c: c.post("/a", "write:a", json={}), lambda r: isinstance(r, httpx.Response)),
    "put": (lambda c: c.put("/a", "write:a"), lambda r: isinstance(r, httpx.Response)),
    "patch": (lambda c: c.patch("/a", "write:a"), lambda r: isinstance(r, httpx.Response)),
    "delete": (lambda c: c.delete("/a", "delete:a"), lambda r: isinstance(r, httpx.Response)),
    "list_agents": (lambda c: c.list_agents(), lambda r: all(isinstance(item, Agent) for item in r)),
    "get_agent": (lambda c: c.get_agent("a"), lambda r: isinstance(r, Agent)),
    "create_agent": (
        lambda c: c.create_agent("a"),
        lambda r: isinstance(r["id"], str) and isinstance(r["token"], str),
    ),
    "update_agent": (lambda c: c.update_agent("a", name="b"), lambda r: isinstance(r, Agent)),
    "issue_token": (lambda c: c.issue_token("a"), lambda r: isinstance(r["token"], str)),
    "revoke_agent": (lambda c: c.revoke_agent("a"), lambda r: r is None),
    "list_policies": (
        lambda c: c.list_policies(),
        lambda r: all(isinstance(item["rules"], list) for item in r),
    ),
    "get_policy": (lambda c: c.get_policy("a"), lambda r: isinstance(r["name"], str)),
    "apply_policy": (lambda c: c.apply_policy(POLICY), lambda r: isinstance(r["rules"], list)),
    "validate_policy": (lambda c: c.validate_policy(POLICY), lambda r: isinstance(r["valid"], bool)),
    "test_policies": (
        lambda c: c.test_policies("read:a", agent="a"),
        lambda r: isinstance(r, PolicyDecision),
    ),
    "delete_policy": (lambda c: c.delete_policy("a"), lambda r: r is None),
    "get_audit_log": (
        lambda c: c.get_audit_log(),
        lambda r: all(isinstance(item["action"], str) for item in r),
    ),
    "iter_audit_log": (
        lambda c: c.iter_audit_log(),
        lambda r: all(isinstance(item["timestamp"], str) for item in r),
    ),
    "list_audit_log": (
        lambda c: c.list_audit_log(),
        lambda r: all(isinstance(item.timestamp, datetime) for item in r.entries),
    ),
    "export_audit_log": (
        lambda c: c.export_audit_log(io.BytesIO()),
        lambda r: r.entries >= 0 and r.verification is None,
    ),
    "verify_audit_log": (lambda c: c.verify_audit_log(), lambda r: isinstance(r, AuditVerification)),
    "verify_audit_log with anchors": (
        lambda c: c.verify_audit_log([]),
        lambda r: isinstance(r, AuditVerification),
    ),
    "audit_stats": (lambda c: c.audit_stats(), lambda r: isinstance(r["topAgents"], list)),
    "health": (lambda c: c.health(), lambda r: isinstance(r["status"], str)),
    "is_healthy": (lambda c: c.is_healthy(), lambda r: isinstance(r, bool)),
    "govern": (lambda c: c.govern("read:a"), lambda r: isinstance(r, PolicyDecision) and r.allowed),
    "stream": (lambda c: c.stream("GET", "/a", "read:a"), lambda r: isinstance(r, bytes)),
}

NAMES = st.sampled_from(
    [
        "decision",
        "allowed",
        "action",
        "error",
        "message",
        "reason",
        "policy",
        "traceId",
        "details",
        "agents",
        "entries",
        "policies",
        "decisions",
        "nextCursor",
        "id",
        "name",
        "trustTier",
        "token",
        "rules",
        "status",
        "timestamp",
        "retryAfter",
        "valid",
        "errors",
        "warnings",
        "wouldDeny",
        "explanation",
        "tags",
        "heads",
        "firstBroken",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["allow", "deny", "forbidden", "read:a", "", "maybe"])
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=20,
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["X-MeshGuard-Decision", "X-MeshGuard-Policy", "X-MeshGuard-Trace-ID", "Retry-After"],
                *["Content-Type", "Content-Encoding", "Content-Length", "Location", "Set-Cookie"],
            ]
        ),
        st.sampled_from(
            [
                "allow", "deny", "Allow", "12", "-1", "nan", "inf", "1e999", "Sun, 06 Nov 1994 08:49:37 GMT",
                "gzip", "http://[", "http://\x80", "//:x", "a=b", "a=b; Domain=x; Max-Age=z", "br",
                "text/html; charset=utf-99", "application/x-ndjson",
            ]
        )
        | st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20),
    ),
    max_size=4,
)  # fmt: skip


DECISION = {"decision": "allow", "allowed": True, "action": "read:a", "reason": "r", "auditId": "aud_1"}
AGENT = {"id": "a", "name": "n", "trustTier": "verified", "tags": ["t"], "metadata": {}, "status": "active"}
ENTRY = {"timestamp": "2026-11-22T09:30:00.000Z", "action": "read:a", "decision": "allow", "latencyMs": 0.4}
STATS = {
    "total": 1,
    "allowed": 1,
    "denied": 0,
    "wouldDeny": 0,
    "period": "24h",
    "topDenied": [],
    "topAgents": [],
}
SOUND: list[dict[str, Any]] = [
    DECISION,
    {"decisions": [DECISION, {**DECISION, "action": "read:b"}]},
    {**AGENT, "token": "t", "expiresAt": "2027-11-22T09:30:00.000Z"},
    {"agents": [AGENT]},
    {"policies": [POLICY]},
    POLICY,
    {"valid": False, "errors": [{"path": "/a", "message": "m"}], "warnings": []},
    {"entries": [ENTRY], "nextCursor": None},
    ENTRY,
    {"valid": True, "entries": 1, "heads": []},
    {
        "valid": False,
        "entries": 1,
        "heads": [],
        "firstBroken": {"stream": "s", "sequence": 1, "problem": "p"},
    },
    STATS,
    {"status": "healthy", "version": "0.2.0", "uptime": 1.5},
    {"error": "forbidden", "message": "no", "action": "read:a"},
]


@st.composite
def nearly_sound(draw: st.DrawFn) -> dict[str, Any]:
    body = dict(draw(st.sampled_from(SOUND)))
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2)):
        body[name] = draw(JSON)
    return body


@st.composite
def answers(draw: st.DrawFn) -> tuple[int, list[tuple[str, str]], bytes]:
    likely = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 413, 429, 500, 503, 520])
    status = draw(likely | st.integers(100, 999))
    as_json = (JSON | nearly_sound()).map(lambda value: json.dumps(value).encode())
    body = draw(st.binary(max_size=40) | as_json)
    return status, draw(HEADERS), body


def _answerer(answer: tuple[int, list[tuple[str, str]], bytes]) -> Callable[[httpx.Request], httpx.Response]:
    status, headers, body = answer
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return lambda _: httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))


async def _awaited(result: Any) -> Any:
    if hasattr(result, "__aenter__"):
        async with result as entered:
            return await entered.aread() if isinstance(entered, httpx.Response) else entered
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    return await result


def _done(result: Any) -> Any:
    if hasattr(result, "__enter__"):
        with result as entered:
            return entered.read() if isinstance(entered, httpx.Response) else entered
    return list(result) if inspect.isgenerator(result) else result


def test_every_method_is_called_by_the_property() -> None:
    public = {
        name for name, member in inspect.getmembers(MeshGuardClient, inspect.isfunction) if name[0] != "_"
    }
    assert public - {"close", "with_options"} == {name.split()[0] for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=answers())
@example((200, [("Content-Encoding", "gzip")], b"no gzip"))
@example((302, [("Location", "http://[")], b""))
@example((200, [], b"[" * 100_000))
@example((200, [], b"9" * 10_000))
@example((403, [("X-MeshGuard-Decision", "deny")], b"<html>"))
@example((520, [], b"<html>"))
@example((200, [("X-MeshGuard-Decision", "allow")], b""))
def test_any_answer_gives_a_typed_result_or_an_error_of_ours(
    name: str, answer: tuple[int, list[tuple[str, str]], bytes]
) -> None:
    call, fits = CALLS[name]
    transport = httpx.MockTransport(_answerer(answer))
    with httpx.Client(transport=transport) as http_client:
        client = MeshGuardClient(URL, "token", "admin", max_retries=0, http_client=http_client)
        try:
            result = _done(call(client))
        except MeshGuardError:
            return
        assert fits(result)


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=answers())
@example((200, [("Content-Encoding", "gzip")], b"no gzip"))
@example((302, [("Location", "http://[")], b""))
@example((520, [], b"<html>"))
def test_any_answer_gives_the_same_outcome_from_both_clients(
    name: str, answer: tuple[int, list[tuple[str, str]], bytes]
) -> None:
    call, _ = CALLS[name]
    transport = httpx.MockTransport(_answerer(answer))

    async def asynchronously() -> Any:
        async with httpx.AsyncClient(transport=transport) as http_client:
            client = AsyncMeshGuardClient(
                URL, "token", "admin", trace_id="t", max_retries=0, http_client=http_client
            )
            return await _awaited(call(client))

    def synchronously() -> Any:
        with httpx.Client(transport=transport) as http_client:
            client = MeshGuardClient(
                URL, "token", "admin", trace_id="t", max_retries=0, http_client=http_client
            )
            return _done(call(client))

    assert _outcome(lambda: asyncio.run(asynchronously())) == _outcome(synchronously)


def _outcome(call: Callable[[], Any]) -> str:
    try:
        result = call()
    except MeshGuardError as error:
        return repr(error)
    return repr(result)


@pytest.mark.parametrize("name", CALLS)
def test_every_method_has_an_answer_that_it_takes(name: str) -> None:
    call, fits = CALLS[name]
    for body in SOUND:
        content = json.dumps(body).encode() + b"\n"
        headers = [("Content-Type", "application/x-ndjson"), ("Content-Length", str(len(content)))]
        transport = httpx.MockTransport(_answerer((200, headers, content)))
        with httpx.Client(transport=transport) as http_client:
            try:
                result = _done(call(MeshGuardClient(URL, "t", "a", max_retries=0, http_client=http_client)))
            except MeshGuardError:
                continue
            assert fits(result)
            return
    pytest.fail("no answer was taken")
