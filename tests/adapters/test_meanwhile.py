"""What was checked is what runs: other code changes the arguments while the gateway decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import fastmcp
import pytest
from agents import Agent, Runner, ToolGuardrailFunctionOutput, ToolInputGuardrail, function_tool
from agents.tracing import set_trace_processors
from fastmcp.server.middleware import Middleware
from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.plugins import BasePlugin
from google.adk.tools.function_tool import FunctionTool
from google.adk.workflow import START, Workflow
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.extension import Extension
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.capabilities import AbstractCapability

from meshguard import MeshGuardClient
from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware as FastMCPMiddleware
from meshguard.integrations.google_adk import MeshGuardPlugin
from meshguard.integrations.langchain import GovernedTool, MeshGuardMiddleware, governed_tool
from meshguard.integrations.mcp import GovernedClient, GovernedClientSession, MeshGuardExtension
from meshguard.integrations.openai_agents import govern_agent
from meshguard.integrations.pydantic_ai import MeshGuardCapability
from meshguard.testing.conformance import LARGE, SMALL, AdapterConformance, Script, World
from tests.adapters import test_google_adk, test_openai_agents, test_pydantic_ai
from tests.adapters.langchain_models import QUESTION, ScriptedModel, calls
from tests.adapters.mcp_traffic import served
from tests.adapters.meanwhile import meanwhile


class Desk:
    """A guard, the tools of the kit, and what else happens while the gateway decides."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.script = Script(guard, [], "run")
        self.kept: Any = None  # the arguments, by somebody else's reference
        self.changes = 0

    def change(self) -> None:
        if self.kept is not None:
            self.changes += 1
            self.kept["amount"] = 1000

    def run(self, work: Awaitable[Any]) -> Any:
        return AdapterConformance().finish(self.guard, work)

    def holds(self) -> None:
        """The change was made, and what ran is what was checked, or nothing."""
        assert self.changes
        assert [arguments["amount"] for _, arguments in self.script.ran] in ([], [10])


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    made: list[Desk] = []

    def change() -> None:
        made[0].change()

    with (
        world.agent("interrupted") as (client, _),
        meanwhile(world.gateway.url, change) as url,
        MeshGuardClient(url, client.agent_token, trust_env=False) as through,
    ):
        made.append(Desk(Guard(through)))
        yield made[0]
        made[0].guard.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_langchain_runs_what_was_checked(desk: Desk, asynchronous: bool) -> None:
    message = calls(("transfer", SMALL.arguments))
    model = ScriptedModel(responses=[message, AIMessage("done")])
    agent = create_agent(model, desk.script.functions(), middleware=[MeshGuardMiddleware(desk.guard)])
    desk.kept = message.tool_calls[0]["args"]
    if asynchronous:
        desk.run(agent.ainvoke(QUESTION))
    else:
        agent.invoke(QUESTION)
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


@pytest.mark.parametrize("how", ["invoke", "run", "tool call", "ainvoke", "arun"])
def test_a_governed_tool_runs_what_was_checked(desk: Desk, how: str) -> None:
    plain = tool(desk.script.functions()[1])
    governed_transfer = GovernedTool(plain, "execute:transfer", desk.guard._default_client._given)
    given: Any = dict(SMALL.arguments)  # type: ignore[arg-type]
    desk.kept = given
    if how == "tool call":
        given = {"type": "tool_call", "id": "1", "name": "transfer", "args": given}
    run: Callable[..., Any] = getattr(governed_transfer, "invoke" if how == "tool call" else how)
    if how.startswith("a"):
        desk.run(_closing(governed_transfer, run(given)))
    else:
        run(given)
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


async def _closing(governed_transfer: GovernedTool, work: Awaitable[Any]) -> Any:
    try:
        return await work
    finally:
        await governed_transfer._resolver.guard.aclose()


def test_a_governed_function_runs_nothing_else(desk: Desk) -> None:
    paid: list[Any] = []

    @governed_tool("execute:lookup", client=desk.guard._default_client._given)
    def pay(order: dict[str, int]) -> None:
        paid.append(order["amount"])

    desk.kept = {"amount": 10}
    with pytest.raises(Exception, match="changed while the call was checked"):
        pay(desk.kept)
    assert desk.changes
    assert paid == []


class KeepingCapability(AbstractCapability[Any]):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def before_tool_execute(self, *_: Any, args: Any, **__: Any) -> Any:
        self.desk.kept = args
        return args


def test_pydantic_ai_runs_what_was_checked(desk: Desk) -> None:
    capabilities = [KeepingCapability(desk), MeshGuardCapability(desk.guard)]
    agent: Any = PydanticAgent(
        test_pydantic_ai.scripted([SMALL]), tools=desk.script.functions(), capabilities=capabilities
    )
    desk.run(agent.run("go"))
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


