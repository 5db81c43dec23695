"""Claude Code under policy, with a scripted model: a lookup, a deletion and a shell command."""

from __future__ import annotations

import asyncio
from typing import Any

from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
    create_sdk_mcp_server,
    query,
    tool,
)

from meshguard.guard import Guard
from meshguard.integrations.claude_agent import governed_options
from meshguard.testing import running_gateway
from meshguard.testing.claude import scripted_claude

POLICY = """
name: desk
rules:
  - {name: lookups, effect: allow, actions: ["execute:mcp__desk__lookup"]}
  - name: drafts-may-go
    effect: allow
    actions: ["execute:mcp__desk__delete_records"]
    conditions: {context.args.table: drafts}
"""
SCRIPT = [
    [("mcp__desk__lookup", {"query": "Ada"})],
    [
        ("mcp__desk__delete_records", {"table": "customers"}),
        ("mcp__desk__delete_records", {"table": "drafts"}),
    ],
    [("Bash", {"command": "env"})],
]
deleted: list[str] = []


@tool("lookup", "Look up a customer.", {"query": str})
async def lookup(arguments: dict[str, Any]) -> dict[str, Any]:
    """Look up a customer."""
    return {"content": [{"type": "text", "text": f"{arguments['query']} is with us since 1843."}]}


@tool("delete_records", "Delete all records of a table.", {"table": str})
async def delete_records(arguments: dict[str, Any]) -> dict[str, Any]:
    """Delete all records of a table."""
    deleted.append(arguments["table"])
    return {"content": [{"type": "text", "text": f"deleted {arguments['table']}"}]}


def tell(message: object) -> None:
    """Print the model's calls and their results."""
    if isinstance(message, AssistantMessage | UserMessage) and not isinstance(message.content, str):
        for block in message.content:
            if isinstance(block, ToolUseBlock):
                print(f"  calls {block.name}({block.input})")
            if isinstance(block, ToolResultBlock):
                print(f"  result: {block.content}")


async def work(guard: Guard, options: ClaudeAgentOptions) -> None:
    """Run the agent."""
    async for message in query(prompt="Clean up after Ada.", options=governed_options(guard, options)):
        tell(message)
    await guard.aclose()


def main() -> None:
    """The agent makes allowed and denied calls."""
    with (
        running_gateway(POLICY) as gateway,
        gateway.agent("claude") as client,
        scripted_claude(SCRIPT) as model,
    ):
        options = ClaudeAgentOptions(
            mcp_servers={"desk": create_sdk_mcp_server("desk", tools=[lookup, delete_records])},
            allowed_tools=["mcp__desk", "Bash"],
            setting_sources=[],
            env=dict(model.env),
            cwd=model.env["HOME"],
        )
        asyncio.run(work(Guard(client), options))
        with gateway.admin() as admin:
            entries = [entry for entry in admin.iter_audit_log() if entry.get("kind") == "decision"][::-1]
    print(f"\nThe audit log of trace {entries[0].get('traceId')}:")
    for entry in entries:
        print(f"  {entry['action']:36} {entry['decision']}")
    assert deleted == ["drafts"], f"these were deleted: {deleted}"
    assert [entry["decision"] for entry in entries] == ["allow", "deny", "allow", "deny"]


if __name__ == "__main__":
    main()
