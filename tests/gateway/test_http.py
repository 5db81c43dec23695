from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from meshguard.gateway.app import HANDLERS
from meshguard.gateway.contract import load_contract
from meshguard.gateway.http import Head
from meshguard.gateway.problems import Problem
from tests.gateway.conftest import Lab, check

ROOT = Path(__file__).parents[2]


def test_every_operation_of_the_contract_has_a_handler() -> None:
    assert HANDLERS.keys() == {operation.id for operation in load_contract().operations}


def test_the_contract_is_served_byte_for_byte(lab: Lab) -> None:
    response = httpx.get(f"{lab.url}/openapi.yaml")
    assert response.content == (ROOT / "openapi.yaml").read_bytes()
    assert response.headers["Content-Type"] == "application/openapi+yaml"


@pytest.mark.parametrize("path", ["/", "/health", "/openapi.yaml", "/admin/agents", "/admin/audit/stats"])
def test_paths_answer_below_api_v1_too(lab: Lab, path: str) -> None:
    assert lab.admin.get(f"/api/v1{path}").status_code == 200


def test_the_gateway_says_what_it_is(lab: Lab) -> None:
    body = httpx.get(lab.url).json()
    assert (body["name"], body["mode"], body["docs"]) == ("meshguard", "enforce", "/openapi.yaml")


_CHECKS = ("database", "policies", "audit", "snapshot", "rateLimit", "background")


def test_health_says_that_all_is_well(lab: Lab) -> None:
    body = lab.admin.get("/health").json()
    assert body["status"] == "healthy"
    assert body["checks"] == dict.fromkeys(_CHECKS, "ok")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])


@pytest.mark.parametrize("path", ["/nope", "/admin", "/api/v1", "/api/v1/api/v1/", "/admin/agents/", "/%2e"])
def test_unknown_paths_are_answered_404_in_the_one_shape(lab: Lab, path: str) -> None:
    response = lab.admin.get(path)
    assert response.status_code == 404
    assert response.json().keys() == {"error", "message", "traceId"}
    assert response.headers["X-MeshGuard-Trace-ID"] == response.json()["traceId"]


@pytest.mark.parametrize("path", ["/admin/agents/x/y", "/admin/policies/x/y", "/admin/agents/x/token/y"])
def test_a_path_parameter_is_one_segment(lab: Lab, path: str) -> None:
    assert lab.admin.request("PURGE", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/health", "GET"),
        ("HEAD", "/health", "GET"),
        ("DELETE", "/admin/agents", "GET, POST"),
        ("POST", "/proxy/check", "GET"),
        ("GET", "/admin/policies/validate", "POST"),
        ("TRACE", "/proxy/x", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("PURGE", "/admin/agents/x", "DELETE, GET, PATCH, PUT"),
    ],
)
def test_undeclared_methods_are_answered_405_with_allow(lab: Lab, method: str, path: str, allow: str) -> None:
    response = lab.admin.request(method, path)
    assert response.status_code == 405
    assert response.headers["Allow"] == allow
    if method != "HEAD":
        assert response.json()["error"] == "method_not_allowed"


@pytest.mark.parametrize("name", ["X-MeshGuard-Trace-ID", "X-Trace-ID"])
def test_a_trace_id_is_echoed_in_header_and_body(lab: Lab, name: str) -> None:
    response = httpx.get(f"{lab.url}/nope", headers={name: "my-trace"})
    assert response.headers["X-MeshGuard-Trace-ID"] == response.json()["traceId"] == "my-trace"


