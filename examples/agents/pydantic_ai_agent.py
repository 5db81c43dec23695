"""An agent of Pydantic AI pays invoices up to a limit. The policy tests the arguments.

The model is scripted, the gateway is real. The exit code is 0 only if the denied tool did not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from meshguard.guard import Guard
from meshguard.integrations.pydantic_ai import MeshGuardCapability
from meshguard.testing import RunningGateway, running_gateway

POLICY = """
name: accounts-payable
rules:
  - {name: invoices-are-read, effect: allow, actions: ["read:invoice"]}
  - name: small-payments
    effect: allow
    actions: ["write:payment"]
    conditions: {context.args.amount: {lte: 500}}
"""
ACTIONS = {"open_invoice": "read:invoice", "pay": "write:payment"}
payments: list[float] = []


def open_invoice(number: str) -> str:
    """Read an invoice."""
    return f"invoice {number}: 120.00 to Ada, and 9,000.00 to somebody new"


def pay(recipient: str, amount: float) -> str:
    """Send money."""
    payments.append(amount)
    return f"paid {amount:.2f} to {recipient}"


def script() -> Iterator[ModelResponse]:
    """Return the model's messages, turn by turn."""
    yield ModelResponse([ToolCallPart("open_invoice", {"number": "17"})])
    yield ModelResponse(
        [
            ToolCallPart("pay", {"recipient": "Ada", "amount": 120}),
            ToolCallPart("pay", {"recipient": "somebody new", "amount": 9000}),
        ]
    )
    yield ModelResponse([TextPart("I paid Ada. The other payment needs a person.")])


def scripted_model() -> FunctionModel:
    """Return a model that follows the script."""
    answers = script()

    def answer(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        return next(answers)

    return FunctionModel(answer)


async def run(gateway: RunningGateway) -> str:
    """Run the agent. Returns the ID of the run, which is also the trace ID."""
    with gateway.agent("bookkeeper") as client:
        guard = Guard(client, action_map=ACTIONS)
        agent = Agent(
            scripted_model(),
            name="bookkeeper",
            tools=[open_invoice, pay],
            capabilities=[MeshGuardCapability(guard)],
        )
        result = await agent.run("Pay invoice 17.")
        await guard.aclose()
    for message in result.all_messages():
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                print(f"{part.tool_name:12} {part.outcome:7} {part.content}")
    print(f"{'answer':20} {result.output}\n")
    return result.run_id


def main() -> None:
    """Run the agent and print the audit log of the run."""
    with running_gateway(POLICY) as gateway, gateway.admin() as admin:
        run_id = asyncio.run(run(gateway))
        for entry in reversed(list(admin.iter_audit_log(trace_id=run_id))):
            print(f"{entry['action']:14} {entry['decision']:6} {entry['reason']}")
    assert payments == [120], payments


if __name__ == "__main__":
    main()
