"""The world that the documentation is run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshguard import MeshGuardClient
from tests.support import running_app, running_gateway

POLICY = """
name: documentation
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - {name: writes, effect: allow, actions: ["write:*", "delete:records"]}
"""


async def upstream(request: Request) -> JSONResponse:
    if request.path_params["path"] == "missing":
        return JSONResponse({"detail": "no such thing"}, 404)
    return JSONResponse({"method": request.method, "path": request.url.path})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A gateway with an upstream, an agent and a policy; what the pages' placeholders stand for."""
    monkeypatch.chdir(tmp_path)
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "documentation.yaml").write_text(POLICY)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes = [Route("/api/{path:path}", upstream, methods=methods)]
    with (
        running_app(Starlette(routes=routes)) as target,
        running_gateway(tmp_path, policies_dir=policies, proxy_target=target) as gateway,
        MeshGuardClient(gateway.url, admin_token=gateway.admin_token) as admin,
    ):
        agent = admin.create_agent("documented", tags=["support"])
        monkeypatch.setenv("MESHGUARD_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", agent["token"])
        monkeypatch.setenv("MESHGUARD_ADMIN_TOKEN", gateway.admin_token)
        yield {
            "https://dashboard.meshguard.app": gateway.url,
            "https://your-gateway.com": gateway.url,
            "your-agent-token": agent["token"],
            "your-admin-token": gateway.admin_token,
            '"your-token"': f'"{agent["token"]}"',
            '"admin-token"': f'"{gateway.admin_token}"',
            "agent_abc123": admin.create_agent("to-be-revoked")["id"],
        }