def test_the_published_trace_header_beats_its_alias(lab: Lab) -> None:
    headers = {"X-MeshGuard-Trace-ID": "one", "X-Trace-ID": "two"}
    assert httpx.get(lab.url, headers=headers).headers["X-MeshGuard-Trace-ID"] == "one"


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "é"])
def test_a_trace_id_that_is_none_is_refused_and_one_made_up(lab: Lab, value: str) -> None:
    response = httpx.get(lab.url, headers={b"X-MeshGuard-Trace-ID": value.encode()})
    assert response.status_code == 400
    assert response.headers["X-MeshGuard-Trace-ID"] == response.json()["traceId"] != value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "a body is needed"),
        (b"{", "no JSON at line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"name": "a", "name": "b"}', 'the key "name" is given twice'),
        (b'{"name": NaN}', "NaN is not a JSON number"),
        (b'{"name": 1e1001}', "too large"),
        (b'{"name": -Infinity}', "-Infinity is not"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b"[" * 65 + b"]" * 65, "more than 64 levels"),
        (b"[" * 40_000, "more than 64 levels"),
        (b'{"name": ' + b"9" * 5000 + b"}", "too many digits"),
    ],
)
def test_json_of_more_than_one_meaning_is_refused(lab: Lab, body: bytes, said: str) -> None:
    response = lab.admin.post("/admin/agents", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert said in response.json()["details"][0]["message"]


def test_json_of_64_levels_is_taken(lab: Lab) -> None:
    value = json.loads("[" * 62 + "]" * 62)
    assert lab.admin.post("/admin/agents", json={"name": "a", "metadata": {"deep": value}}).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_a_body_of_another_type_is_refused(lab: Lab, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = lab.admin.post("/admin/agents", content=b'{"name": "a"}', headers=headers)
    assert response.status_code == 400
    assert response.json()["details"][0]["path"] == "/header/Content-Type"


def test_a_charset_of_utf8_is_fine(lab: Lab) -> None:
    headers = {"Content-Type": 'Application/JSON; charset="UTF-8"'}
    assert lab.admin.post("/admin/agents", content=b'{"name": "a"}', headers=headers).status_code == 201


def test_a_body_of_more_than_1_mib_is_refused_declared_or_not(lab: Lab) -> None:
    headers = {"Content-Type": "application/json"}
    big = b'{"name": "' + b"a" * 1_048_576 + b'"}'
    assert lab.admin.post("/admin/agents", content=big, headers=headers).status_code == 413
    chunked = lab.admin.post("/admin/agents", content=iter([big[:600_000], big[600_000:]]), headers=headers)
    assert chunked.status_code == 413
    assert chunked.json()["error"] == "payload_too_large"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limti=3", "/query/limti"),
        ("limit=3&limit=4", "/query/limit"),
        ("limit=0", "/query/limit"),
        ("limit=1001", "/query/limit"),
        ("limit=1.0", "/query/limit"),
        ("limit=" + "9" * 30, "/query/limit"),
        ("decision=maybe", "/query/decision"),
        ("cursor=abc", "/query/cursor"),
        ("from=yesterday", "/query/from"),
        ("from=2026-02-30T00:00:00Z", "/query/from"),
        ("to=0001-01-01T00:00:00%2B23:00", "/query/to"),
        ("agent=%ff", "/query"),
        ("agent=", "/query/agent"),
    ],
)
def test_query_parameters_are_held_against_the_contract(lab: Lab, query: str, path: str) -> None:
    response = lab.admin.get(f"/admin/audit?{query}")
    assert response.status_code == 400
    assert [fault["path"] for fault in response.json()["details"]] == [path]


def test_every_fault_of_a_body_is_named(lab: Lab) -> None:
    body = {"nme": "a", "trustTier": "vip", "tags": ["", 1], "metadata": []}
    details = lab.admin.post("/admin/agents", json=body).json()["details"]
    paths = {fault["path"] for fault in details}
    assert paths == {"/name", "/nme", "/trustTier", "/tags/0", "/tags/1", "/metadata"}


def test_metrics_are_off_unless_switched_on(lab: Lab, open_lab: Callable[..., Lab]) -> None:
    assert httpx.get(f"{lab.url}/metrics").status_code == 404
    counted = open_lab(metrics_enabled=True)
    check(counted.agent(), "read:x")
    text = httpx.get(f"{counted.url}/metrics").text
    assert 'meshguard_policy_checks_total{decision="allow"} 1.0' in text
    assert "meshguard_active_agents 1.0" in text
    assert "meshguard_audit_entries_total 1.0" in text
    assert "meshguard_condition_errors_total 0.0" in text
    assert "meshguard_request_duration_seconds_count" in text


def test_cors_is_off_unless_an_origin_is_set(lab: Lab, open_lab: Callable[..., Lab]) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    assert "Access-Control-Allow-Origin" not in httpx.options(f"{lab.url}/health", headers=headers).headers
    shared = open_lab(cors_origin="https://app.example")
    allowed = httpx.options(f"{shared.url}/health", headers=headers)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    other = httpx.get(f"{shared.url}/health", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_a_websocket_is_refused(lab: Lab) -> None:
    host, port = lab.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"GET /proxy/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in connection.recv(100)


def test_two_gateways_live_in_one_process(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = open_lab(), open_lab(tmp_path / "other")
    agent = one.create()
    assert check(one.client(agent["token"]), "read:x").status_code == 200
    assert check(other.client(agent["token"]), "read:x").status_code == 401
    assert other.admin.get("/admin/agents").json()["agents"] == []


def test_both_framings_in_one_request_are_rejected() -> None:
    both = [(b"host", b"a"), (b"content-length", b"1"), (b"transfer-encoding", b"chunked")]
    for headers in (both, both[::-1]):
        with pytest.raises(Problem, match="Correct") as rejection:
            Head({"type": "http", "headers": headers, "http_version": "1.1"}).check()
        assert rejection.value.details[0].path == "/header/Content-Length"
    for one in (both[:2], [both[0], both[2]]):
        Head({"type": "http", "headers": one, "http_version": "1.1"}).check()
