from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.gateway.conftest import Lab, check


def test_an_allowed_check_answers_200_with_the_decision_in_body_and_headers(lab: Lab) -> None:
    agent = lab.create()
    headers = {"X-MeshGuard-Trace-ID": "trace-1", "X-MeshGuard-Resource": "crm"}
    response = check(lab.client(agent["token"]), "read:x", **headers)
    body = response.json()
    assert response.status_code == 200
    assert (body["decision"], body["allowed"], body["action"]) == ("allow", True, "read:x")
    assert (body["resource"], body["policy"], body["rule"]) == ("crm", "readers", "reads")
    assert (body["traceId"], body["mode"]) == ("trace-1", "enforce")
    assert body["auditId"].startswith("aud_")
    assert response.headers["X-MeshGuard-Decision"] == "allow"
    assert response.headers["X-MeshGuard-Policy"] == "readers"
    assert response.headers["X-MeshGuard-Agent-Id"] == agent["id"]
    assert response.headers["X-MeshGuard-Trace-ID"] == "trace-1"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_denied_check_answers_403_with_the_reason_as_message(lab: Lab) -> None:
    response = check(lab.agent(), "read:secrets")
    body = response.json()
    assert response.status_code == 403
    assert body["error"] == "forbidden"
    assert body["message"] == body["reason"] == "Secrets are off limits"
    assert (body["policy"], body["rule"]) == ("readers", "no-secrets")
    assert response.headers["X-MeshGuard-Decision"] == "deny"


def test_no_matching_policy_denies_and_names_none(lab: Lab) -> None:
    response = check(lab.agent(), "write:x")
    assert response.status_code == 403
    assert "policy" not in response.json()
    assert "X-MeshGuard-Policy" not in response.headers


def test_without_policies_everything_is_denied_and_health_says_so(lab: Lab) -> None:
    lab.admin.delete("/admin/policies/readers")
    assert check(lab.agent(), "read:x").status_code == 403
    health = lab.admin.get("/health")
    assert health.status_code == 200
    assert health.json()["checks"]["policies"].startswith("none loaded")


def test_evaluate_answers_200_for_allow_and_deny_alike(lab: Lab) -> None:
    agent = lab.agent()
    allowed = agent.post("/api/v1/pdp/evaluate", json={"action": "read:日本", "context": {"a": [1]}})
    denied = agent.post("/api/v1/pdp/evaluate", json={"action": "write:日本", "resource": "ü"})
    assert (allowed.status_code, allowed.json()["decision"]) == (200, "allow")
    assert (denied.status_code, denied.json()["decision"], denied.json()["resource"]) == (200, "deny", "ü")
    assert denied.headers["X-MeshGuard-Decision"] == "deny"
    assert "explanation" not in allowed.json()


def test_an_explanation_comes_when_asked_for(open_lab: Callable[..., Lab]) -> None:
    body = {"action": "read:x", "explain": True}
    explanation = (
        open_lab(explain_to_agents=True).agent().post("/api/v1/pdp/evaluate", json=body).json()["explanation"]
    )
    assert explanation["policies"][0]["policy"] == "readers"


def test_a_batch_answers_in_order_and_records_each(lab: Lab) -> None:
    actions = ["read:a", "write:b", "read:secret"]
    response = lab.agent().post(
        "/api/v1/pdp/evaluate/batch", json={"requests": [{"action": action} for action in actions]}
    )
    decisions = response.json()["decisions"]
    assert [decision["action"] for decision in decisions] == actions
    assert [decision["decision"] for decision in decisions] == ["allow", "deny", "deny"]
    recorded = {entry["id"]: entry["action"] for entry in lab.entries(kind="decision")}
    assert recorded == {decision["auditId"]: decision["action"] for decision in decisions}


def test_a_batch_with_one_fault_is_refused_whole_and_names_it(lab: Lab) -> None:
    body = {"requests": [{"action": "read:a"}, {"actoin": "read:b"}]}
    response = lab.agent().post("/api/v1/pdp/evaluate/batch", json=body)
    assert response.status_code == 400
    details = {fault["path"]: fault["message"] for fault in response.json()["details"]}
    assert details["/requests/1/actoin"] == 'unknown field; did you mean "action"?'
    assert lab.entries(kind="decision") == []


