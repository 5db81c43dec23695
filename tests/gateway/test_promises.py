"""Promises of docs/security.md that are nobody else's to prove."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.gateway.conftest import Lab, check
from tests.support import ADMIN_TOKEN, SECRET, running_app

ON_RESOURCES = """
name: resources
rules:
  - {name: everything, effect: allow, actions: ["*"]}
  - name: no-payroll
    effect: deny
    actions: ["*"]
    conditions: {resource: {matches: "/payroll/**"}}
    reason: Payroll is off limits
"""


@pytest.fixture
def upstream() -> Iterator[tuple[str, list[str]]]:
    paths: list[str] = []

    async def answer(request: Request) -> Response:
        paths.append(request.url.path)
        return Response(b"")

    with running_app(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        yield url, paths


@pytest.mark.parametrize(
    ("setting", "statuses"), [("declared", [200, 403]), ("derived", [403, 200]), ("both", [403, 403])]
)
def test_a_declared_resource_counts_only_where_the_declared_action_does(
    open_lab: Callable[..., Lab], upstream: tuple[str, list[str]], setting: str, statuses: list[int]
) -> None:
    url, paths = upstream
    lab = open_lab(proxy_target=url, proxy_action=setting)
    assert lab.apply(ON_RESOURCES, "resources").is_success
    agent = lab.agent()
    lie = {"X-MeshGuard-Action": "read:menu", "X-MeshGuard-Resource": "/menu"}
    slander = {"X-MeshGuard-Action": "read:menu", "X-MeshGuard-Resource": "/payroll/7"}
    asked = [("payroll/7", lie), ("menu", slander)]
    assert [agent.get(f"/proxy/{path}", headers=headers).status_code for path, headers in asked] == statuses
    assert len(paths) == statuses.count(200)


def test_no_header_of_a_request_changes_who_asks(lab: Lab) -> None:
    weak, strong = lab.create(trustTier="unverified"), lab.create(trustTier="privileged")
    claims = {
        "X-MeshGuard-Agent-Id": strong["id"],
        "X-MeshGuard-Trust-Tier": "privileged",
        "X-MeshGuard-Tags": "admin",
        "X-Agent-Id": strong["id"],
        "X-Forwarded-For": "127.0.0.1",
    }
    answer = check(lab.client(weak["token"]), "read:x", **claims)
    assert answer.headers["X-MeshGuard-Agent-Id"] == weak["id"]
    (entry,) = lab.entries(kind="decision")
    assert (entry["agentId"], entry["trustTier"]) == (weak["id"], "unverified")


def stored(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("gateway.db*"))


def test_the_database_holds_no_credential(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = open_lab(proxy_target="http://127.0.0.1:1", proxy_authorization="Bearer upstreams-own-credential")
    created = lab.create(name="stored-agent")
    renewed = lab.admin.post(f"/admin/agents/{created['id']}/token").json()
    agent = lab.client(renewed["token"])
    check(agent, "read:x")
    agent.get("/proxy/read/this", headers={"X-MeshGuard-Action": "read:this"})
    everything = stored(tmp_path)
    assert b"stored-agent" in everything
    for token in (created["token"], renewed["token"]):
        assert not [part for part in token.split(".") if part.encode() in everything]
    for secret in (SECRET, ADMIN_TOKEN, "upstreams-own-credential"):
        assert secret.encode() not in everything


def test_what_the_database_holds_makes_no_token(lab: Lab, tmp_path: Path) -> None:
    """Its ids are those of the token in use; without the secret they sign nothing."""
    created = lab.create()
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(agents)")]
        row = dict(zip(names, connection.execute("SELECT * FROM agents").fetchone(), strict=True))
    claims = jwt.decode(created["token"], options={"verify_signature": False})
    assert claims["jti"] == row["token_id"]
    for key in (row["token_id"] * 2, row["id"].ljust(32, "x")):
        forged = jwt.encode(claims, key, "HS256")
        assert check(lab.client(forged), "read:x").status_code == 401
    assert check(lab.client(created["token"]), "read:x").status_code == 200


def test_a_token_is_shown_once_and_by_nothing_else(lab: Lab) -> None:
    created = lab.create()
    renewed = lab.admin.post(f"/admin/agents/{created['id']}/token").json()
    agent = lab.client(renewed["token"])
    seen = [check(agent, "read:x"), check(agent, "write:x"), agent.get("/proxy/read/this")]
    paths = ("agents", f"agents/{created['id']}", "audit", "audit/export", "audit/verify", "policies")
    seen.extend(lab.admin.get(f"/admin/{path}") for path in paths)
    seen.append(lab.admin.patch(f"/admin/agents/{created['id']}", json={"name": "other"}))
    told = "".join(f"{answer.headers}{answer.text}" for answer in seen)
    assert created["id"] in told
    for token in (created["token"], renewed["token"]):
        assert token.rpartition(".")[2] not in told


def test_an_agent_learns_of_no_other_agent(lab: Lab) -> None:
    other = lab.create(name="the-other", trustTier="privileged", tags=["hidden-tag"])
    agent = lab.agent()
    answers: list[httpx.Response] = [
        check(agent, "read:x"),
        check(agent, "write:x"),
        agent.post("/api/v1/pdp/evaluate", json={"action": "read:x", "explain": True}),
        agent.get("/admin/agents"),
        agent.get(f"/admin/agents/{other['id']}"),
        agent.get("/admin/audit"),
        agent.get("/health"),
        agent.get("/"),
    ]
    told = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    assert [answer.status_code for answer in answers[3:6]] == [401, 401, 401]
    for text in (other["id"], "the-other", "hidden-tag"):
        assert text not in told
