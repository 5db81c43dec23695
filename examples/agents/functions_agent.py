"""An agent without a framework: a loop that calls plain functions, checked by a real gateway.

Run it with `python examples/agents/functions_agent.py`; needs `pip install 'meshguard[testing]'`.
"""

from __future__ import annotations

from meshguard import PolicyDeniedError
from meshguard.guard import Guard
from meshguard.integrations.functions import govern_function
from meshguard.testing import RunningGateway, running_gateway

POLICY = """
name: support-desk
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - name: small-refunds
    effect: allow
    actions: ["write:refund"]
    conditions: {context.args.amount: {lte: 50}}
"""


def main() -> None:
    """Run the agent and print its audit log."""
    with running_gateway(POLICY) as gateway, gateway.agent("support-bot") as client:
        done = work(Guard(client))
        tell(gateway, client.trace_id)
    assert done == ["found order-7", "refunded 20"]


def work(guard: Guard) -> list[str]:
    """Call three tools, as a model would, the last one over its limit. Returns the completed calls."""
    done: list[str] = []

    @govern_function("read:order", guard)
    def find_order(number: str) -> str:
        done.append(f"found {number}")
        return f"{number}: one pair of shoes"

    @govern_function("write:refund", guard)
    def refund(number: str, amount: int) -> str:
        done.append(f"refunded {amount}")
        return f"{amount} € of {number} are on their way"

    print("find_order:", find_order("order-7"))
    print("refund:    ", refund("order-7", amount=20))
    try:
        refund("order-7", amount=2000)
    except PolicyDeniedError as error:
        print("refund:    ", error)
    return done


def tell(gateway: RunningGateway, trace_id: str) -> None:
    """Print the audit log of the run."""
    print("\nThe audit log:")
    with gateway.admin() as admin:
        for entry in reversed(admin.get_audit_log(trace_id=trace_id)):
            print(f"  {entry['decision']:5}  {entry['action']:12}  {entry.get('reason')}")


if __name__ == "__main__":
    main()
