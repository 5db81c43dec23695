"""An agent of Google's ADK transfers to a sub-agent. Each has its own permissions.

The model is scripted, the gateway is real. The exit code is 0 only if the denied tools did not run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types

from meshguard.guard import Guard
from meshguard.integrations.google_adk import MeshGuardPlugin
from meshguard.testing import RunningGateway, running_gateway

POLICY = """
name: warehouse
rules:
  - {name: stock-is-read, effect: allow, actions: ["read:stock"]}
  - {name: buying-is-handed-over, effect: allow, actions: ["transfer:buyer"]}
  - name: buyers-order-a-little
    effect: allow
    actions: ["write:order"]
    conditions: {tags: [buyer], context.args.pieces: {lte: 100}}
"""
Call = tuple[str, dict[str, Any]]
orders: list[int] = []


def count_stock(item: str) -> str:
    """Count the stock of an item."""
    return f"3 {item} left"


def order(item: str, pieces: int) -> str:
    """Order an item."""
    orders.append(pieces)
    return f"ordered {pieces} {item}"


class ScriptedLlm(BaseLlm):
    """A model that makes one call per turn."""

    calls: list[Call]

    async def generate_content_async(
        self,
        llm_request: LlmRequest,  # noqa: ARG002 - the framework's signature
        stream: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[LlmResponse, None]:
        """Yield the next call, or end the conversation."""
        if self.calls:
            name, arguments = self.calls.pop(0)
            part = types.Part(function_call=types.FunctionCall(name=name, args=arguments))
        else:
            part = types.Part(text="I ordered 50. For 5000 please ask a person.")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def team() -> LlmAgent:
    """The clerk counts, may not order, and transfers. The buyer orders 50, and may not order 5000."""
    clerk_calls: list[Call] = [
        ("count_stock", {"item": "screws"}),
        ("order", {"item": "screws", "pieces": 50}),
        ("transfer_to_agent", {"agent_name": "buyer"}),
    ]
    buyer_calls: list[Call] = [
        ("order", {"item": "screws", "pieces": 50}),
        ("order", {"item": "screws", "pieces": 5000}),
    ]
    buyer = LlmAgent(
        name="buyer", description="Buys.", model=ScriptedLlm(model="script", calls=buyer_calls), tools=[order]
    )
    return LlmAgent(
        name="clerk",
        model=ScriptedLlm(model="script", calls=clerk_calls),
        tools=[count_stock, order],
        sub_agents=[buyer],
    )


async def run(gateway: RunningGateway) -> str:
    """Run the team. Returns the ID of the invocation, which is also the trace ID."""
    actions = {
        "count_stock": "read:stock",
        "order": "write:order",
        "transfer_to_agent": "transfer:{agent_name}",
    }
    with gateway.agent("clerk") as clerk, gateway.agent("buyer", tags=["buyer"]) as buyer:
        guard = Guard(clerk, agents={"clerk": clerk, "buyer": buyer}, action_map=actions)
        app = App(name="warehouse", root_agent=team(), plugins=[MeshGuardPlugin(guard)])
        events = await InMemoryRunner(app=app).run_debug("We need screws.", quiet=True)
        await guard.aclose()
    for event in events:
        for response in event.get_function_responses():
            print(f"{event.author:6} received: {response.response}")
    return events[0].invocation_id


def main() -> None:
    """Run the team and print the audit log of the invocation."""
    logging.getLogger("google_adk").setLevel(logging.ERROR)  # hides warnings about the scripted model
    with running_gateway(POLICY) as gateway, gateway.admin() as admin:
        invocation_id = asyncio.run(run(gateway))
        print()
        for entry in reversed(list(admin.iter_audit_log(trace_id=invocation_id))):
            print(f"{entry['agentName']:6} {entry['action']:15} {entry['decision']:6} {entry['reason']}")
    assert orders == [50], orders


if __name__ == "__main__":
    main()
