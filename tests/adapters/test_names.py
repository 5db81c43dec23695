"""Names in a guard's settings that no tool or agent has are warned of, where an adapter knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastmcp
import pytest
from agents import Agent, WebSearchTool, function_tool
from agents.mcp import MCPServerStdio
from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.base_toolset import BaseToolset
from langchain.agents import create_agent
from langchain_core.tools import tool
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from pydantic_ai import Agent as PydanticAgent

from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware as FastMCPMiddleware
from meshguard.integrations.google_adk import MeshGuardPlugin
from meshguard.integrations.langchain import (
    GovernedToolkit,
    MeshGuardMiddleware,
    create_governed_agent,
    governed_tool_node,
)
from meshguard.integrations.mcp import GovernedClient, GovernedClientSession
from meshguard.integrations.openai_agents import govern_agent
from meshguard.integrations.pydantic_ai import MeshGuardCapability
from meshguard.testing.conformance import AdapterConformance, World
from tests.adapters import test_google_adk, test_pydantic_ai
from tests.adapters.langchain_models import QUESTION, model
from tests.adapters.mcp_traffic import served

ACTIONS = {"Look up": "execute:lookup", "lokup": "execute:lookup"}
TYPO = ["action_map contains 'lokup', but there is no tool with this name. Did you mean 'look_up'?"]
TYPOS = [
    *TYPO,
    "agents contains 'clark', but there is no agent with this name. Did you mean 'clerk'?",
]


def look_up(query: str) -> str:
    """Look a customer up."""
    return f"found {query}"


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    with world.agent("clerk") as (client, _):
        made = Guard(client, action_map=ACTIONS, agents={"clerk": client, "clark": client})
        yield made
        made.close()


class Warned:
    """The warnings about names, in order."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self) -> list[str]:
        messages = [record.getMessage() for record in self._caplog.records]
        return [message for message in messages if "with this name" in message]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    return Warned(caplog)


def run(guard: Guard, work: Any) -> Any:
    return AdapterConformance().finish(guard, work)


def test_openai_agents_warn_of_tools_and_agents(guard: Guard, warned: Warned) -> None:
    other = Agent(name="buyer", tools=[WebSearchTool()])
    govern_agent(Agent(name="clerk", tools=[function_tool(look_up)], handoffs=[other]), guard)
    assert warned() == TYPOS


def test_openai_agents_with_an_mcp_server_know_their_agents_only(guard: Guard, warned: Warned) -> None:
    server = MCPServerStdio({"command": "never", "args": ["run"]})
    govern_agent(Agent(name="clerk", tools=[function_tool(look_up)], mcp_servers=[server]), guard)
    assert warned() == TYPOS[1:]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_middleware_of_langchain_warns_of_tools(guard: Guard, warned: Warned, asynchronous: bool) -> None:
    agent = create_agent(model(), [look_up], middleware=[MeshGuardMiddleware(guard)])
    if asynchronous:
        run(guard, agent.ainvoke(QUESTION))
    else:
        agent.invoke(QUESTION)
    assert warned() == TYPO


def test_a_tool_node_warns_of_tools(guard: Guard, warned: Warned) -> None:
    governed_tool_node([look_up], guard)
    assert warned() == TYPO


def test_the_documented_langchain_warns_of_tools(world: World, warned: Warned) -> None:
    with world.agent("clerk") as (client, _):
        create_governed_agent(model(), [tool(look_up)], client, action_map={"lokup": "execute:lookup"})
        assert warned() == TYPO
        GovernedToolkit([tool(look_up)], client, action_map={"look_up": "a:b", "lock_up": "a:b"})
        assert len(warned()) == 2


def test_pydantic_ai_warns_of_tools(guard: Guard, warned: Warned) -> None:
    agent: Any = PydanticAgent(
        test_pydantic_ai.scripted(), tools=[look_up], capabilities=[MeshGuardCapability(guard)]
    )
    run(guard, agent.run("go"))
    assert warned() == TYPO


class Later(BaseToolset):
    """Tools that are known at run time."""

    async def get_tools(self, *_: Any, **__: Any) -> list[Any]:
        return []

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("knows_tools", [True, False])
def test_adk_warns_of_tools_and_agents(guard: Guard, warned: Warned, knows_tools: bool) -> None:
    archivist = LlmAgent(name="archivist", model=test_google_adk.scripted(), tools=[look_up])
    more: list[Any] = [AgentTool(archivist)] if knows_tools else [AgentTool(archivist), Later()]
    clerk = LlmAgent(name="clerk", model=test_google_adk.scripted(), tools=more)
    first = LlmAgent(name="first", model=test_google_adk.scripted(), sub_agents=[clerk])
    app = App(name="desk", root_agent=first, plugins=[MeshGuardPlugin(guard)])
    run(guard, test_google_adk._events(app))
    assert warned() == (TYPOS if knows_tools else TYPOS[1:])


def test_a_fastmcp_server_warns_of_tools(world: World, warned: Warned) -> None:
    with world.agent("clerk") as (client, _):
        guard = Guard(client, action_map=ACTIONS)
        server: Any = fastmcp.FastMCP("desk", middleware=[FastMCPMiddleware(guard)])
        server.tool(look_up)

        async def listed() -> None:
            async with fastmcp.Client(server) as desk:
                await desk.list_tools()

        run(guard, listed())
        guard.close()
    assert warned() == TYPO


@pytest.mark.parametrize("kind", ["client", "session"])
def test_an_mcp_client_warns_of_tools(guard: Guard, warned: Warned, kind: str) -> None:
    server: MCPServer[Any] = MCPServer("desk")
    server.add_tool(look_up)

    async def listed() -> None:
        if kind == "client":
            async with GovernedClient(server, guard=guard) as client:
                await client.list_tools()
            return
        async with (
            served(server.streamable_http_app()) as url,
            streamable_http_client(url) as streams,
            GovernedClientSession(*streams, guard=guard) as session,
        ):
            await session.initialize()
            await session.list_tools()

    run(guard, listed())
    assert warned() == TYPO
