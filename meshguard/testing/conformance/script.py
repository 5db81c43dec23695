"""Scripts for the suite: the tools, and the calls that a scripted model makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from meshguard.guard import Guard


@dataclass(frozen=True)
class Call:
    """A call by the scripted model: a tool's name, and arguments or the text that the model wrote as such."""

    tool: str
    arguments: Mapping[str, Any] | str


LOOKUP = Call("lookup", {"query": "Ada"})
SMALL = Call("transfer", {"amount": 10, "to": "Ada"})
LARGE = Call("transfer", {"amount": 1000, "to": "Ada"})
DELETE = Call("delete_records", {"table": "customers"})
RESULTS = {"lookup": "found Ada", "transfer": "sent 10 to Ada", "delete_records": "deleted customers"}


@dataclass(frozen=True)
class Script:
    """One run of an agent.

    Attributes:
        guard: The guard for the adapter.
        turns: The model's calls, turn by turn. Calls of one turn are made in parallel where the framework
            supports it. After the last turn the model ends the conversation.
        mode: One of the adapter's `modes`.
        agent: The name of the calling agent, if the adapter has `agents`.
        rewrite: Arguments that another hook of the framework substitutes, if the adapter has `rewrites`.
        ran: The calls whose body ran, as (tool, arguments), in order. The functions append to it.
    """

    guard: Guard
    turns: Sequence[Sequence[Call]]
    mode: str
    agent: str | None = None
    rewrite: Mapping[str, Any] | None = None
    ran: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def functions(self) -> list[Callable[..., str]]:
        """The tools as plain functions: `lookup`, `transfer` and `delete_records`."""

        def lookup(query: str) -> str:
            """Look up a customer."""
            self.ran.append(("lookup", {"query": query}))
            return f"found {query}"

        def transfer(amount: int, to: str) -> str:
            """Send money."""
            self.ran.append(("transfer", {"amount": amount, "to": to}))
            return f"sent {amount} to {to}"

        def delete_records(table: str) -> str:
            """Delete all records of a table."""
            self.ran.append(("delete_records", {"table": table}))
            return f"deleted {table}"

        return [lookup, transfer, delete_records]

    def coroutines(self) -> list[Callable[..., Awaitable[str]]]:
        """The same tools as async functions."""
        lookup_now, transfer_now, delete_now = self.functions()

        async def lookup(query: str) -> str:
            """Look up a customer."""
            return lookup_now(query)

        async def transfer(amount: int, to: str) -> str:
            """Send money."""
            return transfer_now(amount, to)

        async def delete_records(table: str) -> str:
            """Delete all records of a table."""
            return delete_now(table)

        return [lookup, transfer, delete_records]
