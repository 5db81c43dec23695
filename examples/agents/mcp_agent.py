"""A governed MCP server for a support desk, and a governed client of an ungoverned server.

The plan stands for a model: it names the tools to call. Run it; the exit code is 0 only if what was denied
did not run.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import Client
from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent

from meshguard import MeshGuardClient
from meshguard.guard import Guard
from meshguard.integrations.mcp import GovernedClient, MeshGuardExtension
from meshguard.testing import running_gateway

POLICY = """
name: support-desk
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - name: small-refunds
    effect: allow
    actions: ["write:refund"]
    conditions: {context.args.amount: {lte: 100}}
"""
ACTIONS = {"find_order": "read:orders", "refund": "write:refund", "delete_order": "delete:orders"}
PLAN: list[tuple[str, dict[str, Any]]] = [
    ("find_order", {"number": 1041}),
    ("refund", {"number": 1041, "amount": 40}),
    ("refund", {"number": 1041, "amount": 4000}),
    ("delete_order", {"number": 1041}),
]
done: list[str] = []


def find_order(number: int) -> str:
    """Look up an order."""
    return f"order {number}: a lamp, 40 euros"


def refund(number: int, amount: int) -> str:
    """Refund a customer."""
    done.append(f"refunded {amount}")
    return f"{amount} euros for order {number} are on their way"


def delete_order(number: int) -> str:
    """Delete an order permanently."""
    done.append(f"deleted {number}")
    return f"order {number} is gone"


def desk(*extensions: MeshGuardExtension) -> MCPServer[Any]:
    """Return the server with its three tools."""
    server: MCPServer[Any] = MCPServer("desk", extensions=extensions, log_level="WARNING")
    for tool in (find_order, refund, delete_order):
        server.add_tool(tool)
    return server


async def follow_plan(client: Client) -> None:
    """Make each call, as a model would, and print the result."""
    for tool, arguments in PLAN:
        print(f"  {tool}({arguments})\n    → {said(await client.call_tool(tool, arguments))}")


def said(result: CallToolResult) -> str:
    """Return the text of a result."""
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


async def story(agent: MeshGuardClient) -> None:
    """Make the same calls, governed in the server and governed in the client."""
    guard = Guard(agent, action_map=ACTIONS)
    print("A governed server:")
    async with Client(desk(MeshGuardExtension(guard))) as client:
        await follow_plan(client)
    print("\nA governed client of an ungoverned server:")
    async with GovernedClient(desk(), guard=guard) as governed:
        await follow_plan(governed)
    await guard.aclose()


with running_gateway(POLICY) as gateway, gateway.agent("support") as agent, gateway.admin() as admin:
    asyncio.run(story(agent))
    print("\nThe audit log:")
    entries = list(admin.iter_audit_log(trace_id=agent.trace_id, kind="decision"))
    for entry in reversed(entries):
        print(f"  {entry['decision']:5} {entry['action']:14} {entry['reason']}")

assert done == ["refunded 40", "refunded 40"], done
assert [entry["decision"] for entry in reversed(entries)] == ["allow", "allow", "deny", "deny"] * 2
