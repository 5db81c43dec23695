"""The tools and the guard for the policies in support-desk."""

from meshguard import MeshGuardClient
from meshguard.guard import Guard


def find_customer(customer: str) -> str:
    """Look up a customer."""
    return f"{customer} has one open order."


def list_customers(limit: int) -> str:
    """List customers."""
    return f"{limit} customers"


def find_order(order_id: int) -> str:
    """Look up an order."""
    return f"Order {order_id} was shipped."


def send_reply(ticket: int, text: str) -> str:
    """Reply to a customer."""
    return f"Replied to {ticket}: {text}"


def refund(order_id: int, amount: float, currency: str) -> str:
    """Refund an order."""
    return f"Refunded {amount} {currency} for order {order_id}"


TOOLS = [find_customer, list_customers, find_order, send_reply, refund]


def guard(client: MeshGuardClient) -> Guard:
    """The guard of a support agent."""
    return Guard(
        client,
        action_map={
            "find_customer": "read:customer",
            "list_customers": "read:customers",
            "find_order": "read:order",
            "send_reply": "send:reply",
            "refund": "write:refund",
        },
        resource={
            "find_customer": "customers/{customer}",
            "find_order": "orders/{order_id}",
            "refund": "orders/{order_id}",
        },
    )
