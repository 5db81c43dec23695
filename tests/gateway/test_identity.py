from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from meshguard.gateway.auth import Tokens
from tests.gateway.conftest import Lab, check
from tests.support import ADMIN_TOKEN, OLD_SECRET, SECRET, Clock, gateway_settings


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def status_with(lab: Lab, token: str) -> int:
    return check(lab.client(token), "read:x").status_code


def test_a_token_carries_the_documented_claims(lab: Lab) -> None:
    agent = lab.create(name="ada", trustTier="trusted", tags=["a", "b", "a"])
    claims = claims_of(agent["token"])
    assert claims.keys() == {"sub", "name", "tier", "tags", "iat", "exp", "iss", "jti"}
    assert (claims["sub"], claims["name"], claims["tier"]) == (agent["id"], "ada", "trusted")
    assert (claims["tags"], claims["iss"]) == (["a", "b"], "meshguard")
    assert jwt.get_unverified_header(agent["token"])["alg"] == "HS256"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"exp": 1},
        {"iat": int(time.time()) + 3600},
        {"jti": "another"},
        {"jti": 7},
        {"sub": "agent_nobody"},
        {"sub": ["agent"]},
        {"exp": "soon"},
        {"iss": None},
        {"jti": None},
        {"iat": None},
        {"exp": None},
        {"sub": None},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(lab: Lab, change: dict[str, Any]) -> None:
    claims = claims_of(lab.create()["token"]) | change
    assert (
        status_with(lab, signed({name: value for name, value in claims.items() if value is not None})) == 401
    )