def test_mode_audit_denies_nothing_and_says_what_it_would_have_denied(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(mode="audit")
    response = check(lab.agent(), "write:x")
    assert response.status_code == 200
    assert response.headers["X-MeshGuard-Decision"] == "allow"
    assert (response.json()["allowed"], response.json()["wouldDeny"]) == (True, True)
    entry = lab.entries(kind="decision")[0]
    assert (entry["decision"], entry["wouldDeny"]) == ("allow", True)
    stats = lab.admin.get("/admin/audit/stats").json()
    assert (stats["allowed"], stats["denied"], stats["wouldDeny"]) == (1, 0, 1)


def test_the_entry_of_a_decision_has_what_was_decided(lab: Lab) -> None:
    agent = lab.create(name="ada", trustTier="trusted")
    check(lab.client(agent["token"]), "read:secrets", **{"X-MeshGuard-Trace-ID": "t-9"})
    entry = lab.entries(traceId="t-9")[0]
    assert (entry["agentId"], entry["agentName"], entry["trustTier"]) == (agent["id"], "ada", "trusted")
    assert (entry["kind"], entry["decision"], entry["status"]) == ("decision", "deny", 403)
    assert (entry["policy"], entry["rule"]) == ("readers", "no-secrets")
    assert entry["latencyMs"] >= 0


@pytest.mark.parametrize("action", ["", "a\tb", "a\x7f", "é", "x" * 2049])
def test_an_action_that_a_header_cannot_carry_is_refused(lab: Lab, action: str) -> None:
    response = lab.agent().get("/proxy/check", headers={b"X-MeshGuard-Action": action.encode()})
    assert response.status_code == 400


def test_a_check_without_action_says_which_header_is_needed(lab: Lab) -> None:
    response = lab.agent().get("/proxy/check")
    assert response.json()["details"] == [
        {"path": "/header/X-MeshGuard-Action", "message": "this header is needed"}
    ]


def test_a_header_given_twice_is_refused(lab: Lab) -> None:
    headers = [("X-MeshGuard-Action", "read:x"), ("X-MeshGuard-Action", "write:x")]
    assert lab.agent().get("/proxy/check", headers=headers).status_code == 400


def test_the_context_cannot_claim_an_identity(lab: Lab) -> None:
    lab.apply(
        "{name: own, rules: [{effect: allow, actions: ['write:*'], conditions: {trustTier: privileged}}]}",
        "own",
    )
    body = {"action": "write:x", "context": {"trustTier": "privileged", "agentId": "agent_root"}}
    assert lab.agent().post("/api/v1/pdp/evaluate", json=body).json()["decision"] == "deny"


def test_a_minute_has_so_many_decisions_for_each_agent(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=3)
    one, other = lab.agent(), lab.agent()
    assert [check(one, "read:x").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert check(other, "read:x").status_code == 200


def test_too_many_requests_say_when_to_come_back(open_lab: Callable[..., Lab]) -> None:
    agent = open_lab(rate_limit_rpm=1).agent()
    check(agent, "read:x")
    response = check(agent, "read:x")
    body = response.json()
    assert (body["error"], body["limit"]) == ("rate_limited", 1)
    assert 1 <= body["retryAfter"] <= 61
    assert response.headers["Retry-After"] == str(body["retryAfter"])


def test_a_batch_counts_each_and_is_refused_whole(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=3)
    agent = lab.agent()

    def batch(size: int) -> httpx.Response:
        body = {"requests": [{"action": "read:x"}] * size}
        return agent.post("/api/v1/pdp/evaluate/batch", json=body)

    assert [batch(4).status_code, batch(3).status_code, batch(1).status_code] == [429, 200, 429]
    assert len(lab.entries(kind="decision")) == 3


def test_a_rate_limit_of_0_is_none(open_lab: Callable[..., Lab]) -> None:
    agent = open_lab(rate_limit_rpm=0).agent()
    assert {check(agent, "read:x").status_code for _ in range(20)} == {200}
