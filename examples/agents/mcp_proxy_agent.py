"""An ordinary MCP server, governed by `meshguard mcp-proxy`.

The plan stands for the model of an MCP host. Run it; the exit code is 0 only if what was denied did not run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp_types import TextContent

from meshguard.testing import running_gateway

POLICY = """
name: notes
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - {name: drafts, effect: allow, actions: ["write:*"], conditions: {context.args.name: {startsWith: draft-}}}
"""
SERVER = """
import pathlib
from mcp.server import MCPServer

server = MCPServer("notes", log_level="WARNING")

@server.tool()
def list_notes() -> str:
    return " ".join(sorted(path.name for path in pathlib.Path().glob("*.txt")))

@server.tool()
def write_note(name: str, text: str) -> str:
    pathlib.Path(name + ".txt").write_text(text)
    return f"wrote {name}"

@server.tool()
def delete_note(name: str) -> str:
    pathlib.Path(name + ".txt").unlink()
    return f"deleted {name}"

server.run()
"""
PLAN: list[tuple[str, dict[str, str]]] = [
    ("write_note", {"name": "draft-1", "text": "Hello."}),
    ("write_note", {"name": "contract", "text": "I owe you a million."}),
    ("delete_note", {"name": "draft-1"}),
    ("list_notes", {}),
]
OPTIONS = ["--action-map", "list_notes=read:notes", "--action-map", "write_note=write:notes"]


async def story(folder: Path, environment: dict[str, str]) -> list[str]:
    """Start the proxy as a host does, and make the planned calls. Returns the listed tools."""
    (folder / "server.py").write_text(SERVER)
    command = ["-m", "meshguard.cli", "mcp-proxy", *OPTIONS, "--", sys.executable, "server.py"]
    proxy = StdioServerParameters(command=sys.executable, args=command, env=environment, cwd=folder)
    async with Client(proxy) as client:
        shown = [tool.name for tool in (await client.list_tools()).tools]
        print(f"The host sees {' and '.join(shown)}.\n")
        for name, arguments in PLAN:
            result = await client.call_tool(name, arguments)
            said = " ".join(part.text for part in result.content if isinstance(part, TextContent))
            print(f"{name}({arguments})\n  → {said}")
    return shown


with (
    tempfile.TemporaryDirectory() as folder,
    running_gateway(POLICY) as gateway,
    gateway.agent("assistant") as agent,
    gateway.admin() as admin,
):
    gateway_of_the_agent = {
        "MESHGUARD_GATEWAY_URL": gateway.url,
        "MESHGUARD_AGENT_TOKEN": str(agent.agent_token),
    }
    shown = asyncio.run(story(Path(folder), {**os.environ, **gateway_of_the_agent}))
    print("\nThe audit log, beginning with the three checks for the list:")
    entries = list(admin.iter_audit_log(kind="decision"))
    for entry in reversed(entries):
        print(f"  {entry['decision']:5} {entry['action']:20} {entry['reason']}")
    notes = sorted(path.name for path in Path(folder).glob("*.txt"))

assert shown == ["list_notes", "write_note"], shown
assert notes == ["draft-1.txt"], notes
assert [entry["decision"] for entry in reversed(entries)][3:] == ["allow", "deny", "deny", "allow"]
