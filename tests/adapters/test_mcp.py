"""MCP servers and clients under the conformance kit, and broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult
from pydantic import AnyHttpUrl
from starlette.requests import Request

from meshguard.guard import Guard
from meshguard.integrations import mcp
from meshguard.integrations.mcp import GovernedClient, GovernedClientSession, MeshGuardExtension
from meshguard.testing.conformance import DELETE, LOOKUP, AdapterConformance, Script, World
from tests.adapters.mcp_traffic import http_client, played, served, told
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned
from tests.support import running_app

TRACE = "0af7651916cd43dd8448eb211c80319c"
META: Any = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


class Everybody:
    """A verifier that takes the token for the client's id."""

    async def verify_token(self, token: str) -> AccessToken | None:
        return AccessToken(token=token, client_id=token, scopes=[])


def server(script: Script, *extensions: MeshGuardExtension, authenticates: bool = False) -> MCPServer[Any]:
    """The script's tools, with a middleware that rewrites arguments as the script says."""

    async def rewriting(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/call" and script.rewrite:
            ctx = replace(ctx, params={**(ctx.params or {}), "arguments": dict(script.rewrite)})
        return await call_next(ctx)

    issuer = AnyHttpUrl("https://issuer.example.com")
    made: MCPServer[Any] = MCPServer(
        "desk",
        extensions=extensions,
        middleware=[rewriting],
        token_verifier=Everybody() if authenticates else None,
        auth=AuthSettings(issuer_url=issuer, resource_server_url=None) if authenticates else None,
    )
    for function in script.functions():
        made.add_tool(function)
    return made


class TestMCPServer(AdapterConformance):
    """In memory: `auto` is the protocol of 2026, `legacy` the handshake of the years before."""

    # The protocol has arguments as objects, never as text, and nobody authenticates in memory.
    modes = ("auto", "legacy")
    rewrites = True
    raises = False  # a server can't raise in its client

    def extensions(self, guard: Guard) -> list[MeshGuardExtension]:
        return [MeshGuardExtension(guard)]

    def run(self, script: Script) -> list[str]:
        return self.finish(script.guard, self._run(server(script, *self.extensions(script.guard)), script))

    async def _run(self, made: MCPServer[Any], script: Script) -> list[str]:
        async with Client(made, mode=script.mode) as client:
            return await played(script, client.call_tool)


class TestMCPServerOverHTTP(TestMCPServer):
    """With clients that authenticate: the client's id is the name of the agent."""

    agents = True

    def run(self, script: Script) -> list[str]:
        made = server(script, *self.extensions(script.guard), authenticates=True)
        return self.finish(script.guard, self._run(made, script))

    async def _run(self, made: MCPServer[Any], script: Script) -> list[str]:
        async with (
            served(made.streamable_http_app()) as url,
            http_client(url, script.agent or "anybody", script.mode) as client,
        ):
            return await played(script, client.call_tool)


class TestMCPClients(AdapterConformance):
    """Against a server that is not governed."""

    # A client is one agent, and nothing comes between it and the server that could rewrite arguments.
    modes = ("client", "session")

    def run(self, script: Script) -> list[str]:
        play = self.client if script.mode == "client" else self.session
        return self.finish(script.guard, play(server(script), script))

    async def client(self, made: MCPServer[Any], script: Script) -> list[str]:
        async with GovernedClient(made, guard=script.guard) as client:
            return await played(script, client.call_tool)

    async def session(self, made: MCPServer[Any], script: Script) -> list[str]:
        async with (
            served(made.streamable_http_app()) as url,
            streamable_http_client(url) as streams,
            GovernedClientSession(*streams, guard=script.guard) as session,
        ):
            await session.initialize()
            return await played(script, session.call_tool)


class ServerWithoutTheHook(TestMCPServer):
    def extensions(self, guard: Guard) -> list[MeshGuardExtension]:  # noqa: ARG002
        return []


class ServerWithErrorsLetOut(TestMCPServer):
    def extensions(self, guard: Guard) -> list[MeshGuardExtension]:
        guard._on_error = "raise"
        return super().extensions(guard)


class ClientsWithoutTheHook(TestMCPClients):
    async def client(self, made: MCPServer[Any], script: Script) -> list[str]:
        async with Client(made) as client:
            return await played(script, client.call_tool)

    session = client


class ClientsWithErrorsLetOut(TestMCPClients):
    def run(self, script: Script) -> list[str]:
        script.guard._on_error = "raise"
        return super().run(script)


@pytest.mark.parametrize("adapter", [ServerWithoutTheHook, ClientsWithoutTheHook])
def test_the_kit_notices_that_nothing_is_governed(adapter: type[AdapterConformance]) -> None:
    assert_noticed_as_ungoverned(adapter)


@pytest.mark.parametrize("adapter", [ServerWithErrorsLetOut, ClientsWithErrorsLetOut])
def test_the_kit_notices_that_errors_come_out(adapter: type[AdapterConformance]) -> None:
    assert_noticed_as_letting_errors_out(adapter)


async def run_twice(world: World, mode: str, meta: Any = None) -> list[str | None]:
    """The trace ids of two calls of one client and one of another."""
    with world.agent("traced") as (client, agent_id):
        script = Script(Guard(client), [[LOOKUP]], mode)
        made = server(script, MeshGuardExtension(script.guard))
        async with served(made.streamable_http_app()) as url:
            for calls in (2, 1):
                async with http_client(url, "anybody", mode) as desk:
                    for _ in range(calls):
                        await desk.call_tool("lookup", {"query": "Ada"}, meta=meta)
            await script.guard.aclose()
        return [entry.get("traceId") for entry in world.decisions(agent_id)]


@pytest.mark.anyio
async def test_an_http_session_is_a_trace(world: World) -> None:
    later, *first = await run_twice(world, "legacy")
    assert first[0] == first[1] != later


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_traces_names_the_trace(world: World, mode: str) -> None:
    assert await run_twice(world, mode, META) == [TRACE] * 3


def test_the_trace_does_not_tell_the_session_id() -> None:
    request = Request({"type": "http", "headers": [(b"mcp-session-id", b"5e55")]})
    assert "5e55" not in str(mcp.run_id(None, request))
    assert mcp.run_id({"traceparent": "nonsense"}) is None


@pytest.mark.anyio
async def test_a_session_lets_no_handmade_request_through(world: World) -> None:
    with world.agent("handy") as (client, agent_id):
        script = Script(Guard(client), [], "session")
        async with (
            served(server(script).streamable_http_app()) as url,
            streamable_http_client(url) as streams,
            GovernedClientSession(*streams, guard=script.guard) as session,
        ):
            await session.initialize()
            params = CallToolRequestParams(name=DELETE.tool, arguments={"table": "customers"})
            result = await session.send_request(CallToolRequest(params=params), CallToolResult)
        await script.guard.aclose()
        assert result.is_error
        assert "denied" in told(result)
        assert script.ran == []
        assert [entry["decision"] for entry in world.decisions(agent_id)] == ["deny"]


@pytest.mark.anyio
async def test_what_on_deny_returns_reaches_the_client_as_text(world: World) -> None:
    with world.agent("wordy") as (client, _):
        guard = Guard(client, on_deny=lambda call, _: {"ask": call.tool})
        script = Script(guard, [], "client")
        async with GovernedClient(server(script), guard=guard) as desk:
            assert told(await desk.call_tool("delete_records", {"table": "x"})) == '{"ask": "delete_records"}'
        await guard.aclose()


@pytest.mark.anyio
async def test_a_direct_call_of_the_server_goes_round_the_hook_as_the_page_says(world: World) -> None:
    with world.agent("direct") as (client, agent_id):
        script = Script(Guard(client), [], "auto")
        await server(script, MeshGuardExtension(script.guard)).call_tool("delete_records", {"table": "x"})
        assert script.ran == [("delete_records", {"table": "x"})]
        assert world.decisions(agent_id) == []


def test_all_arguments_of_call_tool_reach_the_framework() -> None:
    assert GovernedClientSession.call_tool is ClientSession.call_tool


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("mcp", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("mcp").decisions >= {("execute:lookup", "allow"), ("execute:delete_records", "deny")}


def test_the_docstrings_run(world: World, environ: str) -> None:
    tools: MCPServer[Any] = MCPServer("tools")
    tools.add_tool(lambda query: f"found {query}", name="lookup")
    with running_app(tools.streamable_http_app()) as url:
        assert run_docstrings(mcp, server=tools, url=f"{url}/mcp") == 3
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup"}
