"""What a caller finds when something goes wrong: the log, and what errors carry."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from meshguard import (
    AuthenticationError,
    GatewayError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
    PolicyDeniedError,
    UpstreamError,
)
from meshguard.client import Agent, Governed, GovernedContext, PolicyDecision
from tests.environments import clean_environ

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Answer, Gateway

DENIAL = {"error": "forbidden", "message": "No.", "action": "write:a", "policy": "p", "rule": "r"}


def test_each_attempt_is_logged_with_its_result_and_request_id(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "meshguard")
    gateway.answers(Answer({}, 503, {"Retry-After": "0"}), {"decision": "allow"})
    with MeshGuardClient(gateway.url, AGENT_TOKEN) as client:
        client.check("read:contacts", context={"secret": "hunter2"})
    first, retry, second = (record.getMessage() for record in caplog.records)
    ids = [request.headers["x-request-id"] for request in gateway.received]
    assert first.startswith("POST /api/v1/pdp/evaluate: 503 in ")
    assert first.endswith(f"(attempt 1, request {ids[0]})")
    assert retry == "POST /api/v1/pdp/evaluate: retry in 0.00 s after 503"
    assert second.endswith(f"(attempt 2, request {ids[1]})")
    for secret in (AGENT_TOKEN, "hunter2"):
        assert secret not in caplog.text


def test_the_path_of_a_proxied_request_is_not_logged(
    client: MeshGuardClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "meshguard")
    client.get("/customers/hunter2", "read:a", params={"key": "hunter2"})
    client.check("read:a")
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "GET /proxy/{path}",
        "GET /proxy/check",
    ]
    assert "hunter2" not in caplog.text


def test_a_failure_to_connect_is_logged_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "meshguard")
    with MeshGuardClient("http://127.0.0.1:9", AGENT_TOKEN, max_retries=0) as client:
        assert not client.is_healthy()
    assert ": ConnectError in " in caplog.messages[0]


@pytest.mark.parametrize(
    ("level", "shown"), [("debug", True), ("DEBUG", True), ("warning", False), ("", False)]
)
def test_an_environment_variable_shows_the_log(gateway: Gateway, level: str, shown: bool) -> None:
    program = "import sys, meshguard; meshguard.MeshGuardClient(sys.argv[1], 'agent').check('read:a')"
    environ = clean_environ(MESHGUARD_LOG=level, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, "-c", program, gateway.url], env=environ, capture_output=True, text=True, check=True
    )
    assert ("GET /proxy/check: 200" in done.stderr) == shown


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer({"error": "unauthorized", "message": "m"}, 401), AuthenticationError),
        (Answer({"error": "internal_error", "message": "m"}, 500), GatewayError),
        (Answer("<html>"), InvalidResponseError),
    ],
)
def test_an_error_carries_its_response(
    gateway: Gateway, client: MeshGuardClient, answer: Answer, expected: type[MeshGuardError]
) -> None:
    gateway.answers(answer)
    with pytest.raises(expected) as caught:
        client.list_policies()
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.response.status_code == answer.status
    assert error.response.content == answer.content
    assert error.request_id == gateway.received[0].headers["x-request-id"]
    assert ADMIN_TOKEN not in repr(vars(error)) + repr(error.response.request.headers)


def test_a_denial_keeps_what_the_gateway_said(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer(DENIAL, 403))
    for call in (lambda: client.enforce("write:a", "b"), lambda: client.post("/x", "write:a", resource="b")):
        with pytest.raises(PolicyDeniedError) as caught:
            call()
        error = caught.value
        assert (error.status_code, error.code, error.policy, error.rule) == (403, "forbidden", "p", "r")
    assert caught.value.response is not None


def test_an_explanation_reaches_the_error(gateway: Gateway, client: MeshGuardClient) -> None:
    explanation: Any = {"summary": "s", "policies": []}
    gateway.answers({"decision": "deny", "action": "write:a", "explanation": explanation})
    with pytest.raises(PolicyDeniedError) as caught:
        client.enforce("write:a", context={"b": 1})
    assert caught.value.explanation == explanation
    assert caught.value.status_code == 200


def test_an_upstream_error_has_a_request_id(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer("x", 500, {"X-MeshGuard-Decision": "allow"}))
    with pytest.raises(UpstreamError) as caught:
        client.get("/a", "read:a")
    assert caught.value.request_id == gateway.received[0].headers["x-request-id"]


@pytest.mark.parametrize("number", [1, 5, 7])
def test_an_invalid_request_names_its_errors(gateway: Gateway, client: MeshGuardClient, number: int) -> None:
    details = [{"path": f"/{index}", "message": "is wrong"} for index in range(number)]
    body = {"error": "invalid_request", "message": "Correct the fields named in details.", "details": details}
    gateway.answers(Answer(body, 400))
    with pytest.raises(InvalidRequestError) as caught:
        client.get_agent("a")
    shown = "; ".join(f"/{index}: is wrong" for index in range(min(number, 5)))
    more = "; and 2 more" if number > 5 else ""
    assert str(caught.value) == f"The gateway rejected the request: {shown}{more}."
    assert caught.value.details == details


def test_options_can_be_changed_for_a_copy_and_read(gateway: Gateway) -> None:
    with MeshGuardClient(gateway.url, AGENT_TOKEN) as client:
        copy = client.with_options(
            timeout=0.5, max_retries=0, on_unavailable="deny", agent_token="other", trace_id="t-2"
        )
        assert (copy.timeout, copy.max_retries, copy.on_unavailable) == (0.5, 0, "deny")
        assert (copy.agent_token, copy.trace_id) == ("other", "t-2")
        assert (client.timeout, client.max_retries, client.on_unavailable) == (30.0, 2, "raise")
        copy.check("read:a")
        gateway.answers(Answer({}, 503))
        assert copy.check("read:a").degraded
    assert [request.headers["authorization"] for request in gateway.received] == ["Bearer other"] * 2


@pytest.mark.parametrize("change", [{"timeout": 0}, {"max_retries": -1}, {"on_unavailable": "maybe"}])
def test_a_copys_options_are_checked(client: MeshGuardClient, change: Any) -> None:
    with pytest.raises(MeshGuardError):
        client.with_options(**change)


def test_what_the_published_module_exports_can_be_imported(client: MeshGuardClient) -> None:
    governed = client.govern("read:a", "b")
    assert isinstance(governed, GovernedContext)
    assert GovernedContext is Governed
    assert (governed.client, governed.action, governed.resource) == (client, "read:a", "b")
    assert (Agent.__name__, PolicyDecision.__name__) == ("Agent", "PolicyDecision")


def test_the_user_agent_names_the_sdk_python_and_the_platform(
    gateway: Gateway, client: MeshGuardClient
) -> None:
    client.check("read:a")
    version = ".".join(map(str, sys.version_info[:3]))
    agent = gateway.received[0].headers["user-agent"]
    assert agent.startswith("meshguard-python/")
    assert agent.endswith(f" python/{version} ({sys.platform})")
