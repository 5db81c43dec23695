"""Agents, policies and the audit log."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from meshguard import (
    Agent,
    AuthenticationError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardClient,
    NotFoundError,
)
from meshguard.types import AuditEntry

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Answer, Gateway

AGENT = {
    "id": "agent_1",
    "name": "bot",
    "trustTier": "verified",
    "tags": ["a"],
    "metadata": {"team": "x"},
    "status": "active",
    "createdAt": "2026-11-22T09:30:00.000Z",
    "updatedAt": "2026-11-22T09:30:00.000Z",
}
POLICY = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
NAIVE = datetime(2026, 11, 22)  # noqa: DTZ001
ENTRY: Any = {"timestamp": "2026-11-22T09:30:00.000Z", "action": "read:a", "decision": "allow"}
COMPLETE_ENTRY = {**dict.fromkeys(AuditEntry.__annotations__), **ENTRY}

WITH_ID: list[Callable[[MeshGuardClient, Any], Any]] = [
    MeshGuardClient.get_agent,
    MeshGuardClient.issue_token,
    MeshGuardClient.revoke_agent,
    lambda client, name: client.update_agent(name, name="x"),
    MeshGuardClient.get_policy,
    MeshGuardClient.delete_policy,
    lambda client, name: client.apply_policy(POLICY, name),
]


def test_administration_uses_the_admin_token_alone(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"agents": []})
    assert client.list_agents() == []
    headers = gateway.received[0].headers
    assert headers["x-admin-token"] == ADMIN_TOKEN
    assert "authorization" not in headers


def test_without_an_admin_token_nothing_is_sent(gateway: Gateway) -> None:
    calls: list[Callable[[MeshGuardClient], Any]] = [
        MeshGuardClient.list_agents,
        lambda client: client.create_agent("a"),
        lambda client: client.revoke_agent("a"),
        MeshGuardClient.list_policies,
        lambda client: client.apply_policy(POLICY),
        MeshGuardClient.get_audit_log,
        lambda client: list(client.iter_audit_log()),
        MeshGuardClient.audit_stats,
        lambda client: client.admin_api,
    ]
    with MeshGuardClient(gateway.url, AGENT_TOKEN) as client:
        for call in calls:
            with pytest.raises(AuthenticationError, match="MESHGUARD_ADMIN_TOKEN"):
                call(client)
    assert gateway.received == []


@pytest.mark.parametrize("call", WITH_ID)
@pytest.mark.parametrize(
    ("identifier", "quoted"),
    [
        ("../x", "..%2Fx"),
        ("a/b", "a%2Fb"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#b", "a%23b"),
        ("%2e", "%252e"),
        ("%2e%2e", "%252e%252e"),
        ("é 日", "%C3%A9%20%E6%97%A5"),
        ("...", "..."),
        ("a;b", "a%3Bb"),
    ],
)
def test_an_id_stays_one_segment_of_the_path(
    gateway: Gateway,
    client: MeshGuardClient,
    call: Callable[[MeshGuardClient, str], Any],
    identifier: str,
    quoted: str,
) -> None:
    gateway.answers(Answer({"error": "not_found", "message": "m"}, 404))
    with pytest.raises(NotFoundError):
        call(client, identifier)
    path = gateway.received[0].path.removesuffix("/token")
    assert path in {f"/admin/agents/{quoted}", f"/admin/policies/{quoted}"}


@pytest.mark.parametrize("call", WITH_ID[:-1])
@pytest.mark.parametrize("identifier", ["", ".", "..", "a\nb", "\x00", "\ud800", None, 5])
def test_an_id_that_is_none_is_refused_before_sending(
    gateway: Gateway,
    client: MeshGuardClient,
    call: Callable[[MeshGuardClient, Any], Any],
    identifier: Any,
) -> None:
    with pytest.raises(InvalidRequestError):
        call(client, identifier)
    assert gateway.received == []


def test_agents_are_objects(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"agents": [AGENT, {"id": "b", "name": "c", "trustTier": "vip", "orgId": "o"}]})
    first, second = client.list_agents()
    assert first == Agent(
        "agent_1",
        "bot",
        "verified",
        ["a"],
        None,
        {"team": "x"},
        "active",
        datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    )
    assert second == Agent(id="b", name="c", trust_tier="vip", org_id="o")


def test_listing_agents_follows_the_pages_with_the_same_filters(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    gateway.answers({"agents": [AGENT], "nextCursor": "7"}, {"agents": [AGENT]})
    assert len(client.list_agents(status="active", trust_tier="verified", tag="a b")) == 2
    query = "/admin/agents?status=active&trustTier=verified&tag=a%20b"
    assert [request.path.replace("+", "%20") for request in gateway.received] == [query, f"{query}&cursor=7"]


def test_pages_that_lead_in_a_circle_are_no_answer(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"agents": [], "nextCursor": "7"})
    with pytest.raises(InvalidResponseError):
        client.list_agents()


def test_creating_an_agent_gives_its_fields_and_token(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({**AGENT, "token": "secret-token"}, 201))
    result = client.create_agent("bot", "trusted", ["a"], {"team": "x"})
    assert (result["id"], result["token"]) == ("agent_1", "secret-token")
    assert "secret-token" not in repr(result)
    assert gateway.received[0].json == {
        "name": "bot",
        "trustTier": "trusted",
        "tags": ["a"],
        "metadata": {"team": "x"},
    }


def test_an_agent_is_verified_unless_said_otherwise(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"id": "a", "token": "t"})
    client.create_agent("bot")
    assert gateway.received[0].json == {"name": "bot", "trustTier": "verified", "tags": []}


def test_an_update_sends_only_what_is_given(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(AGENT)
    assert client.update_agent(agent_id="agent_1", tags=[]).name == "bot"
    client.update_agent("agent_1", name="n", trust_tier="trusted", metadata={})
    assert [request.json for request in gateway.received] == [
        {"tags": []},
        {"name": "n", "trustTier": "trusted", "metadata": {}},
    ]
    assert gateway.received[0].method == "PATCH"


def test_an_update_of_nothing_is_refused_before_sending(gateway: Gateway, client: MeshGuardClient) -> None:
    with pytest.raises(InvalidRequestError):
        client.update_agent("agent_1")
    assert gateway.received == []


@pytest.mark.parametrize(
    "fields",
    [{"tags": "abc"}, {"tags": [1]}, {"metadata": []}, {"trust_tier": 5}, {"name": ""}, {"name": "a\nb"}],
)
def test_fields_of_the_wrong_kind_are_refused_before_sending(
    gateway: Gateway, client: MeshGuardClient, fields: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.update_agent("agent_1", **fields)
    assert gateway.received == []


@pytest.mark.parametrize("answer", [Answer("", 204), Answer({"ok": True}, 200)])
def test_revoking_gives_nothing(gateway: Gateway, client: MeshGuardClient, answer: Answer) -> None:
    gateway.answers(answer)
    client.revoke_agent("agent_1")
    assert (gateway.received[0].method, gateway.received[0].path) == ("DELETE", "/admin/agents/agent_1")


def test_a_new_token_does_not_show(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"id": "agent_1", "token": "secret-token", "expiresAt": "2027-11-22T09:30:00.000Z"})
    issued = client.issue_token("agent_1")
    assert issued["token"] == "secret-token"
    assert "secret-token" not in repr(issued)


def test_policies_are_dicts(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"policies": [{**POLICY, "vendor": 1}]})
    assert client.list_policies() == [{**POLICY, "vendor": 1}]


def test_a_policy_is_sent_as_it_is_so_that_the_gateway_sees_a_misspelt_key(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    gateway.answers(POLICY)
    policy = {**POLICY, "rules": [{**POLICY["rules"][0], "conditons": {"context.amount": {"lte": 100}}}]}  # type: ignore[dict-item]
    client.apply_policy(policy)
    request = gateway.received[0]
    assert (request.method, request.path, request.json) == ("PUT", "/admin/policies/readers", policy)


@pytest.mark.parametrize("name_line", ["name: readers", 'name: "readers"', "name: 'readers'  # who reads"])
def test_a_policy_may_be_yaml(gateway: Gateway, client: MeshGuardClient, name_line: str) -> None:
    gateway.answers(Answer(POLICY, 201))
    yaml = f"# lesen für alle\n{name_line}\nrules:\n  - effect: allow\n    actions: ['read:*']\n"
    assert client.apply_policy(yaml)["name"] == "readers"
    request = gateway.received[0]
    assert request.headers["content-type"] == "application/yaml"
    assert (request.path, request.body.decode()) == ("/admin/policies/readers", yaml)


@pytest.mark.parametrize("policy", ["rules: []", {}, {"rules": []}, {"name": 5}, 5, "name: a b", "a\x00"])
def test_a_policy_whose_name_cannot_be_told_is_refused(
    gateway: Gateway, client: MeshGuardClient, policy: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.apply_policy(policy)
    assert gateway.received == []


def test_a_policy_can_be_validated(gateway: Gateway, client: MeshGuardClient) -> None:
    answer = {"valid": False, "errors": [{"path": "/rules", "message": "m"}], "warnings": []}
    gateway.answers(answer)
    assert client.validate_policy("rules: []") == answer
    assert gateway.received[0].path == "/admin/policies/validate"


def test_every_filter_of_the_audit_log_reaches_the_gateway(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"entries": [ENTRY]})
    assert client.get_audit_log(
        10,
        "deny",
        agent="agent_1",
        action="write:*",
        trace_id="t",
        policy="p",
        kind="decision",
        since=datetime(2026, 11, 22, tzinfo=UTC),
        until=datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=2))),
    ) == [COMPLETE_ENTRY]
    assert query_of(gateway.received[0].path) == {
        "limit": "10",
        "decision": "deny",
        "agent": "agent_1",
        "action": "write:*",
        "traceId": "t",
        "policy": "p",
        "kind": "decision",
        "from": "2026-11-22T00:00:00+00:00",
        "to": "2026-11-23T00:00:00+02:00",
    }


def query_of(path: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(path).query))


def test_the_audit_log_is_one_page_of_fifty(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"entries": [ENTRY], "nextCursor": "7"})
    assert client.get_audit_log() == [COMPLETE_ENTRY]
    assert [request.path for request in gateway.received] == ["/admin/audit?limit=50&kind=decision"]


def test_iterating_the_audit_log_fetches_pages_as_needed(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"entries": [ENTRY] * 2, "nextCursor": "7"}, {"entries": [ENTRY]})
    entries = client.iter_audit_log("deny", agent="a", page_size=2)
    assert gateway.received == []
    next(entries)
    assert len(gateway.received) == 1
    assert len(list(entries)) == 2
    query = {"limit": "2", "decision": "deny", "agent": "a", "kind": "decision"}
    assert [query_of(request.path) for request in gateway.received] == [query, {**query, "cursor": "7"}]


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": "10"},
        {"limit": True},
        {"since": NAIVE},
        {"until": "yesterday"},
        {"agent": "a\nb"},
    ],
)
def test_a_filter_of_the_wrong_kind_is_refused(
    gateway: Gateway, client: MeshGuardClient, arguments: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.get_audit_log(**arguments)
    assert gateway.received == []


def test_stats_are_for_a_period(gateway: Gateway, client: MeshGuardClient) -> None:
    stats = {
        "total": 2,
        "allowed": 1,
        "denied": 1,
        "wouldDeny": 0,
        "period": "7d",
        "topDenied": [{"action": "a", "count": 1}],
        "topAgents": [],
    }
    gateway.answers(stats)
    assert client.audit_stats("7d") == stats
    assert gateway.received[0].path == "/admin/audit/stats?period=7d"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"entries": [{**ENTRY, "latencyMs": "fast"}]}, "/latencyMs"),
        ({"entries": [{"timestamp": "t"}]}, "action"),
        ({"entries": ["x"]}, "AuditEntry"),
        ({"entries": {}}, "/entries"),
        ({}, "/entries"),
        ([], "object"),
    ],
)
def test_an_answer_of_another_shape_says_where(
    gateway: Gateway, client: MeshGuardClient, answer: Any, fault: str
) -> None:
    gateway.answers(answer)
    with pytest.raises(InvalidResponseError, match=fault):
        client.get_audit_log()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_is_told_also_when_it_is_bad(
    gateway: Gateway, client: MeshGuardClient, status: int, healthy: bool
) -> None:
    word = "healthy" if healthy else "unhealthy"
    gateway.answers(Answer({"status": word, "version": "0.2.0", "mode": "enforce"}, status))
    assert client.health() == {"status": word, "version": "0.2.0", "mode": "enforce"}
    assert client.is_healthy() is healthy
    health, is_healthy = (received.headers for received in gateway.received)
    assert "x-admin-token" in health  # an administrator is told more
    assert not {"authorization"} & health.keys()
    assert not {"authorization", "x-admin-token"} & is_healthy.keys()


def test_health_without_an_admin_token_sends_none(gateway: Gateway) -> None:
    gateway.answers(Answer({"status": "healthy", "version": "0.2.0", "mode": "enforce"}, 200))
    with MeshGuardClient(gateway.url, "agent-token") as client:
        assert client.health()["status"] == "healthy"
    assert not {"authorization", "x-admin-token"} & gateway.received[0].headers.keys()


def test_a_gateway_that_does_not_answer_is_not_healthy(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("<html>"))
    assert not client.is_healthy()
    gateway.close()
    assert not client.is_healthy()
