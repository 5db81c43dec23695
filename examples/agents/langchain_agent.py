"""A LangChain agent for a support desk. It may look up orders and make small refunds.

Run it: python examples/agents/langchain_agent.py
"""

import uuid
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

from meshguard.guard import Guard
from meshguard.langchain import MeshGuardMiddleware
from meshguard.testing import running_gateway

POLICY = """
name: support-desk
rules:
  - {name: reading, effect: allow, actions: ["read:*"]}
  - name: small-refunds
    effect: allow
    actions: ["write:refund"]
    conditions: {context.args.amount: {lte: 50}}
"""
refunded: list[str] = []


@tool
def find_order(customer: str) -> str:
    """Find the last order of a customer."""
    return f"{customer} ordered a kettle for 40, and a grand piano for 9000."


@tool
def refund(item: str, amount: int) -> str:
    """Refund a customer."""
    refunded.append(item)
    return f"{amount} paid back for the {item}."


class ScriptedModel(FakeMessagesListChatModel):
    """A model that returns the messages of a script."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:  # noqa: ARG002, D102
        return self


def says(*calls: tuple[str, dict[str, Any]]) -> AIMessage:
    """Return a model's message with tool calls."""
    return AIMessage(
        "", tool_calls=[{"name": name, "args": args, "id": uuid.uuid4().hex} for name, args in calls]
    )


model = ScriptedModel(
    responses=[
        says(("find_order", {"customer": "Ada"})),
        says(("refund", {"item": "kettle", "amount": 40}), ("refund", {"item": "piano", "amount": 9000})),
        AIMessage("The kettle is refunded. For the piano I need to ask a colleague."),
    ]
)
actions = {"find_order": "read:orders", "refund": "write:refund"}

with running_gateway(POLICY) as gateway, gateway.agent("support") as client, gateway.admin() as admin:
    guard = Guard(client, action_map=actions)
    agent = create_agent(model, [find_order, refund], middleware=[MeshGuardMiddleware(guard)])
    run_id = uuid.uuid4()
    state = agent.invoke({"messages": [HumanMessage("Ada wants all her money back.")]}, {"run_id": run_id})

    for message in state["messages"]:
        for call in getattr(message, "tool_calls", ()):
            print(f"     calls  {call['name']} {call['args']}")
        if message.text:
            print(f"{message.type:>10}  {message.text}")

    print("\nThe audit log of the run:")
    trail = list(reversed(admin.get_audit_log(trace_id=str(run_id))))
    for entry in trail:
        print(f"{entry['decision']:>10}  {entry['action']}")

assert refunded == ["kettle"], "the piano was refunded"
assert sorted(entry["decision"] for entry in trail) == ["allow", "allow", "deny"]
