"""What the contract tests show of an exchange, and what they say is wrong with one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meshguard.contract.document import load_document
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.report import Finding, Report, Verdict
from meshguard.contract.subject import (
    expect,
    expect_allowed,
    expect_denied,
    expect_fields,
    expect_header,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
OPAQUE = "opaque-credential-of-another-gateway"
ADMIN = "adm-of-the-contract-tests"
DECISION = {
    "decision": "allow",
    "allowed": True,
    "action": "read:x",
    "reason": "r",
    "agentId": "a",
    "auditId": "aud_1",
    "traceId": "t",
    "mode": "enforce",
}
HEADERS = {
    "content-type": "application/json",
    "x-meshguard-decision": "allow",
    "x-meshguard-agent-id": "a",
    "x-meshguard-trace-id": "t",
    "cache-control": "no-store",
}


def exchange(body: Any = None, status: int = 200, **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "method": "GET",
        "url": "/proxy/check",
        "request_headers": (("authorization", f"Bearer {JWT}"), ("x-meshguard-action", "read:x")),
        "request_body": b"",
        "headers": tuple(HEADERS.items()),
        **changes,
    }
    return Exchange(status=status, body=json.dumps(DECISION if body is None else body).encode(), **values)


@pytest.mark.parametrize("secret", [JWT, OPAQUE, ADMIN])
def test_no_credential_is_shown(secret: str) -> None:
    headers = (("authorization", f"Bearer {OPAQUE}"), ("x-admin-token", ADMIN))
    shown = exchange(
        {"token": JWT}, request_headers=headers, request_body=json.dumps({"token": JWT}).encode()
    )
    assert secret not in shown.sent + shown.came
    finding = Finding("name", Verdict.BROKEN, "rule", "reference", f"it has {JWT}", shown.sent, shown.came)
    assert secret not in Report("http://gateway", "enforce", "1", [finding]).to_text()


def test_what_a_gateway_sent_does_not_steer_the_terminal() -> None:
    finding = Finding("name", Verdict.BROKEN, "rule", "reference", "wrong", "sent", "came \x1b[31m\x07")
    assert not {"\x1b", "\x07"} & {*Report("http://gateway", "enforce", "1", [finding]).to_text()}


def operation_of(exchange: Exchange) -> Any:
    operation = load_document().find(exchange.method, exchange.url.partition("?")[0])
    assert operation
    return operation


def without(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in HEADERS.items() if pair[0] != name)


RESPONSES = {
    "the header X-MeshGuard-Decision is missing": exchange(headers=without("x-meshguard-decision")),
    "header X-MeshGuard-Trace-ID: ": exchange(
        headers=(*without("x-meshguard-trace-id"), ("x-meshguard-trace-id", "a b"))
    ),
    "status 418 is not declared": exchange(status=418),
    "content type text/html is not declared": exchange(
        headers=(*HEADERS.items(), ("content-type", "text/html"))
    ),
    '"decision" is a required property': exchange({"allowed": True}),
    "it is no application/json": replace(exchange(), body=b"{"),
}


@pytest.mark.parametrize("fault", RESPONSES)
def test_a_response_that_does_not_fit_is_found(fault: str) -> None:
    wrong = RESPONSES[fault]
    assert fault in "\n".join(operation_of(wrong).response_faults(wrong))


REQUESTS = {
    "the credential agentToken is missing": exchange(request_headers=(("x-meshguard-action", "read:x"),)),
    "header parameter X-MeshGuard-Action is missing": exchange(
        request_headers=(("authorization", "Bearer a"),)
    ),
    "query parameter agent is not declared": exchange(url="/proxy/check?agent=root"),
    "a body where none is declared": exchange(request_body=b"{}"),
    "the body is missing": exchange(method="POST", url="/api/v1/pdp/evaluate"),
    "content type none is not declared": exchange(
        method="POST", url="/api/v1/pdp/evaluate", request_body=b'{"action":"read:x"}'
    ),
    "query parameter limit: ": exchange(url="/admin/audit?limit=0"),
}


@pytest.mark.parametrize("fault", REQUESTS)
def test_a_request_that_does_not_fit_is_found(fault: str) -> None:
    wrong = REQUESTS[fault]
    assert fault in "\n".join(operation_of(wrong).request_faults(wrong))


def test_an_exchange_that_fits_has_no_fault() -> None:
    right = exchange()
    assert operation_of(right).response_faults(right) == []
    assert operation_of(right).request_faults(right) == []


def test_only_positive_evidence_is_an_allowance() -> None:
    expect_allowed(exchange())
    bodies: list[Any] = [
        {**DECISION, "decision": "deny"},
        {**DECISION, "allowed": False},
        {**DECISION, "allowed": 1.5},
    ]
    bodies += [{**DECISION, "wouldDeny": True}, {}, [], "allow"]
    for wrong in [*map(exchange, bodies), exchange(status=403), exchange(status=500), exchange(status=201)]:
        with pytest.raises(Violation):
            expect_allowed(wrong)


def test_only_positive_evidence_is_a_denial() -> None:
    expect_denied(exchange({"error": "x"}, 403))
    expect_denied(exchange({**DECISION, "wouldDeny": True}))
    for wrong in (
        exchange(),
        exchange({}, 500),
        exchange({}, 401),
        exchange({**DECISION, "wouldDeny": "yes"}),
    ):
        with pytest.raises(Violation):
            expect_denied(wrong)


def test_expectations_are_exact() -> None:
    expect_fields(exchange(), decision="allow", policy=None)
    expect_header(exchange(), "X-MeshGuard-Policy", None)
    with pytest.raises(Violation, match="decision is 'allow', not 'deny'"):
        expect_fields(exchange(), decision="deny")
    with pytest.raises(Violation, match="not None"):
        expect_fields(exchange(), decision=None)
    with pytest.raises(Violation, match="is missing"):
        expect_header(exchange(), "X-MeshGuard-Policy", "p")
    with pytest.raises(Violation, match="is 'allow', not None"):
        expect_header(exchange(), "X-MeshGuard-Decision", None)
    with pytest.raises(Violation, match="status 200, not 201"):
        expect(exchange(), 201)
