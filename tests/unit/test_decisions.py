"""Asking for decisions."""

import json
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from meshguard import (
    AuthenticationError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
    PolicyDecision,
    PolicyDeniedError,
)
from meshguard.types import Explanation

from .conftest import AGENT_TOKEN, Answer, Gateway

ALLOW = {
    "decision": "allow",
    "allowed": True,
    "action": "read:contacts",
    "policy": "support-agents",
    "rule": "read-anything",
    "reason": "Because.",
    "traceId": "trace-1",
    "auditId": "aud_1",
    "mode": "enforce",
}
DENIAL = {
    "error": "forbidden",
    "message": "Credential files are off limits",
    "reason": "Credential files are off limits",
    "action": "read:contacts",
    "policy": "support-agents",
    "rule": "no-secrets",
    "traceId": "trace-1",
    "auditId": "aud_2",
}


def test_an_allowed_check_has_all_that_the_gateway_says(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(ALLOW)
    assert client.check("read:contacts", "/crm") == PolicyDecision(
        allowed=True,
        action="read:contacts",
        decision="allow",
        policy="support-agents",
        rule="read-anything",
        reason="Because.",
        trace_id="trace-1",
        resource="/crm",
        audit_id="aud_1",
    )


def test_a_denied_check_is_a_decision_and_false(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer(DENIAL, 403))
    decision = client.check("read:contacts")
    assert not decision
    assert (decision.allowed, decision.decision, decision.policy) == (False, "deny", "support-agents")
    assert (decision.reason, decision.audit_id) == ("Credential files are off limits", "aud_2")


def test_a_plain_check_asks_with_headers(gateway: Gateway, client: MeshGuardClient) -> None:
    client.check("read:contacts", "/crm/42")
    request = gateway.received[0]
    assert (request.method, request.path) == ("GET", "/proxy/check")
    assert request.headers["x-meshguard-action"] == "read:contacts"
    assert request.headers["x-meshguard-resource"] == "/crm/42"
    assert request.headers["x-meshguard-trace-id"] == "trace-1"
    assert request.headers["authorization"] == f"Bearer {AGENT_TOKEN}"
    assert request.headers["user-agent"].startswith("meshguard-python/")
    assert "x-admin-token" not in request.headers


@pytest.mark.parametrize("resource", [None, ""])
def test_an_empty_resource_is_none(gateway: Gateway, client: MeshGuardClient, resource: str | None) -> None:
    assert client.check("read:contacts", resource).resource is None
    assert "x-meshguard-resource" not in gateway.received[0].headers


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("läs:kontakter", None, None),
        ("read:contacts", "/客户/四十二", None),
        ("read: contacts ", None, None),
        ("r" * 2049, None, None),
        ("read:contacts", None, {"amount": 40, "note": "日本"}),
        ("read:contacts", None, {}),
    ],
)
def test_what_a_header_cannot_carry_is_asked_in_a_body(
    gateway: Gateway, client: MeshGuardClient, action: str, resource: str | None, context: Any
) -> None:
    assert client.check(action, resource, context=context)
    request = gateway.received[0]
    expected = {"action": action, "resource": resource, "context": context}
    assert (request.method, request.path) == ("POST", "/api/v1/pdp/evaluate")
    assert request.json == {name: value for name, value in expected.items() if value is not None}


