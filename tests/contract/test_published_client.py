"""The client that is in the field, `meshguard==0.1.2`, works against this gateway unchanged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshguard import MeshGuardClient
from tests.environments import ROOT, clean_environ, environment
from tests.support import running_app, running_gateway

SESSION = ROOT / "tests" / "contract" / "published_session.py"
REASON = "Support agents delete nothing; ask an administrator"
DENIED = {
    "action": "delete:contacts",
    "policy": "support-desk",
    "rule": "nothing-is-deleted",
    "reason": REASON,
}
POLICY = """
  - {name: field, effect: allow, actions: ["write:records"]}
"""


async def echo(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse([request.method, request.url.path, json.loads(body) if body else None])


def session(tmp_path: Path) -> dict[str, object]:
    policies = tmp_path / "policies"
    policies.mkdir()
    demo = (ROOT / "meshguard" / "cli" / "demo_policy.yaml").read_text()
    (policies / "support-desk.yaml").write_text(demo + POLICY)
    upstream = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE"])])
    with (
        running_app(upstream) as target,
        running_gateway(tmp_path, policies_dir=policies, proxy_target=target) as gateway,
        MeshGuardClient(gateway.url, admin_token=gateway.admin_token) as admin,
    ):
        agent = admin.create_agent("field-agent")
        variables = clean_environ(
            MESHGUARD_GATEWAY_URL=gateway.url,
            MESHGUARD_AGENT_TOKEN=str(agent["token"]),
            MESHGUARD_ADMIN_TOKEN=gateway.admin_token,
        )
        python = environment("published", "meshguard==0.1.2", constraints=None)
        command = [str(python), str(SESSION), agent["id"]]
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_the_published_client_gets_what_it_expects_from_every_call(tmp_path: Path) -> None:
    allowed = {"allowed": True, "action": "read:contacts", "decision": "allow", "policy": "support-desk"}
    allowed |= {"rule": None, "reason": None, "trace_id": "published-session"}
    denied = DENIED | {"allowed": False, "decision": "deny", "trace_id": "published-session"}
    assert session(tmp_path) == {
        "check allowed": allowed,
        "check with resource": allowed,
        "check denied": denied,
        "enforce allowed": True,
        "enforce denied": DENIED,
        "govern allowed": True,
        "govern denied": DENIED,
        "proxy get": [200, ["GET", "/api/contacts", None]],
        "proxy post": [200, ["POST", "/api/emails", {"to": "user@example.com"}]],
        "proxy put": [200, ["PUT", "/api/records/123", {"status": "updated"}]],
        "proxy delete denied": DENIED,
        "health": "healthy",
        "is healthy": True,
        "create agent": [
            *("createdAt", "expiresAt", "id", "metadata", "name", "status", "tags", "token"),
            *("trustTier", "updatedAt"),
        ],
        "list agents": ["from-the-field", "trusted", ["production", "sales"]],
        "list policies": [["support-desk", 5]],
        "audit": [3, True],
        "audit denied": ["delete:contacts"],
        "revoke": None,
        "revoked": "Invalid or expired token",
    }
