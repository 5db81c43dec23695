"""Cases on what holds for every request."""

from __future__ import annotations

import re

from meshguard.contract.cases.case import case
from meshguard.contract.document import location
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.subject import (
    BAD_REQUEST,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    TOO_LARGE,
    UNAUTHORIZED,
    Subject,
    expect,
    expect_fields,
    expect_header,
    expect_that,
)

_ERRORS = 'description, section "Errors"'
_CONVENTIONS = 'description, section "Conventions"'
_CREDENTIALS = 'description, section "Credentials"'
_EVALUATE = "/api/v1/pdp/evaluate"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _expect_error(exchange: Exchange, status: int, code: str) -> None:
    body = expect_fields(expect(exchange, status), error=code)
    for name in ("message", "traceId"):
        text = body.get(name)
        expect_that(isinstance(text, str) and bool(text), f"the error has no {name}", exchange)
    expect_header(exchange, "X-MeshGuard-Trace-ID", body["traceId"])


@case(_ERRORS)
def an_unknown_path_is_answered_with_404_in_the_error_shape(gateway: Subject) -> None:
    """Every error, also for an unknown path, is {error: not_found, message, traceId} as JSON."""
    _expect_error(gateway.send("GET", f"/{gateway.prefix}"), NOT_FOUND, "not_found")


@case(_ERRORS)
def an_unknown_id_is_answered_with_404_in_the_error_shape(gateway: Subject) -> None:
    """What is not there is answered with 404 {error: not_found, message, traceId}."""
    _expect_error(gateway.admin("GET", f"/admin/agents/{gateway.prefix}"), NOT_FOUND, "not_found")
    _expect_error(gateway.admin("GET", f"/admin/policies/{gateway.prefix}-none"), NOT_FOUND, "not_found")


@case(_ERRORS)
def a_method_that_the_path_has_not_is_answered_with_405(gateway: Subject) -> None:
    """Every error, also for an unknown method, is {error: method_not_allowed, message, traceId}."""
    _expect_error(gateway.send("DELETE", "/health"), NOT_ALLOWED, "method_not_allowed")


@case(_ERRORS)
def a_missing_or_wrong_agent_token_is_answered_with_401(gateway: Subject) -> None:
    """No agent operation answers without a valid token: 401 {error: unauthorized, message, traceId}."""
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
        sent = {"X-MeshGuard-Action": gateway.read("x"), **headers}
        _expect_error(gateway.send("GET", "/proxy/check", headers=sent), UNAUTHORIZED, "unauthorized")


@case(_ERRORS)
def a_missing_or_wrong_admin_token_is_answered_with_401(gateway: Subject) -> None:
    """No admin operation answers without the admin token: 401 {error: unauthorized, message, traceId}."""
    for path in ("/admin/agents", "/admin/policies", "/admin/audit", "/admin/audit/export"):
        for headers in ({}, {"X-Admin-Token": "nonsense"}):
            _expect_error(gateway.send("GET", path, headers=headers), UNAUTHORIZED, "unauthorized")


@case("response headers of AgentUnauthorized and AdminUnauthorized")
def a_401_names_the_scheme_in_www_authenticate(gateway: Subject) -> None:
    """Every 401 carries WWW-Authenticate: the credential that the operation wants."""
    for path in ("/proxy/check", "/proxy/anything", "/admin/agents"):
        answer = expect(gateway.send("GET", path, headers={"X-MeshGuard-Action": "x"}), UNAUTHORIZED)
        expect_that(bool(answer.header("www-authenticate")), "the header WWW-Authenticate is missing", answer)


