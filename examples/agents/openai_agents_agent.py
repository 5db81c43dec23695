"""An agent of the OpenAI Agents SDK hands off to another. Each has its own permissions.

The model is scripted, the gateway is real. The exit code is 0 only if the denied tool did not run.
"""

from __future__ import annotations

import asyncio

from agents import Agent, Runner, function_tool, trace
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing import set_trace_processors

from meshguard.guard import Guard
from meshguard.integrations.openai_agents import govern_agent
from meshguard.testing import RunningGateway, running_gateway

POLICY = """
name: helpdesk
rules:
  - {name: lookups, effect: allow, actions: ["execute:find_customer"]}
  - name: small-refunds
    effect: allow
    actions: ["execute:refund"]
    conditions: {tags: [billing], context.args.amount: {lte: 50}}
"""
refunds: list[int] = []


@function_tool
def find_customer(name: str) -> str:
    """Find a customer by name."""
    return f"{name} is customer 17"


@function_tool
def refund(customer: int, amount: int) -> str:
    """Refund a customer."""
    refunds.append(amount)
    return f"refunded {amount} to customer {customer}"


def team() -> Agent[None]:
    """Triage may not refund. Billing refunds 20, and may not refund 2000."""
    billing_model = ScriptedModel(
        [
            [function_call("refund", {"customer": 17, "amount": 20}, call_id="4")],
            [function_call("refund", {"customer": 17, "amount": 2000}, call_id="5")],
            [assistant_message("I refunded 20. For 2000 please ask a person.")],
        ]
    )
    triage_model = ScriptedModel(
        [
            [function_call("find_customer", {"name": "Ada"}, call_id="1")],
            [function_call("refund", {"customer": 17, "amount": 20}, call_id="2")],
            [function_call("transfer_to_billing", {}, call_id="3")],
        ]
    )
    billing: Agent[None] = Agent(name="billing", model=billing_model, tools=[refund])
    return Agent(name="triage", model=triage_model, tools=[find_customer, refund], handoffs=[billing])


async def run(gateway: RunningGateway) -> str:
    """Run the team. Returns the trace ID."""
    with gateway.agent("triage") as triage, gateway.agent("billing", tags=["billing"]) as billing:
        guard = Guard(triage, agents={"triage": triage, "billing": billing})
        with trace("refund for Ada") as story:
            result = await Runner.run(govern_agent(team(), guard), "Refund Ada 20, or better 2000.")
        await guard.aclose()
    for item in result.new_items:
        if item.type == "tool_call_output_item":
            print(f"{item.agent.name:8} received: {item.output}")
    print(f"{'answer':8}         : {result.final_output}\n")
    return story.trace_id


def main() -> None:
    """Run the team and print the audit log of the run."""
    set_trace_processors([])  # exports no traces
    with running_gateway(POLICY) as gateway, gateway.admin() as admin:
        trace_id = asyncio.run(run(gateway))
        for entry in reversed(list(admin.iter_audit_log(trace_id=trace_id))):
            print(f"{entry['agentName']:8} {entry['action']:22} {entry['decision']}")
    assert refunds == [20], refunds


if __name__ == "__main__":
    main()
