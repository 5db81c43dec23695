"""A CrewAI crew under policy: two agents with their own identities, and a scripted model."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_STORAGE_DIR": tempfile.mkdtemp(),
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool

from meshguard.guard import Guard
from meshguard.integrations.crewai import govern_crew
from meshguard.testing import running_gateway

POLICY = """
name: records
rules:
  - {name: lookups, effect: allow, actions: ["execute:lookup"]}
  - name: archivists-delete
    effect: allow
    actions: ["execute:delete_records"]
    conditions: {tags: [archivist], context.args.table: drafts}
"""
deleted: list[str] = []


@tool("lookup")
def lookup(query: str) -> str:
    """Look up a customer."""
    return f"{query} has been with us since 1843."


@tool("delete_records")
def delete_records(table: str) -> str:
    """Delete all records of a table."""
    deleted.append(table)
    return f"deleted {table}"


class Scripted(BaseLLM):
    """A model that makes these calls, one per turn."""

    calls: list[tuple[str, dict[str, str]]]

    def supports_function_calling(self) -> bool:
        """Return True: it makes tool calls."""
        return True

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        """Return 0: it does not count tokens."""
        return 0

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        """Return the next call, or end the conversation."""
        results = [message for message in messages if message["role"] == "tool"]
        if results:
            print(f"  result: {results[-1]['content']}")
        if len(results) == len(self.calls):
            return "That is all I could do."
        name, arguments = self.calls[len(results)]
        print(f"  calls {name}({arguments})")
        return [{"id": f"{len(results)}", "function": {"name": name, "arguments": json.dumps(arguments)}}]


def agent(role: str, *calls: tuple[str, dict[str, str]]) -> Agent:
    """Return an agent whose model makes these calls."""
    model = Scripted(model="scripted", calls=list(calls))
    return Agent(role=role, goal="Help.", backstory="You help.", llm=model, tools=[lookup, delete_records])


def main() -> None:
    """A clerk and an archivist try to delete. Only the archivist may, and only drafts."""
    clerk = agent("clerk", ("lookup", {"query": "Ada"}), ("delete_records", {"table": "drafts"}))
    archivist = agent(
        "archivist", ("delete_records", {"table": "customers"}), ("delete_records", {"table": "drafts"})
    )
    tasks = [
        Task(description="Clean up.", expected_output="A report.", agent=one) for one in (clerk, archivist)
    ]
    with (
        running_gateway(POLICY) as gateway,
        gateway.agent("clerk") as clerk_client,
        gateway.agent("archivist", tags=["archivist"]) as archivist_client,
    ):
        guard = Guard(clerk_client, agents={"clerk": clerk_client, "archivist": archivist_client})
        with govern_crew(guard):
            Crew(agents=[clerk, archivist], tasks=tasks).kickoff()
        with gateway.admin() as admin:
            entries = list(admin.iter_audit_log())[::-1]
    print(f"\nThe audit log of trace {entries[-1].get('traceId')}:")
    for entry in entries:
        if entry.get("kind") == "decision":
            print(f"  {entry['agentName']:10} {entry['action']:24} {entry['decision']}")
    assert deleted == ["drafts"], f"these were deleted: {deleted}"


if __name__ == "__main__":
    main()
