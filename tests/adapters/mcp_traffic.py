"""MCP servers over HTTP, clients of them, and the calls of a script played by a client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from meshguard.testing.conformance import Call, Script

CallTool = Callable[[str, Any], Awaitable[CallToolResult]]


async def played(script: Script, call_tool: CallTool) -> list[str]:
    """What came of the script's calls, those of a turn made at once."""
    said: list[str] = []
    for turn in script.turns:
        said += await asyncio.gather(*(_told(call_tool, call) for call in turn))
    return said


async def _told(call_tool: CallTool, call: Call) -> str:
    assert not isinstance(call.arguments, str)
    return told(await call_tool(call.tool, dict(call.arguments)))


def told(result: CallToolResult) -> str:
    """The text of a result."""
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """Run an ASGI application in this event loop; gives the URL of its MCP endpoint."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(application, log_config=None, ws="none", lifespan="on"))
        serving = asyncio.create_task(server.serve([listener]))
        await server.ready.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def http_client(url: str, token: str, mode: str = "auto") -> AsyncIterator[Client]:
    """A client that presents a bearer token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client