@case(_ERRORS)
def a_401_does_not_say_which_part_of_a_credential_was_wrong(gateway: Subject) -> None:
    """A 401 never says which part of a credential was wrong."""
    head, _, rest = gateway.reader.token.partition(".")
    tokens = ["nonsense", f"{head}.{rest[::-1]}", f"{gateway.reader.token[:-8]}AAAAAAAA"]
    answers = [expect(gateway.check(token, gateway.read("x")), UNAUTHORIZED) for token in tokens]
    messages = {str(answer.object().get("message")) for answer in answers}
    expect_that(len(messages) == 1, f"the messages differ: {sorted(messages)}", answers[-1])


@case(_CREDENTIALS)
def neither_credential_opens_the_other_side(gateway: Subject) -> None:
    """An agent token is no admin token, and the admin token is no agent token."""
    token = gateway.reader.token
    expect(gateway.as_agent(token, "GET", "/admin/agents"), UNAUTHORIZED)
    expect(gateway.send("GET", "/admin/agents", headers={"X-Admin-Token": token}), UNAUTHORIZED)
    expect(gateway.check(gateway.admin_token, gateway.read("x")), UNAUTHORIZED)
    headers = {"X-Admin-Token": gateway.admin_token, "X-MeshGuard-Action": gateway.read("x")}
    expect(gateway.send("GET", "/proxy/check", headers=headers), UNAUTHORIZED)


@case(_ERRORS)
def an_invalid_body_is_answered_with_400_and_where_it_is_wrong(gateway: Subject) -> None:
    """An invalid request adds `details`, one item for each fault with its JSON pointer."""
    answer = gateway.admin("POST", "/admin/agents", json={"name": gateway.prefix, "trustTier": "godlike"})
    _refuse_agent(gateway, answer)
    _expect_error(answer, BAD_REQUEST, "invalid_request")
    details = answer.object().get("details")
    paths = [detail.get("path") for detail in details] if isinstance(details, list) else []
    expect_that("/trustTier" in paths, "no detail has the path /trustTier", answer)


@case(_CONVENTIONS)
def unknown_body_fields_are_refused(gateway: Subject) -> None:
    """Unknown fields in a request body are refused rather than ignored."""
    answer = gateway.admin("POST", "/admin/agents", json={"name": gateway.prefix, "trustTeir": "trusted"})
    _refuse_agent(gateway, answer)
    _expect_error(answer, BAD_REQUEST, "invalid_request")
    asked = gateway.evaluate(gateway.reader.token, gateway.read("x"), ressource="/etc/passwd")
    _expect_error(asked, BAD_REQUEST, "invalid_request")


@case(_CONVENTIONS)
def unknown_query_parameters_are_refused(gateway: Subject) -> None:
    """Query parameters that an operation does not declare are refused rather than ignored."""
    for path in ("/admin/audit?decison=deny", "/admin/agents?tier=trusted"):
        _expect_error(gateway.admin("GET", path), BAD_REQUEST, "invalid_request")


@case(_CONVENTIONS)
def a_body_that_is_no_sound_json_is_refused(gateway: Subject) -> None:
    """A JSON body is at most 64 levels deep, holds no duplicate key and no number that is not finite."""
    token = gateway.reader.token
    action = gateway.read("x")
    duplicate = f'{{"action": "{action}", "action": "{action}"}}'
    endless = f'{{"action": "{action}", "context": {{"n": NaN}}}}'
    deep = f'{{"action": "{action}", "context": {{"n": {"[" * 80}{"]" * 80}}}}}'
    for body in ("{", "[]", duplicate, endless, deep):
        answer = gateway.as_agent(
            token, "POST", _EVALUATE, content=body.encode(), headers={"Content-Type": "application/json"}
        )
        _expect_error(answer, BAD_REQUEST, "invalid_request")


@case(f"{_CONVENTIONS}; response PayloadTooLarge")
def a_body_over_1_mib_is_answered_with_413(gateway: Subject) -> None:
    """A JSON body is at most 1 MiB; a larger one is answered with 413 {error: payload_too_large}."""
    answer = gateway.evaluate(gateway.reader.token, gateway.read("x"), context={"text": "x" * 1_048_576})
    _expect_error(answer, TOO_LARGE, "payload_too_large")