def signed(claims: dict[str, Any]) -> str:
    """Sign any claims, also those that PyJWT would not."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, "HS256")


def test_a_token_of_another_algorithm_is_refused(lab: Lab) -> None:
    claims = claims_of(lab.create()["token"])
    assert status_with(lab, jwt.encode(claims, "", "none")) == 401
    assert status_with(lab, jwt.encode(claims, SECRET * 2, "HS512")) == 401
    assert status_with(lab, jwt.encode(claims, "another-secret-of-more-than-32-bytes", "HS256")) == 401


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic abc", "Bearer a.b.c", "Bearer ....", "Bearer " + "a" * 20_000]
)
def test_what_is_no_token_is_answered_401_without_a_reason(lab: Lab, value: str) -> None:
    response = httpx.get(
        f"{lab.url}/proxy/check", headers={"Authorization": value, "X-MeshGuard-Action": "read:x"}
    )
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["message"] == 'Send a valid agent token as "Authorization: Bearer <token>".'


def test_the_scheme_may_be_spelled_in_any_case(lab: Lab) -> None:
    token = lab.create()["token"]
    headers = {"Authorization": f"bearer {token}", "X-MeshGuard-Action": "read:x"}
    assert httpx.get(f"{lab.url}/proxy/check", headers=headers).status_code == 200


def test_a_new_token_ends_the_earlier_one_at_once(lab: Lab) -> None:
    agent = lab.create()
    assert status_with(lab, agent["token"]) == 200
    issued = lab.admin.post(f"/admin/agents/{agent['id']}/token").json()
    assert issued["id"] == agent["id"]
    assert status_with(lab, agent["token"]) == 401
    assert status_with(lab, issued["token"]) == 200


def test_revoking_an_agent_ends_it_at_once_and_for_good(lab: Lab) -> None:
    agent = lab.create()
    assert status_with(lab, agent["token"]) == 200
    assert lab.admin.delete(f"/admin/agents/{agent['id']}").status_code == 204
    assert status_with(lab, agent["token"]) == 401
    assert lab.admin.delete(f"/admin/agents/{agent['id']}").status_code == 204
    assert lab.admin.post(f"/admin/agents/{agent['id']}/token").status_code == 409
    assert lab.admin.patch(f"/admin/agents/{agent['id']}", json={"name": "x"}).status_code == 409
    assert lab.admin.get(f"/admin/agents/{agent['id']}").json()["status"] == "revoked"


def test_a_token_expires_by_the_gateways_clock(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock, agent_token_ttl=60)
    agent = lab.create()
    clock.seconds += 59
    assert status_with(lab, agent["token"]) == 200
    clock.seconds += 1
    assert status_with(lab, agent["token"]) == 401


def test_an_old_secret_verifies_but_does_not_sign(open_lab: Callable[..., Lab]) -> None:
    before = open_lab(jwt_secret=OLD_SECRET)
    agent = before.create()
    after = open_lab(jwt_secrets_old=f"{OLD_SECRET}, ")
    assert status_with(after, agent["token"]) == 200
    fresh = after.admin.post(f"/admin/agents/{agent['id']}/token").json()["token"]
    jwt.decode(fresh, SECRET, ["HS256"], issuer="meshguard")
    without = open_lab()
    other = before.create()
    assert status_with(without, other["token"]) == 401


def test_tier_and_tags_come_from_the_store_not_from_the_token(lab: Lab) -> None:
    lab.apply(
        "{name: vip, appliesTo: {trustTiers: [privileged]}, rules: [{effect: allow, actions: ['write:*']}]}",
        "vip",
    )
    agent = lab.create()
    client = lab.client(agent["token"])
    assert check(client, "write:x").status_code == 403
    claims = claims_of(agent["token"]) | {"tier": "privileged"}
    assert check(lab.client(jwt.encode(claims, SECRET, "HS256")), "write:x").status_code == 403
    lab.admin.patch(f"/admin/agents/{agent['id']}", json={"trustTier": "privileged"})
    assert check(client, "write:x").status_code == 200


@pytest.mark.parametrize("token", [None, "", "wrong", ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x", "é"])
def test_the_admin_operations_want_the_admin_token(lab: Lab, token: str | None) -> None:
    headers = {} if token is None else {b"X-Admin-Token": token.encode()}
    for path in ("/admin/agents", "/admin/policies", "/admin/audit"):
        response = httpx.get(f"{lab.url}{path}", headers=headers)
        assert response.status_code == 401
        assert "WWW-Authenticate" in response.headers


def test_neither_credential_opens_the_others_operations(lab: Lab) -> None:
    assert lab.agent().get("/admin/agents").status_code == 401
    assert check(lab.admin, "read:x").status_code == 401


def test_verified_tokens_are_remembered_in_bounded_number(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("meshguard.gateway.auth._MAX_CACHED", 2)
    tokens = Tokens(gateway_settings(tmp_path), time.time)
    for _ in range(5):
        tokens._claims(jwt.encode(_complete_claims(), SECRET, "HS256"))
    assert len(tokens._verified) == 2


def _complete_claims() -> dict[str, Any]:
    base = {"sub": "a", "name": "a", "tier": "verified", "tags": [], "iat": 1, "exp": 9_999_999_999}
    return base | {"iss": "meshguard", "jti": uuid.uuid4().hex}


def test_an_agent_revoked_while_its_request_comes_in_is_refused(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(mode="audit")
    agent = lab.create()

    def body() -> Iterator[bytes]:
        yield b'{"action": '
        lab.admin.delete(f"/admin/agents/{agent['id']}")
        yield b'"read:x"}'

    headers = {"Content-Type": "application/json"}
    response = lab.client(agent["token"]).post("/api/v1/pdp/evaluate", content=body(), headers=headers)
    assert response.status_code == 401
    assert lab.entries(kind="decision") == []


def test_an_agent_with_very_many_tags_gets_a_token_that_fits_a_header(lab: Lab) -> None:
    agent = lab.create(name="é" * 128, tags=[f"{number:064d}é" * 1 for number in range(64)])
    assert len(agent["tags"]) == 64
    assert status_with(lab, agent["token"]) == 200


def test_no_secret_shows_in_logs_reprs_or_audit(
    open_lab: Callable[..., Lab], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lab = open_lab(proxy_target="http://127.0.0.1:9", proxy_authorization="Bearer upstream-credential")
    agent = lab.create()
    client = lab.client(agent["token"])
    check(client, "read:x")
    client.get("/proxy/read/this")
    lab.admin.post(f"/admin/agents/{agent['id']}/token")
    seen = "\n".join(
        [
            repr(lab.settings),
            str(lab.settings),
            lab.admin.get("/admin/audit/export").text,
            *(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records),
        ]
    )
    for secret in (ADMIN_TOKEN, SECRET, agent["token"], "upstream-credential"):
        assert secret not in seen