class KeepingPlugin(BasePlugin):
    def __init__(self, desk: Desk) -> None:
        super().__init__("keeping")
        self.desk = desk

    async def before_tool_callback(self, *, tool_args: dict[str, Any], **_: Any) -> None:
        self.desk.kept = tool_args


def small() -> Any:
    return dict(SMALL.arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_node", [False, True])
def test_adk_decides_again_on_arguments_that_changed(desk: Desk, is_node: bool) -> None:
    transfer = desk.script.functions()[1]
    root: Any = LlmAgent(name="clerk", model=test_google_adk.scripted([SMALL]), tools=[transfer])
    if is_node:
        root = Workflow(name="story", edges=[(START, small, FunctionTool(transfer))])
    plugins = [KeepingPlugin(desk), MeshGuardPlugin(desk.guard)]
    app = App(name="desk", root_agent=root, plugins=plugins)
    events = desk.run(test_google_adk._events(app))
    desk.holds()
    assert desk.script.ran == []
    assert "denied" in str(events)


def test_openai_agents_run_what_was_checked(desk: Desk) -> None:
    set_trace_processors([])

    class Call(dict[str, Any]):
        """Writes to the call that the model made."""

        def __init__(self, call: Any) -> None:
            self.call = call

        def __setitem__(self, *_: Any) -> None:
            self.call.arguments = json.dumps(LARGE.arguments)

    def keep(data: Any) -> ToolGuardrailFunctionOutput:
        desk.kept = Call(data.context.tool_call)
        return ToolGuardrailFunctionOutput.allow()

    transfer = function_tool(desk.script.functions()[1])
    transfer.tool_input_guardrails = [ToolInputGuardrail(keep)]
    agent = Agent(name="clerk", model=test_openai_agents.scripted([SMALL]), tools=[transfer])
    desk.run(Runner.run(govern_agent(agent, desk.guard), "go"))
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


class KeepingExtension(Extension):
    identifier = "com.example/keeping"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def intercept_tool_call(self, params: Any, ctx: Any, call_next: Any) -> Any:
        self.desk.kept = params.arguments
        return await call_next(ctx)


def server(desk: Desk, *extensions: Extension) -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("desk", extensions=extensions)
    made.add_tool(desk.script.functions()[1])
    return made


def test_an_mcp_server_runs_what_was_checked(desk: Desk) -> None:
    made = server(desk, KeepingExtension(desk), MeshGuardExtension(desk.guard))

    async def call() -> None:
        async with Client(made) as client:
            await client.call_tool(SMALL.tool, small())

    desk.run(call())
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


def test_an_mcp_client_sends_what_was_checked(desk: Desk) -> None:
    async def call() -> None:
        async with GovernedClient(server(desk), guard=desk.guard) as client:
            desk.kept = small()
            await client.call_tool(SMALL.tool, desk.kept)

    desk.run(call())
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


def test_an_mcp_session_sends_what_was_checked(desk: Desk) -> None:
    async def call() -> None:
        async with (
            served(server(desk).streamable_http_app()) as url,
            streamable_http_client(url) as streams,
            GovernedClientSession(*streams, guard=desk.guard) as session,
        ):
            await session.initialize()
            params = CallToolRequestParams(name=SMALL.tool, arguments=small())
            desk.kept = params.arguments
            await session.send_request(CallToolRequest(params=params), CallToolResult)

    desk.run(call())
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


class KeepingMiddleware(Middleware):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def on_call_tool(self, context: Any, call_next: Any) -> Any:
        self.desk.kept = context.message.arguments
        return await call_next(context)


def test_a_fastmcp_server_runs_what_was_checked(desk: Desk) -> None:
    middleware = [KeepingMiddleware(desk), FastMCPMiddleware(desk.guard)]
    made: Any = fastmcp.FastMCP("desk", middleware=middleware)
    made.tool(desk.script.functions()[1])

    async def call() -> None:
        async with fastmcp.Client(made) as client:
            await client.call_tool_mcp(SMALL.tool, small())

    desk.run(call())
    desk.holds()
    assert desk.script.ran == [("transfer", SMALL.arguments)]


def test_the_change_is_seen_without_the_guard(world: World) -> None:
    """The relay does change what a call is about to run."""
    kept = [10]
    with (
        world.agent("changed") as (client, _),
        meanwhile(world.gateway.url, lambda: kept.append(1000)) as url,
        MeshGuardClient(url, client.agent_token, trust_env=False) as through,
    ):
        assert asyncio.run(asyncio.to_thread(through.check, "execute:lookup")).allowed
    assert kept == [10, 1000]
