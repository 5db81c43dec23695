"""Attacks on the gateway that an HTTP library can send, and what it keeps to itself."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

import meshguard.gateway
from meshguard.gateway import app
from meshguard.gateway.app import HANDLERS
from meshguard.gateway.auth import AdminToken
from meshguard.gateway.guesses import MAX_ADDRESSES
from meshguard.gateway.logs import JsonFormatter
from meshguard.gateway.problems import Problem
from tests.gateway.conftest import Lab, check
from tests.support import ADMIN_TOKEN, SECRET, Clock, gateway_settings, lifespan, until

WRONG = [f"wrong-admin-token-{number}" for number in range(10)]


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: Any, claims: dict[str, Any], secret: str = SECRET) -> str:
    """Sign any header and claims with HMAC-SHA256, whatever the header says."""
    message = f"{segment(header)}.{segment(claims)}"
    digest = hmac.digest(secret.encode(), message.encode(), hashlib.sha256)
    return f"{message}.{segment(digest)}"


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def status_with(lab: Lab, token: str) -> int:
    return check(lab.client(token), "read:x").status_code


def test_the_forgers_own_tokens_would_pass_if_they_were_no_forgeries(lab: Lab) -> None:
    claims = claims_of(lab.create()["token"])
    assert status_with(lab, forged({"alg": "HS256", "typ": "JWT"}, claims)) == 200
    assert status_with(lab, forged({"alg": "HS256"}, claims)) == 200


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": ""},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": "hs256"},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "ES256"},
        {"alg": "EdDSA"},
        {"typ": "JWT"},
        {},
        [],
        "HS256",
        {"alg": "HS256", "kid": "../../../../dev/null"},
        {"alg": "HS256", "kid": "' UNION SELECT '"},
        {"alg": "HS256", "kid": 7},
        {"alg": "HS256", "jku": "http://127.0.0.1:1/keys"},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": segment(b"k" * 32)}},
        {"alg": "HS256", "x5u": "http://127.0.0.1:1/"},
        {"alg": "HS256", "x5c": ["MIIB"]},
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "enc": "A256GCM", "zip": "DEF"},
    ],
)
def test_a_token_whose_header_plays_tricks_is_refused_though_it_is_signed(lab: Lab, header: Any) -> None:
    claims = claims_of(lab.create()["token"])
    assert status_with(lab, forged(header, claims)) == 401


@pytest.mark.parametrize("secret", ["", " ", "k" * 32, "null", "public"])
def test_a_token_signed_with_a_guessed_key_is_refused(lab: Lab, secret: str) -> None:
    claims = claims_of(lab.create()["token"])
    assert status_with(lab, forged({"alg": "HS256"}, claims, secret)) == 401


@pytest.mark.parametrize("end", ["", "A", "=", "==", "."])
def test_a_token_without_its_whole_signature_is_refused(lab: Lab, end: str) -> None:
    token = lab.create()["token"]
    assert status_with(lab, token.rpartition(".")[0] + "." + end) == 401
    assert status_with(lab, token + (end or ".A")) == 401


@pytest.mark.parametrize(
    "change",
    [
        {"iat": 9_999_999_999},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iat": float("nan")},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": -1},
        {"exp": None},
        {"jti": ""},
        {"jti": None},
        {"jti": ["a"]},
        {"sub": ""},
        {"sub": None},
        {"sub": {"$ne": ""}},
        {"iss": ["meshguard"]},
        {"iss": "MeshGuard"},
    ],
)
def test_a_signed_token_with_an_odd_claim_is_refused(lab: Lab, change: dict[str, Any]) -> None:
    claims = claims_of(lab.create()["token"]) | change
    assert status_with(lab, forged({"alg": "HS256"}, claims)) == 401


@pytest.mark.parametrize("name", ["sub", "name", "tier", "tags", "iat", "exp", "iss", "jti"])
def test_a_signed_token_that_lacks_a_claim_is_refused(lab: Lab, name: str) -> None:
    claims = claims_of(lab.create()["token"])
    del claims[name]
    assert status_with(lab, forged({"alg": "HS256"}, claims)) == 401


def test_the_id_of_an_ended_token_or_of_another_agents_opens_nothing(lab: Lab) -> None:
    agent, other = lab.create(), lab.create(name="other")
    lab.admin.post(f"/admin/agents/{agent['id']}/token")
    claims = claims_of(agent["token"])
    for jti in (claims["jti"], claims_of(other["token"])["jti"]):
        assert status_with(lab, forged({"alg": "HS256"}, claims | {"jti": jti})) == 401


@pytest.mark.parametrize("filler", ["a", "a.", ".", "[" * 3])
def test_a_huge_token_is_refused(lab: Lab, filler: str) -> None:
    assert status_with(lab, filler * (20_000 // len(filler))) == 401
    assert status_with(lab, forged({"alg": "HS256"}, {"deep": "x" * 20_000})) == 401


def test_a_deeply_nested_token_is_refused(lab: Lab) -> None:
    nested = segment(b"[" * 9_000)
    assert status_with(lab, f"{segment({'alg': 'HS256'})}.{nested}.x") == 401
    assert status_with(lab, f"{nested}.e30.x") == 401


def test_guesses_of_the_admin_token_are_slowed_down(open_lab: Callable[..., Lab]) -> None:
    moment = Clock()
    lab = open_lab(monotonic=moment)
    with httpx.Client(base_url=lab.url, trust_env=False) as client:

        def attempt(token: str) -> httpx.Response:
            return client.get("/admin/agents", headers={"X-Admin-Token": token})

        assert [attempt(token).status_code for token in WRONG] == [401] * 10
        refused = attempt(ADMIN_TOKEN)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
        assert (refused.json()["error"], refused.json()["retryAfter"]) == ("rate_limited", 60)
        moment.seconds += 59
        assert attempt("another").headers["Retry-After"] == "1"
        moment.seconds += 1
        assert attempt(ADMIN_TOKEN).status_code == 200
        assert attempt("another").status_code == 401


def test_an_agents_requests_go_on_while_its_address_may_not_guess(lab: Lab) -> None:
    agent = lab.agent()
    for token in WRONG:
        httpx.get(f"{lab.url}/admin/agents", headers={"X-Admin-Token": token})
    assert lab.admin.get("/admin/agents").status_code == 429
    assert check(agent, "read:x").status_code == 200


@pytest.fixture
def moment() -> Clock:
    return Clock()


@pytest.fixture
def admin_token(tmp_path: Path, moment: Clock) -> AdminToken:
    return AdminToken(gateway_settings(tmp_path), moment)


def outcome(admin_token: AdminToken, token: str | None, address: str) -> int:
    try:
        admin_token.check(token, address)
    except Problem as problem:
        return problem.status
    return 200


def test_an_attacker_cannot_lock_the_administrator_out_of_another_address(admin_token: AdminToken) -> None:
    assert [outcome(admin_token, token, "192.0.2.1") for token in WRONG] == [401] * 10
    assert outcome(admin_token, ADMIN_TOKEN, "192.0.2.1") == 429
    assert outcome(admin_token, ADMIN_TOKEN, "192.0.2.2") == 200


def test_the_addresses_of_one_ipv6_network_count_together(admin_token: AdminToken) -> None:
    for number, token in enumerate(WRONG):
        assert outcome(admin_token, token, f"2001:db8::{number}") == 401
    assert outcome(admin_token, ADMIN_TOKEN, "2001:db8::ffff") == 429
    assert outcome(admin_token, ADMIN_TOKEN, "2001:db8:0:1::1") == 200


def test_the_same_wrong_token_and_none_at_all_are_no_guesses(admin_token: AdminToken) -> None:
    assert {outcome(admin_token, token, "a") for token in ["old"] * 50 + ["", None] * 50} == {401}
    assert outcome(admin_token, ADMIN_TOKEN, "a") == 200


def test_guesses_are_remembered_in_bounded_number(admin_token: AdminToken) -> None:
    for number in range(MAX_ADDRESSES + 10):
        outcome(admin_token, "wrong", f"address-{number}")
    assert len(admin_token._guesses._made) == MAX_ADDRESSES


def test_secrets_are_compared_in_constant_time_alone() -> None:
    folder = Path(meshguard.gateway.__file__).parent
    secret = ("secret", "admin_token", "token_id", "jti", "password", "credential", "digest")
    compared = [
        f"{path.name}:{node.lineno}"
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn)
        for side in (node.left, *node.comparators)
        if any(word in (getattr(side, "attr", "") or getattr(side, "id", "")) for word in secret)
        and not any(isinstance(other, ast.Constant) for other in (node.left, *node.comparators))
    ]
    assert compared == []


@pytest.mark.parametrize(
    "path",
    ["/", "/health", "/nope", "/openapi.yaml", "/proxy/check", "/proxy/x", "/admin/agents", "/metrics"],
)
def test_every_answer_of_the_gateways_own_tells_browsers_to_keep_out(lab: Lab, path: str) -> None:
    for client in (lab.admin, lab.agent()):
        headers = client.get(path, headers={"X-MeshGuard-Action": "read:x"}).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert ("no-store" in headers.get("Cache-Control", "")) == (path != "/openapi.yaml")


def test_nothing_that_carries_a_decision_or_a_secret_is_kept_by_caches(lab: Lab) -> None:
    agent = lab.agent()
    made = lab.create()
    question = {"action": "read:x"}
    answers = [
        check(agent, "read:x"),
        check(agent, "write:x"),
        agent.get("/proxy/secret"),
        agent.head("/proxy/secret"),
        agent.get("/proxy/x"),
        agent.post("/api/v1/pdp/evaluate", json=question),
        agent.post("/api/v1/pdp/evaluate", json={}),
        agent.post("/api/v1/pdp/evaluate/batch", json={"requests": [question]}),
        lab.client("wrong").get("/proxy/check", headers={"X-MeshGuard-Action": "read:x"}),
        lab.admin.post("/admin/agents", json={"name": "a"}),
        lab.admin.post(f"/admin/agents/{made['id']}/token"),
        lab.admin.delete(f"/admin/agents/{made['id']}"),
        lab.admin.get("/admin/audit"),
        lab.admin.get("/admin/audit/export"),
        lab.admin.get("/admin/policies"),
        lab.admin.request("PURGE", "/admin/agents"),
    ]
    kept = [
        str(answer.request.url) for answer in answers if answer.headers.get("Cache-Control") != "no-store"
    ]
    assert kept == []


def test_no_origin_may_read_answers_unless_one_is_set(lab: Lab) -> None:
    for origin in ("https://evil.example", "null", lab.url):
        answer = lab.admin.get("/admin/agents", headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\x00", "a\x7f", "\u2028"])
def test_nothing_sent_comes_back_as_a_header_of_its_own(lab: Lab, value: str) -> None:
    agent = lab.agent()
    for answer in (
        agent.post("/api/v1/pdp/evaluate", json={"action": f"read:{value}"}),
        lab.admin.put(f"/admin/policies/{httpx.URL('http://x/' + 'a%0d%0aX-Injected:%201').raw_path[1:]!r}"),
        lab.admin.post("/admin/agents", json={"name": value}),
        lab.admin.get("/admin/audit", params={"agent": value}),
    ):
        assert "X-Injected" not in answer.headers


class Failing:
    """Stands for a handler with a fault; its words quote a secret."""

    async def __call__(self, *_: Any) -> Any:
        try:
            json.loads(ADMIN_TOKEN)
        except ValueError as error:
            raise RuntimeError(ADMIN_TOKEN) from error


def test_an_unhandled_exception_is_a_500_without_internals_and_logged_without_secrets(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(HANDLERS, "list_agents", Failing())
    response = lab.admin.get("/admin/agents", headers={"X-MeshGuard-Trace-ID": "trace-of-the-failure"})
    assert response.status_code == 500
    assert response.json() == {
        "error": "internal_error",
        "message": "The gateway failed to answer; report this trace id to its operator.",
        "traceId": "trace-of-the-failure",
    }
    assert response.headers["Cache-Control"] == "no-store"
    logged = next(text for text in caplog.messages if "trace-of-the-failure" in text)
    assert "RuntimeError at " in logged
    assert "after json.decoder.JSONDecodeError at " in logged
    assert "test_hardening.py" in logged
    assert ADMIN_TOKEN not in caplog.text


def test_a_json_line_of_an_unhandled_exception_has_its_types_and_no_secret(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(HANDLERS, "list_agents", Failing())
    monkeypatch.setattr(caplog.handler, "formatter", JsonFormatter())  # it serves all tests
    assert lab.admin.get("/admin/agents").status_code == 500
    lines = [json.loads(line) for line in caplog.text.splitlines()]  # libraries may speak, too
    (line,) = [line for line in lines if "exception" in line]
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert any("test_hardening.py" in frame for frame in line["exception"]["stack"])
    assert [cause["type"] for cause in line["exception"]["causes"]] == ["json.decoder.JSONDecodeError"]
    assert ADMIN_TOKEN not in caplog.text


def test_no_library_logs_a_secret_at_debug(
    open_lab: Callable[..., Lab], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    lab = open_lab(
        log_level="debug", proxy_target="http://127.0.0.1:9", proxy_authorization="Bearer upstreams-own-key"
    )
    lab.apply("{name: all, rules: [{effect: allow, actions: ['*']}]}", "all")
    agent = lab.create(metadata={"note": "metadata-of-the-agent"})
    client = lab.client(agent["token"])
    caplog.clear()
    body = {"action": "read:x", "context": {"card": "4111-secret-card"}}
    client.post("/api/v1/pdp/evaluate", json=body)
    client.post("/proxy/x", content=b"body-of-the-proxied-request")
    client.get("/proxy/x", headers={"Cookie": "session=cookie-of-the-agent"})
    lab.client("wrong-agent-token").get("/proxy/x")
    lab.admin.get("/admin/agents", headers={"X-Admin-Token": "wrong-admin-token"})
    issued = lab.admin.post(f"/admin/agents/{agent['id']}/token").json()["token"]
    lab.admin.post("/admin/agents", content=b'{"name": "body-that-is-no-json')
    assert until(lambda: "can't be reached" in caplog.text)
    sides = ("httpx", "httpcore")  # these two are the test's own client as well: the upstream's side is below
    shown = "\n".join(
        f"{record.getMessage()} {record.args} {record.exc_text}"
        for record in caplog.records
        if not record.name.startswith(sides)
    )
    secrets = [ADMIN_TOKEN, SECRET, agent["token"], issued, "upstreams-own-key", "4111-secret-card"]
    secrets += [
        "body-of-the-proxied-request",
        "cookie-of-the-agent",
        "wrong-agent-token",
        "wrong-admin-token",
    ]
    assert [secret for secret in secrets if secret in shown] == []


async def _frames(application: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent


@pytest.mark.anyio
async def test_a_websocket_scope_is_closed_with_words(tmp_path: Path) -> None:
    application = app(gateway_settings(tmp_path))
    async with lifespan(application):
        sent = await _frames(application, {"type": "websocket", "path": "/proxy/x", "headers": []})
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "no WebSockets" in sent[0]["reason"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
