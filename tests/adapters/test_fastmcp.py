"""FastMCP servers and proxies under the conformance kit, and broken on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server import create_proxy
from fastmcp.server.auth import StaticTokenVerifier
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp_types import CallToolRequestParams

from meshguard import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.integrations import fastmcp
from meshguard.integrations.fastmcp import MeshGuardMiddleware
from meshguard.testing.conformance import AdapterConformance, Script, World
from tests.adapters.mcp_traffic import http_client, played, served
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned
from tests.servers import free_port

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Rewriting(Middleware):
    """Another middleware, which puts other arguments in place."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        if self._script.rewrite:
            rewritten = context.message.model_copy(update={"arguments": dict(self._script.rewrite)})
            context = context.copy(message=rewritten)
        return await call_next(context)


def server(script: Script, *middleware: Middleware, auth: Any = None) -> FastMCP[Any]:
    """The script's tools."""
    made: FastMCP[Any] = FastMCP("desk", middleware=[Rewriting(script), *middleware], auth=auth)
    for function in script.functions():
        made.tool(function)
    return made


class TestFastMCPServer(AdapterConformance):
    """In memory: `auto` is the protocol of 2026, `legacy` the handshake of the years before."""

    # The protocol has arguments as objects, never as text, and nobody authenticates in memory.
    modes = ("auto", "legacy")
    rewrites = True
    raises = False  # a server can't raise in its client

    def middleware(self, guard: Guard) -> list[Middleware]:
        return [MeshGuardMiddleware(guard)]

    def run(self, script: Script) -> list[str]:
        return self.finish(script.guard, self._run(script))

    async def _run(self, script: Script) -> list[str]:
        return await _in_memory(server(script, *self.middleware(script.guard)), script)


class TestFastMCPOverHTTP(TestFastMCPServer):
    """With clients that authenticate: the client's id is the name of the agent."""

    agents = True

    async def _run(self, script: Script) -> list[str]:
        name = script.agent or "anybody"
        auth = StaticTokenVerifier({name: {"client_id": name, "scopes": []}})
        made = server(script, *self.middleware(script.guard), auth=auth)
        async with served(made.http_app()) as url, http_client(url, name, script.mode) as client:
            return await played(script, client.call_tool)


class TestFastMCPProxy(TestFastMCPServer):
    """Before a server that is not governed."""

    async def _run(self, script: Script) -> list[str]:
        proxy = create_proxy(server(script))
        for middleware in (Rewriting(script), *self.middleware(script.guard)):
            proxy.add_middleware(middleware)
        return await _in_memory(proxy, script)


async def _in_memory(made: FastMCP[Any], script: Script) -> list[str]:
    async with Client(made, mode=script.mode) as client:
        return await played(script, client.call_tool_mcp)


class WithoutTheHook(TestFastMCPServer):
    def middleware(self, guard: Guard) -> list[Middleware]:  # noqa: ARG002
        return []


class WithErrorsLetOut(TestFastMCPServer):
    def middleware(self, guard: Guard) -> list[Middleware]:
        guard._on_error = "raise"
        return super().middleware(guard)


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


async def names(made: FastMCP[Any]) -> Sequence[str]:
    async with Client(made) as client:
        return sorted(tool.name for tool in await client.list_tools())


@pytest.mark.anyio
async def test_tools_that_are_never_allowed_are_not_listed(world: World) -> None:
    for tags, listed in (
        ([], ["lookup", "transfer"]),
        (["archivist"], ["delete_records", "lookup", "transfer"]),
    ):
        with world.agent("lister", tags) as (client, agent_id):
            guard = Guard(client)
            assert await names(server(Script(guard, [], "auto"), MeshGuardMiddleware(guard))) == listed
            await guard.aclose()
        assert world.decisions(agent_id) == []


def by_recipient(call: ToolCall) -> str:
    assert isinstance(call.arguments, Mapping)
    return f"pay:{call.arguments['to']}"


@pytest.mark.anyio
async def test_a_tool_whose_action_depends_on_its_arguments_hides_no_other(world: World) -> None:
    with world.agent("lister", ["archivist"]) as (client, _):
        guard = Guard(client, action_map={"transfer": by_recipient})
        listed = await names(server(Script(guard, [], "auto"), MeshGuardMiddleware(guard)))
        await guard.aclose()
        assert listed == ["delete_records", "lookup"]


@pytest.mark.anyio
async def test_nothing_is_listed_while_the_gateway_is_down() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with MeshGuardClient(url, "agent.token", max_retries=0, trust_env=False) as client:
        guard = Guard(client)
        assert await names(server(Script(guard, [], "auto"), MeshGuardMiddleware(guard))) == []
        await guard.aclose()


@pytest.mark.anyio
async def test_a_mounted_server_with_a_middleware_of_its_own_is_decided_on_under_both_names(
    world: World,
) -> None:
    with world.agent("mounting") as (client, agent_id):
        guard = Guard(client, action_map={"desk_lookup": "execute:lookup"})
        parent: FastMCP[Any] = FastMCP("parent", middleware=[MeshGuardMiddleware(guard)])
        parent.mount(server(Script(guard, [], "auto"), MeshGuardMiddleware(guard)), namespace="desk")
        async with Client(parent) as desk:
            assert (await desk.call_tool("desk_lookup", {"query": "Ada"})).data == "found Ada"
        await guard.aclose()
        assert [entry["action"] for entry in world.decisions(agent_id)] == ["execute:lookup"] * 2


@pytest.mark.anyio
async def test_a_mounted_server_is_governed_by_the_one_it_is_mounted_in(world: World) -> None:
    with world.agent("mounted") as (client, _):
        script = Script(Guard(client), [], "auto")
        parent: FastMCP[Any] = FastMCP("parent", middleware=[MeshGuardMiddleware(script.guard)])
        parent.mount(server(script), namespace="desk")
        async with Client(parent) as desk:
            result = await desk.call_tool_mcp("desk_lookup", {"query": "Ada"})
        await script.guard.aclose()
        assert result.is_error
        assert script.ran == []


@pytest.mark.anyio
async def test_a_client_that_traces_names_the_trace(world: World) -> None:
    with world.agent("traced") as (client, agent_id):
        guard = Guard(client)
        meta = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        async with Client(server(Script(guard, [], "auto"), MeshGuardMiddleware(guard))) as desk:
            await desk.call_tool("lookup", {"query": "Ada"}, meta=meta)
        await guard.aclose()
        assert [entry.get("traceId") for entry in world.decisions(agent_id)] == [TRACE]


@pytest.mark.anyio
async def test_direct_calls_are_governed_unless_they_leave_the_middleware_out(world: World) -> None:
    with world.agent("direct") as (client, _):
        script = Script(Guard(client), [], "auto")
        made = server(script, MeshGuardMiddleware(script.guard))
        with pytest.raises(ToolError, match="denied"):
            await made.call_tool("delete_records", {"table": "x"})
        assert script.ran == []
        await made.call_tool("delete_records", {"table": "x"}, run_middleware=False)
        assert script.ran == [("delete_records", {"table": "x"})]
        await script.guard.aclose()


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("fastmcp", tmp_path)


def test_the_page_runs() -> None:
    assert [tool for tool in run_page("fastmcp").names if tool == "proxy"]


def test_the_docstrings_run(world: World, environ: str) -> None:
    assert run_docstrings(fastmcp) == 1
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup"}
