"""An MCP server that knows of no policies; run over stdio, it can leave its process id in a file."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import SamplingMessage, TextContent

server = MCPServer("desk", instructions="Be kind.")
calls: list[str] = []
two = asyncio.Barrier(2)


@server.tool()
def lookup(query: str) -> str:
    """Look a customer up."""
    calls.append("lookup")
    return f"found {query}"


@server.tool()
def transfer(amount: int, to: str) -> str:
    """Send money to somebody."""
    calls.append("transfer")
    return f"sent {amount} to {to}"


@server.tool()
def delete_records(table: str) -> str:
    """Delete all records of a table."""
    calls.append("delete_records")
    return f"deleted {table}"


@server.tool()
def ran() -> list[str]:
    """What ran so far in this session."""
    return calls


@server.tool()
def environment() -> list[str]:
    """The names of this process's environment variables."""
    return sorted(os.environ)


@server.tool()
async def slow(number: int, ctx: Context) -> str:
    """Report a number as progress, when two such calls run."""
    await two.wait()
    await ctx.report_progress(number, 2, "half")
    return "done"


@server.tool()
async def ask(ctx: Context) -> str:
    """Have the host's model answer."""
    question = SamplingMessage(role="user", content=TextContent(type="text", text="Well?"))
    answer = await ctx.session.create_message([question], max_tokens=9, related_request_id=ctx.request_id)
    return answer.content.text if isinstance(answer.content, TextContent) else ""


@server.resource("desk://hours")
def hours() -> str:
    """When the desk is open."""
    return "always"


@server.prompt()
def greeting() -> str:
    """How to begin."""
    return "Hello."


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(str(os.getpid()))
    server.run()
