"""A FastMCP server for a support desk. It lists only permitted tools, and checks each call.

The plan stands for a model: it names the tools to call. Run it; the exit code is 0 only if what was denied
did not run.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastmcp import Client, FastMCP

from meshguard import MeshGuardClient
from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware
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


async def story(agent: MeshGuardClient) -> list[str]:
    """Make the planned calls, as a model would, and print the results. Returns the listed tools."""
    guard = Guard(agent, action_map=ACTIONS)
    server: FastMCP[Any] = FastMCP("desk", middleware=[MeshGuardMiddleware(guard)])
    for tool in (find_order, refund, delete_order):
        server.tool(tool)
    async with Client(server) as client:
        shown = [listed.name for listed in await client.list_tools()]
        print(f"The client sees {' and '.join(shown)}.\n")
        for name, arguments in PLAN:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            print(f"{name}({arguments})\n  → {result.content[0].text}")
    await guard.aclose()
    return shown


with running_gateway(POLICY) as gateway, gateway.agent("support") as agent, gateway.admin() as admin:
    shown = asyncio.run(story(agent))
    print("\nThe audit log, beginning with the three checks for the list:")
    entries = list(admin.iter_audit_log(trace_id=agent.trace_id, kind="decision"))
    for entry in reversed(entries):
        print(f"  {entry['decision']:5} {entry['action']:14} {entry['reason']}")

assert shown == ["find_order", "refund"], shown
assert done == ["refunded 40"], done
assert [entry["decision"] for entry in reversed(entries)][3:] == ["allow", "allow", "deny", "deny"]
