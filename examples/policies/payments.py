"""The tools and the guard for the policies in payments."""

from meshguard import MeshGuardClient
from meshguard.guard import Guard


def pay(recipient: str, amount: float, currency: str, invoice: str = "") -> str:
    """Pay a recipient."""
    return f"paid {amount} {currency} to {recipient} for {invoice or 'no invoice'}"


def get_payment(payment_id: int) -> str:
    """Look up a payment."""
    return f"payment {payment_id}"


TOOLS = [pay, get_payment]


def guard(client: MeshGuardClient) -> Guard:
    """The guard of an agent that pays."""
    return Guard(client, resource={"pay": "accounts/{recipient}", "get_payment": "payments/{payment_id}"})