def test_an_explanation_comes_when_asked_for(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({**ALLOW, "explanation": {"summary": "s", "policies": []}})
    explanation: Any = client.check("read:contacts", explain=True).explanation
    assert explanation == {"summary": "s", "policies": []}
    assert gateway.received[0].json == {"action": "read:contacts", "explain": True}


def test_audit_mode_is_told_from_permission(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({**ALLOW, "wouldDeny": True})
    assert client.check("read:contacts").would_deny


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x85b", "a\ud800b", ""])
def test_text_that_cannot_be_meant_is_refused_before_sending(
    gateway: Gateway, client: MeshGuardClient, text: str
) -> None:
    for call in (client.check, client.enforce, lambda action: client.check_many(["read:a", action])):
        with pytest.raises(InvalidRequestError):
            call(text)
    with pytest.raises(InvalidRequestError):
        client.get("/contacts", action=text)
    if text:
        with pytest.raises(InvalidRequestError):
            client.check("read:a", text)
        with pytest.raises(InvalidRequestError):
            client.get("/contacts", action="read:a", resource=text)
    assert gateway.received == []


@pytest.mark.parametrize("context", [{"a": object()}, {"a": float("nan")}, {"a": "\ud800"}, [1], "x"])
def test_a_context_that_is_no_json_is_refused_before_sending(
    gateway: Gateway, client: MeshGuardClient, context: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.check("read:a", context=context)
    assert gateway.received == []


def test_a_context_that_holds_itself_is_refused(gateway: Gateway, client: MeshGuardClient) -> None:
    context: dict[str, Any] = {}
    context["self"] = context
    with pytest.raises(InvalidRequestError):
        client.check("read:a", context=context)
    assert gateway.received == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(""),
        Answer("<html>welcome</html>"),
        Answer({}),
        Answer({"status": "ok"}),
        Answer({"allowed": True}),
        Answer({"decision": True}),
        Answer({"decision": None, "allowed": True}),
        Answer({"decision": "allow", "allowed": False}),
        Answer({"decision": "allow", "allowed": "false"}),
        Answer({"decision": "allow"}, headers={"X-MeshGuard-Decision": "deny"}),
        Answer({"decision": "deny"}, headers={"X-MeshGuard-Decision": "allow"}),
        Answer({"allowed": False}, headers={"X-MeshGuard-Decision": "allow"}),
        Answer({"decision": "allow", "action": "read:something-else"}),
        Answer({"decision": "deny", "allowed": True}),
        Answer("", 302, {"Location": "/login"}),
        Answer("", 304),
    ],
    ids=lambda answer: f"{answer.status} {answer.body} {answer.headers}",
)
def test_nothing_but_positive_evidence_allows(
    gateway: Gateway, client: MeshGuardClient, answer: Answer
) -> None:
    gateway.answers(answer)
    with pytest.raises(InvalidResponseError):
        client.check("read:contacts")


@pytest.mark.parametrize("context", [None, {"a": 1}])
@pytest.mark.parametrize(
    "answer",
    [
        Answer({"decision": "deny"}),
        Answer({"decision": "deny", "allowed": False}),
        Answer({"decision": "maybe"}),
        Answer({"decision": "Allow"}),
        Answer("", headers={"X-MeshGuard-Decision": "allow, deny"}),
        Answer("", headers={"X-MeshGuard-Decision": "escalate"}),
    ],
    ids=lambda answer: f"{answer.body} {answer.headers}",
)
def test_any_word_but_allow_denies(
    gateway: Gateway, client: MeshGuardClient, answer: Answer, context: Any
) -> None:
    gateway.answers(answer)
    decision = client.check("read:contacts", context=context)
    assert not decision.allowed
    assert decision.decision != "allow"
    with pytest.raises(PolicyDeniedError):
        client.enforce("read:contacts", context=context)


@pytest.mark.parametrize(
    "answer", [Answer({"decision": "allow"}), Answer("", headers={"X-MeshGuard-Decision": "allow"})]
)
def test_either_piece_of_evidence_is_enough(
    gateway: Gateway, client: MeshGuardClient, answer: Answer
) -> None:
    gateway.answers(answer)
    assert client.check("read:contacts").allowed


@pytest.mark.parametrize(
    "answer",
    [
        Answer("<html>Forbidden</html>", 403),
        Answer({"message": "Forbidden"}, 403),
        Answer({"error": "Forbidden", "status": 403, "path": "/proxy/check"}, 403),
        Answer({"error": {"code": 1010}}, 403),
        Answer({"error": "forbidden"}, 403),
        Answer(DENIAL, 403, {"X-MeshGuard-Decision": "allow"}),
    ],
    ids=lambda answer: str(answer.body),
)
def test_a_403_that_is_no_denial_is_an_error(
    gateway: Gateway, client: MeshGuardClient, answer: Answer
) -> None:
    gateway.answers(answer)
    with pytest.raises(MeshGuardError) as caught:
        client.check("read:contacts")
    assert type(caught.value) is MeshGuardError
    assert caught.value.status_code == 403


@pytest.mark.parametrize(
    "answer",
    [
        Answer(DENIAL, 403),
        Answer({"error": "forbidden", "message": "No."}, 403),
        Answer({"message": "No.", "policy": "p"}, 403),
        Answer("", 403, {"X-MeshGuard-Decision": "deny"}),
    ],
)
def test_a_403_with_a_denial_denies(gateway: Gateway, client: MeshGuardClient, answer: Answer) -> None:
    gateway.answers(answer)
    assert not client.check("read:contacts")


def test_enforce_raises_with_everything_known_about_the_denial(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    gateway.answers(Answer(DENIAL, 403))
    with pytest.raises(PolicyDeniedError) as caught:
        client.enforce("read:contacts", "/srv/.env")
    error = caught.value
    assert str(error) == (
        "Action 'read:contacts' denied by policy 'support-agents' (rule: no-secrets): "
        "Credential files are off limits"
    )
    assert (error.action, error.resource, error.trace_id) == ("read:contacts", "/srv/.env", "trace-1")
    assert error.decision is not None
    assert error.decision.audit_id == "aud_2"


def test_a_refused_token_is_no_denial(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"error": "unauthorized", "message": "Send a token.", "traceId": "t"}, 401))
    with pytest.raises(AuthenticationError, match="check MESHGUARD_AGENT_TOKEN") as caught:
        client.check("read:contacts")
    assert (caught.value.status_code, caught.value.code, caught.value.trace_id) == (401, "unauthorized", "t")