@case(_CONVENTIONS)
def every_path_also_answers_below_api_v1(gateway: Subject) -> None:
    """Every path that does not start with /api/v1 also answers below /api/v1."""
    for path in ("/", "/openapi.yaml"):
        expect(gateway.send("GET", f"/api/v1{path}"), OK)
    health = gateway.send("GET", "/api/v1/health")
    expect_that(
        "status" in health.object(), "it tells no health", health
    )  # which may change from call to call
    expect(gateway.admin("GET", "/api/v1/admin/agents?limit=1"), OK)
    headers = {"X-MeshGuard-Action": gateway.read("x")}
    expect(gateway.as_agent(gateway.reader.token, "GET", "/api/v1/proxy/check", headers=headers), OK)
    expect(gateway.send("GET", "/api/v1/admin/agents"), UNAUTHORIZED)


@case("get_openapi")
def the_contract_is_served_byte_for_byte(gateway: Subject) -> None:
    """GET /openapi.yaml answers this document, byte for byte."""
    answer = expect(gateway.send("GET", "/openapi.yaml"), OK)
    expect_that(
        answer.body == location().read_bytes(), "it is not the contract that these tests hold", answer
    )


@case("get_gateway_info, get_health")
def the_gateway_says_its_mode(gateway: Subject) -> None:
    """GET / and GET /health tell the same mode, `enforce` or `audit`."""
    info = expect(gateway.send("GET", "/"), OK)
    health = gateway.send("GET", "/health")
    expect_fields(info, mode=health.object().get("mode"))
    expect_that(gateway.mode in {"enforce", "audit"}, f"the mode is {gateway.mode!r}", health)


@case("header CacheControl")
def decisions_and_secrets_are_not_to_be_cached(gateway: Subject) -> None:
    """Cache-Control is no-store on every decision, denial and token, and on what administrators see."""
    agent = gateway.new_agent()
    token = agent.token
    answers = [
        gateway.check(gateway.reader.token, gateway.read("x")),
        gateway.check(gateway.reader.token, gateway.read("secret")),
        gateway.evaluate(token, gateway.read("x")),
        gateway.admin("POST", f"/admin/agents/{agent.id}/token"),
        gateway.admin("GET", f"/admin/agents/{agent.id}"),
        gateway.admin("GET", "/admin/audit?limit=1"),
    ]
    for answer in answers:
        directives = (answer.header("cache-control") or "").lower()
        expect_that("no-store" in directives, "the header Cache-Control is not no-store", answer)


def _refuse_agent(gateway: Subject, answer: Exchange) -> None:
    """Remember an agent that should not have been made."""
    if answer.status < BAD_REQUEST:
        try:
            gateway.remember_agent(str(answer.object().get("id")))
        except Violation:
            return


@case("schema Timestamp")
def times_have_one_format(gateway: Subject) -> None:
    """A time is RFC 3339 in UTC with three decimals and Z, as in 2026-11-22T09:30:00.000Z."""
    agent = gateway.new_agent()
    gateway.check(agent.token, gateway.read("x"))
    created = gateway.admin("GET", f"/admin/agents/{agent.id}")
    health = gateway.admin("GET", "/health")
    issued = gateway.admin("POST", f"/admin/agents/{agent.id}/token")
    entries = gateway.admin("GET", f"/admin/audit?limit=1&agent={agent.id}")
    times = [
        (created, expect_fields(expect(created, OK))["createdAt"]),
        (created, expect_fields(created)["updatedAt"]),
        (health, expect_fields(health)["timestamp"]),
        (issued, expect_fields(expect(issued, OK))["expiresAt"]),
        (entries, expect_fields(expect(entries, OK))["entries"][0]["timestamp"]),
    ]
    for exchange, time in times:
        expect_that(bool(_TIME.fullmatch(str(time))), f"{time} is not in this format", exchange)
