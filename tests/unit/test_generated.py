"""The generated client, handed out ready to use."""

import asyncio

from meshguard_api.api.agents import list_agents
from meshguard_api.api.decisions import check_action, evaluate
from meshguard_api.models import AgentList, Decision, EvaluateRequest

from meshguard import AsyncMeshGuardClient, MeshGuardClient

from .conftest import ADMIN_TOKEN, AGENT_TOKEN, Gateway

DECISION = {
    "decision": "allow",
    "allowed": True,
    "action": "read:a",
    "reason": "r",
    "traceId": "t",
    "auditId": "a",
    "mode": "enforce",
}


def test_api_speaks_as_the_agent(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(DECISION)
    for api in (client.api, client.api.with_headers({"X-Own": "1"})):
        assert isinstance(evaluate.sync(client=api, body=EvaluateRequest(action="read:a")), Decision)
        headers = gateway.received[-1].headers
        assert headers["authorization"] == f"Bearer {AGENT_TOKEN}"
        assert headers["x-meshguard-trace-id"] == "trace-1"
        assert headers["user-agent"].startswith("meshguard-python/")
    assert headers["x-own"] == "1"


def test_admin_api_speaks_as_the_administrator(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"agents": []})
    assert isinstance(list_agents.sync(client=client.admin_api), AgentList)
    assert gateway.received[0].headers["x-admin-token"] == ADMIN_TOKEN
    assert "authorization" not in gateway.received[0].headers


def test_api_of_the_async_client_is_awaited(gateway: Gateway) -> None:
    gateway.answers(DECISION)

    async def scenario() -> None:
        async with AsyncMeshGuardClient(gateway.url, AGENT_TOKEN) as client:
            answer = await check_action.asyncio_detailed(client=client.api, x_mesh_guard_action="read:a")
            assert isinstance(answer.parsed, Decision)

    asyncio.run(scenario())
    assert gateway.received[0].headers["authorization"] == f"Bearer {AGENT_TOKEN}"