def test_check_many_keeps_the_order(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(
        {"decisions": [{"decision": "allow", "action": "read:a"}, {"decision": "deny", "action": "read:b"}]}
    )
    decisions = client.check_many(["read:a", {"action": "read:b", "resource": "é", "context": {"c": 1}}])
    assert [(item.action, item.resource, bool(item)) for item in decisions] == [
        ("read:a", None, True),
        ("read:b", "é", False),
    ]
    assert gateway.received[0].json == {
        "requests": [{"action": "read:a"}, {"action": "read:b", "resource": "é", "context": {"c": 1}}]
    }


def test_check_many_sends_at_most_a_thousand_at_a_time(gateway: Gateway, client: MeshGuardClient) -> None:
    sizes = (1000, 1000, 1)
    gateway.answers(*({"decisions": [{"decision": "allow"}] * size} for size in sizes))
    assert len(client.check_many(f"read:{number}" for number in range(2001))) == 2001
    assert [len(request.json["requests"]) for request in gateway.received] == list(sizes)


def test_check_many_of_nothing_asks_nothing(gateway: Gateway, client: MeshGuardClient) -> None:
    assert client.check_many([]) == []
    assert gateway.received == []


@pytest.mark.parametrize(
    "decisions",
    [
        [{"decision": "allow"}],
        [{"decision": "allow"}] * 3,
        [{"decision": "allow"}, "allow"],
        [{"decision": "allow", "action": "b"}, {"decision": "allow", "action": "a"}],
        None,
    ],
)
def test_a_batch_that_does_not_match_the_questions_is_no_answer(
    gateway: Gateway, client: MeshGuardClient, decisions: Any
) -> None:
    gateway.answers({"decisions": decisions})
    with pytest.raises(InvalidResponseError):
        client.check_many(["a", "b"])


@pytest.mark.parametrize(
    "requests", ["read:a", {"action": "read:a"}, [{}], [1], [{"action": "a", "contxt": {}}]]
)
def test_check_many_refuses_what_is_no_list_of_requests(
    gateway: Gateway, client: MeshGuardClient, requests: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.check_many(requests)
    assert gateway.received == []


@pytest.fixture(params=[502, 503, 504, "hang up", "no gateway"])
def unavailable(request: pytest.FixtureRequest, gateway: Gateway) -> Gateway:
    if request.param == "no gateway":
        gateway.close()
    else:
        gateway.answers(Answer(None) if request.param == "hang up" else Answer("<html>", request.param))
    return gateway


def test_an_unavailable_gateway_raises(unavailable: Gateway) -> None:
    with (
        MeshGuardClient(unavailable.url, "t", max_retries=0) as client,
        pytest.raises((GatewayUnavailableError, GatewayError)),
    ):
        client.check("read:a")


def test_an_unavailable_gateway_denies_when_asked_to(unavailable: Gateway) -> None:
    with MeshGuardClient(unavailable.url, "t", max_retries=0, on_unavailable="deny") as client:
        decision = client.check("read:a", "r")
        assert (decision.allowed, decision.decision, decision.degraded) == (False, "deny", True)
        assert (decision.action, decision.resource) == ("read:a", "r")
        assert "not available" in str(decision.reason)
        assert [bool(item) for item in client.check_many(["read:a", "read:b"])] == [False, False]
        with pytest.raises(PolicyDeniedError), client.govern("read:a"):
            pytest.fail("the block ran")


def test_an_unavailable_gateway_allows_when_asked_to_and_says_so(
    unavailable: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        MeshGuardClient(unavailable.url, "t", max_retries=0, on_unavailable="allow") as client,
        caplog.at_level(logging.WARNING, "meshguard"),
    ):
        decision = client.check("read:a")
    assert (decision.allowed, decision.decision, decision.degraded) == (True, "allow", True)
    assert [record.levelname for record in caplog.records if record.name == "meshguard"] == ["WARNING"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer("<html>"),
        Answer("", 400),
        Answer("", 401),
        Answer("", 403),
        Answer("", 429),
        Answer("", 500),
        Answer("", 302),
    ],
    ids=lambda answer: str(answer.status),
)
def test_on_unavailable_covers_no_answer_that_a_gateway_gave(gateway: Gateway, answer: Answer) -> None:
    gateway.answers(answer)
    with (
        MeshGuardClient(gateway.url, "t", max_retries=0, on_unavailable="allow") as client,
        pytest.raises(MeshGuardError),
    ):
        client.check("read:a")


def test_a_denial_is_not_turned_round_by_on_unavailable(gateway: Gateway) -> None:
    gateway.answers(Answer(DENIAL, 403))
    with MeshGuardClient(gateway.url, "t", max_retries=0, on_unavailable="allow") as client:
        assert not client.check("read:contacts")


def test_a_decision_cannot_be_changed_and_can_be_pickled_and_hashed() -> None:
    explained: Explanation = {"summary": "s", "policies": []}
    decision = PolicyDecision(True, "a", "allow", "p", "r", "why", "t", explanation=explained)
    with pytest.raises(AttributeError):
        decision.allowed = False  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert hash(decision) == hash(pickle.loads(pickle.dumps(decision)))


def test_one_client_serves_many_threads(gateway: Gateway, client: MeshGuardClient) -> None:
    started = threading.Barrier(8)

    def ask(number: int) -> bool:
        started.wait()
        decisions = [client.check(f"read:{number}") for _ in range(20)]
        return all(item.action == f"read:{number}" and item.allowed for item in decisions)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
    assert len(gateway.received) == 160


def test_a_deeply_nested_answer_is_an_error(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("[" * 100_000))
    with pytest.raises(InvalidResponseError):
        client.check("read:a")
    gateway.answers(Answer(json.dumps({"entries": []}) + "x"))
    with pytest.raises(InvalidResponseError):
        client.get_audit_log()
